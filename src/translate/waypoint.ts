// Which waypoint serves a Namespace or a Service, and as whom it calls (research/policies.md 1.4 and 3).
import type * as core from '../apis/core.ts'
import type * as gateway from '../apis/gateway.ts'
import type { NamespaceRule, Settings } from './settings.ts'
import { type ClusterSnapshot, inNamespace, namespaceOf } from './snapshot.ts'

export const dataplaneModeLabel = 'istio.io/dataplane-mode'
export const useWaypointLabel = 'istio.io/use-waypoint'
export const useWaypointNamespaceLabel = 'istio.io/use-waypoint-namespace'
export const ingressUseWaypointLabel = 'istio.io/ingress-use-waypoint'
export const waypointClass = 'istio-waypoint'

/** A waypoint as policies need it: where it is, and who it is to the pods behind it. */
export interface Waypoint {
  namespace: string
  name: string
  /** `namespace/name` of its service account. */
  serviceAccount: string
  /** Whether it takes traffic: it has an address and its controller says Programmed. */
  isProgrammed: boolean
}

/** The first rule of the settings that matches a Namespace. */
export function namespaceRule(
  name: string,
  labels: Record<string, string> = {},
  { namespaces }: Settings,
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

/** The waypoint that serves all Services of a Namespace: by its label, else by its rule. Undefined when none does. */
export function namespaceWaypoint(name: string, cluster: ClusterSnapshot, settings: Settings): Waypoint | undefined {
  const labels = cluster.namespaces.get(name)?.metadata.labels ?? {}
  const labelled = labelledWaypoint(labels, name, cluster)
  if (labelled !== undefined) return labelled || undefined
  const { waypoint } = ambientRule(name, cluster, settings) ?? {}
  if (waypoint?.services !== 'all') return undefined
  return waypointAt(waypoint.namespace ?? name, waypoint.name, cluster)
}

/** The waypoint that traffic to a Service passes: by the Service's label, its rule, or its Namespace (in this order). */
export function serviceWaypoint(
  service: core.Service,
  cluster: ClusterSnapshot,
  settings: Settings,
): Waypoint | undefined {
  const namespace = namespaceOf(service)
  const labelled = labelledWaypoint(service.metadata.labels ?? {}, namespace, cluster)
  if (labelled !== undefined) return labelled || undefined
  const { waypoint } = ambientRule(namespace, cluster, settings) ?? {}
  if (waypoint && waypoint.services !== 'all' && waypoint.services.includes(service.metadata.name ?? ''))
    return waypointAt(waypoint.namespace ?? namespace, waypoint.name, cluster)
  return namespaceWaypoint(namespace, cluster, settings)
}

/** Whether other Namespaces use the waypoint too, so that a policy on it would hold there as well. */
export function isShared(waypoint: Waypoint, namespace: string, cluster: ClusterSnapshot, settings: Settings): boolean {
  if (waypoint.namespace !== namespace) return true
  return [...cluster.namespaces.keys()].some(other => {
    if (other === namespace) return false
    const { waypoint: rule } = ambientRule(other, cluster, settings) ?? {}
    if (rule?.name === waypoint.name && rule.namespace === waypoint.namespace) return true
    const used = namespaceWaypoint(other, cluster, settings)
    if (used?.namespace === namespace && used.name === waypoint.name) return true
    return inNamespace(cluster.services, other).some(({ metadata }) => {
      const { labels = {} } = metadata
      return labels[useWaypointLabel] === waypoint.name && labels[useWaypointNamespaceLabel] === namespace
    })
  })
}

/** `false`: the label says `none`. Undefined: there is no label. */
function labelledWaypoint(
  labels: Record<string, string>,
  namespace: string,
  cluster: ClusterSnapshot,
): Waypoint | false | undefined {
  const name = labels[useWaypointLabel]
  if (!name) return undefined
  if (name === 'none') return false
  return waypointAt(labels[useWaypointNamespaceLabel] ?? namespace, name, cluster)
}

/** The waypoint of this name, whether it is there yet or not. */
export function waypointAt(namespace: string, name: string, cluster: ClusterSnapshot): Waypoint {
  const object = cluster.gateways.get(namespace)?.get(name)
  // The service account is called like the Gateway (`gatewaycommon/classinfo.go`), unless it says otherwise.
  const account = object?.metadata.annotations?.['gateway.istio.io/service-account'] ?? name
  const isProgrammed = cluster.statuses === 'assumed' || (object !== undefined && isReady(object))
  return { namespace, name, serviceAccount: `${namespace}/${account}`, isProgrammed }
}

function isReady({ spec, status }: gateway.Gateway): boolean {
  // Istio reports any Gateway with an address as a waypoint (research/policies.md 4), so the class is checked here.
  if (spec?.gatewayClassName !== waypointClass || (status?.addresses ?? []).length === 0) return false
  return (status?.conditions ?? []).some(({ type, status }) => type === 'Programmed' && status === 'True')
}

/** Whether labels satisfy a selector. An empty selector is satisfied by everything. */
export function isSelected(labels: Record<string, string>, selector: Record<string, string>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
}
