// When a waypoint may serve a Namespace or a Service: when it can, and when every policy is where it will be asked. From
// then on pods see the waypoint as their caller, so this comes last (design.md section 5).
import type { Namespace } from '../../apis/core.ts'
import type * as istio from '../../apis/istio.ts'
import { translateAuthorizationPolicy } from '../authorization-policy/index.ts'
import { isEqual } from '../canonical.ts'
import { isCompanion } from '../companion.ts'
import { isInPlace } from '../policy/companions.ts'
import type { Policy } from '../policy/targets.ts'
import type { Report } from '../report.ts'
import { translateRequestAuthentication } from '../request-authentication/index.ts'
import type { Settings } from '../settings.ts'
import { type ByNamespace, type ClusterSnapshot, inNamespace, namespaceOf } from '../snapshot.ts'
import type { Translation } from '../translation.ts'
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

/** What still has to be in place before traffic may go through the waypoint; undefined when nothing is missing. */
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
  const policy = inReach(cluster.authorizationPolicies, name, settings).find(
    each => !isSettled(each, translateAuthorizationPolicy(each, around(each), settings), name, cluster),
  )
  if (policy) return `AuthorizationPolicy ${policy.metadata.name}`
  const tokens = inReach(cluster.requestAuthentications, name, settings).find(
    each => !isSettled(each, translateRequestAuthentication(each, around(each), settings), name, cluster),
  )
  return tokens && `RequestAuthentication ${tokens.metadata.name}`

  function around(each: Policy): ClusterSnapshot {
    return namespaceOf(each) !== name && isAlikeEverywhere(each) ? nearTo(name, cluster, settings) : cluster
  }
}

/**
 * Whether a policy of the root namespace becomes the same whatever Namespaces there are: "allow nothing", and token checks
 * for the whole mesh. Of all others it takes one Namespace that cannot be served to refuse them everywhere.
 */
function isAlikeEverywhere({ kind, spec }: Policy): boolean {
  const {
    selector,
    action = 'ALLOW',
    rules = [],
    targetRef,
    targetRefs = [],
  } = (spec ?? {}) as istio.AuthorizationPolicySpec
  const isOfMesh = !selector?.matchLabels && !targetRef && targetRefs.length === 0
  return isOfMesh && (kind === 'RequestAuthentication' || (action === 'ALLOW' && rules.length === 0))
}

/**
 * The cluster as if there were no Namespaces but this and the root namespace, for policies that are alike everywhere: in a
 * large mesh each Namespace would look at all others because of them.
 */
function nearTo(name: string, cluster: ClusterSnapshot, { rootNamespace }: Settings): ClusterSnapshot {
  const namespaces = [name, rootNamespace].flatMap(each => {
    const namespace = cluster.namespaces.get(each)
    return namespace ? [[each, namespace] as const] : []
  })
  return { ...cluster, namespaces: new Map(namespaces) }
}

/** The policies that hold in a Namespace: its own, and those of the root namespace. */
function inReach<P extends Policy>(policies: ByNamespace<P>, namespace: string, { rootNamespace }: Settings): P[] {
  const namespaces = [...new Set([namespace, rootNamespace])]
  return namespaces.flatMap(name => inNamespace(policies, name)).filter(policy => !isCompanion(policy))
}

/**
 * Whether a policy is as it is to be once a waypoint serves the Namespace. One of the root namespace may still be on its
 * way elsewhere: here only what stands beside it for this Namespace, or for every waypoint, counts.
 */
function isSettled<P extends Policy>(
  policy: P,
  { object, companions, denial }: Translation<P>,
  namespace: string,
  cluster: ClusterSnapshot,
): boolean {
  const isOwn = namespaceOf(policy) === namespace
  if (denial || (isOwn && !isEqual(object.spec, policy.spec))) return false
  return (companions as P[]).every(each => {
    const isElsewhere = namespaceOf(each) !== namespace && namespaceOf(each) !== namespaceOf(policy)
    return isElsewhere || isInPlace(each, cluster)
  })
}

export function sidecarsIn(namespace: string, cluster: ClusterSnapshot): number {
  const workloads = [...(cluster.workloads.get(namespace)?.values() ?? [])]
  return workloads.filter(({ state }) => state === 'sidecar').length
}

/** `namespace/name`. */
export function keyOf({ namespace, name }: WaypointReference): string {
  return `${namespace}/${name}`
}
