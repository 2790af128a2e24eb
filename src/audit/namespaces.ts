// Where an object counts, who carries a namespace's traffic, and which waypoint serves it.
import type { KubernetesObject, Namespace } from '../apis/core.ts'
import { injectionOf } from '../translate/namespace/injection.ts'
import { namespaceOf } from '../translate/snapshot.ts'
import { ambientRule, dataplaneModeLabel, labelledWaypoint } from '../translate/waypoint.ts'
import type { Clusters, Planned } from './judge.ts'
import type { Dataplane, NamespaceReport } from './report.ts'

/** Kinds of no namespace, as far as a cluster with Istio has them. A namespaced object without one is in `default`. */
const clusterKinds =
  /^(Cluster.*|CustomResourceDefinition|(Mutating|Validating)(Webhook|Admission).*|APIService|GatewayClass|IngressClass|StorageClass|PriorityClass|RuntimeClass|PersistentVolume|Node|CSI(Driver|Node)|VolumeAttachment|CertificateSigningRequest|Profile)$/

/** The namespace that an object belongs to: a Namespace to itself, and '' for none. */
export function namespaceIn(object: KubernetesObject): string {
  const { kind, metadata } = object
  if (kind === 'Namespace') return metadata.name ?? ''
  return metadata.namespace || (clusterKinds.test(kind) ? '' : namespaceOf(object))
}

export function dataplaneOf(
  name: string,
  planned: Planned[],
  { now, settings }: Clusters,
): NamespaceReport['dataplane'] {
  const labels = now.namespaces.get(name)?.metadata.labels ?? {}
  const pods = [...(now.workloads.get(name)?.values() ?? [])].filter(
    ({ name, state }) => name.startsWith('Pod/') && state !== 'gateway',
  )
  const sidecars = pods.filter(({ state }) => state === 'sidecar').length
  const isAmbient = labels[dataplaneModeLabel] === 'ambient'
  const byPods = sidecars === pods.length ? 'sidecar' : 'mixed'
  const byLabel = isAmbient ? 'ambient' : injectionOf(labels) && pods.length === 0 ? 'sidecar' : 'none'
  const today: Dataplane = sidecars > 0 ? byPods : byLabel
  const end = planned.find(({ end: { kind } }) => kind === 'Namespace')?.end as Namespace | undefined
  const becomesAmbient = end
    ? end.metadata.labels?.[dataplaneModeLabel] === 'ambient'
    : isAmbient || (!now.namespaces.has(name) && ambientRule(name, now, settings) !== undefined)
  // biome-ignore lint/suspicious/noThenProperty: the report says now and then, and a text is no function that await calls.
  return { now: today, then: becomesAmbient ? 'ambient' : today }
}

/** `namespace/name` of the waypoint that the Namespace or its Services are labelled for in the end. */
export function waypointOf(name: string, planned: Planned[], { end }: Clusters): string | undefined {
  const written = new Map(planned.map(each => [each.end.kind + each.end.metadata.name, each.end]))
  const namespace = end.namespaces.get(name)
  const labelled = [...(namespace ? [namespace] : []), ...(end.services.get(name)?.values() ?? [])].map(object =>
    labelledWaypoint((written.get(object.kind + object.metadata.name) ?? object).metadata.labels, name),
  )
  const waypoint = labelled.find(each => each !== undefined && each !== false)
  return waypoint ? `${waypoint.namespace}/${waypoint.name}` : undefined
}
