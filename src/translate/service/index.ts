// Service: one that the settings enrol by name is labelled for its waypoint. Files only and the reconciler: the webhook
// does not take Services, since Kubeflow's controllers wipe labels that they did not write (research/kubeflow.md, table a).
import type { Service } from '../../apis/core.ts'
import { canServe, keyOf, missingForEnrolment } from '../namespace/enrolment.ts'
import { withField } from '../original.ts'
import { createReport } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { leave, type Translation } from '../translation.ts'
import {
  ambientRule,
  ingressUseWaypointLabel,
  labelledWaypoint,
  ruledWaypoint,
  useWaypointLabel,
  useWaypointNamespaceLabel,
} from '../waypoint.ts'

export function translateService(object: Service, cluster: ClusterSnapshot, settings: Settings): Translation<Service> {
  const report = createReport(settings)
  const namespace = namespaceOf(object)
  const { name = '', labels = {} } = object.metadata
  const chosen = labelledWaypoint(labels, namespace)
  if (chosen) canServe(chosen, namespace, 'SVC', cluster, settings, report)
  const { waypoint: rule } = ambientRule(namespace, cluster, settings) ?? {}
  const owner = cluster.namespaces.get(namespace)
  const isNamed = rule !== undefined && rule.services !== 'all' && rule.services.includes(name)
  if (!isNamed || chosen !== undefined || !owner) return leave(object, report)

  const waypoint = ruledWaypoint(rule, namespace)
  if (!canServe(waypoint, namespace, 'SVC', cluster, settings, report)) return leave(object, report)
  // Last of all, as for a Namespace: from then on pods see the waypoint as their caller.
  const missing = missingForEnrolment(owner, waypoint, cluster, settings)
  if (missing) {
    report('SVC-WAYPOINT-PENDING', 'metadata.labels', { waypoint: keyOf(waypoint), missing })
    return leave(object, report)
  }
  report('SVC-ENROLLED', 'metadata.labels', { waypoint: keyOf(waypoint) })
  let enrolled = withField(object, ['metadata', 'labels', useWaypointLabel], waypoint.name)
  if (waypoint.namespace !== namespace)
    enrolled = withField(enrolled, ['metadata', 'labels', useWaypointNamespaceLabel], waypoint.namespace)
  if (rule.ingressUseWaypoint && labels[ingressUseWaypointLabel] === undefined)
    enrolled = withField(enrolled, ['metadata', 'labels', ingressUseWaypointLabel], 'true')
  return { object: enrolled, companions: [], warnings: [...report.diagnostics] }
}
