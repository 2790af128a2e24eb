// Follows one kind of object: lists it, watches it, and comes back after every error.
import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import type { KubernetesObject, ObjectMeta } from '../apis/core.ts'
import { ApiError, type ApiServer, type Query, type WatchEvent } from './api-server.ts'

/** One kind of object at the API server. */
export interface Resource {
  apiVersion: string
  kind: string
  path: string
  query?: Query
}

export interface Follower {
  put(object: KubernetesObject): void
  /** Called with kind, namespace and name only. */
  remove(object: KubernetesObject): void
  /** Everything that there is has been put; called again after each list. */
  listed(): void
}

export interface FollowOptions {
  signal: AbortSignal
  logger: Pick<BaseLogger, 'debug' | 'info' | 'warn'>
  delays?: Delays
}

export interface Delays {
  /** Before the second try; each later one waits twice as long, up to `longest`. */
  first: number
  longest: number
  /** Before looking again for a kind that is not installed. */
  absent: number
}

export const defaultDelays: Delays = { first: 500, longest: 30_000, absent: 60_000 }

/** Keeps a follower up to date with one kind, through every error, until the signal is aborted. Never rejects. */
export async function follow(
  api: ApiServer,
  resource: Resource,
  follower: Follower,
  { signal, logger, delays = defaultDelays }: FollowOptions,
): Promise<void> {
  const { path, kind, query } = resource
  const known = new Map<string, KubernetesObject>()
  let resourceVersion: string | undefined
  let failures = 0
  let isAbsent = false

  const onEvent = ({ type, object }: WatchEvent) => {
    if (type === 'ERROR' || !object.metadata) {
      resourceVersion = undefined
      throw new ApiError(object.code ?? 0, `watch of ${path}: ${object.message ?? 'not an object'}`)
    }
    failures = 0
    if (type === 'DELETED') removeKnown(known, keyOf(object.metadata), follower)
    else if (type !== 'BOOKMARK') putKnown(known, resource, object.metadata, object, follower)
    resourceVersion = object.metadata.resourceVersion ?? resourceVersion
  }

  while (!signal.aborted) {
    let watchedSince = Number.POSITIVE_INFINITY
    let delay: number | undefined
    try {
      if (resourceVersion === undefined) {
        resourceVersion = await listAll(api, resource, known, follower, signal)
        isAbsent = false
        follower.listed()
      }
      watchedSince = performance.now()
      await api.watch(path, { ...query, resourceVersion }, onEvent, signal)
      logger.debug({ kind, path }, 'watch ended, as watches do')
    } catch (err) {
      if (signal.aborted) return
      const status = err instanceof ApiError ? err.status : undefined
      if (status === 404 || status === 410) resourceVersion = undefined
      if (status === 404) {
        if (!isAbsent) logger.info({ kind, path }, 'kind is not installed, looking for it from time to time')
        isAbsent = true
        for (const key of [...known.keys()]) removeKnown(known, key, follower)
        follower.listed()
        delay = delays.absent * jitter()
      } else if (status === 410) logger.debug({ kind, path }, 'watch is too old, listing again')
      else logger.warn({ kind, path, failures, err }, 'watch failed, trying again')
    }
    // A watch that held out is no failure; one that ends at once, again and again, must not become a storm.
    failures = performance.now() - watchedSince > delays.longest ? 0 : failures + 1
    delay ??= Math.min(delays.longest, delays.first * 2 ** (failures - 1)) * jitter()
    await sleep(delay, undefined, { signal }).catch(() => {})
  }
}

/** Between a half and one, so that the replicas do not come back all at once. */
function jitter(): number {
  return (1 + Math.random()) / 2
}

/** Lists one kind once. A kind that is not installed has no objects; every other error rejects. */
export async function listOnce(
  api: ApiServer,
  resource: Resource,
  put: Follower['put'],
  signal: AbortSignal,
): Promise<void> {
  const follower = { put, remove: () => {}, listed: () => {} }
  try {
    await listAll(api, resource, new Map(), follower, signal)
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error
  }
}

/** Puts every object, removes those that are gone, and returns the version from which to watch. */
async function listAll(
  api: ApiServer,
  resource: Resource,
  known: Map<string, KubernetesObject>,
  follower: Follower,
  signal: AbortSignal,
): Promise<string> {
  const gone = new Set(known.keys())
  let page: Query = { limit: '500' }
  for (;;) {
    const { items, metadata } = await api.list(resource.path, { ...resource.query, ...page }, signal)
    for (const item of items) {
      gone.delete(keyOf(item.metadata))
      putKnown(known, resource, item.metadata, item, follower)
    }
    if (metadata.continue) page = { ...page, continue: metadata.continue }
    else {
      for (const key of gone) removeKnown(known, key, follower)
      return metadata.resourceVersion ?? ''
    }
  }
}

function putKnown(
  known: Map<string, KubernetesObject>,
  { apiVersion, kind }: Resource,
  { namespace, name }: ObjectMeta,
  object: object,
  follower: Follower,
): void {
  const metadata: ObjectMeta = { ...(namespace && { namespace }), ...(name && { name }) }
  known.set(keyOf(metadata), { apiVersion, kind, metadata })
  // The items of a list do not say what they are.
  follower.put({ ...object, apiVersion, kind } as KubernetesObject)
}

function removeKnown(known: Map<string, KubernetesObject>, key: string, follower: Follower): void {
  const object = known.get(key)
  if (!object) return
  known.delete(key)
  follower.remove(object)
}

function keyOf({ namespace = '', name = '' }: ObjectMeta): string {
  return `${namespace}/${name}`
}
