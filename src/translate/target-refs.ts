// selector -> targetRefs: what a policy's selector means once gateways and waypoints enforce it
// (research/policies.md 1.5). AuthorizationPolicy and RequestAuthentication ask the same question.
import type * as core from '../apis/core.ts'
import type * as istio from '../apis/istio.ts'
import type { Report } from './report.ts'
import type { GatewayMapping, Settings } from './settings.ts'
import { byKey, type ClusterSnapshot, inNamespace, namespaceOf, type Workload } from './snapshot.ts'
import {
  ambientRule,
  dataplaneModeLabel,
  isSelected,
  isShared,
  namespaceWaypoint,
  serviceWaypoint,
  type Waypoint,
} from './waypoint.ts'

/** What a policy applies to, in the words of ambient. */
export type Target =
  /** Its user wrote targetRefs, or sidecars still enforce it, or nothing does: there is nothing to move. */
  | { kind: 'given' | 'outside' }
  /** The ingress that the settings map: the Gateway, and whether pods of the old one still run. */
  | { kind: 'ingress'; mapping: GatewayMapping; name: string; isOldRunning: boolean }
  /** A gateway that the settings do not map: its Envoy goes on reading selectors. */
  | { kind: 'gateway' }
  /** Every workload of the mesh, or of the mesh those that a selector in the root namespace picks. */
  | { kind: 'mesh'; hasSelector: boolean }
  /** Every workload of the Namespace. */
  | { kind: 'namespace'; waypoint: Waypoint | undefined; isPartly: boolean; isShared: boolean }
  /** Some workloads, and the Services that lead to them and to nothing else. */
  | { kind: 'services'; services: core.Service[]; waypoint: Waypoint | undefined }
  /** Nothing known, or something that cannot be said: reported. */
  | { kind: 'none' }

type Policy = istio.AuthorizationPolicy | istio.RequestAuthentication

/** Resolves a policy's target. `kind` is the prefix of the codes to report with. */
export function resolveTarget(
  policy: Policy,
  kind: 'AP' | 'RA',
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): Target {
  const { selector, targetRef, targetRefs = [] } = policy.spec
  if (targetRef || targetRefs.length > 0) return { kind: 'given' }
  const namespace = namespaceOf(policy)
  const labels = selector?.matchLabels ?? {}
  const hasSelector = Object.keys(labels).length > 0
  if (hasSelector) {
    const ingress = ingressOf(namespace, labels, kind, cluster, settings, report)
    if (ingress) return ingress
  }
  if (namespace === settings.rootNamespace && !hasSelector) return { kind: 'mesh', hasSelector }
  const selected = workloadsOf(namespace, labels, cluster, settings)
  if (selected.length > 0 && selected.every(({ state }) => state === 'gateway')) {
    report(`${kind}-GATEWAY-UNMAPPED`, 'spec.selector')
    return { kind: 'gateway' }
  }
  if (namespace === settings.rootNamespace) return { kind: 'mesh', hasSelector }
  if (!isAmbient(namespace, cluster, settings)) return { kind: 'outside' }
  const withSidecar = selected.find(({ state }) => state === 'sidecar')
  if (withSidecar) {
    report(`${kind}-WORKLOAD-SIDECAR`, 'spec.selector', { workload: withSidecar.name })
    return { kind: 'outside' }
  }
  if (!hasSelector) return namespaceTarget(namespace, cluster, settings)
  const apps = selected.filter(({ state }) => state !== 'gateway')
  if (apps.length < selected.length) {
    const workloads = `${apps[0]?.name} and ${selected.find(({ state }) => state === 'gateway')?.name}`
    report(`${kind}-WORKLOAD-MIXED`, 'spec.selector', { workloads })
    return { kind: 'none' }
  }
  return servicesTarget(namespace, labels, apps, kind, cluster, settings, report)
}

/** Whether the Namespace is ambient; where the snapshot is of a cluster, being meant to be is not enough. */
function isAmbient(namespace: string, cluster: ClusterSnapshot, settings: Settings): boolean {
  if (!ambientRule(namespace, cluster, settings)) return false
  const labels = cluster.namespaces.get(namespace)?.metadata.labels ?? {}
  return cluster.statuses === 'assumed' || labels[dataplaneModeLabel] === 'ambient'
}

/** The workloads that a selector picks: of its Namespace, of all Namespaces in the root namespace. */
function workloadsOf(
  namespace: string,
  labels: Record<string, string>,
  cluster: ClusterSnapshot,
  { rootNamespace }: Settings,
): Workload[] {
  const namespaces = namespace === rootNamespace ? [...cluster.workloads.keys()].sort() : [namespace]
  return namespaces
    .flatMap(name => inNamespace(cluster.workloads, name))
    .filter(workload => isSelected(workload.labels, labels))
}

