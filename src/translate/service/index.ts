// Service: one that the settings enrol by name is labelled for its waypoint. Files only and the reconciler: the webhook
// does not take Services, since Kubeflow's controllers wipe labels that they did not write (research/kubeflow.md, table a).
import type { Service } from '../../apis/core.ts'
import { missingForEnrolment } from '../namespace/index.ts'
import { withField } from '../original.ts'
import { createReport } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { leave, type Translation } from '../translation.ts'
import { ambientRule, ingressUseWaypointLabel, useWaypointLabel, useWaypointNamespaceLabel } from '../waypoint.ts'

export function translateService(object: Service, cluster: ClusterSnapshot, settings: Settings): Translation<Service> {
  const namespace = namespaceOf(object)
  const { waypoint } = ambientRule(namespace, cluster, settings) ?? {}
  const { name = '', labels = {} } = object.metadata
  if (!waypoint || waypoint.services === 'all' || !waypoint.services.includes(name)) return leave(object)
  if (labels[useWaypointLabel] !== undefined) return leave(object)
  const owner = cluster.namespaces.get(namespace)
  // Last of all, as for a Namespace: from then on pods see the waypoint as their caller.
  if (!owner || missingForEnrolment(owner, waypoint, cluster, settings)) return leave(object)
  const report = createReport(settings)
  report('SVC-ENROLLED', 'metadata.labels', { waypoint: `${waypoint.namespace ?? namespace}/${waypoint.name}` })
  let enrolled = withField(object, ['metadata', 'labels', useWaypointLabel], waypoint.name)
  if (waypoint.namespace && waypoint.namespace !== namespace)
    enrolled = withField(enrolled, ['metadata', 'labels', useWaypointNamespaceLabel], waypoint.namespace)
  if (waypoint.ingressUseWaypoint)
    enrolled = withField(enrolled, ['metadata', 'labels', ingressUseWaypointLabel], 'true')
  return { object: enrolled, companions: [], warnings: [...report.diagnostics] }
}
