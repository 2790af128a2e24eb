// The order in which a plan becomes true (design.md section 5): guard before rewrite, what refuses before what admits, the
// waypoint before either. Which step a policy is at is read from the snapshot alone, so whoever looks sees the same.
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import { isCompanion, nameOf } from '../companion.ts'
import type { Attachment } from '../policy/attachments.ts'
import { attached, beside, isDryRun, isInPlace, type Kept, keyOf, type Outcome, twin } from '../policy/companions.ts'
import type { Place } from '../policy/targets.ts'
import { byKey, inNamespace, namespaceOf } from '../snapshot.ts'
import { useWaypointLabel, type Waypoint } from '../waypoint.ts'
import { isLostAtPods } from './attributes.ts'
import { admitting, denying, isClosed, isOpened, sparing } from './guard.ts'
import type { Context, Plan } from './plan.ts'

type AuthorizationPolicy = istio.AuthorizationPolicy

/** One step on a policy's way, and whether it is done. */
export interface Step {
  what: string
  isDone: boolean
  /** What it waits for, such as `Gateway team-a/waypoint`; undefined when it is done, or when nothing is in its way. */
  missing: string | undefined
}

/** What the policy becomes now, and how far it is. */
export interface Progress extends Outcome<AuthorizationPolicy> {
  steps: Step[]
  /** What the next step waits for. */
  missing: string | undefined
}

/**
 * What a plan makes of a policy at this moment.
 * @param refusalsMissing the first policy of these places that refuses and that waypoints do not read yet; asked only
 *   before a guard opens
 */
export function progressOf(
  policy: AuthorizationPolicy,
  plan: Plan,
  context: Context,
  refusalsMissing: (places: Place[]) => string | undefined,
): Progress {
  const [base] = plan.attachments
  const twins = besideOf(plan).map(attachment => keptAt(policy, attachment))
  const waypoint = plan.places.flatMap(({ waypoints }) => waypoints).find(({ isProgrammed }) => !isProgrammed)
  const twinMissing = twins.find(each => !isThere(each.policy, context))?.policy
  const guards = guardsOf(policy, plan, context)
  const guardMissing = guards.find(({ shut, open }) => !isThere(shut, context) && !isThere(open, context))?.shut
  const kept = standingRefs(policy, context)
  const stands = plan.isMoved ? isStanding(policy, base, context) : true
  const isRead = plan.attachments.length > 0 && !waypoint && !twinMissing && stands
  // Once open a guard stays open while the waypoint asks the policy at all: what is missing then is only an admission.
  const wasOpen = plan.guard === 'admitting' && guards.length > 0 && guards.every(isOpen(context))
  const isAsked = plan.attachments.length > 0 && (!plan.isMoved || kept !== undefined)
  const staysOpen = wasOpen && isAsked && context.cluster.statuses === 'observed'
  // Where the waypoint is let in, what admits takes in a new Service only after all that refuses has.
  const isAdmitted = isAsked && (policy.spec.action ?? 'ALLOW') === 'ALLOW' && (staysOpen || plan.guard === 'none')
  const isChanging = isAdmitted && context.cluster.statuses === 'observed' && (twinMissing !== undefined || !stands)
  const isSaying = (policy.spec.rules ?? []).length > 0 && !isDryRun(policy)
  const held = isChanging && isSaying ? refusalsMissing(plan.places) : undefined
  // A guard that admits may follow to other targets; one that refuses is there first.
  const mayLeaveTargets = !held && !twinMissing && (!guardMissing || (plan.isMoved && plan.guard === 'admitting'))
  const steps: Step[] = plan.attachments.length === 0 ? [] : [waypointStep(plan.places)]

  // A policy that leaves its selector leaves to ztunnel only what its guard says. Nothing is lost where ztunnel made
  // nothing of it, or refuses by default.
  const mayLeave = !guardMissing || plan.guard === 'none' || hasNoEffectAtPods(policy, context)
  const missing = waypoint
    ? `Gateway ${waypoint.namespace}/${waypoint.name}`
    : twinMissing
      ? `AuthorizationPolicy ${nameOf(twinMissing)}`
      : mayLeave
        ? undefined
        : `AuthorizationPolicy ${guardMissing && nameOf(guardMissing)}`
  const refusal = plan.guard === 'admitting' && isRead && !staysOpen ? refusalsMissing(plan.places) : undefined
  const isOpening = staysOpen || (isRead && refusal === undefined)

  if (guards.length > 0 && (plan.isMoved || plan.guard === 'denying'))
    steps.push(step(`guard ${guards.map(({ shut }) => keyOf(shut)).join(', ')} at the pods`, keyText(guardMissing)))
  if (twins.length > 0)
    steps.push(step(`${twins.map(({ policy }) => keyOf(policy)).join(', ')} at the waypoint`, keyText(twinMissing)))
  if (plan.isMoved) steps.push({ what: `the policy on ${refsText(base)}`, isDone: stands && !missing, missing })
  if (plan.guard === 'admitting' && plan.attachments.length > 0) {
    const isDone = isRead && guards.every(isOpen(context))
    steps.push({ what: 'the guard lets the waypoint through', isDone, missing: missing ?? refusal })
  }

  const keptGuards = guards.map(({ shut, open }): Kept<AuthorizationPolicy> => {
    if (plan.guard === 'denying') return { policy: shut, purpose: 'it holds for callers that pass the waypoint by' }
    return isOpening
      ? { policy: open, purpose: 'it lets the waypoint reach the pods' }
      : { policy: shut, purpose: 'it keeps the pods shut while the policy moves' }
  })
  // A guard that only admits has nothing to keep shut before.
  const shown = plan.guard === 'admitting' && !plan.isMoved && !isOpening ? [] : keptGuards
  const asked = held ? twins.map(each => asStored(each, context)) : twins
  const standing = plan.isMoved || plan.guard === 'denying' ? [...shown, ...asked] : [...asked, ...shown]
  const isLeaving = kept !== undefined && !plan.isMoved
  return {
    policy: formNow(policy, plan, { missing: missing ?? held, isRead, mayLeaveTargets, kept }, context),
    kept: isLeaving ? [...standing, ...heldGuard(policy, standing, context)] : standing,
    steps,
    missing: held ?? missing ?? refusal,
  }
}