/** A selector means the ingress when the pods of the old gateway satisfy it and stand where the policy reaches. */
function ingressOf(
  namespace: string,
  labels: Record<string, string>,
  kind: 'AP' | 'RA',
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): Target | undefined {
  const mapping = settings.gateways.find(
    ({ pods }) =>
      isSelected(pods.labels, labels) && (pods.namespace === namespace || namespace === settings.rootNamespace),
  )
  if (!mapping) return undefined
  const [gateway = ''] = mapping.gateway.split('#')
  const [gatewayNamespace, name = ''] = gateway.split('/')
  if (gatewayNamespace !== namespace) {
    report(`${kind}-GATEWAY-NAMESPACE`, 'spec.selector', { gateway })
    return { kind: 'none' }
  }
  const isOldRunning = inNamespace(cluster.workloads, mapping.pods.namespace).some(
    ({ labels: its }) => isSelected(its, mapping.pods.labels) && !its['gateway.networking.k8s.io/gateway-name'],
  )
  return { kind: 'ingress', mapping, name, isOldRunning }
}

function namespaceTarget(namespace: string, cluster: ClusterSnapshot, settings: Settings): Target {
  const waypoint = namespaceWaypoint(namespace, cluster, settings)
  if (!waypoint) {
    const { waypoint: rule } = ambientRule(namespace, cluster, settings) ?? {}
    const partly = rule && byKey(cluster.services, `${namespace}/${rule.services[0] ?? ''}`)
    const some = partly && serviceWaypoint(partly, cluster, settings)
    return { kind: 'namespace', waypoint: some, isPartly: some !== undefined, isShared: false }
  }
  const services = inNamespace(cluster.services, namespace).filter(hasAddress)
  const isPartly = services.some(service => serviceWaypoint(service, cluster, settings)?.name !== waypoint.name)
  return { kind: 'namespace', waypoint, isPartly, isShared: isShared(waypoint, namespace, cluster, settings) }
}

/**
 * The Services that lead to the selected workloads. From Pods this is exact; in files a Service whose own selector holds
 * the policy's labels leads to selected pods only, whatever workloads there will be.
 */
function servicesTarget(
  namespace: string,
  labels: Record<string, string>,
  apps: Workload[],
  kind: 'AP' | 'RA',
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): Target {
  const all = inNamespace(cluster.workloads, namespace)
  const services = inNamespace(cluster.services, namespace).filter(({ spec }) => {
    const selector = spec?.selector ?? {}
    if (Object.keys(selector).length === 0 || spec?.type === 'ExternalName') return false
    return isSelected(selector, labels) || apps.some(app => isSelected(app.labels, selector))
  })
  if (apps.length === 0 && services.length === 0) {
    report(`${kind}-WORKLOAD-NONE`, 'spec.selector')
    return { kind: 'none' }
  }
  const served = services.filter(hasAddress)
  const waypoints = served.map(service => serviceWaypoint(service, cluster, settings))
  const keys = new Set(waypoints.map(waypoint => waypoint && `${waypoint.namespace}/${waypoint.name}`))
  if (keys.size > 1) {
    const workloads = served.map(({ metadata }) => `Service ${metadata.name}`).join(' and ')
    report(`${kind}-WORKLOAD-MIXED`, 'spec.selector', { workloads: workloads.slice(0, 100) })
    return { kind: 'none' }
  }
  const [waypoint] = waypoints
  if (waypoint) {
    for (const { metadata, spec } of served) {
      const isWider = all.some(
        other => isSelected(other.labels, spec?.selector ?? {}) && !isSelected(other.labels, labels),
      )
      if (isWider) report(`${kind}-SERVICE-WIDER`, 'spec.selector', { service: metadata.name ?? '' })
    }
    for (const { metadata } of services.filter(service => !hasAddress(service)))
      report(`${kind}-SERVICE-HEADLESS`, 'spec.selector', { service: metadata.name ?? '' })
  }
  return { kind: 'services', services: served, waypoint }
}

/** Services without an address of their own never pass a waypoint (research/policies.md 10.7). */
function hasAddress({ spec }: core.Service): boolean {
  return spec?.clusterIP !== 'None' && spec?.type !== 'ExternalName'
}

/** `targetRefs` for Services. More than 16 are refused by the CRD, and reported by the caller. */
export function serviceRefs(services: core.Service[]): istio.PolicyTargetReference[] {
  return services.map(({ metadata }) => ({ group: '', kind: 'Service', name: metadata.name ?? '' }))
}

export function gatewayRef(name: string): istio.PolicyTargetReference {
  return { group: 'gateway.networking.k8s.io', kind: 'Gateway', name }
}

export function gatewayClassRef(name: string): istio.PolicyTargetReference {
  return { group: 'gateway.networking.k8s.io', kind: 'GatewayClass', name }
}
