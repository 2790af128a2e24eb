// AuthorizationPolicy: what ztunnel can check stays on its selector, what needs an Envoy moves to a Gateway, a waypoint or
// its Services (research/policies.md 1.5, decision table A to E). Nothing is loosened, at the end or in between: a policy
// leaves its selector only when the waypoint runs and the guard stands.
import type * as istio from '../../apis/istio.ts'
import { attached, checkPlace, isInPlace, type Outcome as PolicyOutcome, reportKept, twin } from '../attachment.ts'
import { isEqual } from '../canonical.ts'
import { nameOf } from '../companion.ts'
import { inspect } from '../fate.ts'
import { namesGateway, withNewGateways } from '../identities.ts'
import { restoreOriginal } from '../original.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { gatewayClassRef, gatewayRef, resolveTarget, serviceRefs, type Target } from '../target-refs.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import { ambientRule, type Waypoint, waypointClass } from '../waypoint.ts'
import { checkAttributes, isL4 } from './attributes.ts'
import { authorizationPolicyFates, shapeCodes } from './fates.ts'
import { guard, isClosed, sparingWaypoint } from './guard.ts'
import { checkPorts } from './ports.ts'

type Outcome = PolicyOutcome<istio.AuthorizationPolicy>

interface Context {
  cluster: ClusterSnapshot
  settings: Settings
  report: Report
}