/** A companion as it is stored, while it may not admit anybody new; one that is not there yet admits nobody. */
function asStored({ policy, purpose }: Kept<AuthorizationPolicy>, { cluster }: Context): Kept<AuthorizationPolicy> {
  const stored = byKey(cluster.authorizationPolicies, keyOf(policy))
  const spec = stored && isCompanion(stored) ? stored.spec : { ...policy.spec, rules: [] }
  return { policy: { ...policy, spec }, purpose }
}

/** The guard of a policy that is still on targets and needs none any more: it goes when the policy is back at the pods. */
function heldGuard(
  policy: AuthorizationPolicy,
  others: Kept<AuthorizationPolicy>[],
  { cluster }: Context,
): Kept<AuthorizationPolicy>[] {
  const named = beside(policy, 'guard', {})
  const stored = byKey(cluster.authorizationPolicies, keyOf(named))
  if (!stored || !isCompanion(stored) || others.some(each => keyOf(each.policy) === keyOf(named))) return []
  return [{ policy: { ...named, spec: stored.spec }, purpose: 'it stays until the policy is back at the pods' }]
}

interface Now {
  missing: string | undefined
  /** Whether waypoints ask all of the policy. */
  isRead: boolean
  /** Whether whatever stands beside the policy is there, so that it may go elsewhere. */
  mayLeaveTargets: boolean
  /** The targets on which sidestep has stored the policy. */
  kept: istio.PolicyTargetReference[] | undefined
}

