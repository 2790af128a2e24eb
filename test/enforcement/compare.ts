// Two clusters side by side: requests that the one lets through and the other does not.
import type * as istio from '../../src/apis/istio.ts'
import type { DirectCaller, Settings } from '../../src/translate/settings.ts'
import type { Source } from './end-state.ts'
import { type Landscape, newIngress, oldIngress, oldIngressPod } from './landscape.ts'
import { memoized } from './memoized.ts'
import { decideAtIngress, decideBehindIngress, decideInAmbient, decideWithSidecars } from './model.ts'
import { isExactAtZtunnel } from './policy.ts'
import type { Decision, HTTP, Request } from './request.ts'
import { waypointOn } from './waypoint.ts'
import { known, selects, type World, withSidecars, worldOf } from './world.ts'

export interface Difference {
  request: Request
  sidecars: Decision
  ambient: Decision
}

/** The cluster before ambient: the sources as written, sidecars where ztunnel captures, and the classic ingress. */
export function worldBefore(world: World, sources: Source[], { settings, ingressPort }: Landscape): World {
  const { policies, requestAuthentications, pods } = worldOf([...sources, oldIngressPod(ingressPort)], settings)
  const before = withSidecars(world, { policies, requestAuthentications })
  return { ...before, pods: new Map([...before.pods, ...pods]) }
}

/**
 * What ambient lets through and sidecars would not, whichever of several sets of sources they had: an open door. A token
 * that is not checked is like none at all, and its bearer could always leave it away, so nothing is open to a token that
 * was not open without one. What the settings let through is not open either.
 */
export function looser(befores: World[], after: World, requests: Request[], settings: Settings): Difference[] {
  const [before, ...others] = befores
  if (!before) throw new Error('nothing to compare with')
  return requests
    .map(request => ({ request, ambient: decideInAmbient(after, request) }))
    .filter(({ ambient }) => ambient.allowed)
    .map(difference => ({ ...difference, sidecars: decideWithSidecars(before, asBefore(difference.request)) }))
    .filter(({ request, sidecars }) => !sidecars.allowed && [before, ...others].every(world => denies(world, request)))
    .filter(({ request }) => !befores.some(world => isPermitted(settings, world, after, request)))
}

function denies(before: World, request: Request): boolean {
  return [request, withoutToken(request)].every(asked => !decideWithSidecars(before, asBefore(asked)).allowed)
}

function withoutToken(request: Request): Request {
  return request.http.token ? { ...request, http: tokenless(request.http) } : request
}

const tokenless = memoized(({ token: _, ...http }: HTTP): HTTP => http)

/** Who comes through the new ingress gateway came through the old one before. */
export function asBefore(request: Request): Request {
  return request.from === newIngress ? { ...request, from: oldIngress } : request
}

// Direct callers --------------------------------------------------------------------------------------------------------

/**
 * Whether the administrator lets a caller through to the pods (settings, `directCallers`): past the waypoint and past
 * ALLOW, CUSTOM and what a DENY asks of HTTP, all of which only guards make up for there. A DENY by L4 attributes needs no
 * guard and holds for everybody, and so does what an ingress decides.
 */
function isPermitted(settings: Settings, before: World, after: World, request: Request): boolean {
  return decideAtIngress(before, asBefore(request)).allowed && isPermittedBehind(settings, before, after, request)
}

/** The same, whatever an ingress decides. */
export function isPermittedBehind(settings: Settings, before: World, after: World, request: Request): boolean {
  const { namespace } = known(after.pods, request.to.pod)
  if (directCallersOf(settings, after, namespace).length === 0 || waypointOn(after, request)) return false
  return decideBehindIngress(openedToDirectCallers(before)(settings), asBefore(request)).allowed
}

const openedToDirectCallers = memoized((before: World) =>
  memoized((settings: Settings): World => {
    const denials = before.policies.filter(({ spec }) => spec.action === 'DENY').map(withExactRules)
    const permissions = [...before.namespaces.keys()].flatMap(namespace =>
      permission(namespace, directCallersOf(settings, before, namespace)),
    )
    return { ...before, policies: [...denials, ...permissions] }
  }),
)

function permission(namespace: string, callers: DirectCaller[]): istio.AuthorizationPolicy[] {
  if (callers.length === 0) return []
  const rules = callers.map(({ ports, ...source }) => ({
    ...(Object.keys(source).length > 0 ? { from: [{ source }] } : {}),
    ...(ports ? { to: [{ operation: { ports } }] } : {}),
  }))
  const metadata = { name: 'direct-callers', namespace }
  return [{ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec: { rules } }]
}

/** The first rule of the settings that matches a namespace holds there. */
function directCallersOf({ namespaces }: Settings, world: World, namespace: string): DirectCaller[] {
  const labels = known(world.namespaces, namespace)
  const rule = namespaces.find(({ names, matchLabels }) =>
    names ? names.includes(namespace) : selects(matchLabels, labels),
  )
  return rule?.waypoint?.directCallers ?? []
}

/** The policy without the rules that ztunnel cannot check as they are written. */
export function withExactRules(policy: istio.AuthorizationPolicy): istio.AuthorizationPolicy {
  return { ...policy, spec: { ...policy.spec, rules: (policy.spec.rules ?? []).filter(isExactAtZtunnel) } }
}
