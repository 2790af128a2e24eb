// The Gateway that is a waypoint: what sidestep keeps, and whether any Gateway can serve the Services of a namespace
// (research/policies.md 1.4, 3 and 4; istiod's pilot/pkg/serviceregistry/ambient/waypoints.go).
import type * as gateway from '../apis/gateway.ts'
import { admits, namespaceNameLabel } from './allowed-routes.ts'
import { gatewayNameLabel, infrastructureAnnotations, isCompanion } from './companion.ts'
import type { Settings } from './settings.ts'
import { type ClusterSnapshot, namespaceOf } from './snapshot.ts'

export const waypointClass = 'istio-waypoint'
export const waypointForLabel = 'istio.io/waypoint-for'
const serviceAccountAnnotation = 'gateway.istio.io/service-account'

/** What keeps a waypoint from serving a namespace: it can serve no Services at all, or it does not admit this one. */
export type Obstacle = { kind: 'unfit'; reason: string } | { kind: 'refused' }

/** `spec` of a waypoint that sidestep keeps. */
export function waypointSpec(namespace: string, name: string, settings: Settings): gateway.Gateway['spec'] {
  const allowedRoutes = { namespaces: allowedNamespaces(namespace, name, settings) }
  return {
    gatewayClassName: waypointClass,
    infrastructure: { annotations: infrastructureAnnotations },
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes }],
  }
}

/**
 * Who may use a waypoint that sidestep keeps: its own namespace, and those whose rules name it. istiod reads a selector
 * for its own namespace too, so that one is named with the others.
 */
export function allowedNamespaces(namespace: string, name: string, settings: Settings): gateway.RouteNamespaces {
  const users = settings.namespaces.filter(
    ({ waypoint }) => waypoint?.namespace === namespace && waypoint.name === name,
  )
  if (users.some(({ names }) => !names)) return { from: 'All' }
  const values = [...new Set([namespace, ...users.flatMap(({ names = [] }) => names)])].sort()
  if (values.length === 1) return { from: 'Same' }
  return { from: 'Selector', selector: { matchExpressions: [{ key: namespaceNameLabel, operator: 'In', values }] } }
}

/**
 * What keeps a Gateway from serving a namespace. One that sidestep keeps counts as the settings have it: what else
 * stands there now is mended by the next step.
 */
export function obstacleOf(
  object: gateway.Gateway,
  user: string,
  cluster: ClusterSnapshot,
  settings: Settings,
): Obstacle | undefined {
  if (!isCompanion(object)) return obstacleNow(object, user, cluster)
  const spec = waypointSpec(namespaceOf(object), object.metadata.name ?? '', settings)
  return obstacleNow({ ...object, spec }, user, cluster)
}

/** The same of the Gateway as it stands. */
export function obstacleNow(
  { metadata, spec }: gateway.Gateway,
  user: string,
  cluster: ClusterSnapshot,
): Obstacle | undefined {
  const { gatewayClassName = '', listeners = [] } = spec ?? {}
  // istiod takes any Gateway with an address for a waypoint, but policies on a GatewayClass only reach this one.
  if (gatewayClassName !== waypointClass)
    return { kind: 'unfit', reason: `its class is ${gatewayClassName.slice(0, 40) || 'empty'}` }
  const listener = listeners.find(({ port, protocol }) => port === 15008 && protocol === 'HBONE')
  if (!listener) return { kind: 'unfit', reason: 'it has no HBONE listener on port 15008' }
  const traffic = metadata.labels?.[waypointForLabel] ?? 'service'
  if (traffic !== 'service' && traffic !== 'all')
    return { kind: 'unfit', reason: `its label ${waypointForLabel} is ${traffic.slice(0, 40) || 'empty'}` }
  return admits(listener, metadata.namespace || 'default', user, cluster) ? undefined : { kind: 'refused' }
}

/** Whether a Gateway refuses every namespace but its own: then nobody has to be asked whether they use it. */
export function refusesOthers(object: gateway.Gateway, cluster: ClusterSnapshot, settings: Settings): boolean {
  const namespace = namespaceOf(object)
  const { listeners = [] } = isCompanion(object)
    ? waypointSpec(namespace, object.metadata.name ?? '', settings)
    : (object.spec ?? {})
  return (
    listeners.every(({ allowedRoutes }) => (allowedRoutes?.namespaces?.from ?? 'Same') === 'Same') &&
    obstacleOf(object, anyOther, cluster, settings)?.kind === 'refused'
  )
}

/** No namespace is called so. */
const anyOther = ''

/** Whether the waypoint runs: it has an address, and its controller says Programmed. */
export function isReady({ status }: gateway.Gateway): boolean {
  if ((status?.addresses ?? []).length === 0) return false
  return (status?.conditions ?? []).some(({ type, status }) => type === 'Programmed' && status === 'True')
}

/**
 * `namespace/name` of a waypoint's service account: that of its pods, as istiod has it. Without pods it is called like
 * the Gateway, or as an annotation says (`TemplateInput.ServiceAccount` in istiod's deploymentcontroller.go; the annotation
 * `name-override` changes the Deployment only). While it changes, the new one is meant: the old pods are kept out.
 */
export function waypointAccount(namespace: string, name: string, cluster: ClusterSnapshot): string {
  const { annotations } = cluster.gateways.get(namespace)?.get(name)?.metadata ?? {}
  const given = `${namespace}/${annotations?.[serviceAccountAnnotation] || name}`
  const accounts = new Set<string>()
  for (const { labels, serviceAccount } of cluster.workloads.get(namespace)?.values() ?? [])
    if (labels[gatewayNameLabel] === name) accounts.add(serviceAccount)
  return accounts.has(given) ? given : ([...accounts].sort()[0] ?? given)
}