/** The policy as it is to be stored now. */
function formNow(
  policy: AuthorizationPolicy,
  plan: Plan,
  { missing, isRead, mayLeaveTargets, kept }: Now,
  { cluster, settings }: Context,
): AuthorizationPolicy {
  const {
    attachments: [base],
    isMoved,
    guard,
    places,
  } = plan
  // Once on targets it stays on them until its next place is ready: back on its selector no waypoint would ask it.
  if (kept && !mayLeaveTargets) return attached(withRules(policy, plan.rulesAt(kept)), kept)
  if (isMoved && base && (!missing || kept)) return attached(withRules(policy, base.rules), base.targetRefs)
  if (isMoved || (policy.spec.action === 'DENY' && places.some(({ withSidecar }) => withSidecar))) return policy
  const waypoints = places.flatMap(place => place.waypoints)
  const { action = 'ALLOW', rules = [] } = policy.spec
  // At ztunnel a DENY must not take the waypoint for one of the callers that it means, once the waypoint asks it. An ALLOW
  // must not as long as the waypoint does not, or everybody could come through it (10.2).
  const spared = sparing(rules, waypoints, settings)
  // Once it spares the waypoint it goes on: a Service that comes later must not cut off all the others.
  const stored = byKey(cluster.authorizationPolicies, keyOf(policy))
  const wasSpared = base !== undefined && isEqual(stored?.spec?.rules, spared)
  const isSpared =
    action === 'DENY'
      ? isRead || wasSpared
      : action === 'ALLOW' && guard === 'admitting' && !isRead && isEnrolled(places, cluster)
  return isSpared && !isDryRun(policy) ? withRules(policy, spared) : policy
}

function withRules(policy: AuthorizationPolicy, rules: istio.Rule[]): AuthorizationPolicy {
  return policy.spec.rules ? { ...policy, spec: { ...policy.spec, rules } } : policy
}

/** Whether traffic to some of these pods passes a waypoint already. */
function isEnrolled(places: Place[], { namespaces }: Context['cluster']): boolean {
  return places.some(({ namespace, services }) =>
    [namespaces.get(namespace), ...services].some(object => object?.metadata.labels?.[useWaypointLabel] !== undefined),
  )
}

/** The targets on which sidestep has stored a policy whose author wrote none. */
function standingRefs(policy: AuthorizationPolicy, { cluster }: Context) {
  const stored = cluster.authorizationPolicies.get(namespaceOf(policy))?.get(nameOf(policy))
  const refs = stored?.spec?.targetRefs ?? []
  return cluster.statuses === 'observed' && refs.length > 0 ? refs : undefined
}

/**
 * What of a plan stands beside the policy. The first attachment names as many Services as it can; whom a new one pushes
 * out of it has to stand by itself before.
 */
function besideOf({ attachments, isMoved }: Plan): Attachment[] {
  const [base, ...others] = attachments
  return isMoved || !base ? others : [...others, base]
}

function keptAt(policy: AuthorizationPolicy, attachment: Attachment): Kept<AuthorizationPolicy> {
  const { namespace, suffix, targetRefs, rules } = attachment
  return {
    policy: twin(withRules(policy, rules), suffix, targetRefs, namespace),
    purpose: 'the waypoint asks the same',
  }
}

// Guards -----------------------------------------------------------------------------------------------------------

interface Guard {
  place: Place
  shut: AuthorizationPolicy
  /** The same with the waypoints admitted; a guard of a DENY has one form only. */
  open: AuthorizationPolicy
}

function guardsOf(policy: AuthorizationPolicy, { guard, isMoved, places }: Plan, context: Context): Guard[] {
  const { rules = [] } = policy.spec
  if (guard === 'none') return []
  return places.map(place => {
    if (guard === 'denying') {
      const shut = denying(policy, place, rules, context)
      return { place, shut, open: shut }
    }
    // A policy that stays on its selector goes on saying there what ztunnel can check of it.
    const its = isMoved ? rules : []
    return {
      place,
      shut: admitting(policy, place, its, false, context),
      open: admitting(policy, place, its, true, context),
    }
  })
}

