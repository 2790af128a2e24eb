// A live cluster from untranslated objects to the fixed point, one write at a time in an arbitrary order.
import type * as core from '../../src/apis/core.ts'
import { type Difference, looser, worldBefore } from './compare.ts'
import type { Source } from './end-state.ts'
import { captured, ingressObjects, type Landscape, namespaces, pods } from './landscape.ts'
import {
  afterWrite,
  type Cluster,
  clusterOf,
  created,
  nextWrites,
  othersWrites,
  sourceIds,
  type Write,
  worldIn,
} from './live-cluster.ts'
import { decideInAmbient } from './model.ts'
import type { Request } from './request.ts'

export interface Start {
  sources: Source[]
  /** How many of the sources are there from the start; the others are created on the way. */
  present: number
  /** The namespaces that somebody made ambient before sidestep came. */
  ambient: string[]
  landscape: Landscape
}

export interface Outcome {
  cluster: Cluster
  writes: string[]
  /** Requests that the last write opened, though sidecars would deny them. */
  opened: Difference[]
}

const limit = 300

/**
 * Goes on until nobody wants to write, or until a write opens what sidecars deny; `choose` picks among what is possible.
 * A request that is open because sidestep has not come to it yet is no fault of its writes and may stay open for a while;
 * once closed it must stay so, and at the fixed point nothing is open.
 */
export function follow(start: Start, requests: Request[], choose: (options: number) => number): Outcome {
  const { sources, present, landscape } = start
  let here = sources.slice(0, present)
  let cluster = clusterOf(landscape.settings, [...startObjects(start), ...here])
  let open = openIn(cluster, here, requests)
  const writes: string[] = []
  while (writes.length < limit) {
    const write = chooseWrite(cluster, sources[here.length], choose)
    if (!write) return { cluster, writes, opened: open }
    if (write.creates) here = [...here, write.creates]
    const excused = new Set([...open.map(({ request }) => request), ...openAnyhow(cluster, write, here, requests)])
    cluster = afterWrite(cluster, write)
    writes.push(write.what)
    open = openIn(cluster, here, requests)
    const opened = open.filter(({ request }) => !excused.has(request))
    if (opened.length > 0) return { cluster, writes, opened }
  }
  throw new Error(`no fixed point after ${limit} writes, the last: ${writes.slice(-12).join(', ')}`)
}

/**
 * What a write that is not sidestep's leaves open. A new policy does not hold everywhere in ambient as its author wrote it,
 * and what the webhook stores must be no worse than that. Pods that are captured were open to everything before.
 */
function openAnyhow(cluster: Cluster, write: Write, sources: Source[], requests: Request[]): Request[] {
  if (write.creates) {
    const untouched = afterWrite(cluster, { what: write.what, puts: [write.creates] })
    return openIn(untouched, sources, requests).map(({ request }) => request)
  }
  const world = worldIn(cluster)
  return write.captures ? requests.filter(request => decideInAmbient(world, request).allowed) : []
}

function openIn(cluster: Cluster, sources: Source[], requests: Request[]): Difference[] {
  const world = worldIn(cluster)
  return looser(worldBefore(world, sources), world, requests)
}

function startObjects({ ambient, landscape: { services, ingress } }: Start): core.KubernetesObject[] {
  return [
    ...services,
    ...ingressObjects(ingress),
    ...namespaces.map(object => (isIn(ambient, object.metadata.name) ? labelled(object) : object)),
    ...pods.map(pod => (isIn(ambient, pod.metadata.namespace) ? captured(pod) : pod)),
  ]
}

function isIn(names: string[], name: string | undefined): boolean {
  return name !== undefined && names.includes(name)
}

function labelled(object: core.Namespace): core.Namespace {
  const labels = { ...object.metadata.labels, 'istio.io/dataplane-mode': 'ambient' }
  return { ...object, metadata: { ...object.metadata, labels } }
}

/** Starts at an arbitrary writer and goes round until one has something to write. */
function chooseWrite(
  cluster: Cluster,
  next: Source | undefined,
  choose: (options: number) => number,
): Write | undefined {
  const writers = [
    ...sourceIds(cluster).map(id => () => nextWrites(cluster, id)),
    () => othersWrites(cluster),
    () => (next ? [created(cluster, next)] : []),
  ]
  const first = choose(writers.length)
  for (const writer of [...writers.slice(first), ...writers.slice(0, first)]) {
    const possible = writer()
    if (possible.length > 0) return possible[choose(possible.length)]
  }
  return undefined
}
