// AuthorizationPolicy: what ztunnel can check stays on its selector, what needs an Envoy moves to a Gateway, a waypoint or
// its Services (research/policies.md 1.5, decision table A to E). Nothing is loosened, at the end or in between.
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import { isCompanion, nameOf } from '../companion.ts'
import { inspect } from '../fate.ts'
import { missingRestriction, namesGateway, withNewIdentities } from '../identities.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { restoreOriginal } from '../original.ts'
import {
  attached,
  checkName,
  isDryRun,
  type Outcome as PolicyOutcome,
  reportKept,
  standing,
  storedOf,
} from '../policy/companions.ts'
import { checkGiven } from '../policy/given.ts'
import { atGateway, gatewayTwin, isOnGateway, missingAtIngress, refOf } from '../policy/ingress.ts'
import { type Place, resolveTarget, type Target } from '../policy/targets.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, inNamespace, keyOf, namespaceOf } from '../snapshot.ts'
import { type Context, conclude, leave, type Translation } from '../translation.ts'
import { isReachedByIngress } from '../waypoint.ts'
import { checkAttributes, isL4, withNamespaces, withoutMisreading, withPrincipals } from './attributes.ts'
import { authorizationPolicyFates, shapeCodes } from './fates.ts'
import { type Progress, progressOf, type Step } from './order.ts'
import { firstL7Rule, type Plan, planFor } from './plan.ts'
import { notGuarded, notInForce, refusalsIn } from './standing.ts'

type AuthorizationPolicy = istio.AuthorizationPolicy
type Outcome = PolicyOutcome<AuthorizationPolicy>

