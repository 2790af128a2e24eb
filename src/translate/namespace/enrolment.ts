// When a waypoint may serve a Namespace or a Service: when it can, and when every policy is where it will be asked. From
// then on pods see the waypoint as their caller, so this comes last (design.md section 5).
import type { KubernetesObject, Namespace } from '../../apis/core.ts'
import { translateAuthorizationPolicy } from '../authorization-policy/index.ts'
import { isEqual } from '../canonical.ts'
import { isCompanion } from '../companion.ts'
import type { Report } from '../report.ts'
import { translateRequestAuthentication } from '../request-authentication/index.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, inNamespace } from '../snapshot.ts'
import { obstacleTo, useWaypointLabel, type WaypointReference, waypointAt } from '../waypoint.ts'

/** Reports what keeps a waypoint from serving objects of the namespace. `kind` is the prefix of the codes. */
export function canServe(
  waypoint: WaypointReference,
  namespace: string,
  kind: 'NS' | 'SVC',
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): boolean {
  const obstacle = obstacleTo(waypoint, namespace, cluster, settings)
  if (!obstacle) return true
  const field = `metadata.labels[${useWaypointLabel}]`
  const key = keyOf(waypoint)
  if (obstacle.kind === 'unfit') report(`${kind}-WAYPOINT-UNFIT`, field, { waypoint: key, reason: obstacle.reason })
  else report(`${kind}-WAYPOINT-REFUSED`, field, { waypoint: key, namespace })
  return false
}

/** What still has to be in place before traffic may pass the waypoint; undefined when nothing is missing. */
export function missingForEnrolment(
  namespace: Namespace,
  { namespace: place, name: waypointName }: WaypointReference,
  observed: ClusterSnapshot,
  settings: Settings,
): string | undefined {
  const { name = '' } = namespace.metadata
  // A sidecar takes the waypoint for its caller: a DENY of a principal would fail open (research/policies.md 10.3).
  const sidecars = sidecarsIn(name, observed)
  if (sidecars > 0) return `the restart of ${sidecars} pods with sidecars`
  if (observed.statuses === 'assumed') return undefined
  // The policies are judged as they will be once the Namespace is stored like this.
  const cluster = { ...observed, namespaces: new Map(observed.namespaces).set(name, namespace) }
  const waypoint = waypointAt(place, waypointName, cluster, name, settings)
  if (!waypoint.isProgrammed) return `Gateway ${keyOf(waypoint)}`
  const policies = inNamespace(cluster.authorizationPolicies, name).filter(policy => !isCompanion(policy))
  for (const policy of policies) {
    const { object, companions, denial } = translateAuthorizationPolicy(policy, cluster, settings)
    const isSettled = !denial && isEqual(object.spec, policy.spec) && companions.every(each => isThere(each, cluster))
    if (!isSettled) return `AuthorizationPolicy ${policy.metadata.name}`
  }
  const tokens = inNamespace(cluster.requestAuthentications, name).filter(policy => !isCompanion(policy))
  const waiting = tokens.find(
    policy => !isEqual(translateRequestAuthentication(policy, cluster, settings).object.spec, policy.spec),
  )
  return waiting && `RequestAuthentication ${waiting.metadata.name}`
}

export function sidecarsIn(namespace: string, cluster: ClusterSnapshot): number {
  const workloads = [...(cluster.workloads.get(namespace)?.values() ?? [])]
  return workloads.filter(({ state }) => state === 'sidecar').length
}

/** `namespace/name`. */
export function keyOf({ namespace, name }: WaypointReference): string {
  return `${namespace}/${name}`
}

function isThere({ metadata }: KubernetesObject, cluster: ClusterSnapshot): boolean {
  const { namespace = '', name = '' } = metadata
  return cluster.authorizationPolicies.get(namespace)?.has(name) ?? false
}
