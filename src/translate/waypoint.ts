// Which waypoint serves a Namespace or a Service, and as whom it calls (research/policies.md 1.4 and 3).
import type * as core from '../apis/core.ts'
import { isSelected } from './labels.ts'
import type { NamespaceRule, Settings, WaypointRule } from './settings.ts'
import { type ClusterSnapshot, namespaceOf } from './snapshot.ts'
import { useWaypointNamespaceLabel } from './strangers.ts'
import {
  allowedNamespaces,
  isReady,
  type Obstacle,
  obstacleNow,
  obstacleOf,
  refusesOthers,
  waypointAccount,
} from './waypoint-gateway.ts'

export { isSelected } from './labels.ts'
export { useWaypointNamespaceLabel } from './strangers.ts'
export { waypointClass } from './waypoint-gateway.ts'

export const dataplaneModeLabel = 'istio.io/dataplane-mode'
export const useWaypointLabel = 'istio.io/use-waypoint'
export const ingressUseWaypointLabel = 'istio.io/ingress-use-waypoint'

/** A waypoint by its Gateway. */
export interface WaypointReference {
  namespace: string
  name: string
}

/** A waypoint as policies need it: where it is, and who it is to the pods behind it. */
export interface Waypoint extends WaypointReference {
  /** `namespace/name` of its service account. */
  readonly serviceAccount: string
  /** Whether it takes the traffic of whoever asked: it runs, can serve Services, and admits the namespace. */
  isProgrammed: boolean
}

/** The first rule of the settings that matches a Namespace. */
export function namespaceRule(
  name: string,
  labels: Record<string, string> = {},
  { namespaces }: Pick<Settings, 'namespaces'>,
): NamespaceRule | undefined {
  return namespaces.find(({ names, matchLabels }) =>
    names ? names.includes(name) : matchLabels !== undefined && isSelected(labels, matchLabels),
  )
}

/** The rule for a Namespace of the snapshot, unless its own label keeps it out of the mesh. */
export function ambientRule(name: string, cluster: ClusterSnapshot, settings: Settings): NamespaceRule | undefined {
  const labels = cluster.namespaces.get(name)?.metadata.labels ?? {}
  if (labels[dataplaneModeLabel] === 'none') return undefined
  const rule = namespaceRule(name, labels, settings)
  if (rule) return rule
  // A Namespace that somebody made ambient by hand is judged like any other, with the waypoint that its labels name.
  return labels[dataplaneModeLabel] === 'ambient' ? { names: [name], dataplaneMode: 'ambient' } : undefined
}

/** The ambient Namespaces that an object of a Namespace reaches: its own, or all of them from the root namespace. */
export function ambientNamespaces(own: string, cluster: ClusterSnapshot, settings: Settings): string[] {
  // The settings name Namespaces that files do not always hold.
  const all = new Set([...cluster.namespaces.keys(), ...settings.namespaces.flatMap(({ names = [] }) => names)])
  const reached = own === settings.rootNamespace ? [...all].sort() : [own]
  return reached.filter(name => ambientRule(name, cluster, settings) !== undefined)
}

/** The waypoint that serves all Services of a Namespace: by its label, else by its rule. Undefined when none does. */
export function namespaceWaypoint(name: string, cluster: ClusterSnapshot, settings: Settings): Waypoint | undefined {
  const labelled = labelledWaypoint(cluster.namespaces.get(name)?.metadata.labels, name)
  if (labelled) return waypointAt(labelled.namespace, labelled.name, cluster, name, settings)
  const { waypoint } = ambientRule(name, cluster, settings) ?? {}
  if (labelled === false || waypoint?.services !== 'all') return undefined
  return waypointAt(waypoint.namespace ?? name, waypoint.name, cluster, name, settings)
}

/**
 * The waypoint that traffic to a Service, or to the hosts of a ServiceEntry, passes: by its own label, its rule, or its
 * Namespace (in this order).
 */
export function serviceWaypoint(
  service: core.KubernetesObject,
  cluster: ClusterSnapshot,
  settings: Settings,
): Waypoint | undefined {
  const namespace = namespaceOf(service)
  const labelled = labelledWaypoint(service.metadata.labels, namespace)
  if (labelled) return waypointAt(labelled.namespace, labelled.name, cluster, namespace, settings)
  if (labelled === false) return undefined
  const { waypoint } = ambientRule(namespace, cluster, settings) ?? {}
  if (waypoint && waypoint.services !== 'all' && waypoint.services.includes(service.metadata.name ?? ''))
    return waypointAt(waypoint.namespace ?? namespace, waypoint.name, cluster, namespace, settings)
  return namespaceWaypoint(namespace, cluster, settings)
}

