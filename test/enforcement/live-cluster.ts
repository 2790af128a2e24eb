// A live cluster and everybody who writes to it: sidestep source by source, istiod, istio-cni, and users who add policies.
import { isDeepStrictEqual } from 'node:util'
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import { translate } from '../../src/translate/index.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { type ClusterSnapshot, snapshotOf } from '../../src/translate/snapshot.ts'
import { isAmbientNamespace, type Source } from './end-state.ts'
import { captured, deployed } from './landscape.ts'
import { keyOf, type RunningPod, type World, worldOf } from './world.ts'

/** Never changed: a write gives another cluster. */
export interface Cluster {
  settings: Settings
  /** What is stored, by kind and key. */
  objects: ReadonlyMap<string, core.KubernetesObject>
}

/** One write to the API server, or the few that somebody else does at once. */
export interface Write {
  what: string
  puts?: core.KubernetesObject[]
  deletes?: core.KubernetesObject
  /** The source that its author creates with this write. */
  creates?: Source
  /** Whether pods come under ztunnel with it, where nothing was checked before. */
  captures?: true
}

export function clusterOf(settings: Settings, objects: core.KubernetesObject[]): Cluster {
  return { settings, objects: new Map(objects.map(object => [idOf(object), object])) }
}

export function afterWrite({ settings, objects }: Cluster, { puts = [], deletes }: Write): Cluster {
  const after = new Map(objects)
  for (const object of puts) after.set(idOf(object), object)
  if (deletes) after.delete(idOf(deletes))
  return { settings, objects: after }
}

export function worldIn({ settings, objects }: Cluster): World {
  return worldOf(objects.values(), settings)
}

/** One snapshot for each cluster: what the translator indexes in it is made once. */
const snapshots = new WeakMap<Cluster, ClusterSnapshot>()

function snapshotIn(cluster: Cluster): ClusterSnapshot {
  const snapshot = snapshots.get(cluster) ?? snapshotOf(cluster.objects.values(), 'observed')
  snapshots.set(cluster, snapshot)
  return snapshot
}

const sourceKinds = ['Namespace', 'Service', 'AuthorizationPolicy', 'RequestAuthentication']

export function sourceIds({ objects }: Cluster): string[] {
  return [...objects].filter(([, { kind }]) => sourceKinds.includes(kind)).map(([id]) => id)
}

/**
 * What sidestep may write next for one source: the object by re-admission, or the first companion that is missing, in
 * the order given. Companions that are no longer wanted go last, as plan() has it.
 */
export function nextWrites(cluster: Cluster, id: string): Write[] {
  const source = cluster.objects.get(id)
  if (!source) return []
  const { object, companions, denial } = translate(source, snapshotIn(cluster), cluster.settings)
  if (denial) return []
  const rewrite = isDeepStrictEqual(object, source) ? [] : [{ what: `stores ${id}`, puts: [object] }]
  const companion = companions.map(wanted => applied(cluster, wanted)).find(wanted => !isStored(cluster, wanted))
  if (companion) return [...rewrite, { what: `applies ${idOf(companion)}`, puts: [companion] }]
  const wanted = companions.map(idOf)
  const stale = companionsOf(cluster, source).find(found => !wanted.includes(idOf(found)))
  return stale ? [...rewrite, { what: `deletes ${idOf(stale)}`, deletes: stale }] : rewrite
}

/** Server-side apply leaves to istiod the status that is istiod's. */
function applied(cluster: Cluster, companion: core.KubernetesObject): core.KubernetesObject {
  const stored = cluster.objects.get(idOf(companion))
  return stored && 'status' in stored ? ({ ...companion, status: stored.status } as core.KubernetesObject) : companion
}

function isStored(cluster: Cluster, object: core.KubernetesObject): boolean {
  return isDeepStrictEqual(cluster.objects.get(idOf(object)), object)
}

function companionsOf(cluster: Cluster, source: core.KubernetesObject): core.KubernetesObject[] {
  const sourceKey = [source.kind, source.metadata.namespace, source.metadata.name].filter(Boolean).join('/')
  return [...cluster.objects.values()].filter(
    ({ metadata }) => metadata.annotations?.['sidestep.dev/source'] === sourceKey,
  )
}

/** Admission of a new object: the webhook alone, so without companions. */
export function created(cluster: Cluster, source: Source): Write {
  const snapshot = snapshotOf([...cluster.objects.values(), source], 'observed')
  const { object } = translate(source, snapshot, cluster.settings)
  return { what: `user creates ${idOf(source)}`, puts: [object], creates: source }
}

/** istiod deploys a Gateway that has no status yet; istio-cni captures the pods of an ambient namespace. */
export function othersWrites(cluster: Cluster): Write[] {
  const objects = [...cluster.objects.values()]
  const gateways = objects.filter(
    (object): object is gateway.Gateway => object.kind === 'Gateway' && !('status' in object),
  )
  const pods = objects.filter((object): object is RunningPod => object.kind === 'Pod')
  const captures = objects.filter(isAmbientNamespace).map(({ metadata: { name } }) => ({
    what: `istio-cni captures ${name}`,
    puts: pods.filter(pod => pod.metadata.namespace === name && captured(pod) !== pod).map(captured),
    captures: true as const,
  }))
  return [
    ...gateways.map(object => ({ what: `istiod deploys ${idOf(object)}`, puts: deployed(object) })),
    ...captures.filter(({ puts }) => puts.length > 0),
  ]
}

export function idOf(object: core.KubernetesObject): string {
  return `${object.kind} ${keyOf(object)}`
}
