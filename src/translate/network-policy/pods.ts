// The pods that NetworkPolicies are about: applications that ambient captures, waypoints, and gateways old and new.
import type * as core from '../../apis/core.ts'
import { namespaceNameLabel } from '../allowed-routes.ts'
import { gatewayNameLabel } from '../companion.ts'
import { isSelected } from '../labels.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import type { GatewayMapping } from '../settings.ts'
import { byKey, type ClusterSnapshot, inNamespace, namespaceOf, type Workload } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientRule, isReachedByIngress, serviceWaypoint, type WaypointReference } from '../waypoint.ts'
import { fits, labelsFor, type Pod, podIn, selects } from './isolation.ts'

type Surroundings = Pick<Context, 'cluster' | 'settings'>

/** A pod that ztunnel takes connections for. */
export interface Captured extends Pod {
  ports: Workload['ports']
  /** Whether it is there, or made up of what a selector asks for. */
  isKnown: boolean
}

/** The captured pods that a policy selects; where no pod is known that it selects, what one would look like. */
export function capturedPods(policy: core.NetworkPolicy, { cluster }: Surroundings): Captured[] {
  const namespace = namespaceOf(policy)
  const known = inNamespace(cluster.workloads, namespace).filter(({ labels }) => selects(policy, labels))
  if (known.length > 0)
    return known
      .filter(isCaptured)
      .map(pod => ({ ...podIn(namespace, pod.labels, cluster), ports: pod.ports, isKnown: true }))
  const labels = labelsFor(policy.spec?.podSelector ?? {})
  return [{ ...podIn(namespace, labels, cluster), ports: [], isKnown: false }]
}

function isCaptured({ state, isOptedOut }: Workload): boolean {
  return state !== 'gateway' && !isOptedOut
}

/** Pods in the mesh that fit a peer: what one looks like in each ambient namespace that it means, and gateways. */
export function meshPods(peer: core.NetworkPolicyPeer, own: string, surroundings: Surroundings): Pod[] {
  const { cluster, settings } = surroundings
  if (peer.ipBlock) return []
  const labels = labelsFor(peer.podSelector ?? {})
  const gateways = gatewayPods(surroundings).filter(pod => fits(peer, own, pod))
  if (!peer.namespaceSelector) return [podIn(own, labels, cluster), ...gateways]
  const named = [...(peer.namespaceSelector.matchExpressions ?? [])].filter(({ key }) => key === namespaceNameLabel)
  const names = new Set([
    ...cluster.namespaces.keys(),
    ...cluster.workloads.keys(),
    ...named.flatMap(({ values = [] }) => values),
    ...[peer.namespaceSelector.matchLabels?.[namespaceNameLabel] ?? []].flat(),
  ])
  const there = [...names]
    .sort()
    .filter(name => fits({ namespaceSelector: peer.namespaceSelector ?? {} }, own, podIn(name, {}, cluster)))
  const ambient = there.filter(name => ambientRule(name, cluster, settings)).map(name => podIn(name, labels, cluster))
  // A namespace that nobody has made yet is taken for one of the mesh.
  const later = { namespace: '', namespaceLabels: labelsFor(peer.namespaceSelector), labels }
  return there.length > 0 ? [...ambient, ...gateways] : [later, ...gateways]
}

// Waypoints --------------------------------------------------------------------------------------------------------

/** A Service and the waypoint that its callers come through. */
export interface Served {
  service: core.Service
  waypoint: WaypointReference
}

/** The Services of a pod. Of a pod that is made up, those whose selector asks for its labels as well. */
export function servicesOf(
  { namespace, labels, isKnown = true }: Pod & { isKnown?: boolean },
  cluster: ClusterSnapshot,
) {
  return inNamespace(cluster.services, namespace).filter(({ spec: { selector } = {} }) => {
    if (!selector || Object.keys(selector).length === 0) return false
    return isSelected(labels, selector) || (!isKnown && Object.keys(labels).length > 0 && isSelected(selector, labels))
  })
}

/** The Services of a pod that waypoints serve, and whether they are all it has. */
export function servedOf(
  pod: Pod & { isKnown?: boolean },
  { cluster, settings }: Surroundings,
): { served: Served[]; isWhole: boolean } {
  const services = servicesOf(pod, cluster)
  const served = services.flatMap(service => {
    const waypoint = serviceWaypoint(service, cluster, settings)
    return waypoint ? [{ service, waypoint }] : []
  })
  return { served, isWhole: served.length > 0 && served.length === services.length }
}

/** Whether a caller's requests for a Service go through its waypoint: all in the mesh do, gateways only when they are told to. */
export function passesWaypoint(
  { isGateway }: Pod,
  service: core.Service,
  { cluster, settings }: Surroundings,
): boolean {
  return !isGateway || isReachedByIngress(service, cluster, settings)
}

/** The pods of a waypoint: those that run, or as istiod will label them. */
export function waypointPod({ namespace, name }: WaypointReference, cluster: ClusterSnapshot): Pod {
  const running = inNamespace(cluster.workloads, namespace).find(({ labels }) => labels[gatewayNameLabel] === name)
  const labels = running?.labels ?? { ...carried(`${namespace}/${name}`, cluster), [gatewayNameLabel]: name }
  return podIn(namespace, labels, cluster)
}

// Gateways ---------------------------------------------------------------------------------------------------------

/** Where somebody replaces an ingress gateway: the pods before and after. */
export interface Replaced {
  gateway: string
  mapping: GatewayMapping
  old: Pod
  pod: Pod
}

/** The mappings whose gateway gets pods of its own. */
export function replacedGateways({ cluster, settings }: Surroundings): Replaced[] {
  return settings.gateways.flatMap(mapping => {
    const { key, namespace, name } = gatewayOf(mapping)
    const object = byKey(cluster.gateways, key)
    // With an address of its own it is bound to pods of somebody's making, the old ones.
    if (mapping.addresses?.length || object?.spec?.addresses?.length) return []
    const running = inNamespace(cluster.workloads, namespace).find(({ labels }) => labels[gatewayNameLabel] === name)
    const promised = mapping.create ? mapping.labels : carried(key, cluster)
    const labels = running?.labels ?? { ...promised, [gatewayNameLabel]: name }
    const old = podIn(mapping.pods.namespace, mapping.pods.labels, cluster)
    return [{ gateway: key, mapping, old, pod: podIn(namespace, labels, cluster) }]
  })
}

/** The labels that istiod copies to a Gateway's pods: those of its infrastructure, else its own. */
function carried(key: string, cluster: ClusterSnapshot): Record<string, string> {
  const object = byKey(cluster.gateways, key)
  return object?.spec?.infrastructure?.labels ?? object?.metadata.labels ?? {}
}

/** The pods of ingress and egress gateways, which speak HBONE to captured pods. */
function gatewayPods(surroundings: Surroundings): Pod[] {
  const { cluster, settings } = surroundings
  // Asked for every peer of every policy, of a cluster where hardly any pod is a gateway: nothing is made of the others.
  const running: Pod[] = []
  for (const pods of cluster.workloads.values())
    for (const { namespace, labels, state } of pods.values())
      if (state === 'gateway') running.push(podIn(namespace, labels, cluster))
  const old = settings.gateways.map(({ pods }) => podIn(pods.namespace, pods.labels, cluster))
  const pods = [...running, ...old, ...replacedGateways(surroundings).map(({ pod }) => pod)]
  return pods.map(pod => ({ ...pod, isGateway: true }))
}
