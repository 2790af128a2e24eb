// The order in which a plan becomes true (design.md section 5): guard before rewrite, what refuses before what admits, the
// waypoint before either. Which step a policy is at is read from the snapshot alone, so whoever looks sees the same.
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import { isCompanion, nameOf } from '../companion.ts'
import type { Attachment } from '../policy/attachments.ts'
import { attached, beside, isDryRun, type Kept, type Outcome, storedOf } from '../policy/companions.ts'
import { missingWaypoint, type Place } from '../policy/targets.ts'
import { keyOf, namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { useWaypointLabel } from '../waypoint.ts'
import { isLostAtPods } from './attributes.ts'
import { isClosed, notYetSparing, sparing } from './guard.ts'
import type { Plan } from './plan.ts'
import { type Guard, type There, whatIsThere, withRules } from './standing.ts'

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
  /** Whether ztunnel holds pods that nothing guards yet from what the policy refuses by HTTP. */
  isUnguarded: boolean
}

/**
 * What a plan makes of a policy at this moment.
 * @param original the policy as its author wrote it
 * @param refusalMissing the first policy that refuses and that is not in force yet in one of these Namespaces; asked only
 *   before a guard opens
 */
export function progressOf(
  { policy, original }: { policy: AuthorizationPolicy; original: AuthorizationPolicy },
  plan: Plan,
  context: Context,
  refusalMissing: (namespaces: string[]) => string | undefined,
): Progress {
  const there = whatIsThere(policy, plan, context)
  const now = { ...there, ...whatIsMissing(policy, plan, there, context, refusalMissing) }
  return {
    policy: formNow(policy, original.spec?.rules ?? [], plan, now, context),
    kept: keptNow(policy, plan, now, context),
    steps: stepsNow(plan, now),
    missing: now.held ?? now.missing ?? now.refusal,
    isUnguarded:
      plan.guard === 'denying' && there.guardMissing !== undefined && plan.places.some(({ isStaged }) => !isStaged),
  }
}

// What is missing --------------------------------------------------------------------------------------------------

/** What the next steps wait for, by name, and which of them may be taken. */
interface Missing {
  /** Before the policy leaves its selector: the waypoint, a twin, a guard, in this order. */
  missing: string | undefined
  /** Before a guard opens: what refuses. */
  refusal: string | undefined
  /** Before what admits already takes in one more Service: what refuses. */
  held: string | undefined
  /** The guards that are to let the waypoints through. */
  opening: ReadonlySet<Guard>
  /** Whether whatever stands beside the policy is there, so that it may go elsewhere from the targets that it has. */
  mayLeaveTargets: boolean
}

function whatIsMissing(
  policy: AuthorizationPolicy,
  plan: Plan,
  { waypoint, twinMissing, guards, guardMissing, keptRefs, stands }: There,
  context: Context,
  refusalMissing: (namespaces: string[]) => string | undefined,
): Missing {
  const isAsked = plan.attachments.length > 0 && (!plan.isMoved || keptRefs !== undefined)
  const isAdmitting = plan.guard === 'admitting'
  const isLive = context.cluster.statuses === 'observed'

  // A policy that leaves its selector leaves to ztunnel only what its guard says. Nothing is lost where ztunnel made
  // nothing of it, or refuses by default. A pod that comes to have a sidecar would read what refuses, though, so only a
  // new policy goes on targets before its guard stands.
  const isHeld = plan.guard === 'denying' && storedOf(policy, context.cluster) !== undefined
  const mayLeave = !guardMissing || plan.guard === 'none' || (!isHeld && hasNoEffectAtPods(policy, context))
  const missing = waypoint ?? nameText(twinMissing) ?? (mayLeave ? undefined : nameText(guardMissing))

  // Once open a guard stays open while the waypoint asks the policy at all: what is missing then is only an admission. No
  // Namespace waits for the waypoint of another.
  const isStaying = (guard: Guard) => isLive && isAdmitting && isAsked && guard.isOpen
  const refusals = guards.map(guard =>
    isAdmitting && guard.isRead && !isStaying(guard) ? refusalMissing([guard.place.namespace]) : undefined,
  )

  // Where the waypoint is let in, what admits takes in a new Service only after all that refuses has.
  const { action = 'ALLOW', rules = [] } = policy.spec
  const isLetIn = isAsked && action === 'ALLOW' && (guards.some(isStaying) || plan.guard === 'none')
  const namespaces = plan.places.map(({ namespace }) => namespace)
  const isChanging = isLive && isLetIn && (twinMissing !== undefined || !stands)
  const held = isChanging && rules.length > 0 && !isDryRun(policy) ? refusalMissing(namespaces) : undefined

  return {
    missing,
    refusal: refusals.find(each => each !== undefined),
    held,
    opening: new Set(guards.filter((guard, i) => isStaying(guard) || (guard.isRead && !refusals[i]))),
    // A guard that admits may follow to other targets; one that refuses is there first.
    mayLeaveTargets: !held && !twinMissing && (!guardMissing || (plan.isMoved && isAdmitting)),
  }
}