/** Whether the guard that is stored lets the waypoints through. Once it does, it goes on doing so. */
function isOpen({ cluster, settings }: Context): (guard: Guard) => boolean {
  return ({ place, open }) =>
    cluster.statuses === 'assumed' ||
    isOpened(byKey(cluster.authorizationPolicies, keyOf(open)), place.waypoints, settings)
}

// What stands ------------------------------------------------------------------------------------------------------

/** Whether a policy that refuses does so everywhere, at waypoints and at the pods; before that, no guard may open. */
export function isInForce(policy: AuthorizationPolicy, plan: Plan, context: Context): boolean {
  return (
    (!plan.isMoved || isStanding(policy, plan.attachments[0], context)) &&
    besideOf(plan).every(attachment => isThere(keptAt(policy, attachment).policy, context)) &&
    guardsOf(policy, plan, context).every(({ shut }) => isThere(shut, context))
  )
}

/** Whether all of a policy's guards in a Namespace stand. */
export function isGuarded(policy: AuthorizationPolicy, plan: Plan, namespace: string, context: Context): boolean {
  const guards = plan.guard === 'denying' ? guardsOf(policy, plan, context) : []
  return guards.every(({ place, shut }) => place.namespace !== namespace || isThere(shut, context))
}

/** Whether the policy is stored with these targets, so that the waypoint asks it. */
function isStanding(policy: AuthorizationPolicy, base: Attachment | undefined, { cluster }: Context): boolean {
  if (cluster.statuses === 'assumed') return true
  const stored = cluster.authorizationPolicies.get(namespaceOf(policy))?.get(nameOf(policy))
  return base !== undefined && isEqual(stored?.spec?.targetRefs, base.targetRefs)
}

function isThere(companion: AuthorizationPolicy, { cluster }: Context): boolean {
  return isInPlace(companion, cluster.authorizationPolicies, cluster)
}

/** Whether ztunnel enforces nothing of the policy on its selector that would be missed before its guard stands. */
function hasNoEffectAtPods(policy: AuthorizationPolicy, context: Context): boolean {
  const { action = 'ALLOW', rules = [] } = policy.spec
  if (action === 'ALLOW') return isClosed(namespaceOf(policy), context)
  return action === 'CUSTOM' || rules.every(isLostAtPods)
}

/** Policies of a Namespace that could refuse a request there: its own and those of the root namespace. */
export function refusalsIn(namespaces: string[], { cluster, settings }: Context): AuthorizationPolicy[] {
  return [...new Set([...namespaces, settings.rootNamespace])]
    .flatMap(namespace => inNamespace(cluster.authorizationPolicies, namespace))
    .filter(
      policy =>
        (policy.spec?.action === 'DENY' || policy.spec?.action === 'CUSTOM') &&
        !isCompanion(policy) &&
        !isDryRun(policy),
    )
}

// Words ------------------------------------------------------------------------------------------------------------

/** The first step of every policy that waypoints read. */
export function waypointStep(places: Place[]): Step {
  const waypoints = places.flatMap(place => place.waypoints)
  const names = [...new Set(waypoints.map(nameOfWaypoint))]
  const missing = waypoints.find(({ isProgrammed }) => !isProgrammed)
  return step(
    names.length > 0 ? `waypoint ${names.slice(0, 3).join(', ')} takes traffic` : 'no waypoint yet',
    missing && `Gateway ${nameOfWaypoint(missing)}`,
  )
}

function step(what: string, missing: string | undefined): Step {
  return { what, isDone: missing === undefined, missing }
}

function nameOfWaypoint({ namespace, name }: Waypoint): string {
  return `${namespace}/${name}`
}

function keyText(policy: AuthorizationPolicy | undefined): string | undefined {
  return policy && `AuthorizationPolicy ${keyOf(policy)}`
}

function refsText(base: Attachment | undefined): string {
  return (base?.targetRefs ?? []).map(({ kind, name }) => `${kind} ${name}`).join(', ')
}
