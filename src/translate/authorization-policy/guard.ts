// The guard of a policy: what ztunnel checks of it at the pods, once a waypoint checks the whole (research/policies.md
// 1.5 D and 10). Behind a waypoint ztunnel sees the waypoint as the caller, so a guard has to tell the waypoint from
// everybody else: an ALLOW admits it, a DENY spares it.
import type * as istio from '../../apis/istio.ts'
import { isCompanion } from '../companion.ts'
import { inTrustDomains, principalOf } from '../identities.ts'
import { beside, isDryRun } from '../policy/companions.ts'
import type { Place } from '../policy/targets.ts'
import type { DirectCaller, Settings } from '../settings.ts'
import { type ClusterSnapshot, inNamespace } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientRule, type Waypoint } from '../waypoint.ts'
import { innerAtPods, isL4, isLostAtPods, outerAtPods } from './attributes.ts'

/**
 * The guard of an ALLOW. Shut, it admits what ztunnel makes of the policy's selector form, so that whoever was admitted
 * without HTTP attributes still reaches pods directly, and not the waypoint, which could be one of them by accident.
 * Open, it admits all of the rules that ztunnel can check, the direct callers of the settings, and the waypoints.
 */
export function admitting(
  policy: istio.AuthorizationPolicy,
  place: Place,
  rules: istio.Rule[],
  isOpen: boolean,
  { cluster, settings }: Context,
): istio.AuthorizationPolicy {
  if (!isOpen) return guard(policy, place, 'ALLOW', sparing(rules.filter(isL4), place.waypoints, settings))
  const callers = rules.length > 0 ? directCallers(place, cluster, settings) : []
  return guard(policy, place, 'ALLOW', [
    ...rules.flatMap(rule => innerAtPods(rule) ?? []),
    { from: [{ source: { principals: principalsOf(place.waypoints, settings) } }] },
    ...callers.map(directCallerRule),
  ])
}

/**
 * The guard of a DENY or CUSTOM by HTTP attributes: whoever bypasses the waypoint is denied all that the rules' other
 * conditions match, which is more than they say, but never less. Direct callers of the settings are let through. Sidecars
 * pass it over where they have the policy itself to check.
 */
export function denying(
  policy: istio.AuthorizationPolicy,
  place: Place,
  rules: istio.Rule[],
  isPassedOver: boolean,
  { cluster, settings }: Context,
): istio.AuthorizationPolicy {
  const callers = directCallers(place, cluster, settings)
  const isExact = (rule: istio.Rule) => policy.spec.action === 'DENY' && isL4(rule)
  const outlines = rules.flatMap(rule => (isExact(rule) ? [rule] : excepting(outerAtPods(rule), callers)))
  const spared = sparing(outlines, place.waypoints, settings)
  return guard(policy, place, 'DENY', isPassedOver ? spared.map(forZtunnelAlone) : spared)
}

/**
 * The rule with a condition by HTTP that no request meets, in every source: Envoys match it no more, and so it does not
 * cut off sidecars, which check the policy itself, while ztunnel leaves the condition out of a DENY and keeps the rest
 * of its entry (1.2, "same match has L4+L7"). A rule without sources gets one that everybody is.
 */
function forZtunnelAlone(rule: istio.Rule): istio.Rule {
  const requestPrincipals = [nobody]
  const { from = [{ source: { notIpBlocks: ['0.0.0.0/32'] } }], ...others } = rule
  return { from: from.map(({ source }) => ({ source: { ...source, requestPrincipals } })), ...others }
}

const nobody = 'sidestep.invalid/nobody'

/** The rule without that condition, so that it holds at sidecars as well. */
export function forSidecarsToo(rule: istio.Rule): istio.Rule {
  if (!rule.from?.some(({ source }) => source?.requestPrincipals?.includes(nobody))) return rule
  const from = rule.from.map(({ source: { requestPrincipals: _, ...source } = {} }) => ({ source }))
  return { ...rule, from }
}

function guard(
  policy: istio.AuthorizationPolicy,
  { namespace, selector }: Place,
  action: 'ALLOW' | 'DENY',
  rules: istio.Rule[],
): istio.AuthorizationPolicy {
  const isWhole = Object.keys(selector).length === 0
  return beside(
    policy,
    'guard',
    { ...(isWhole ? {} : { selector: { matchLabels: selector } }), action, rules },
    namespace,
  )
}

/** Whether a stored guard lets these waypoints through. */
export function isOpened(
  guard: istio.AuthorizationPolicy | undefined,
  waypoints: Waypoint[],
  settings: Settings,
): boolean {
  const principals = principalsOf(waypoints, settings)
  return (guard?.spec?.rules ?? []).some(({ from = [] }) =>
    from.some(({ source = {} }) => principals.every(principal => source.principals?.includes(principal))),
  )
}

/**
 * Whether the policy is a guard that somebody made by hand: an ALLOW that ztunnel can check and that names the waypoint
 * of the pods it selects. Its author has done what sidestep would do.
 */
export function isHandMade(policy: istio.AuthorizationPolicy, places: Place[], settings: Settings): boolean {
  const { action = 'ALLOW', rules = [] } = policy.spec
  const principals = principalsOf(
    places.flatMap(({ waypoints }) => waypoints),
    settings,
  )
  const names = ({ from = [] }: istio.Rule) =>
    from.some(({ source = {} }) => source.principals?.some(principal => principals.includes(principal)))
  return action === 'ALLOW' && rules.every(isL4) && rules.some(names)
}

