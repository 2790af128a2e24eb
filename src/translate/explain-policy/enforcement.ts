// Who enforces which part of a policy, now or once every step is done: ztunnel at the pods, a waypoint, a gateway, a sidecar.
import type * as istio from '../../apis/istio.ts'
import { isL4 } from '../authorization-policy/attributes.ts'
import { isDryRun } from '../policy/companions.ts'
import { hasAddress, type Place, type Policy, type Target } from '../policy/targets.ts'
import { byKey, keyOf, namespaceOf } from '../snapshot.ts'
import { targetsOf } from '../target-refs.ts'
import { serviceWaypoint, waypointClass } from '../waypoint.ts'
import { callersIn } from './callers.ts'
import type { Subject } from './index.ts'
import { count, podsOf, selectorText } from './words.ts'

type Surroundings = Omit<Subject, 'end'>

/** A share in enforcing a policy. */
export interface Enforcement {
  by: 'ztunnel' | 'waypoint' | 'gateway' | 'sidecar' | 'nobody'
  /** `pods of Namespace team-a`, `Gateway team-a/waypoint` */
  where: string[]
  /** `checks all 4 rules` */
  does: string
  /** What it reads there: the policy itself, a twin or a guard. */
  policies: string[]
}

/** Who enforces a policy in these forms: itself first, then what stands beside it. */
export function enforcementOf(forms: Policy[], subject: Surroundings): Enforcement[] {
  return joined(
    forms.flatMap(form => (targetsOf(form.spec).length > 0 ? onTargets(form, subject) : onSelector(form, subject))),
  )
}

/** Shares that differ in their place only are one: a policy of the root namespace has a guard in every Namespace. */
function joined(shares: Enforcement[]): Enforcement[] {
  const byShare = new Map<string, Enforcement>()
  for (const share of shares) {
    const key = `${share.by} ${share.does}`
    const same = byShare.get(key)
    byShare.set(key, {
      ...share,
      where: distinct([...(same?.where ?? []), ...share.where]),
      policies: distinct([...(same?.policies ?? []), ...share.policies]),
    })
  }
  const order: Enforcement['by'][] = ['ztunnel', 'waypoint', 'gateway', 'sidecar', 'nobody']
  return [...byShare.values()].sort((a, b) => order.indexOf(a.by) - order.indexOf(b.by))
}

// Targets ----------------------------------------------------------------------------------------------------------

function onTargets(form: Policy, subject: Surroundings): Enforcement[] {
  return targetsOf(form.spec).map(({ ref }) => {
    const { by, where } = enforcerAt(ref, namespaceOf(form), subject)
    return { by, where: [where], does: by === 'nobody' ? 'is asked' : checks(form), policies: [keyOf(form)] }
  })
}

function enforcerAt(
  { kind, name = '' }: istio.PolicyTargetReference,
  namespace: string,
  { cluster, settings, target }: Surroundings,
): { by: Enforcement['by']; where: string } {
  const where = `${kind} ${namespace}/${name}`
  if (kind === 'GatewayClass') return { by: 'waypoint', where: `every waypoint (GatewayClass ${name})` }
  if (kind === 'Service') {
    const service = byKey(cluster.services, `${namespace}/${name}`)
    const waypoint = service && hasAddress(service) && serviceWaypoint(service, cluster, settings)
    return waypoint
      ? { by: 'waypoint', where: `${where} (waypoint ${waypoint.namespace}/${waypoint.name})` }
      : { by: 'nobody', where: `${where}, which no waypoint serves` }
  }
  if (kind !== 'Gateway') return { by: 'waypoint', where }
  const isServing = placesOf(target).some(({ waypoints }) =>
    waypoints.some(waypoint => waypoint.namespace === namespace && waypoint.name === name),
  )
  const isOfClass = byKey(cluster.gateways, `${namespace}/${name}`)?.spec?.gatewayClassName === waypointClass
  return { by: isServing || isOfClass ? 'waypoint' : 'gateway', where }
}