export function translateAuthorizationPolicy(
  object: istio.AuthorizationPolicy,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<istio.AuthorizationPolicy> {
  const report = createReport(settings)
  const original = restoreOriginal(object)
  // An AuthorizationPolicy may come without a spec, which Istio reads as an empty one.
  const spec = original.spec ?? {}
  if (!inspect(spec, authorizationPolicyFates, 'spec', shapeCodes, report)) return leave(original, report)
  const { action = 'ALLOW' } = spec
  if (!['ALLOW', 'DENY', 'CUSTOM', 'AUDIT'].includes(action))
    report('AP-ACTION-UNKNOWN', 'spec.action', { action: String(action).slice(0, 40) })
  checkAttributes(spec.rules ?? [], report)
  if (report.untranslatable) return leave(original, report)

  const rules = spec.rules && withNewGateways(spec.rules, settings, report)
  const policy =
    rules === spec.rules && original.spec ? original : { ...original, spec: { ...spec, ...(rules ? { rules } : {}) } }
  const target = resolveTarget({ ...original, spec }, 'AP', cluster, settings, report)
  const { policy: rewritten, kept } = outcomeFor(policy, target, { cluster, settings, report })
  for (const each of kept) checkPlace(each, 'AP', cluster.authorizationPolicies, report)
  if (report.untranslatable) return leave(original, report)
  for (const each of kept) reportKept(each, 'AP', report)
  return conclude(
    original,
    rewritten,
    kept.map(({ policy }) => policy),
    report,
  )
}

function outcomeFor(policy: istio.AuthorizationPolicy, target: Target, context: Context): Outcome {
  switch (target.kind) {
    case 'given':
    case 'outside':
    case 'gateway':
    case 'none':
      return { policy, kept: [] }
    case 'ingress':
      return onIngress(policy, target, context)
    case 'mesh':
      return onMesh(policy, target.hasSelector, context)
    case 'namespace':
      return onNamespace(policy, target, context)
    case 'services':
      return onServices(policy, target, context)
  }
}

// B. Gateways ------------------------------------------------------------------------------------------------------

/**
 * A policy of the ingress belongs to the Gateway that takes over. While pods of the old one run, it stays on them and a
 * twin guards the new one: with targetRefs the old pods would ignore it, and they still have an address.
 */
function onIngress(
  policy: istio.AuthorizationPolicy,
  { mapping, name, isOldRunning }: Extract<Target, { kind: 'ingress' }>,
  { report }: Context,
): Outcome {
  const [gateway = ''] = mapping.gateway.split('#')
  if (!isOldRunning) return { policy: attached(policy, [gatewayRef(name)]), kept: [] }
  const onNew = twin(policy, 'gateway', [gatewayRef(name)])
  report('AP-GATEWAY-BOTH', 'spec.selector', { twin: nameOf(onNew), gateway })
  return { policy, kept: [{ policy: onNew, purpose: `it guards Gateway ${gateway}` }] }
}

// E. Root namespace ------------------------------------------------------------------------------------------------

/**
 * The whole mesh: ztunnel and gateways read the policy as it is, waypoints do not, and need a twin on their GatewayClass.
 * Only "allow nothing" is simple; any rule would have to let waypoints through everywhere.
 */
function onMesh(policy: istio.AuthorizationPolicy, hasSelector: boolean, { report }: Context): Outcome {
  const { action = 'ALLOW', rules = [] } = policy.spec
  const isNothing = action === 'ALLOW' && rules.length === 0
  if (hasSelector) {
    // Even with L4 rules only: behind a waypoint ztunnel would take the waypoint for the caller that they mean.
    report('AP-ROOT-SELECTOR', 'spec.selector')
    return { policy, kept: [] }
  }
  if (!isNothing) {
    report('AP-ROOT-RULES', 'spec.rules')
    return { policy, kept: [] }
  }
  const onWaypoints = twin(policy, waypointClass, [gatewayClassRef(waypointClass)])
  return { policy, kept: [{ policy: onWaypoints, purpose: 'waypoints do not read mesh-wide policies' }] }
}

// C and D. Applications --------------------------------------------------------------------------------------------

function onNamespace(
  policy: istio.AuthorizationPolicy,
  target: Extract<Target, { kind: 'namespace' }>,
  context: Context,
): Outcome {
  const { waypoint } = target
  const namespace = namespaceOf(policy)
  const name = waypoint && `${waypoint.namespace}/${waypoint.name}`
  if (name && target.isPartly) context.report('AP-WAYPOINT-PARTIAL', 'spec', { waypoint: name })
  if (name && target.isShared) context.report('AP-WAYPOINT-SHARED', 'spec', { waypoint: name })
  const refs = waypoint ? [gatewayRef(waypoint.name)] : []
  return onApplications(policy, waypoint, refs, `Namespace ${namespace}`, context)
}

function onServices(
  policy: istio.AuthorizationPolicy,
  { services, waypoint }: Extract<Target, { kind: 'services' }>,
  context: Context,
): Outcome {
  const { report } = context
  const labels = Object.entries(policy.spec.selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`)
  const workload = labels.join(',').slice(0, 60)
  if (services.length === 0 && needsWaypoint(policy)) {
    report('AP-SERVICE-NONE', 'spec.selector', { workload })
    return { policy, kept: [] }
  }
  if (services.length > 16 && waypoint) report('AP-TARGETS-LIMIT', 'spec.selector', { count: String(services.length) })
  return onApplications(policy, waypoint, serviceRefs(services), `Service ${services[0]?.metadata.name}`, context)
}

function onApplications(
  policy: istio.AuthorizationPolicy,
  waypoint: Waypoint | undefined,
  targetRefs: istio.PolicyTargetReference[],
  target: string,
  context: Context,
): Outcome {
  const { action = 'ALLOW', rules = [] } = policy.spec
  const { report, settings } = context
  const alone = { policy, kept: [] }
  if (action === 'AUDIT') {
    report('AP-ACTION-AUDIT', 'spec.action')
    return alone
  }
  if (action === 'CUSTOM') {
    report('AP-ACTION-CUSTOM', 'spec.action')
    return alone
  }
  if (!waypoint) {
    if (needsWaypoint(policy)) report('AP-WAYPOINT-NONE', firstL7Rule(rules), { target })
    return alone
  }
  checkPorts(policy, targetRefs, context)
  if (action === 'DENY') {
    if (!rules.every(isL4)) report('AP-ACTION-DENY', firstL7Rule(rules))
    return onBoth(policy, waypoint, targetRefs, sparingWaypoint(rules, waypoint, settings), context)
  }
  if (rules.every(isL4)) return onBothAllowing(policy, waypoint, targetRefs, context)
  return moved(policy, waypoint, targetRefs, context)
}

function needsWaypoint({ spec: { action = 'ALLOW', rules = [] } }: istio.AuthorizationPolicy): boolean {
  return action === 'CUSTOM' || !rules.every(isL4)
}

function firstL7Rule(rules: istio.Rule[]): string {
  return `spec.rules[${rules.findIndex(rule => !isL4(rule))}]`
}

/**
 * ALLOW with HTTP attributes: the whole policy at the waypoint, its L4 rules and the waypoint at ztunnel. Until the
 * waypoint runs and the guard stands it stays on its selector, where ztunnel leaves out what it cannot check, and so
 * admits less.
 */
function moved(
  policy: istio.AuthorizationPolicy,
  waypoint: Waypoint,
  targetRefs: istio.PolicyTargetReference[],
  context: Context,
): Outcome {
  const { cluster, settings, report } = context
  const { rules = [] } = policy.spec
  const rule = ambientRule(namespaceOf(policy), cluster, settings)?.waypoint
  if (rule && !rule.ingressUseWaypoint) {
    for (const [i, each] of rules.entries())
      if (!isL4(each) && namesGateway(each, settings)) report('AP-GATEWAY-INGRESS', `spec.rules[${i}]`)
  }
  // The waypoint is admitted last: before the policy stands there, it would let everybody in.
  const callers = rule?.directCallers ?? []
  const shut = guard(policy, rules, undefined, callers, settings)
  const open = guard(policy, rules, waypoint, callers, settings)
  const kept = [
    isStanding(policy, targetRefs, cluster)
      ? { policy: open, purpose: 'it lets the waypoint reach the pods' }
      : { policy: shut, purpose: 'it keeps the pods shut while the policy moves' },
  ]
  const isGuarded = isThere(shut, context) || isThere(open, context)
  const missing = !waypoint.isProgrammed
    ? `waypoint ${waypoint.namespace}/${waypoint.name}`
    : isGuarded || isClosed(namespaceOf(policy), cluster, settings)
      ? undefined
      : `guard ${nameOf(shut)}`
  if (missing) {
    report('AP-WAYPOINT-PENDING', 'spec.selector', { missing })
    return { policy, kept }
  }
  return { policy: attached(policy, targetRefs), kept }
}

/** Whether the policy is stored with these targets, so that the waypoint asks it. */
function isStanding(
  policy: istio.AuthorizationPolicy,
  targetRefs: istio.PolicyTargetReference[],
  cluster: ClusterSnapshot,
): boolean {
  if (cluster.statuses === 'assumed') return true
  const stored = cluster.authorizationPolicies.get(namespaceOf(policy))?.get(nameOf(policy))
  return isEqual(stored?.spec?.targetRefs, targetRefs)
}

/** ALLOW that ztunnel can check: it stays, the waypoint gets the same, and then ztunnel may let the waypoint through. */
function onBothAllowing(
  policy: istio.AuthorizationPolicy,
  waypoint: Waypoint,
  targetRefs: istio.PolicyTargetReference[],
  context: Context,
): Outcome {
  const { rules = [] } = policy.spec
  const outcome = onBoth(policy, waypoint, targetRefs, policy.spec.rules, context)
  const [atWaypoint] = outcome.kept
  const admitsAll = rules.some(({ from = [], to = [], when = [] }) => from.length + to.length + when.length === 0)
  // Whoever admits the waypoint before the waypoint checks lets everybody in through it.
  const isChecked = waypoint.isProgrammed && atWaypoint !== undefined && isThere(atWaypoint.policy, context)
  if (rules.length === 0 || admitsAll || !isChecked) return outcome
  const guarding = guard(policy, [], waypoint, [], context.settings)
  return { ...outcome, kept: [...outcome.kept, { policy: guarding, purpose: 'it lets the waypoint reach the pods' }] }
}

/** A policy for ztunnel that waypoint callers must meet as well: a twin at the waypoint, and these rules at ztunnel. */
function onBoth(
  policy: istio.AuthorizationPolicy,
  waypoint: Waypoint,
  targetRefs: istio.PolicyTargetReference[],
  rules: istio.Rule[] | undefined,
  context: Context,
): Outcome {
  if (targetRefs.length === 0) return { policy, kept: [] }
  const atWaypoint = twin(policy, 'waypoint', targetRefs)
  const kept = [{ policy: atWaypoint, purpose: 'the waypoint asks the same' }]
  if (isEqual(rules, policy.spec.rules)) return { policy, kept }
  if (!waypoint.isProgrammed || !isThere(atWaypoint, context)) {
    context.report('AP-WAYPOINT-PENDING', 'spec.selector', { missing: nameOf(atWaypoint) })
    return { policy, kept }
  }
  return { policy: { ...policy, spec: { ...policy.spec, ...(rules ? { rules } : {}) } }, kept }
}

function isThere(companion: istio.AuthorizationPolicy, { cluster }: Context): boolean {
  return isInPlace(companion, cluster.authorizationPolicies, cluster)
}
