// What a policy of applications becomes once everything is in place: where waypoints read it, and what guards the pods
// (research/policies.md 1.5, decision table C to E). When each step may be taken is order.ts.
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import { labelsText } from '../labels.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { type Attachment, attachmentsIn, attachmentsInMesh, type Reading, rulesAt } from '../policy/attachments.ts'
import { isDryRun, storedOf } from '../policy/companions.ts'
import { atGateway } from '../policy/ingress.ts'
import { checkAddresses, isByPort, readAt } from '../policy/ports.ts'
import { checkPlace, isOldRunning, type Place, type Target } from '../policy/targets.ts'
import type { Report } from '../report.ts'
import { namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientRule } from '../waypoint.ts'
import { isL4 } from './attributes.ts'
import { isHandMade } from './guard.ts'

export interface Plan {
  /** Where waypoints read the policy, in the order of applying. */
  attachments: Attachment[]
  /** Whether the policy leaves its selector: it is then the first attachment itself, and the others stand beside it. */
  isMoved: boolean
  /** What holds at the pods beside or instead of the policy. */
  guard: 'admitting' | 'denying' | 'none'
  /** The Namespaces in which it holds. */
  places: Place[]
  /** The rules as they read at targets that the policy has from before. */
  rulesAt(refs: istio.PolicyTargetReference[]): istio.Rule[]
}

/** The policy stays as it is, and nothing stands beside it. */
function nothingFor({ spec: { rules = [] } }: istio.AuthorizationPolicy): Plan {
  return { attachments: [], isMoved: false, guard: 'none', places: [], rulesAt: () => rules }
}

/** Plans a policy whose rules name callers as ambient knows them. What cannot be planned is reported. */
export function planFor(
  policy: istio.AuthorizationPolicy,
  target: Extract<Target, { kind: 'mesh' | 'applications' }>,
  context: Context,
): Plan {
  const { cluster, report, settings } = context
  const { action = 'ALLOW', rules = [] } = policy.spec
  const nothing = nothingFor(policy)
  const isTried = isDryRun(policy)
  const needsEnvoy = action === 'CUSTOM' || action === 'AUDIT' || isTried || !rules.every(isL4)
  const isMesh = target.kind === 'mesh'
  const isFanOut = isMesh || target.isFanOut
  if (!isFanOut && target.places.some(({ isStaged }) => isStaged)) return planForStaged(policy, target.places)
  const left = isFanOut ? undefined : leftToSidecar(policy, target.places, context)
  if (left) {
    context.report('AP-WORKLOAD-UNSERVED', 'spec.selector', { workload: left.name })
    return planForStaged(policy, target.places)
  }
  if (target.places.every(({ isKnown }) => !isKnown) && !isMesh) return planForUnknown(policy, target.places, context)
  // What ztunnel can check stays exact where no waypoint stands between.
  const places = target.places.filter(({ waypoints }) => needsEnvoy || waypoints.length > 0)
  for (const place of places) checkPlace(place, { kind: 'AP', ...context }, needsEnvoy)
  if (report.untranslatable) return nothing
  if (places.every(({ waypoints }) => waypoints.length === 0) && !isMesh) {
    if (needsEnvoy) reportNoWaypoint(policy, target, context)
    return nothing
  }
  if (isHandMade(policy, places, settings)) {
    report('AP-GUARD-GIVEN', 'spec.rules')
    return nothing
  }
  if (needsEnvoy) checkServed(policy, target, isTried, context)
  if (isMesh) checkGateways(policy, context)
  checkAddresses(rules, report)
  const isAllow = action === 'ALLOW'
  const reading: Reading = {
    rules,
    isAllow,
    isByPort,
    atService: (its, service) => readAt(its, service, isAllow, cluster, report),
  }
  const attachments = isMesh
    ? attachmentsInMesh(settings.rootNamespace, places, reading)
    : attachmentsIn(places, reading)
  const isSidecar = places.some(({ withSidecar }) => withSidecar)
  return {
    attachments,
    isMoved: needsEnvoy && !isFanOut && !isSidecar && attachments[0]?.suffix === 'waypoint',
    guard: guardFor(policy, needsEnvoy),
    places,
    rulesAt: refs => rulesAt(refs, { places, attachments }, reading),
  }
}

function guardFor(policy: istio.AuthorizationPolicy, needsEnvoy: boolean): Plan['guard'] {
  const { action = 'ALLOW', rules = [] } = policy.spec
  if (action !== 'ALLOW') return isRefusingByHTTP(policy) ? 'denying' : 'none'
  if (isDryRun(policy) || rules.length === 0) return 'none'
  const admitsAll = rules.some(({ from = [], to = [], when = [] }) => from.length + to.length + when.length === 0)
  return admitsAll && !needsEnvoy ? 'none' : 'admitting'
}

/**
 * A selector that picks nothing known. An ALLOW stays, since ztunnel admits less; what refuses by HTTP attributes would
 * have no effect there, so its guard stands from the start, for the pods that will come.
 */
