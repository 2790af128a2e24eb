// Which PeerAuthentication holds for a pod, and in which mode: the one with a selector, the namespace's, the mesh's, of
// each level the oldest; UNSET asks the next one (istiod's ComposePeerAuthentication, for sidecars and ztunnel alike).
import type * as istio from '../../apis/istio.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, inNamespace } from '../snapshot.ts'
import { isSelected } from '../waypoint.ts'

export type Mode = NonNullable<istio.MutualTLS['mode']>

export function hasSelector({ spec }: istio.PeerAuthentication): boolean {
  return Object.keys(spec?.selector?.matchLabels ?? {}).length > 0
}

/** The PeerAuthentications that hold for pods with these labels, the nearest first. */
export function policiesFor(
  { namespace, labels }: { namespace: string; labels: Record<string, string> },
  cluster: ClusterSnapshot,
  settings: Settings,
): istio.PeerAuthentication[] {
  const parents = parentsOf(namespace, cluster, settings)
  // One with a selector in the root namespace is passed over, even for pods there.
  if (namespace === settings.rootNamespace) return parents
  const nearest = oldestFirst(namespace, cluster).find(
    policy => hasSelector(policy) && isSelected(labels, policy.spec?.selector?.matchLabels ?? {}),
  )
  return nearest ? [nearest, ...parents] : parents
}

/** Those without a selector: the namespace's and the mesh's. */
export function parentsOf(
  namespace: string,
  cluster: ClusterSnapshot,
  { rootNamespace }: Settings,
): istio.PeerAuthentication[] {
  return [...new Set([namespace, rootNamespace])].flatMap(
    name => oldestFirst(name, cluster).find(policy => !hasSelector(policy)) ?? [],
  )
}

/** The mode that results, of a container port where one is given. Without any it is PERMISSIVE. */
export function modeOf(policies: istio.PeerAuthentication[], port?: number): Mode {
  const [nearest] = policies
  const ofPort = port && nearest && hasSelector(nearest) ? nearest.spec?.portLevelMtls?.[port]?.mode : undefined
  const modes = [ofPort, ...policies.map(({ spec }) => spec?.mtls?.mode)]
  return modes.find(mode => mode !== undefined && mode !== 'UNSET') ?? 'PERMISSIVE'
}

/** As Istio sorts them. One that is just being created has no time yet and is the youngest. */
function oldestFirst(namespace: string, { peerAuthentications }: ClusterSnapshot): istio.PeerAuthentication[] {
  const age = ({ metadata }: istio.PeerAuthentication) => metadata.creationTimestamp ?? '~'
  return inNamespace(peerAuthentications, namespace).sort((a, b) => (age(a) < age(b) ? -1 : age(a) > age(b) ? 1 : 0))
}

// What istiod loses on the way to ztunnel --------------------------------------------------------------------------
// `convertPeerAuthentication` judges the ports of one with a selector by the mode of its parents, and not in the way in
// which `convertedSelectorPeerAuthentications` decides what the pods are told to obey. Between the two, policies get lost.

/**
 * Whether istiod loses the STRICT ports: it takes them for covered by a STRICT mesh as soon as the namespace says nothing,
 * although the policy's own mode has lifted that.
 */
export function losesStrictPorts(
  policy: istio.PeerAuthentication,
  namespace: string,
  cluster: ClusterSnapshot,
  settings: Settings,
): boolean {
  if (!hasPort(policy, 'STRICT')) return false
  if (modeOf([policy, ...parentsOf(namespace, cluster, settings)]) === 'STRICT') return false
  const [ofNamespace, ofMesh] = parentsAtConversion(namespace, cluster, settings)
  return (ofNamespace ?? 'UNSET') === 'UNSET' && ofMesh === 'STRICT'
}

/**
 * Whether istiod loses an inherited STRICT together with the PERMISSIVE ports: it tells the pods to obey the merged policy
 * in place of STRICT, and makes none where the namespace has a PeerAuthentication without a mode (research/policies.md 10.5).
 */
export function losesInherited(
  policy: istio.PeerAuthentication,
  namespace: string,
  cluster: ClusterSnapshot,
  settings: Settings,
): boolean {
  if ((policy.spec?.mtls?.mode ?? 'UNSET') !== 'UNSET' || !hasPort(policy, 'PERMISSIVE')) return false
  if (modeOf(parentsOf(namespace, cluster, settings)) !== 'STRICT') return false
  const [ofNamespace, ofMesh] = parentsAtConversion(namespace, cluster, settings)
  return (ofNamespace ?? ofMesh) !== 'STRICT'
}

/** The modes of namespace and mesh as the conversion sees them: of those without any selector, not even an empty one. */
function parentsAtConversion(
  namespace: string,
  cluster: ClusterSnapshot,
  { rootNamespace }: Settings,
): (Mode | undefined)[] {
  return [namespace, rootNamespace].map(name => {
    const parent = oldestFirst(name, cluster).find(({ spec }) => spec?.selector === undefined)
    return parent && (parent.spec?.mtls?.mode ?? 'UNSET')
  })
}

export function hasPort({ spec }: istio.PeerAuthentication, wanted: Mode): boolean {
  return Object.values(spec?.portLevelMtls ?? {}).some(({ mode }) => mode === wanted)
}
