// Selectors without targetRefs: whether they mean gateways, whose Envoys stay when the sidecars go, or applications.
import { gatewayNameLabel } from './companion.ts'
import { isSelected } from './labels.ts'
import { gatewayOf } from './mapped-gateway.ts'
import { ingressOf } from './policy/targets.ts'
import { inNamespace, type Workload } from './snapshot.ts'
import type { Context } from './translation.ts'
import { ambientNamespaces } from './waypoint.ts'

type Labels = Record<string, string>
type Known = Pick<Context, 'cluster' | 'settings'>

/** Whether a selector in a Namespace picks pods of gateways, and no others. */
export function selectsGateways(namespace: string, labels: Labels, known: Known): boolean {
  if (Object.keys(labels).length === 0) return false
  if (labels[gatewayNameLabel] || ingressOf(namespace, labels, known.settings)) return true
  const selected = selectedBy(namespace, labels, known)
  if (selected.length > 0) return selected.every(({ state }) => state === 'gateway')
  // Files seldom hold a gateway's pods, and every chart of Istio labels them so.
  return /gateway$/.test(labels.istio ?? '')
}

/** Whether a selector, or without labels its Namespace, means applications that are ambient or will be. */
export function selectsAmbient(namespace: string, labels: Labels, known: Known): boolean {
  const ambient = ambientNamespaces(namespace, known.cluster, known.settings)
  if (ambient.length === 0 || selectsGateways(namespace, labels, known)) return false
  const selected = Object.keys(labels).length > 0 ? selectedBy(namespace, labels, known) : []
  return selected.length === 0 || selected.some(workload => ambient.includes(workload.namespace))
}

/** The Kubernetes Gateway that takes over from the selected ingress and whose pods the selector does not pick. */
export function successorOf(namespace: string, labels: Labels, { settings }: Known): string | undefined {
  const mapping = Object.keys(labels).length > 0 ? ingressOf(namespace, labels, settings) : undefined
  // With addresses of somebody else's pods it may well be these that go on.
  if (!mapping || mapping.addresses) return undefined
  const gateway = gatewayOf(mapping)
  const isReached = namespace === gateway.namespace || namespace === settings.rootNamespace
  const isPicked = isReached && isSelected({ ...mapping.labels, [gatewayNameLabel]: gateway.name }, labels)
  return isPicked ? undefined : gateway.key
}

function selectedBy(namespace: string, labels: Labels, { cluster, settings }: Known): Workload[] {
  const reached = namespace === settings.rootNamespace ? [...cluster.workloads.keys()] : [namespace]
  return reached
    .flatMap(name => inNamespace(cluster.workloads, name))
    .filter(workload => isSelected(workload.labels, labels))
}