function planForUnknown(policy: istio.AuthorizationPolicy, places: Place[], context: Context): Plan {
  const { cluster, report, settings } = context
  const { rules = [] } = policy.spec
  const isRefusing = isRefusingByHTTP(policy) && places.length > 0
  const isServed = ambientRule(namespaceOf(policy), cluster, settings)?.waypoint !== undefined
  if (isRefusing && !isServed) {
    report('AP-WAYPOINT-NONE', firstL7Rule(rules), { target: `Namespace ${namespaceOf(policy)}` })
    return nothingFor(policy)
  }
  report('AP-WORKLOAD-NONE', 'spec.selector')
  return isRefusing ? { ...nothingFor(policy), guard: 'denying', places } : nothingFor(policy)
}

/** Before ztunnel captures the pods, what it would make nothing of has its guard already. */
function planForStaged(policy: istio.AuthorizationPolicy, places: Place[]): Plan {
  return isRefusingByHTTP(policy) ? { ...nothingFor(policy), guard: 'denying', places } : nothingFor(policy)
}

/**
 * A pod whose sidecar alone enforces what a policy refuses, where no waypoint will once it is gone. A new policy is refused
 * at once; one that is stored is refused then, and is to have its guard by that time.
 */
function leftToSidecar(policy: istio.AuthorizationPolicy, places: Place[], { cluster }: Context) {
  const isStored = cluster.statuses === 'observed' && storedOf(policy, cluster) !== undefined
  if (!isRefusingByHTTP(policy) || !isStored || places.some(({ waypoints }) => waypoints.length > 0)) return undefined
  return places.find(({ withSidecar }) => withSidecar)?.withSidecar
}

/** Whether a policy refuses requests in a way that ztunnel makes nothing of. */
function isRefusingByHTTP(policy: istio.AuthorizationPolicy): boolean {
  const { action, rules = [] } = policy.spec
  return rules.length > 0 && !isDryRun(policy) && (action === 'CUSTOM' || (action === 'DENY' && !rules.every(isL4)))
}

function reportNoWaypoint(
  policy: istio.AuthorizationPolicy,
  target: Extract<Target, { kind: 'mesh' | 'applications' }>,
  { report }: Context,
): void {
  const { action, rules = [] } = policy.spec
  if (isDryRun(policy)) report('AP-DRY-RUN', 'metadata.annotations[istio.io/dry-run]')
  else if (action === 'AUDIT') report('AP-ACTION-AUDIT', 'spec.action')
  else if (action === 'CUSTOM') report('AP-ACTION-CUSTOM', 'spec.action')
  else reportPlace(firstL7Rule(rules), target.places[0], policy, report)
}

/** Says which Service, or what of a Namespace, no waypoint serves. */
function reportPlace(field: string, place: Place | undefined, policy: istio.AuthorizationPolicy, report: Report): void {
  const namespace = place?.namespace ?? namespaceOf(policy)
  const [first] = place?.unserved ?? []
  const isWhole = Object.keys(place?.selector ?? {}).length === 0
  if (first && !isWhole) report('AP-WAYPOINT-NONE', field, { target: `Service ${namespace}/${first.metadata.name}` })
  else if (isWhole) report('AP-WAYPOINT-NONE', field, { target: `Namespace ${namespace}` })
  else report('AP-SERVICE-NONE', 'spec.selector', { workload: labelsText(place?.selector).slice(0, 60) })
}

/** Gateways read a policy of the whole mesh by themselves, and by port the new one would read another than the old. */
function checkGateways(policy: istio.AuthorizationPolicy, { cluster, settings, report }: Context): void {
  for (const mapping of settings.gateways) {
    const { key: gateway, namespace } = gatewayOf(mapping)
    if (namespace !== namespaceOf(policy)) continue
    const read = atGateway(policy, mapping, cluster)
    if (read ? !isEqual(read.spec.rules, policy.spec.rules) : isOldRunning(mapping, cluster))
      report('AP-GATEWAY-PORTS', 'spec.rules', { gateway })
  }
}

/** Every pod that the policy means has to be behind a waypoint, or its HTTP attributes hold for some requests only. */
function checkServed(
  policy: istio.AuthorizationPolicy,
  target: Extract<Target, { kind: 'mesh' | 'applications' }>,
  isTried: boolean,
  context: Context,
): void {
  const { report } = context
  const field = firstL7Rule(policy.spec.rules ?? [])
  const isHarmless = isTried || policy.spec.action === 'AUDIT'
  if (isHarmless) {
    if (target.places.some(({ unserved }) => unserved.length > 0)) reportNoWaypoint(policy, target, context)
    return
  }
  for (const place of target.places) {
    const { services, unserved, whole, isServed, waypoints, selector } = place
    const [waypoint] = waypoints
    const isPart = Object.keys(selector).length > 0
    if (!waypoint || (isPart && (unserved.length > 0 || services.length === 0))) {
      reportPlace(field, place, policy, report)
    } else if (!isPart && (!isServed || unserved.length > 0)) {
      report('AP-WAYPOINT-PARTIAL', 'spec', { waypoint: `${waypoint.namespace}/${waypoint.name}` })
    } else if (!isPart && !whole && target.kind !== 'mesh') {
      report('AP-WAYPOINT-SHARED', 'spec', { waypoint: `${waypoint.namespace}/${waypoint.name}` })
    }
  }
}

export function firstL7Rule(rules: istio.Rule[]): string {
  const i = rules.findIndex(rule => !isL4(rule))
  return i < 0 ? 'spec.action' : `spec.rules[${i}]`
}
