// A live cluster, and what sidestep, istiod and istio-cni write to it.
import { isDeepStrictEqual } from 'node:util'
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as translator from '../../src/translate/index.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { type ClusterSnapshot, snapshotOf } from '../../src/translate/snapshot.ts'
import { isAmbientNamespace, type Source } from './end-state.ts'
import { captured, deployed, newIngress, released } from './landscape.ts'
import { snapshotAfter } from './live-snapshot.ts'
import { memoized } from './memoized.ts'
import type { Plans } from './people.ts'
import { keyOf, type RunningPod, type World, worldOf } from './world.ts'

/** Never changed: a write gives another cluster. */
export interface Cluster {
  settings: Settings
  translate: typeof translator.translate
  /** What is stored, by kind and key. */
  objects: ReadonlyMap<string, core.KubernetesObject>
  /** What sidestep knows of it. */
  snapshot: ClusterSnapshot
}

/** One write to the API server, or the few that somebody does at once. */
export interface Write {
  what: string
  puts?: core.KubernetesObject[]
  deletes?: core.KubernetesObject
  /** What else it is: set where others than sidestep write and the comparison has to know. */
  by?: Deed
  /** What people plan to write after it. */
  left?: Plans
}

/**
 * `change`: a user creates or changes a policy, or deletes it, and then there is no `source`.
 * `capture`: pods come under ztunnel where nothing was checked before. `ingress`: a new gateway begins to serve.
 * `restart`: a pod comes back without its sidecar, or with one. `service`: a Service appears. `collection`: a companion goes with its
 * source.
 */
export type Deed =
  | { kind: 'change'; policy: string; source?: Source }
  | { kind: 'capture' | 'collection' | 'ingress' | 'restart' }
  | { kind: 'service'; service: string }

export function clusterOf(
  settings: Settings,
  translate: Cluster['translate'],
  objects: core.KubernetesObject[],
): Cluster {
  const stored = new Map(objects.map(object => [idOf(object), object]))
  return { settings, translate, objects: stored, snapshot: snapshotOf(objects, 'observed') }
}

export function afterWrite(cluster: Cluster, { puts = [], deletes }: Write): Cluster {
  const objects = new Map(cluster.objects)
  for (const object of puts) objects.set(idOf(object), object)
  if (deletes) objects.delete(idOf(deletes))
  return { ...cluster, objects, snapshot: snapshotAfter(cluster.snapshot, puts, deletes ? [deletes] : []) }
}

export const worldIn = memoized(({ settings, objects }: Cluster): World => worldOf(objects.values(), settings))

// sidestep --------------------------------------------------------------------------------------------------------------

const sourceKinds = ['Namespace', 'Service', 'AuthorizationPolicy', 'RequestAuthentication']

export function sourceIds({ objects }: Cluster): string[] {
  return [...objects].filter(([, object]) => sourceKinds.includes(object.kind)).map(([id]) => id)
}

/**
 * What sidestep may write next for one source: the object by re-admission, or the first companion that is missing or
 * other, in the order given. Companions that are no longer wanted go when nothing else is left to write.
 */
export function nextWrites(cluster: Cluster, id: string): Write[] {
  const source = cluster.objects.get(id)
  if (!source) return []
  const { object, companions, denial } = cluster.translate(source, cluster.snapshot, cluster.settings)
  if (denial) return []
  const rewrite = isDeepStrictEqual(object, source) ? [] : [{ what: `stores ${id}`, puts: [object] }]
  const companion = companions.map(wanted => applied(cluster, wanted)).find(wanted => !isStored(cluster, wanted))
  const writes = [...rewrite, ...(companion ? [{ what: `applies ${idOf(companion)}`, puts: [companion] }] : [])]
  if (writes.length > 0) return writes
  const wanted = companions.map(idOf)
  return companionsOf(cluster, sourceKeyOf(source))
    .filter(found => !wanted.includes(idOf(found)))
    .map(deleted)
}

/** Companions whose source is gone: the garbage collector and the reconciler delete them in any order. */
export function collects(cluster: Cluster): Write[] {
  const sources = [...cluster.objects.values()].map(sourceKeyOf)
  return [...companions(cluster)]
    .filter(([source]) => !sources.includes(source))
    .flatMap(([, list]) => list.map(object => ({ ...deleted(object), by: { kind: 'collection' as const } })))
}

