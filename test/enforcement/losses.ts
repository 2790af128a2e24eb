// What ambient denies and sidecars allowed: nothing, but for two kinds of requests that pass no waypoint and so meet only
// ztunnel, and which the policies concerned must announce.
import type * as istio from '../../src/apis/istio.ts'
import { asBefore, type Difference, withExactRules } from './compare.ts'
import type { EndState } from './end-state.ts'
import { memoized } from './memoized.ts'
import { atSidecar, decideInAmbient, decideWithSidecars } from './model.ts'
import { envoyDecides, isDryRun, isExactAtZtunnel, ruleMatches } from './policy.ts'
import type { Request } from './request.ts'
import { waypointOn } from './waypoint.ts'
import type { World } from './world.ts'

/**
 * The warnings of which a policy must carry one where it is the cause (research 1.5 C and D, the rows of L7 rules; 5,
 * "Limits"). `ALLOW`: no rule that ztunnel can check admits the request. `DENY` and `CUSTOM`: what ztunnel can check of
 * a rule matches the request, and ztunnel denies all of that in place of the rest.
 */
export const announcements = {
  ALLOW: ['AP-POD-ADDRESS', 'AP-SERVICE-HEADLESS', 'AP-GATEWAY-INGRESS', 'AP-WAYPOINT-PARTIAL'],
  DENY: ['AP-ACTION-DENY'],
  CUSTOM: ['AP-ACTION-DENY'],
} as const satisfies Record<string, string[]>

/** What is lost beyond that. */
export function lost(before: World, after: World, end: EndState, requests: Request[]): Difference[] {
  return requests
    .map(request => ({ request, sidecars: decideWithSidecars(before, asBefore(request)) }))
    .filter(({ sidecars }) => sidecars.allowed)
    .map(difference => ({ ...difference, ambient: decideInAmbient(after, difference.request) }))
    .filter(({ request, ambient }) => !ambient.allowed && !isAnnounced(before, after, end, request))
}

function isAnnounced(before: World, after: World, end: EndState, request: Request): boolean {
  if (waypointOn(after, request)) return false
  const asked = asBefore(request)
  const { policies, view } = atSidecar(before, asked)
  const matching = (terms: 'all' | 'exact') => (policy: istio.AuthorizationPolicy) =>
    (policy.spec.rules ?? [])
      .filter(rule => policy.spec.action === 'CUSTOM' || !isExactAtZtunnel(rule))
      .some(rule => ruleMatches(rule, policy.metadata.namespace ?? '', view, terms))
  const enforced = (action: string) =>
    policies.filter(policy => (policy.spec.action ?? 'ALLOW') === action && !isDryRun(policy))
  const denying = [...enforced('DENY'), ...enforced('CUSTOM')].filter(matching('exact'))
  if (denying.some(policy => isSaid(end, policy))) return true
  if (envoyDecides(policies.map(withoutHTTPRules), view).allowed) return false
  return enforced('ALLOW')
    .filter(matching('all'))
    .every(policy => isSaid(end, policy))
}

function isSaid({ warnings }: EndState, policy: istio.AuthorizationPolicy): boolean {
  const action = policy.spec.action ?? 'ALLOW'
  const codes: readonly string[] = action === 'AUDIT' ? [] : announcements[action]
  return warnings.some(({ source, warning }) => source === policy && codes.includes(warning.code))
}

/** An ALLOW without the rules that ztunnel cannot check as they are written. */
const withoutHTTPRules = memoized((policy: istio.AuthorizationPolicy) =>
  (policy.spec.action ?? 'ALLOW') === 'ALLOW' ? withExactRules(policy) : policy,
)