/** What an Envoy does with a policy. */
function checks(form: Policy): string {
  if (form.kind === 'RequestAuthentication') return `checks tokens of ${count(form.spec.jwtRules ?? [], 'issuer')}`
  const { action = 'ALLOW', rules = [] } = form.spec
  if (isDryRun(form)) return `tries out ${count(rules, 'rule')} and refuses nothing`
  if (rules.length === 0) return action === 'ALLOW' ? 'admits nobody, as it has no rules' : 'has no rules to check'
  if (rules.length === 1) return 'checks its rule'
  return rules.length === 2 ? 'checks both rules' : `checks all ${rules.length} rules`
}

// Selectors --------------------------------------------------------------------------------------------------------

function onSelector(form: Policy, subject: Surroundings): Enforcement[] {
  const { target, policy } = subject
  const at = (by: Enforcement['by'], where: string, does: string) => ({
    by,
    where: [where],
    does,
    policies: [keyOf(form)],
  })
  const labels = selectorText(form)
  const withSidecars = (namespace: string) =>
    at('sidecar', `pods of Namespace ${namespace} that have one`, checks(form))
  switch (target.kind) {
    case 'gateway':
      return [at('gateway', `pods with ${labels}`, checks(form))]
    case 'ingress':
      return [at('gateway', `pods of the old gateway in Namespace ${target.mapping.pods.namespace}`, checks(form))]
    case 'outside':
      return [withSidecars(namespaceOf(form))]
    case 'mesh':
    case 'applications': {
      const isGuard = keyOf(form) !== keyOf(policy)
      const places = isGuard ? target.places.filter(({ namespace }) => namespace === namespaceOf(form)) : target.places
      const does = isGuard ? guards(form, subject) : checksAtPods(form)
      const captured = places.filter(({ isStaged }) => !isStaged)
      const sidecars = isGuard ? [] : captured.flatMap(({ withSidecar }) => withSidecar ?? [])
      return [
        ...(does === undefined ? [] : captured.map(place => at('ztunnel', podsOf(place), does))),
        ...(isGuard ? [] : places.filter(({ isStaged }) => isStaged).map(({ namespace }) => withSidecars(namespace))),
        ...sidecars.map(({ name, namespace }) => at('sidecar', `${name} of Namespace ${namespace}`, checks(form))),
      ]
    }
    default:
      return []
  }
}

/** What ztunnel makes of a policy on its selector (research/policies.md 1.2); undefined when it makes nothing of it. */
function checksAtPods(form: Policy): string | undefined {
  if (form.kind === 'RequestAuthentication' || isDryRun(form)) return undefined
  const { action = 'ALLOW', rules = [] } = form.spec
  const read = rules.filter(isL4)
  if (action !== 'ALLOW' && action !== 'DENY') return undefined
  if (read.length === rules.length) return checks(form)
  if (action === 'DENY') return read.length > 0 ? `checks the ${read.length} rules that it can` : undefined
  return read.length > 0
    ? `admits by ${read.length} of ${rules.length} rules, the others need a waypoint`
    : 'admits nobody by it'
}

function guards({ spec }: Policy, subject: Surroundings): string {
  const { action = 'ALLOW', rules = [] } = spec as istio.AuthorizationPolicySpec
  if (action === 'ALLOW') return `admits ${callersIn(rules, waypointsOf(subject), subject.settings)}`
  return `denies every caller that bypasses the waypoint and matches ${count(rules, 'rule')} with the HTTP conditions left out`
}

function waypointsOf({ target }: Surroundings) {
  return placesOf(target).flatMap(({ waypoints }) => waypoints)
}

function placesOf(target: Target): Place[] {
  return 'places' in target ? target.places : []
}

function distinct(texts: string[]): string[] {
  return [...new Set(texts)]
}
