// selector -> targets: what a policy's selector means once gateways and waypoints enforce it (research/policies.md 1.5).
// AuthorizationPolicy and RequestAuthentication ask the same question.
import type * as core from '../../apis/core.ts'
import type * as istio from '../../apis/istio.ts'
import { gatewayNameLabel } from '../companion.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import type { GatewayMapping, Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot, inNamespace, namespaceOf, type Workload } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import {
  ambientRule,
  dataplaneModeLabel,
  isSelected,
  isShared,
  namespaceWaypoint,
  serviceWaypoint,
  type Waypoint,
  waypointClass,
} from '../waypoint.ts'

/** What a policy applies to, in the words of ambient. */
export type Target =
  /** Its user wrote targetRefs, or sidecars still enforce it, or nothing does: there is nothing to move. */
  | { kind: 'given' | 'outside' }
  /** The ingress that the settings map, and whether pods of the old gateway still run. */
  | { kind: 'ingress'; mapping: GatewayMapping; isOldRunning: boolean }
  /** A gateway that the settings do not map: its Envoy goes on reading selectors. */
  | { kind: 'gateway' }
  /** Every workload of the mesh. The places are the ambient Namespaces. */
  | { kind: 'mesh'; places: Place[] }
  /** Workloads of the policy's Namespace, or of several when a selector in the root namespace picks them. */
  | { kind: 'applications'; places: Place[]; isFanOut: boolean }
  /** Something that cannot be said: reported. */
  | { kind: 'none' }

/** What a policy applies to in one Namespace, and who serves it there. */
export interface Place {
  namespace: string
  /** Labels of the pods; none for all of the Namespace. */
  selector: Record<string, string>
  /** The waypoint that the whole place can be named by; without one it is named Service by Service. */
  whole: Waypoint | undefined
  /** Whether a waypoint serves the Namespace, and not only some of its Services. */
  isServed: boolean
  /** Services with an address that lead to the pods through a waypoint, by name. */
  services: core.Service[]
  /** Services with an address that lead to the pods past any waypoint. */
  unserved: core.Service[]
  /** Who the pods see as their caller instead of the caller. */
  waypoints: Waypoint[]
  /** A pod that still runs a sidecar, which reads selectors only. */
  withSidecar: Workload | undefined
  /** A pod that stays out of ambient, where nothing enforces policies. */
  optedOut: Workload | undefined
  /** Whether the Namespace is meant to be ambient and is not yet, so that ztunnel comes to hold none of its pods. */
  isStaged: boolean
  /** Whether any pod or Service is known that the policy could apply to. */
  isKnown: boolean
}

export type Policy = istio.AuthorizationPolicy | istio.RequestAuthentication

interface Surroundings extends Context {
  /** The prefix of the codes to report with. */
  kind: 'AP' | 'RA'
}

/** Resolves a policy's target. */
export function resolveTarget(policy: Policy, surroundings: Surroundings): Target {
  const { kind, cluster, settings, report } = surroundings
  const { selector, targetRef, targetRefs = [] } = policy.spec
  if (targetRef || targetRefs.length > 0) return { kind: 'given' }
  const namespace = namespaceOf(policy)
  const labels = selector?.matchLabels ?? {}
  const hasSelector = Object.keys(labels).length > 0
  const ingress = hasSelector && ingressOf(namespace, labels, settings)
  if (ingress) return ingressTarget(namespace, ingress, surroundings)
  const isRoot = namespace === settings.rootNamespace
  const namespaces = isRoot ? ambientNamespaces(cluster, settings) : [namespace]
  if (isRoot && !hasSelector)
    return { kind: 'mesh', places: namespaces.map(name => placeIn(name, labels, surroundings)) }
  const reached = isRoot ? [...cluster.workloads.keys()].sort() : [namespace]
  const selected = reached.flatMap(name => selectedIn(name, labels, cluster))
  if (selected.length > 0 && selected.every(({ state }) => state === 'gateway')) {
    report(`${kind}-GATEWAY-UNMAPPED`, 'spec.selector')
    return { kind: 'gateway' }
  }
  if (!isRoot && !ambientRule(namespace, cluster, settings)) return { kind: 'outside' }
  const places = namespaces.map(name => placeIn(name, labels, surroundings))
  return { kind: 'applications', places: isRoot ? places.filter(({ isKnown }) => isKnown) : places, isFanOut: isRoot }
}

