// Waypoints under a policy that was written for the pods beside them, such as "allow my own namespace".
import type * as core from '../../apis/core.ts'
import { nameOf } from '../companion.ts'
import { keyOf as waypointKey } from '../namespace/enrolment.ts'
import { namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { serviceWaypoint, type WaypointReference } from '../waypoint.ts'
import { callersOf, hbonePort } from './ingress.ts'
import { admits, type Pod, podIn, policiesFor, rulesOf, selects, stranger } from './isolation.ts'
import { passesWaypoint, waypointPod } from './pods.ts'

export function checkWaypoints(policy: core.NetworkPolicy, context: Context): void {
  const { cluster, settings, report } = context
  const istiod = podIn(settings.rootNamespace, { app: 'istiod' }, cluster)
  for (const { waypoint, services } of waypointsIn(namespaceOf(policy), context)) {
    const pod = waypointPod(waypoint, cluster)
    if (!selects(policy, pod.labels)) continue
    const ingress = policiesFor(pod, 'Ingress', cluster, policy)
    const cutOff = services.find(service =>
      callersFor(service, policy, context).some(caller => !admits(ingress, 'Ingress', caller, hbonePort)),
    )
    if (ingress[0] === policy && cutOff)
      report('NP-WAYPOINT-CALLERS', 'spec.podSelector', { waypoint: waypointKey(waypoint), service: nameOf(cutOff) })
    const egress = policiesFor(pod, 'Egress', cluster, policy)
    if (egress[0] !== policy) continue
    const behind = services.map(podsOf).find(pod => !admits(egress, 'Egress', pod, hbonePort))
    const whom = admits(egress, 'Egress', istiod, 15012)
      ? behind && `its pods on port ${hbonePort}`
      : 'istiod on port 15012'
    if (whom) report('NP-WAYPOINT-CALLS', 'spec.podSelector', { waypoint: waypointKey(waypoint), whom })
  }

  function podsOf(service: core.Service): Pod {
    return podIn(namespaceOf(service), service.spec?.selector ?? {}, cluster)
  }
}

/** The waypoints of a namespace, each with the Services that it serves. */
function waypointsIn(
  namespace: string,
  { cluster, settings }: Context,
): { waypoint: WaypointReference; services: core.Service[] }[] {
  const { namespaces, strangers } = cluster
  // Hardly any waypoint serves other namespaces, and to look at all of their Services for each policy takes minutes.
  const servesOthers =
    strangers.of !== namespaces ||
    strangers.isNamed(namespace) ||
    settings.namespaces.some(({ waypoint }) => waypoint?.namespace === namespace)
  const near = servesOthers ? [...cluster.services.values()] : [cluster.services.get(namespace) ?? new Map()]
  const found = new Map<string, { waypoint: WaypointReference; services: core.Service[] }>()
  for (const service of near.flatMap((services): core.Service[] => [...services.values()])) {
    const waypoint = serviceWaypoint(service, cluster, settings)
    if (waypoint?.namespace !== namespace || !service.spec?.selector) continue
    const known = found.get(waypoint.name) ?? { waypoint, services: [] }
    known.services.push(service)
    found.set(waypoint.name, known)
  }
  return [...found.values()]
}

/** Who came to a Service's pods before, and comes to its waypoint now. */
function callersFor(service: core.Service, given: core.NetworkPolicy, context: Context): Pod[] {
  const namespace = namespaceOf(service)
  const pod = podIn(namespace, service.spec?.selector ?? {}, context.cluster)
  const policies = policiesFor(pod, 'Ingress', context.cluster, given)
  if (policies.length === 0) return [stranger]
  return policies
    .flatMap(policy => rulesOf(policy, 'Ingress') ?? [])
    .flatMap(rule => callersOf(rule, namespace, context))
    .filter(caller => passesWaypoint(caller, service, context))
}
