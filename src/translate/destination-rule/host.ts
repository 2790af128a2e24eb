// spec.host -> whom it means, and who stands before it in ambient.
import type { KubernetesObject } from '../../apis/core.ts'
import { isCovered } from '../hostname.ts'
import type { ClusterSnapshot } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientNamespaces, ambientRule, namespaceWaypoint, serviceWaypoint, type Waypoint } from '../waypoint.ts'

export interface Destination {
  /** The namespace of the Services; none for hosts beyond the cluster and for wildcards over several namespaces. */
  namespace?: string
  /** Whether its pods are ambient, or will be. */
  isAmbient: boolean
  isExternal: boolean
  /** The waypoint that calls of pods pass. */
  waypoint: Waypoint | undefined
}

/** A name without a dot is a Service beside the DestinationRule, as in a VirtualService. */
export function destinationOf(host: string, own: string, context: Context): Destination {
  const { cluster, settings } = context
  const suffix = `.svc.${settings.clusterDomain}`
  const isFull = host.endsWith(suffix)
  const [name = '', namespace = own, ...rest] = (isFull ? host.slice(0, -suffix.length) : host).split('.')
  const isService = isFull ? host !== `*${suffix}` : !host.includes('.') && host !== '*'
  if (isService && rest.length === 0) {
    const isAmbient = ambientRule(namespace, cluster, settings) !== undefined
    const waypoint =
      name === '*'
        ? namespaceWaypoint(namespace, cluster, settings)
        : serviceWaypoint(serviceAt(namespace, name, cluster), cluster, settings)
    return { namespace, isAmbient, isExternal: false, waypoint }
  }
  if (isCovered(`a.b${suffix}`, host)) {
    const waypoints = ambientNamespaces(settings.rootNamespace, cluster, settings).map(each =>
      namespaceWaypoint(each, cluster, settings),
    )
    const waypoint = waypoints.includes(undefined) ? undefined : waypoints[0]
    return { isAmbient: waypoints.length > 0, isExternal: false, waypoint }
  }
  const entry = [...cluster.serviceEntries.values()]
    .flatMap(entries => [...entries.values()])
    .find(({ spec }) => spec?.hosts?.some(each => isCovered(host, each)))
  const waypoint = entry && serviceWaypoint(entry, cluster, settings)
  return { isAmbient: false, isExternal: true, waypoint }
}

/** The Service, or where files do not hold it what the rules for its name need. */
function serviceAt(namespace: string, name: string, cluster: ClusterSnapshot): KubernetesObject {
  return (
    cluster.services.get(namespace)?.get(name) ?? { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace } }
  )
}