export function translateAuthorizationPolicy(
  object: AuthorizationPolicy,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<AuthorizationPolicy> {
  const report = createReport(settings)
  const context = { cluster, settings, report }
  const original = restoreOriginal(object)
  const resolved = resolve(original, context)
  if (!resolved) return leave(original, report)
  const { policy: rewritten, kept } = outcomeFor(resolved, context)
  for (const each of kept) checkName(original, each, 'AP', context)
  for (const each of [{ policy: rewritten }, ...kept]) checkLimits(each.policy, report)
  if (report.untranslatable) return leave(standing(original, cluster) ?? original, report)
  reportKept(kept, 'AP', report)
  const companions = kept.map(each => each.policy)
  return conclude(original, rewritten.spec === original.spec ? original : rewritten, companions, report)
}

/** What the CRD takes: 512 rules, and 16 service accounts in a list. Named gateways and waypoints can go beyond. */
function checkLimits(policy: AuthorizationPolicy, report: Report): void {
  const { rules = [] } = policy.spec ?? {}
  const lists = rules.flatMap(({ from = [] }) => from.map(({ source }) => source?.serviceAccounts ?? []))
  if (rules.length > 512)
    report('AP-RULES-LIMIT', 'spec.rules', { policy: nameOf(policy), count: String(rules.length) })
  for (const list of lists) {
    if (list.length > 16)
      report('AP-ACCOUNTS-LIMIT', 'spec.rules', { policy: nameOf(policy), count: String(list.length) })
  }
}

/** The steps of a policy on its way to the waypoint, in order; none when it has no way to go. */
export function stepsOf(object: AuthorizationPolicy, cluster: ClusterSnapshot, settings: Settings): Step[] {
  const context = { cluster, settings, report: createReport(settings) }
  const resolved = resolve(restoreOriginal(object), context)
  if (resolved?.target.kind !== 'applications' && resolved?.target.kind !== 'mesh') return []
  const { steps } = progressFor(resolved, resolved.target, context)
  return context.report.untranslatable ? [] : steps
}

/** What becomes of a policy and stands beside it, with the purpose of each; none when it is refused or cannot be read. */
export function outcomeOf(
  object: AuthorizationPolicy,
  cluster: ClusterSnapshot,
  settings: Settings,
): Outcome | undefined {
  const context = { cluster, settings, report: createReport(settings) }
  const resolved = resolve(restoreOriginal(object), context)
  const outcome = resolved && outcomeFor(resolved, context)
  return context.report.untranslatable ? undefined : outcome
}

/** A policy as `read`, and what it applies to. */
interface Resolved {
  original: AuthorizationPolicy
  policy: AuthorizationPolicy
  target: Target
}

function resolve(original: AuthorizationPolicy, context: Context): Resolved | undefined {
  const policy = read(original, context)
  return policy && { original, policy, target: resolveTarget(policy, { kind: 'AP', ...context }) }
}

/** The policy as its author means it, with callers named as ambient knows them; none when it cannot be read. */
function read(original: AuthorizationPolicy, context: Context): AuthorizationPolicy | undefined {
  const { report } = context
  // An AuthorizationPolicy may come without a spec, which Istio reads as an empty one.
  const spec = original.spec ?? {}
  if (!inspect(spec, authorizationPolicyFates, 'spec', shapeCodes, report)) return undefined
  const { action = 'ALLOW' } = spec
  if (!['ALLOW', 'DENY', 'CUSTOM', 'AUDIT'].includes(action))
    report('AP-ACTION-UNKNOWN', 'spec.action', { action: String(action).slice(0, 40) })
  checkAttributes(spec.rules ?? [], report)
  if (report.untranslatable) return undefined
  const named = withNewIdentities({ ...original, spec }, context)
  const namespace = namespaceOf(original)
  // A policy of the root namespace comes to stand in others, where a bare name would be somebody else's.
  const qualified = named && namespace === context.settings.rootNamespace ? withNamespaces(named, namespace) : named
  const rules = qualified && withPrincipals(qualified, namespace)
  if (original.spec && rules === spec.rules) return original
  return { ...original, spec: { ...spec, ...(rules ? { rules } : {}) } }
}

function outcomeFor(resolved: Resolved, context: Context): Outcome {
  const { policy, target } = resolved
  switch (target.kind) {
    case 'given':
      return { policy: checkGiven(policy, 'AP', context), kept: [] }
    case 'outside':
    case 'gateway':
    case 'none':
      return { policy, kept: [] }
    case 'ingress':
      return onIngress(policy, target, context)
    case 'mesh':
    case 'applications':
      return onApplications(resolved, target, context)
  }
}

// B. Gateways ------------------------------------------------------------------------------------------------------

/**
 * A policy of the ingress belongs to the Gateway that takes over. While pods of the old one run, it stays on them and a
 * twin guards the new one: with targetRefs the old pods would ignore it, and they still have an address. What admits
 * comes to the new one after all that refuses.
 */
function onIngress(
  policy: AuthorizationPolicy,
  { mapping, isOldRunning }: Extract<Target, { kind: 'ingress' }>,
  { cluster, settings, report }: Context,
): Outcome {
  const { key: gateway } = gatewayOf(mapping)
  const read = atGateway(policy, mapping, cluster)
  const onNew = gatewayTwin(policy, mapping, cluster)
  if (!read || !onNew) {
    report('AP-GATEWAY-PORTS', 'spec.rules', { gateway })
    return { policy, kept: [] }
  }
  const isAdmitting = isAllow(policy)
  const stored = storedOf(policy, cluster)
  // One that refused there until now has asked nobody to wait for it.
  const stands = stored !== undefined && isAllow(stored) && isOnGateway(stored, mapping, cluster)
  const missing =
    isAdmitting && !stands
      ? (missingAtIngress(mapping, 'refusals', cluster, settings) ?? missingRestriction(mapping, cluster, settings))
      : undefined
  if (missing) {
    report('AP-GATEWAY-PENDING', 'spec.selector', { gateway, missing })
    // Without an ALLOW the new gateway would let through whatever nobody refuses there yet.
    const shut = { ...onNew, spec: { ...onNew.spec, rules: [] } }
    return { policy, kept: [{ policy: shut, purpose: `it admits nobody at Gateway ${gateway} yet` }] }
  }
  if (!isOldRunning) {
    report('AP-GATEWAY-MOVED', 'spec.selector', { gateway })
    return { policy: attached(read, [refOf(mapping)]), kept: [] }
  }
  report('AP-GATEWAY-BOTH', 'spec.selector', { twin: nameOf(onNew), gateway })
  return { policy, kept: [{ policy: onNew, purpose: `it guards Gateway ${gateway}` }] }
}

function isAllow({ spec }: AuthorizationPolicy): boolean {
  return (spec?.action ?? 'ALLOW') === 'ALLOW'
}

// C to E. Applications ---------------------------------------------------------------------------------------------

type Applications = Extract<Target, { kind: 'mesh' | 'applications' }>

function onApplications(resolved: Resolved, target: Applications, context: Context): Outcome {
  const { original, policy } = resolved
  const { report, cluster } = context
  const { missing, plan, policy: now, kept, isUnguarded } = progressFor(resolved, target, context)
  const stored = isUnguarded ? storedOf(policy, cluster) : undefined
  // Whom a DENY takes for a stranger it may be alone in denying, until the guard says the rest of it.
  const isLeft = stored !== undefined && isEqual(stored.spec, original.spec) && !now.spec.targetRefs
  const outcome = { policy: isLeft ? original : asReadAtPods(now), kept }
  const { action = 'ALLOW', rules = [] } = policy.spec
  const sidecar = plan.places.find(({ withSidecar }) => withSidecar)?.withSidecar
  const optedOut = target.places.find(place => place.optedOut)?.optedOut
  if (optedOut) report('AP-WORKLOAD-OPTED-OUT', 'spec.selector', { workload: optedOut.name })
  if (sidecar) report('AP-WORKLOAD-SIDECAR', 'spec.selector', { workload: sidecar.name })
  if (plan.attachments.length === 0 && plan.guard === 'none') return outcome
  if (missing) report('AP-WAYPOINT-PENDING', 'spec.selector', { missing })
  if (report.untranslatable) return outcome
  if (plan.guard === 'denying') report('AP-ACTION-DENY', firstL7Rule(rules), { action })
  if (action === 'ALLOW' && !rules.every(isL4) && !isDryRun(policy)) {
    report('AP-POD-ADDRESS', firstL7Rule(rules))
    checkIngress(policy, plan.places, context)
  }
  return outcome
}

/** A policy as it is to be on its selector, where ztunnel reads it or will read it. */
function asReadAtPods(policy: AuthorizationPolicy): AuthorizationPolicy {
  const { action = 'ALLOW', rules, targetRefs = [] } = policy.spec
  const read = rules && action === 'ALLOW' && targetRefs.length === 0 ? withoutMisreading(rules) : rules
  return read === rules ? policy : { ...policy, spec: { ...policy.spec, ...(read ? { rules: read } : {}) } }
}

function progressFor(resolved: Resolved, target: Applications, context: Context) {
  const { policy } = resolved
  const plan = planFor(policy, target, context)
  const progress: Progress = context.report.untranslatable
    ? { policy, kept: [], steps: [], missing: undefined, isUnguarded: false }
    : progressOf(resolved, plan, context, missingRefusal(policy, plan.places, context))
  return { ...progress, plan }
}

/** Finds the first policy that refuses and that is not in force yet in one of some Namespaces, all of these places, by name. */
function missingRefusal(
  self: AuthorizationPolicy,
  places: Place[],
  context: Context,
): (namespaces: string[]) => string | undefined {
  let missing: Unlike[] | undefined
  return namespaces => {
    const own = places.map(({ namespace }) => namespace)
    const others = () => refusalsIn(own, context).filter(each => keyOf(each) !== keyOf(self))
    missing ??= unlike(others(), context, notInForce)
    // What one of the root namespace lacks there, it lacks everywhere.
    return firstOf(missing, [context.settings.rootNamespace, ...namespaces])
  }
}

/**
 * The first policy whose guard has to stand before ztunnel captures the pods of a Namespace, since ztunnel makes nothing
 * of the policy itself; by name.
 */
export function missingForCapture(namespace: string, cluster: ClusterSnapshot, settings: Settings): string | undefined {
  if (cluster.statuses === 'assumed') return undefined
  const context = { cluster, settings, report: createReport(settings) }
  const misread = [...new Set([namespace, settings.rootNamespace])]
    .flatMap(name => inNamespace(cluster.authorizationPolicies, name))
    .find(policy => !isCompanion(policy) && !isDryRun(policy) && !isEqual(asReadAtPods(policy).spec, policy.spec))
  if (misread) return `AuthorizationPolicy ${nameOf(misread)}`
  return firstOf(unlike(refusalsIn([namespace], context), context, notGuarded), [namespace])
}

/** A policy that is not in place, and where. */
interface Unlike {
  policy: AuthorizationPolicy
  namespaces: string[]
}

/** The stored policies that are not in place somewhere; one that cannot be planned is so nowhere. */
function unlike(
  stored: AuthorizationPolicy[],
  context: Context,
  whereNot: (policy: AuthorizationPolicy, plan: Plan, apart: Context) => string[],
): Unlike[] {
  return stored.map(each => {
    const nowhere = { policy: each, namespaces: [namespaceOf(each)] }
    const apart = { ...context, report: createReport(context.settings) }
    const resolved = resolve(restoreOriginal(each), apart)
    if (!resolved || resolved.target.kind === 'none') return nowhere
    const { policy, target } = resolved
    if (target.kind !== 'applications' && target.kind !== 'mesh') return { policy, namespaces: [] }
    const plan = planFor(policy, target, apart)
    return apart.report.untranslatable ? nowhere : { policy, namespaces: whereNot(policy, plan, apart) }
  })
}

/** The first of them that is not in place in one of these Namespaces, by name. */
function firstOf(unlike: Unlike[], places: string[]): string | undefined {
  const first = unlike.find(({ namespaces }) => places.some(each => namespaces.includes(each)))
  return first && `AuthorizationPolicy ${nameOf(first.policy)}`
}

/** Says where requests of the ingress are admitted by HTTP attributes but bypass the waypoint. */
function checkIngress(policy: AuthorizationPolicy, places: Place[], { cluster, settings, report }: Context): void {
  const isPassedBy = places.some(({ services }) => services.some(each => !isReachedByIngress(each, cluster, settings)))
  if (!isPassedBy) return
  for (const [i, rule] of (policy.spec.rules ?? []).entries())
    if (!isL4(rule) && namesGateway(rule, settings)) report('AP-GATEWAY-INGRESS', `spec.rules[${i}]`)
}
