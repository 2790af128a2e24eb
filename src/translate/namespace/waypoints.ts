// The waypoint Gateways that sidestep keeps in a Namespace: for itself, and for others whose rules name one there.
import type { Namespace } from '../../apis/core.ts'
import type * as gateway from '../../apis/gateway.ts'
import { companionMetadata, isCompanion } from '../companion.ts'
import type { Report } from '../report.ts'
import type { Settings, WaypointRule } from '../settings.ts'
import type { ClusterSnapshot } from '../snapshot.ts'
import { dataplaneModeLabel, isSame, labelledWaypoint, ruledWaypoint } from '../waypoint.ts'
import { allowedNamespaces, waypointForLabel, waypointSpec } from '../waypoint-gateway.ts'

/**
 * What the settings leave to sidestep and nobody else has made, as far as it is used.
 * @param own the waypoint of the Namespace's rule
 */
export function waypointGateways(
  namespace: Namespace,
  own: WaypointRule | undefined,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): gateway.Gateway[] {
  const { name: here = '' } = namespace.metadata
  const created = settings.namespaces
    .flatMap(({ waypoint }) => (waypoint?.namespace === here ? waypoint : []))
    .concat(own ?? [])
    .filter(rule => rule.create && ruledWaypoint(rule, here).namespace === here)
  return [...new Set(created.map(({ name }) => name))].sort().flatMap(name => {
    const there = cluster.gateways.get(here)?.get(name)
    if (there && !isCompanion(there)) return []
    const isForOthers = allowedNamespaces(here, name, settings).from !== 'Same'
    if (!isForOthers && !(own?.name === name && isUsed(namespace, own, cluster))) return []
    report('NS-COMPANION-KEPT', 'metadata.labels', { gateway: `${here}/${name}` })
    return waypointGateway(namespace, name, settings)
  })
}

/** Whether the Namespace's own waypoint serves it; its owner may have chosen another, or none, or left ambient. */
function isUsed(namespace: Namespace, rule: WaypointRule, cluster: ClusterSnapshot): boolean {
  const { name: here = '', labels } = namespace.metadata
  if (labels?.[dataplaneModeLabel] === 'none') return false
  const waypoint = ruledWaypoint(rule, here)
  const chosen = labelledWaypoint(labels, here)
  if (rule.services !== 'all' || chosen === undefined || isSame(chosen, waypoint)) return true
  const services = [...(cluster.services.get(here)?.values() ?? [])]
  return services.some(({ metadata }) => isSame(labelledWaypoint(metadata.labels, here), waypoint))
}

function waypointGateway(namespace: Namespace, name: string, settings: Settings): gateway.Gateway {
  const metadata = companionMetadata(namespace, name)
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { ...metadata, labels: { ...metadata.labels, [waypointForLabel]: 'service' } },
    spec: waypointSpec(namespace.metadata.name ?? '', name, settings),
  }
}