/** Whether ztunnel enforces nothing of the policy on its selector that would be missed before its guard stands. */
function hasNoEffectAtPods(policy: AuthorizationPolicy, context: Context): boolean {
  const { action = 'ALLOW', rules = [] } = policy.spec
  if (action === 'ALLOW') return isClosed(namespaceOf(policy), context)
  return action === 'CUSTOM' || rules.every(isLostAtPods)
}

// What it becomes --------------------------------------------------------------------------------------------------

type Now = There & Missing

/** What is to stand beside the policy now, in the order of applying. */
function keptNow(
  policy: AuthorizationPolicy,
  plan: Plan,
  { twins, guards, opening, held, keptRefs }: Now,
  context: Context,
): Kept<AuthorizationPolicy>[] {
  const shown = guardsNow(plan, guards, opening)
  const asked = held ? twins.map(each => asStored(each, context)) : twins
  const standing = plan.isMoved || plan.guard === 'denying' ? [...shown, ...asked] : [...asked, ...shown]
  const isLeaving = keptRefs !== undefined && !plan.isMoved
  return isLeaving ? [...standing, ...heldGuard(policy, standing, context)] : standing
}

function guardsNow(
  { guard, isMoved }: Plan,
  guards: Guard[],
  opening: ReadonlySet<Guard>,
): Kept<AuthorizationPolicy>[] {
  if (guard === 'denying')
    return guards.map(({ shut }) => ({ policy: shut, purpose: 'it holds for callers that bypass the waypoint' }))
  return guards.flatMap(each => {
    if (opening.has(each)) return { policy: each.open, purpose: 'it lets the waypoint reach the pods' }
    // A guard that only admits has nothing to keep shut before.
    return isMoved ? { policy: each.shut, purpose: 'it keeps the pods shut while the policy moves' } : []
  })
}

/** A companion as it is stored, while it may not admit anybody new; one that is not there yet admits nobody. */
function asStored({ policy, purpose }: Kept<AuthorizationPolicy>, { cluster }: Context): Kept<AuthorizationPolicy> {
  const stored = storedOf(policy, cluster)
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
  const stored = storedOf(named, cluster)
  if (!stored || !isCompanion(stored) || others.some(each => keyOf(each.policy) === keyOf(named))) return []
  return [{ policy: { ...named, spec: stored.spec }, purpose: 'it stays until the policy is back at the pods' }]
}

