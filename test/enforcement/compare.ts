// Two clusters side by side: requests that the one lets through and the other does not.
import type { Source } from './end-state.ts'
import { newIngress, oldIngress, oldIngressPod } from './landscape.ts'
import { decideInAmbient, decideWithSidecars } from './model.ts'
import { isExactAtZtunnel } from './policy.ts'
import type { Decision, Request } from './request.ts'
import { waypointOn } from './waypoint.ts'
import { type World, withSidecars, worldOf } from './world.ts'

export interface Difference {
  request: Request
  sidecars: Decision
  ambient: Decision
}

/** The cluster before ambient: the sources as written, sidecars where ztunnel captures, and the classic ingress. */
export function worldBefore(world: World, sources: Source[]): World {
  const { policies, requestAuthentications, pods } = worldOf([...sources, oldIngressPod], world.mesh)
  const before = withSidecars(world, { policies, requestAuthentications })
  return { ...before, pods: new Map([...before.pods, ...pods]) }
}

/**
 * What ambient lets through and sidecars would not: an open door. A token that is not checked is like none at all, and its
 * bearer could always leave it away, so nothing is open to a token that was not open without one.
 */
export function looser(before: World, after: World, requests: Request[]): Difference[] {
  return requests
    .map(request => ({ request, ambient: decideInAmbient(after, request) }))
    .filter(({ ambient }) => ambient.allowed)
    .map(difference => ({ ...difference, sidecars: decideWithSidecars(before, asBefore(difference.request)) }))
    .filter(({ sidecars }) => !sidecars.allowed)
    .filter(({ request }) => !decideWithSidecars(before, asBefore(withoutToken(request))).allowed)
}

function withoutToken(request: Request): Request {
  const { token: _, ...http } = request.http
  return { ...request, http }
}

/**
 * What sidecars would let through and ambient does not. One loss is inherent: a request that passes no waypoint (addressed
 * to a pod or a headless Service, to one without waypoint, or from a caller that goes past it: research 1.5 D, last but one
 * row, and 5, "Limits") meets only ztunnel, so it needs an ALLOW rule that ztunnel can check.
 */
export function lost(before: World, after: World, sources: Source[], requests: Request[]): Difference[] {
  const withL4 = worldBefore(after, withoutHTTPRules(sources))
  const isInherent = (request: Request) =>
    waypointOn(after, request) === undefined && !decideWithSidecars(withL4, asBefore(request)).allowed
  return requests
    .map(request => ({ request, sidecars: decideWithSidecars(before, asBefore(request)) }))
    .filter(({ sidecars }) => sidecars.allowed)
    .map(difference => ({ ...difference, ambient: decideInAmbient(after, difference.request) }))
    .filter(({ request, ambient }) => !ambient.allowed && !isInherent(request))
}

/** The sources without the ALLOW rules that ztunnel cannot check as they are written. */
function withoutHTTPRules(sources: Source[]): Source[] {
  return sources.map(source => {
    if (source.kind !== 'AuthorizationPolicy' || (source.spec.action ?? 'ALLOW') !== 'ALLOW') return source
    return { ...source, spec: { ...source.spec, rules: (source.spec.rules ?? []).filter(isExactAtZtunnel) } }
  })
}

/** Who comes through the new ingress gateway came through the old one before. */
function asBefore(request: Request): Request {
  return request.from === newIngress ? { ...request, from: oldIngress } : request
}
