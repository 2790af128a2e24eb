// What NetworkPolicies let through. Those that select a pod add up: what one of them admits is admitted.
import type * as core from '../../apis/core.ts'
import { namespaceNameLabel } from '../allowed-routes.ts'
import { nameOf } from '../companion.ts'
import { isMatched } from '../labels.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'

export type Direction = 'Ingress' | 'Egress'

/** A pod as a NetworkPolicy sees it. */
export interface Pod {
  namespace: string
  namespaceLabels: Record<string, string>
  labels: Record<string, string>
  /** Whether it is an ingress or egress gateway, which no waypoint stands in front of unless it is told so. */
  isGateway?: boolean
}

export interface Rule {
  peers: core.NetworkPolicyPeer[]
  ports: core.NetworkPolicyPort[]
}

export function podIn(namespace: string, labels: Record<string, string>, cluster: ClusterSnapshot): Pod {
  return { namespace, namespaceLabels: namespaceLabels(namespace, cluster), labels }
}

/** The API server sets the label of the name, and files do not carry it. */
function namespaceLabels(name: string, { namespaces }: ClusterSnapshot): Record<string, string> {
  return { ...namespaces.get(name)?.metadata.labels, [namespaceNameLabel]: name }
}

/** Somebody in the mesh of whom nothing is known. */
export const stranger: Pod = { namespace: '', namespaceLabels: {}, labels: {} }

/** The rules of a direction; undefined where the policy leaves it alone. */
export function rulesOf({ spec = {} }: core.NetworkPolicy, direction: Direction): Rule[] | undefined {
  const { policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'], ingress = [], egress = [] } = spec
  if (!policyTypes.includes(direction)) return undefined
  return direction === 'Ingress'
    ? ingress.map(({ from = [], ports = [] }) => ({ peers: from, ports }))
    : egress.map(({ to = [], ports = [] }) => ({ peers: to, ports }))
}

export function selects({ spec = {} }: core.NetworkPolicy, labels: Record<string, string>): boolean {
  return isMatched(labels, spec.podSelector ?? {})
}

/** The policies that isolate a pod in a direction, the widest first. The given one stands for itself, as it will be. */
export function policiesFor(
  { namespace, labels }: Pod,
  direction: Direction,
  cluster: ClusterSnapshot,
  given?: core.NetworkPolicy,
): core.NetworkPolicy[] {
  const stored = [...(cluster.networkPolicies.get(namespace)?.values() ?? [])]
  const isOwn = given !== undefined && namespaceOf(given) === namespace
  const all = isOwn ? [...stored.filter(each => nameOf(each) !== nameOf(given)), given] : stored
  return all
    .filter(policy => selects(policy, labels) && rulesOf(policy, direction))
    .sort((a, b) => requirements(a) - requirements(b) || (nameOf(a) < nameOf(b) ? -1 : 1))
}

function requirements({ spec: { podSelector = {} } = {} }: core.NetworkPolicy): number {
  return Object.keys(podSelector.matchLabels ?? {}).length + (podSelector.matchExpressions ?? []).length
}

/** Whether one of the policies admits the other pod on the port; pods that no policy isolates admit everybody. */
export function admits(policies: core.NetworkPolicy[], direction: Direction, other: Pod, port: number): boolean {
  if (policies.length === 0) return true
  return policies.some(policy =>
    rulesOf(policy, direction)?.some(
      ({ peers, ports }) =>
        hasPort(ports, port) && (peers.length === 0 || peers.some(peer => fits(peer, namespaceOf(policy), other))),
    ),
  )
}

/** Whether a pod fits a peer of a policy in the namespace. Addresses of pods are unknown, so only a block of all fits. */
export function fits(
  { podSelector, namespaceSelector, ipBlock }: core.NetworkPolicyPeer,
  own: string,
  pod: Pod,
): boolean {
  if (ipBlock) return /\/0$/.test(ipBlock.cidr ?? '')
  const isThere = namespaceSelector ? isMatched(pod.namespaceLabels, namespaceSelector) : pod.namespace === own
  return isThere && isMatched(pod.labels, podSelector ?? {})
}

export function hasPort(ports: core.NetworkPolicyPort[], wanted: number): boolean {
  if (ports.length === 0) return true
  return ports.some(({ protocol = 'TCP', port, endPort }) => {
    if (protocol !== 'TCP') return false
    if (port === undefined || port === wanted) return true
    return typeof port === 'number' && endPort !== undefined && port <= wanted && wanted <= endPort
  })
}

/** Labels that satisfy a selector, and no others. */
export function labelsFor({ matchLabels = {}, matchExpressions = [] }: core.LabelSelector): Record<string, string> {
  const wanted = matchExpressions.flatMap(({ key, operator, values = [] }): [string, string][] =>
    operator === 'In' || operator === 'Exists' ? [[key, values[0] ?? '']] : [],
  )
  return { ...Object.fromEntries(wanted), ...matchLabels }
}