/** The policy as it is to be stored now. */
function formNow(
  policy: AuthorizationPolicy,
  written: istio.Rule[],
  { attachments: [base], isMoved, guard, places, rulesAt }: Plan,
  { missing, held, isRead, mayLeaveTargets, keptRefs }: Now,
  { cluster, settings }: Context,
): AuthorizationPolicy {
  // Once on targets it stays on them until its next place is ready: back on its selector no waypoint would ask it.
  if (keptRefs && !mayLeaveTargets) return attached(withRules(policy, rulesAt(keptRefs)), keptRefs)
  if (isMoved && base && ((!missing && !held) || keptRefs))
    return attached(withRules(policy, base.rules), base.targetRefs)
  const { action = 'ALLOW', rules = [] } = policy.spec
  const waypoints = places.flatMap(place => place.waypoints)
  const isUnread = action === 'DENY' && !isRead
  const named = isUnread ? withRules(policy, notYetSparing(rules, written, waypoints, settings)) : policy
  if (action !== 'ALLOW' && (isMoved || places.some(({ withSidecar }) => withSidecar))) return named
  // At ztunnel a DENY must not take the waypoint for one of the callers that it means, once the waypoint asks it. An ALLOW
  // must not as long as the waypoint does not, or everybody could come through it (10.2).
  const spared = sparing(rules, waypoints, settings)
  // Once it spares the waypoint it goes on: a Service that comes later must not cut off all the others.
  const stored = storedOf(policy, cluster)
  const wasSpared = base !== undefined && isEqual(stored?.spec?.rules, spared)
  const isSpared =
    action === 'DENY'
      ? isRead || wasSpared
      : action === 'ALLOW' && guard === 'admitting' && !isRead && isEnrolled(places, cluster)
  return isSpared && !isDryRun(policy) ? withRules(policy, spared) : named
}

/** Whether traffic to some of these pods goes through a waypoint already. */
function isEnrolled(places: Place[], { namespaces }: Context['cluster']): boolean {
  return places.some(({ namespace, services }) =>
    [namespaces.get(namespace), ...services].some(object => object?.metadata.labels?.[useWaypointLabel] !== undefined),
  )
}

// Steps and words --------------------------------------------------------------------------------------------------

function stepsNow(
  { attachments: [base], isMoved, guard, places }: Plan,
  { twins, twinMissing, guards, guardMissing, stands, isRead, missing, refusal }: Now,
): Step[] {
  const steps: Step[] = base ? [waypointStep(places)] : []
  if (guards.length > 0 && (isMoved || guard === 'denying'))
    steps.push(step(`guard ${guards.map(({ shut }) => keyOf(shut)).join(', ')} at the pods`, keyText(guardMissing)))
  if (twins.length > 0)
    steps.push(step(`${twins.map(({ policy }) => keyOf(policy)).join(', ')} at the waypoint`, keyText(twinMissing)))
  if (isMoved) steps.push({ what: `the policy on ${refsText(base)}`, isDone: stands && !missing, missing })
  if (base && guard === 'admitting') {
    const isDone = isRead && guards.every(({ isOpen }) => isOpen)
    steps.push({ what: 'the guard lets the waypoint through', isDone, missing: missing ?? refusal })
  }
  return steps
}

/** The first step of every policy that waypoints read. */
export function waypointStep(places: Place[]): Step {
  const waypoints = places.flatMap(place => place.waypoints)
  const names = [...new Set(waypoints.map(({ namespace, name }) => `${namespace}/${name}`))]
  return step(
    names.length > 0 ? `waypoint ${names.slice(0, 3).join(', ')} takes traffic` : 'no waypoint yet',
    missingWaypoint(places),
  )
}

function step(what: string, missing: string | undefined): Step {
  return { what, isDone: missing === undefined, missing }
}

function nameText(policy: AuthorizationPolicy | undefined): string | undefined {
  return policy && `AuthorizationPolicy ${nameOf(policy)}`
}

function keyText(policy: AuthorizationPolicy | undefined): string | undefined {
  return policy && `AuthorizationPolicy ${keyOf(policy)}`
}

function refsText(base: Attachment | undefined): string {
  return (base?.targetRefs ?? []).map(({ kind, name }) => `${kind} ${name}`).join(', ')
}