function deleted(object: core.KubernetesObject): Write {
  return { what: `deletes ${idOf(object)}`, deletes: object }
}

/** What sidestep wants beside an object that is stored. */
export function companionsFor(cluster: Cluster, source: core.KubernetesObject): core.KubernetesObject[] {
  const { companions, denial } = cluster.translate(source, cluster.snapshot, cluster.settings)
  return denial ? [] : companions
}

/** Whether sidestep refuses what is stored, and so leaves it where it is. */
export function isRefused(cluster: Cluster, id: string): boolean {
  const source = cluster.objects.get(id)
  return source !== undefined && cluster.translate(source, cluster.snapshot, cluster.settings).denial !== undefined
}

/** Whether sidestep has nothing left to write. */
export function isAtRest(cluster: Cluster): boolean {
  return collects(cluster).length === 0 && sourceIds(cluster).every(id => nextWrites(cluster, id).length === 0)
}

/** Server-side apply leaves to istiod the status that is istiod's. */
function applied(cluster: Cluster, companion: core.KubernetesObject): core.KubernetesObject {
  const stored = cluster.objects.get(idOf(companion))
  return stored && 'status' in stored ? ({ ...companion, status: stored.status } as core.KubernetesObject) : companion
}

function isStored(cluster: Cluster, object: core.KubernetesObject): boolean {
  return isDeepStrictEqual(cluster.objects.get(idOf(object)), object)
}

/** By what their annotation names. */
const companions = memoized((cluster: Cluster): Map<string, core.KubernetesObject[]> => {
  const bySource = new Map<string, core.KubernetesObject[]>()
  for (const object of cluster.objects.values()) {
    const source = object.metadata.annotations?.['sidestep.dev/source']
    if (source !== undefined) bySource.set(source, [...(bySource.get(source) ?? []), object])
  }
  return bySource
})

function companionsOf(cluster: Cluster, source: string): core.KubernetesObject[] {
  return companions(cluster).get(source) ?? []
}

export function sourceKeyOf({ kind, metadata }: core.KubernetesObject): string {
  return [kind, metadata.namespace, metadata.name].filter(Boolean).join('/')
}

/** What the webhook, which knows what has been stored before, makes of an object; nothing when it refuses. */
export function admitted<K extends core.KubernetesObject>(cluster: Cluster, object: K): K | undefined {
  const { object: stored, denial } = cluster.translate(object, cluster.snapshot, cluster.settings)
  return denial ? undefined : (stored as K)
}

// Istio -----------------------------------------------------------------------------------------------------------------

/**
 * istiod deploys a Gateway that has no status yet; istio-cni captures the pods of an ambient namespace, and lets go those of
 * one that is so no longer.
 */
export function istioWrites(cluster: Cluster): Write[] {
  const objects = [...cluster.objects.values()]
  const gateways = objects.filter(
    (object): object is gateway.Gateway => object.kind === 'Gateway' && !('status' in object),
  )
  const pods = objects.filter((object): object is RunningPod => object.kind === 'Pod')
  const releases = objects
    .filter(object => object.kind === 'Namespace' && !isAmbientNamespace(object))
    .map(({ metadata: { name } }) => ({
      what: `istio-cni lets go ${name}`,
      puts: pods.filter(pod => pod.metadata.namespace === name && released(pod) !== pod).map(released),
    }))
  const captures = objects.filter(isAmbientNamespace).map(({ metadata: { name } }) => ({
    what: `istio-cni captures ${name}`,
    puts: pods.filter(pod => pod.metadata.namespace === name && captured(pod) !== pod).map(captured),
    by: { kind: 'capture' as const },
  }))
  return [
    ...gateways.map((object): Write => {
      const write = { what: `istiod deploys ${idOf(object)}`, puts: deployed(object) }
      return keyOf(object) === newIngress ? { ...write, by: { kind: 'ingress' } } : write
    }),
    ...[...captures, ...releases].filter(({ puts }) => puts.length > 0),
  ]
}

export function idOf(object: core.KubernetesObject): string {
  return `${object.kind} ${keyOf(object)}`
}