// Ingress ----------------------------------------------------------------------------------------------------------

/** A selector means the ingress when the pods of the old gateway satisfy it and stand where the policy reaches. */
export function ingressOf(
  namespace: string,
  labels: Record<string, string>,
  settings: Settings,
): GatewayMapping | undefined {
  return settings.gateways.find(
    ({ pods }) =>
      isSelected(pods.labels, labels) && (pods.namespace === namespace || namespace === settings.rootNamespace),
  )
}

function ingressTarget(
  namespace: string,
  mapping: GatewayMapping,
  { kind, cluster, report }: Pick<Surroundings, 'kind' | 'cluster' | 'report'>,
): Target {
  const gateway = gatewayOf(mapping)
  if (gateway.namespace !== namespace) {
    report(`${kind}-GATEWAY-NAMESPACE`, 'spec.selector', { gateway: gateway.key })
    return { kind: 'none' }
  }
  return { kind: 'ingress', mapping, isOldRunning: isOldRunning(mapping, cluster) }
}

/** Whether pods of the old gateway are there: they carry its labels and not the one of Gateway API deployments. */
export function isOldRunning({ pods }: GatewayMapping, cluster: ClusterSnapshot): boolean {
  return inNamespace(cluster.workloads, pods.namespace).some(
    ({ labels }) => isSelected(labels, pods.labels) && !labels[gatewayNameLabel],
  )
}

// Namespaces -------------------------------------------------------------------------------------------------------

/** Whether the Namespace is ambient; where the snapshot is of a cluster, being meant to be is not enough. */
export function isAmbient(namespace: string, cluster: ClusterSnapshot, settings: Settings): boolean {
  if (!ambientRule(namespace, cluster, settings)) return false
  const labels = cluster.namespaces.get(namespace)?.metadata.labels ?? {}
  return cluster.statuses === 'assumed' || labels[dataplaneModeLabel] === 'ambient'
}

/** Namespaces that are ambient or meant to be: what holds there has to stand before. */
function ambientNamespaces(cluster: ClusterSnapshot, settings: Settings): string[] {
  return [...cluster.namespaces.keys()].filter(name => ambientRule(name, cluster, settings)).sort()
}

/** The workloads of a Namespace that a selector picks. Waypoints read no selectors. */
function selectedIn(namespace: string, labels: Record<string, string>, cluster: ClusterSnapshot): Workload[] {
  return inNamespace(cluster.workloads, namespace).filter(
    workload => isSelected(workload.labels, labels) && !isWaypointPod(workload, cluster),
  )
}

function isWaypointPod({ namespace, labels }: Workload, cluster: ClusterSnapshot): boolean {
  const gateway = byKey(cluster.gateways, `${namespace}/${labels[gatewayNameLabel]}`)
  return gateway?.spec?.gatewayClassName === waypointClass
}

// Places -----------------------------------------------------------------------------------------------------------

function placeIn(namespace: string, labels: Record<string, string>, surroundings: Surroundings): Place {
  const { cluster, settings } = surroundings
  const isWhole = Object.keys(labels).length === 0
  const selected = selectedIn(namespace, labels, cluster)
  const apps = selected.filter(({ state }) => state !== 'gateway')
  const leading = inNamespace(cluster.services, namespace).filter(
    ({ spec }) => isWhole || leadsTo(spec?.selector ?? {}, spec?.type, labels, apps),
  )
  const addressed = leading.filter(hasAddress)
  const serving = addressed.map(service => serviceWaypoint(service, cluster, settings))
  const services = addressed.filter((_, i) => serving[i])
  const ofNamespace = isWhole ? namespaceWaypoint(namespace, cluster, settings) : undefined
  const waypoints = distinct([...(ofNamespace ? [ofNamespace] : []), ...serving.flatMap(waypoint => waypoint ?? [])])
  const isOne =
    ofNamespace !== undefined &&
    waypoints.length === 1 &&
    services.length === addressed.length &&
    !isShared(ofNamespace, namespace, cluster, settings)
  return {
    namespace,
    selector: labels,
    whole: isOne ? ofNamespace : undefined,
    isServed: ofNamespace !== undefined,
    services,
    unserved: addressed.filter((_, i) => !serving[i]),
    waypoints,
    withSidecar: apps.find(({ state }) => state === 'sidecar'),
    optedOut: apps.find(({ isOptedOut }) => isOptedOut),
    isStaged: !isAmbient(namespace, cluster, settings),
    isKnown: isWhole || apps.length > 0 || leading.length > 0,
  }
}