/**
 * Whether ztunnel denies by default in the Namespace, whatever becomes of one more policy: by "allow nothing" for the
 * whole mesh, or by a guard for the whole Namespace. Then a policy may leave its selector before its own guard stands,
 * and what is missing for that moment is an admission, never a refusal.
 */
export function isClosed(namespace: string, { cluster, settings }: Context): boolean {
  const standing = [
    ...inNamespace(cluster.authorizationPolicies, settings.rootNamespace).filter(
      policy => (policy.spec?.rules ?? []).length === 0 && !isDryRun(policy),
    ),
    ...inNamespace(cluster.authorizationPolicies, namespace).filter(isCompanion),
  ]
  return standing.some(
    ({ spec }) =>
      (spec?.action ?? 'ALLOW') === 'ALLOW' &&
      !spec?.selector &&
      !spec?.targetRef &&
      (spec?.targetRefs ?? []).length === 0,
  )
}

/**
 * The rules of a DENY for ztunnel, where the waypoint must not be taken for one of the callers that they mean: by a
 * `not` list, a star, a namespace or an address they could all match it. One condition mends every rule (10.1).
 */
export function sparing(rules: istio.Rule[], waypoints: Waypoint[], settings: Settings): istio.Rule[] {
  if (waypoints.length === 0) return rules
  const principals = principalsOf(waypoints, settings)
  return rules.map(rule =>
    namesOthersExactly(rule, principals) || isLostAtPods(rule)
      ? rule
      : withCondition(rule, 'source.principal', principals),
  )
}

/**
 * The rules of a DENY that no waypoint asks yet, without what only their reading would loosen: ztunnel compares names as they
 * are written, and a `not` list that comes to name the waypoint would let everybody come through it, asked by nobody.
 * @param written the same rules as their author wrote them
 */
export function notYetSparing(
  rules: istio.Rule[],
  written: istio.Rule[],
  waypoints: Waypoint[],
  settings: Settings,
): istio.Rule[] {
  const principals = principalsOf(waypoints, settings)
  const sparesOne = (rule: istio.Rule) => exceptedIn(rule).some(name => principals.some(each => isNamed(each, name)))
  const kept = rules.map((rule, i) => {
    const its = written[i] ?? rule
    return sparesOne(rule) && !sparesOne(its) ? its : rule
  })
  return kept.every((rule, i) => rule === rules[i]) ? rules : kept
}

/** The principals that a rule does not mean. */
function exceptedIn({ from = [], when = [] }: istio.Rule): string[] {
  return [
    ...from.flatMap(({ source }) => source?.notPrincipals ?? []),
    ...when.flatMap(({ key, notValues = [] }) => (key === 'source.principal' ? notValues : [])),
  ]
}

/** A star may stand at either end, or alone. */
function isNamed(principal: string, name: string): boolean {
  if (name.startsWith('*')) return principal.endsWith(name.slice(1))
  return name.endsWith('*') ? principal.startsWith(name.slice(0, -1)) : principal === name
}

/** Whether every source is a list of whole principals without any of these. */
function namesOthersExactly({ from = [] }: istio.Rule, waypoints: string[]): boolean {
  return (
    from.length > 0 &&
    from.every(
      ({ source: { principals = [], ...others } = {} }) =>
        principals.length > 0 &&
        principals.every(name => !name.includes('*') && !waypoints.includes(name)) &&
        Object.keys(others).length === 0,
    )
  )
}

/**
 * The rule without what these callers are let through with: one rule for each way of not being such a caller. Their
 * number multiplies, and beyond what the CRD takes nobody counts on.
 */
function excepting(rule: istio.Rule, callers: DirectCaller[]): istio.Rule[] {
  return callers.reduce(
    (rules, { principals, namespaces, ports }) =>
      rules
        .slice(0, 513)
        .flatMap(each => [
          ...(principals ? [withCondition(each, 'source.principal', principals)] : []),
          ...(namespaces ? [withCondition(each, 'source.namespace', namespaces)] : []),
          ...(ports ? [withCondition(each, 'destination.port', ports)] : []),
        ]),
    [rule],
  )
}

function withCondition(rule: istio.Rule, key: string, notValues: string[]): istio.Rule {
  return { ...rule, when: [...(rule.when ?? []), { key, notValues }] }
}

function principalsOf(waypoints: Waypoint[], { trustDomain }: Settings): string[] {
  return waypoints.map(({ serviceAccount }) => principalOf(serviceAccount, trustDomain))
}

function directCallers({ namespace }: Place, cluster: ClusterSnapshot, settings: Settings): DirectCaller[] {
  const callers = ambientRule(namespace, cluster, settings)?.waypoint?.directCallers ?? []
  return callers.map(({ principals, ...caller }) =>
    principals ? { ...caller, principals: principals.flatMap(name => inTrustDomains(name, settings)) } : caller,
  )
}

function directCallerRule({ principals, namespaces, ports }: DirectCaller): istio.Rule {
  return {
    ...(principals || namespaces
      ? { from: [{ source: { ...(principals ? { principals } : {}), ...(namespaces ? { namespaces } : {}) } }] }
      : {}),
    ...(ports ? { to: [{ operation: { ports } }] } : {}),
  }
}