/**
 * Whether other Namespaces use the waypoint too, or will once they are there, so that a policy on it would hold there as
 * well. Whoever names it and is not admitted does not use it: else a stranger's label could forbid its owner a policy.
 */
export function isShared(waypoint: Waypoint, namespace: string, cluster: ClusterSnapshot, settings: Settings): boolean {
  if (waypoint.namespace !== namespace) return true
  const { from, selector } = allowedNamespaces(namespace, waypoint.name, settings)
  if (from === 'All' || selector) return true
  const object = cluster.gateways.get(namespace)?.get(waypoint.name)
  if (object && refusesOthers(object, cluster, settings)) return false
  const { namespaces, strangers } = cluster
  if (strangers.of === namespaces && !strangers.isNamed(waypoint.namespace)) return false
  return [...namespaces].some(([other, namespace]) => {
    if (other === waypoint.namespace) return false
    const users = [namespace, ...(cluster.services.get(other)?.values() ?? [])]
    const isNamed = users.some(({ metadata }) => isSame(labelledWaypoint(metadata.labels, other), waypoint))
    return isNamed && obstacleTo(waypoint, other, cluster, settings)?.kind !== 'refused'
  })
}

/** The waypoint that labels name, for an object of the namespace. `false`: they say that none serves it. */
export function labelledWaypoint(
  labels: Record<string, string> = {},
  namespace: string,
): WaypointReference | false | undefined {
  const name = labels[useWaypointLabel]
  if (name === undefined) return undefined
  // An empty name stands in the way of the Namespace's waypoint and leads to no Gateway (`fetchWaypointForTarget`).
  if (name === 'none' || name === '') return false
  return { namespace: labels[useWaypointNamespaceLabel] ?? namespace, name }
}

/** The waypoint that a rule names, for a namespace that it holds for. */
export function ruledWaypoint({ namespace, name }: WaypointRule, own: string): WaypointReference {
  return { namespace: namespace ?? own, name }
}

export function isSame(one: WaypointReference | false | undefined, other: WaypointReference): boolean {
  return one !== undefined && one !== false && one.namespace === other.namespace && one.name === other.name
}

/** What keeps a waypoint from serving a namespace. While nobody has made the Gateway, nothing is known of that. */
export function obstacleTo(
  { namespace, name }: WaypointReference,
  user: string,
  cluster: ClusterSnapshot,
  settings: Settings,
): Obstacle | undefined {
  const object = cluster.gateways.get(namespace)?.get(name)
  return object && obstacleOf(object, user, cluster, settings)
}

/** The waypoint of this name as `user` finds it, a namespace, whether it is there yet or not. */
export function waypointAt(
  namespace: string,
  name: string,
  cluster: ClusterSnapshot,
  user = namespace,
  settings?: Settings,
): Waypoint {
  const object = cluster.gateways.get(namespace)?.get(name)
  const isAssumed = cluster.statuses === 'assumed'
  const obstacle =
    isAssumed && settings
      ? obstacleTo({ namespace, name }, user, cluster, settings)
      : object && obstacleNow(object, user, cluster)
  return {
    namespace,
    name,
    // Looked for among all pods of the namespace, and not asked for by everybody.
    get serviceAccount() {
      return waypointAccount(namespace, name, cluster)
    },
    isProgrammed: obstacle === undefined && (isAssumed || (object !== undefined && isReady(object))),
  }
}

/** Whether ingress gateways hand requests for the Service to its waypoint: by its label, its Namespace's, or the settings. */
export function isReachedByIngress(service: core.Service, cluster: ClusterSnapshot, settings: Settings): boolean {
  const namespace = namespaceOf(service)
  const labels = [service.metadata.labels, cluster.namespaces.get(namespace)?.metadata.labels]
  const said = labels.map(labels => labels?.[ingressUseWaypointLabel]).find(value => value !== undefined)
  if (said !== undefined) return said === 'true'
  return ambientRule(namespace, cluster, settings)?.waypoint?.ingressUseWaypoint === true
}