/**
 * Whether a Service leads to the selected workloads. From Pods this is exact; in files a Service whose own selector holds
 * the policy's labels leads to selected pods only, whatever workloads there will be.
 */
function leadsTo(
  selector: Record<string, string>,
  type: string | undefined,
  labels: Record<string, string>,
  apps: Workload[],
): boolean {
  if (Object.keys(selector).length === 0 || type === 'ExternalName') return false
  return isSelected(selector, labels) || apps.some(app => isSelected(app.labels, selector))
}

/** Services without an address of their own never go through a waypoint (research/policies.md 10.7). */
export function hasAddress({ spec }: core.Service): boolean {
  return spec?.clusterIP !== 'None' && spec?.type !== 'ExternalName'
}

/** The first waypoint of these places that takes no traffic yet, as `Gateway namespace/name`. */
export function missingWaypoint(places: Place[]): string | undefined {
  const missing = places.flatMap(({ waypoints }) => waypoints).find(({ isProgrammed }) => !isProgrammed)
  return missing && `Gateway ${missing.namespace}/${missing.name}`
}

function distinct(waypoints: Waypoint[]): Waypoint[] {
  const byName = new Map(waypoints.map(waypoint => [`${waypoint.namespace}/${waypoint.name}`, waypoint]))
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, waypoint]) => waypoint)
}

// What a place does not let a policy say ----------------------------------------------------------------------------

/**
 * Reports where gateways, or pods that the policy does not mean, would come under a form of it as well.
 * @param isGuarded whether a form for ztunnel stands at the pods, which the Envoys of gateways would read too
 */
export function checkPlace(
  { namespace, selector, services, waypoints }: Place,
  { kind, cluster, report }: Pick<Surroundings, 'kind' | 'cluster' | 'report'>,
  isGuarded: boolean,
): void {
  const field = Object.keys(selector).length > 0 ? 'spec.selector' : 'spec'
  const selected = selectedIn(namespace, selector, cluster)
  const gateway = selected.find(({ state }) => state === 'gateway')
  if (gateway && isGuarded) {
    const app = selected.find(({ state }) => state !== 'gateway')
    report(`${kind}-WORKLOAD-MIXED`, field, { workloads: `${app?.name ?? namespace} and ${gateway.name}` })
  }
  if (waypoints.length === 0 || field === 'spec') return
  const all = inNamespace(cluster.workloads, namespace)
  for (const { metadata, spec } of services) {
    const isWider = all.some(
      other => isSelected(other.labels, spec?.selector ?? {}) && !isSelected(other.labels, selector),
    )
    if (isWider) report(`${kind}-SERVICE-WIDER`, field, { service: metadata.name ?? '' })
  }
  if (!isGuarded) return
  const apps = selected.filter(({ state }) => state !== 'gateway')
  for (const service of inNamespace(cluster.services, namespace)) {
    const { metadata, spec } = service
    if (hasAddress(service) || !leadsTo(spec?.selector ?? {}, spec?.type, selector, apps)) continue
    report(`${kind}-SERVICE-HEADLESS`, field, { service: metadata.name ?? '' })
  }
}

// References -------------------------------------------------------------------------------------------------------

export function serviceRef({ metadata }: core.Service): istio.PolicyTargetReference {
  return { group: '', kind: 'Service', name: metadata.name ?? '' }
}

export function gatewayRef(name: string): istio.PolicyTargetReference {
  return { group: 'gateway.networking.k8s.io', kind: 'Gateway', name }
}

export function gatewayClassRef(name: string): istio.PolicyTargetReference {
  return { group: 'gateway.networking.k8s.io', kind: 'GatewayClass', name }
}
