// What of a plan is there, as the snapshot says: the policy on its targets, the same on others beside it, the guards at
// the pods.
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import { isCompanion } from '../companion.ts'
import { type Attachment, besideOf } from '../policy/attachments.ts'
import { isDryRun, isInPlace, type Kept, storedOf, twin } from '../policy/companions.ts'
import { missingWaypoint, type Place } from '../policy/targets.ts'
import { inNamespace, namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { admitting, denying, isOpened } from './guard.ts'
import type { Plan } from './plan.ts'

type AuthorizationPolicy = istio.AuthorizationPolicy

/** What of a plan is there already. */
export interface There {
  /** The first waypoint that takes no traffic yet, as `Gateway namespace/name`. */
  waypoint: string | undefined
  twins: Kept<AuthorizationPolicy>[]
  /** The first twin that is not there as planned. */
  twinMissing: AuthorizationPolicy | undefined
  guards: Guard[]
  /** The first guard that is there neither shut nor open. */
  guardMissing: AuthorizationPolicy | undefined
  /** The targets on which sidestep has stored the policy. */
  keptRefs: istio.PolicyTargetReference[] | undefined
  /** Whether the policy itself is where the plan has it. */
  stands: boolean
  /** Whether waypoints ask all of the policy, everywhere. */
  isRead: boolean
}

export function whatIsThere(policy: AuthorizationPolicy, plan: Plan, context: Context): There {
  const { cluster } = context
  const twins = twinsOf(policy, plan)
  const missing = twins.map(each => each.policy).filter(each => !isInPlace(each, cluster))
  const stands = !plan.isMoved || isStanding(policy, plan.attachments[0], context)
  const isReadAt = (places: Place[], twins: AuthorizationPolicy[]) =>
    plan.attachments.length > 0 && stands && twins.length === 0 && !missingWaypoint(places)
  const guards = guardsOf(policy, plan, context).map(guard => {
    // In the Namespace of the policy stands what every waypoint reads.
    const namespaces = [guard.place.namespace, namespaceOf(policy)]
    const near = missing.filter(each => namespaces.includes(namespaceOf(each)))
    return { ...guard, isRead: isReadAt([guard.place], near), isOpen: isOpenNow(guard, context) }
  })
  return {
    waypoint: missingWaypoint(plan.places),
    twins,
    twinMissing: missing[0],
    guards,
    guardMissing: guards.find(({ shut, open }) => !isInPlace(shut, cluster) && !isInPlace(open, cluster))?.shut,
    keptRefs: standingRefs(policy, context),
    stands,
    isRead: isReadAt(plan.places, missing),
  }
}

/** The targets on which sidestep has stored a policy whose author wrote none. */
function standingRefs(policy: AuthorizationPolicy, { cluster }: Context) {
  const stored = storedOf(policy, cluster)
  const refs = stored?.spec?.targetRefs ?? []
  return cluster.statuses === 'observed' && refs.length > 0 ? refs : undefined
}

/** Whether the policy is stored with these targets, so that the waypoint asks it. */
function isStanding(policy: AuthorizationPolicy, base: Attachment | undefined, { cluster }: Context): boolean {
  if (cluster.statuses === 'assumed') return true
  const stored = storedOf(policy, cluster)
  return base !== undefined && isEqual(stored?.spec?.targetRefs, base.targetRefs)
}

/** What of a plan stands beside the policy for waypoints to read. */
function twinsOf(policy: AuthorizationPolicy, { attachments, isMoved }: Plan): Kept<AuthorizationPolicy>[] {
  return besideOf(attachments, isMoved).map(({ namespace, suffix, targetRefs, rules }) => ({
    policy: twin(withRules(policy, rules), suffix, targetRefs, namespace),
    purpose: 'the waypoint asks the same',
  }))
}

/** The policy with other rules; one without any stays without, and one that has them already is itself. */
export function withRules(policy: AuthorizationPolicy, rules: istio.Rule[]): AuthorizationPolicy {
  return policy.spec.rules && policy.spec.rules !== rules ? { ...policy, spec: { ...policy.spec, rules } } : policy
}

// Guards -----------------------------------------------------------------------------------------------------------

export interface Guard extends Forms {
  /** Whether the waypoints of its Namespace ask all of the policy. */
  isRead: boolean
  /** Whether it lets them through as it is stored. */
  isOpen: boolean
}

/** A guard as it can be. */
interface Forms {
  place: Place
  shut: AuthorizationPolicy
  /** The same with the waypoints admitted; a guard of a DENY has one form only. */
  open: AuthorizationPolicy
}

function guardsOf(policy: AuthorizationPolicy, { guard, isMoved, places }: Plan, context: Context): Forms[] {
  const { rules = [] } = policy.spec
  if (guard === 'none') return []
  // On targets sidecars do not read the policy: what comes to have one is denied by the guard until the policy is back.
  const isOnTargets = standingRefs(policy, context) !== undefined
  return places.map(place => {
    if (guard === 'denying') {
      const isPassedOver = !isOnTargets && (place.isStaged || place.withSidecar !== undefined)
      const shut = denying(policy, place, rules, isPassedOver, context)
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
function isOpenNow({ place, open }: Forms, { cluster, settings }: Context): boolean {
  return cluster.statuses === 'assumed' || isOpened(storedOf(open, cluster), place.waypoints, settings)
}

// Policies that refuse ---------------------------------------------------------------------------------------------

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

/** The Namespaces in which something of a policy that refuses is not in place yet; before that, no guard may open there. */
export function notInForce(policy: AuthorizationPolicy, plan: Plan, context: Context): string[] {
  const { cluster } = context
  const isMoving = plan.isMoved && !isStanding(policy, plan.attachments[0], context)
  const beside = [
    ...twinsOf(policy, plan).map(each => each.policy),
    ...guardsOf(policy, plan, context).map(({ shut }) => shut),
  ]
  return [...(isMoving ? [policy] : []), ...beside.filter(each => !isInPlace(each, cluster))].map(namespaceOf)
}

/** The Namespaces in which a guard of a policy does not stand yet. */
export function notGuarded(policy: AuthorizationPolicy, plan: Plan, context: Context): string[] {
  const guards = plan.guard === 'denying' ? guardsOf(policy, plan, context) : []
  return guards.filter(({ shut }) => !isInPlace(shut, context.cluster)).map(({ place }) => place.namespace)
}
