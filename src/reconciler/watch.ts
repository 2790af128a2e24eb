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
  /** How many objects are read at a time. Fewer where one may be a megabyte. */
  pageSize?: number
}

export interface Follower {
  put(object: KubernetesObject): void
  /** Called with kind, namespace and name only. */
  remove(object: KubernetesObject): void
  /** Everything that there is has been put; called again after each list. */
  listed(): void
  /** Everything up to this version has been put or removed. */
  reached?(resourceVersion: string): void
  /** A list or a watch failed, and is begun again. */
  failed?(): void
  /** RBAC refuses this verb for now, or with `undefined` none any more. */
  forbidden?(verb: Verb | undefined): void
}

export type Verb = 'list' | 'watch'

export interface FollowOptions {
  signal: AbortSignal
  logger: Pick<BaseLogger, 'debug' | 'info' | 'warn'>
  delays?: Delays
  /** Rings when the kind may have been installed. */
  bell?: Bell | undefined
}

export interface Delays {
  /** Before the second try; each later one waits twice as long, up to `longest`. */
  first: number
  longest: number
  /** Between looks for a kind that is not installed, at most. */
  absent: number
}

export const defaultDelays: Delays = { first: 500, longest: 30_000, absent: 60_000 }

/** Wakes whoever waits for a kind to be installed. */
export class Bell {
  #hasRung = false
  #wake = () => {}

  ring(): void {
    this.#hasRung = true
    this.#wake()
  }

  /** Waits for so long, or until the bell rings; whether it has rung since it was last asked. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#hasRung && !signal.aborted)
      await new Promise<void>(resolve => {
        const wake = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const timer = setTimeout(wake, milliseconds)
        signal.addEventListener('abort', wake, { once: true })
        this.#wake = wake
      })
    const hasRung = this.#hasRung
    this.#hasRung = false
    return hasRung
  }
}

/** Keeps a follower up to date with one kind, through every error, until the signal is aborted. Never rejects. */
export async function follow(
  api: ApiServer,
  resource: Resource,
  follower: Follower,
  { signal, logger, delays = defaultDelays, bell = new Bell() }: FollowOptions,
): Promise<void> {
  const { path, kind, query } = resource
  const known = new Known(resource, follower, logger)
  const permissions = new Permissions(resource, follower, logger)
  let resourceVersion: string | undefined
  let failures = 0
  let expiries = 0
  let absences = 0

  const onEvent = (event: WatchEvent) => {
    const { type, object } = event ?? {}
    if (type === 'ERROR') {
      resourceVersion = undefined
      throw new ApiError(object?.code ?? 0, `watch of ${path}: ${object?.message ?? 'an error without a word'}`)
    }
    if (!object?.metadata) throw new SyntaxError(`watch of ${path}: not an event: ${JSON.stringify(event)}`)
    failures = 0
    expiries = 0
    permissions.granted('watch')
    if (type === 'DELETED') known.remove(keyOf(object.metadata))
    else if (type === 'BOOKMARK') known.tellAgain()
    else known.put(object.metadata, object)
    resourceVersion = object.metadata.resourceVersion ?? resourceVersion
    if (resourceVersion !== undefined) follower.reached?.(resourceVersion)
  }

  while (!signal.aborted) {
    let watchedSince = Number.POSITIVE_INFINITY
    let least = 0
    let isExpired = false
    try {
      if (resourceVersion === undefined) {
        resourceVersion = await listAll(api, resource, known, signal)
        absences = 0
        permissions.granted('list')
        follower.reached?.(resourceVersion)
        follower.listed()
      }
      watchedSince = performance.now()
      // One that was forbidden is soon to say that it is not any more, even where nothing happens.
      const lifetime = permissions.isRefused('watch') ? '5' : timeoutSeconds()
      await api.watch(path, { ...query, timeoutSeconds: lifetime, resourceVersion }, onEvent, signal)
      permissions.granted('watch')
      logger.debug({ kind, path }, 'watch ended, as watches do')
    } catch (err) {
      if (signal.aborted) return
      const { status, retryAfterSeconds = 0 } = err instanceof ApiError ? err : {}
      least = retryAfterSeconds * 1000
      // Neither a kind that is not installed nor a version that is too old says that anything is wrong.
      if (status !== 404 && status !== 410) follower.failed?.()
      if (status === 404) {
        // An API server that does not serve everything yet says 503 (k8s.io/apiserver, util/notfoundhandler).
        resourceVersion = undefined
        if (absences === 0) logger.info({ kind, path }, 'kind is not installed, looking for it from time to time')
        known.removeAll()
        follower.listed()
        const delay = Math.min(delays.absent, delays.first * 2 ** absences++)
        // A kind is announced before it is served everywhere: so the next looks come quickly again.
        if (await bell.wait(delay * jitter(), signal)) absences = 1
        continue
      }
      if (status === 410) {
        resourceVersion = undefined
        isExpired = expiries++ === 0
        logger.debug({ kind, path }, 'watch is too old, listing again')
      } else if (status === 403) {
        permissions.refused(resourceVersion === undefined ? 'list' : 'watch')
        // What may not be watched is read from time to time.
        if (permissions.isRefused('watch')) resourceVersion = undefined
      } else {
        // Twice in the same place: it is what is sent that is broken, and not how it came.
        if (err instanceof SyntaxError && failures > 0) resourceVersion = undefined
        logger.warn({ kind, path, failures, err }, 'watch failed, trying again')
      }
    }
    known.tellAgain()
    // A watch that held out is no failure; one that ends at once, again and again, must not become a storm.
    failures = performance.now() - watchedSince > delays.longest ? 0 : failures + 1
    // What is too old is listed at once, unless that did not help.
    if (isExpired) continue
    const delay = Math.min(delays.longest, delays.first * 2 ** Math.max(0, failures - 1))
    await sleep(least + delay * jitter(), undefined, { signal }).catch(() => {})
  }
}

/**
 * How long a watch lasts at most: between 5 and 10 minutes, as client-go has it (tools/cache/reflector.go:
 * defaultMinWatchTimeout), so that watches are spread anew over the API servers, and never end all at once.
 */
function timeoutSeconds(): string {
  return String(Math.round(300 * (1 + Math.random())))
}

/** Between a half and one, so that the replicas do not come back all at once. */
function jitter(): number {
  return (1 + Math.random()) / 2
}

/** Lists one kind once, and says whether it is installed: one that is not has no objects. Every other error rejects. */
export async function listOnce(
  api: ApiServer,
  resource: Resource,
  put: Follower['put'],
  signal: AbortSignal,
): Promise<boolean> {
  const all: Pick<Known, 'put' | 'removeAll'> = {
    put: (_, object) => put(typed(object, resource)),
    removeAll: () => {},
  }
  try {
    await listAll(api, resource, all, signal)
    return true
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error
    return false
  }
}

/** Puts every object, removes those that are gone, and returns the version from which to watch. */
async function listAll(
  api: ApiServer,
  { path, query, pageSize = 500 }: Resource,
  known: Pick<Known, 'put' | 'removeAll'>,
  signal: AbortSignal,
): Promise<string> {
  let found = new Set<string>()
  let page: Query = { limit: String(pageSize) }
  for (;;) {
    try {
      const { items, metadata } = await api.list(path, { ...query, ...page }, signal)
      for (const item of items ?? []) {
        found.add(keyOf(item.metadata))
        known.put(item.metadata, item)
      }
      if (metadata.continue) page = { ...page, continue: metadata.continue }
      else {
        known.removeAll(found)
        return metadata.resourceVersion ?? ''
      }
    } catch (error) {
      // etcd forgets old versions every five minutes, and with them the rest of a list that is read too slowly. From the
      // start then, and in one piece, as client-go does it (tools/pager): the next pages might be too late as well.
      if (!page.continue || !(error instanceof ApiError) || error.status !== 410) throw error
      found = new Set()
      page = {}
    }
  }
}

/**
 * What the follower has been told of. An exception of its own neither ends the watch, nor holds up other objects, nor
 * loses the one that it is about: that is told again with the next bookmark or watch.
 */
class Known {
  readonly #resource: Resource
  readonly #follower: Follower
  readonly #logger: FollowOptions['logger']
  readonly #keys = new Set<string>()
  readonly #untold = new Map<string, () => void>()

  constructor(resource: Resource, follower: Follower, logger: FollowOptions['logger']) {
    this.#resource = resource
    this.#follower = follower
    this.#logger = logger
  }

  put(metadata: ObjectMeta, object: object): void {
    const key = keyOf(metadata)
    this.#keys.add(key)
    this.#tell(key, () => this.#follower.put(typed(object, this.#resource)))
  }

  remove(key: string): void {
    if (!this.#keys.delete(key)) return
    const { apiVersion, kind } = this.#resource
    const [namespace, name = ''] = key.split('/')
    const metadata = { ...(namespace && { namespace }), name }
    this.#tell(key, () => this.#follower.remove({ apiVersion, kind, metadata }))
  }

  removeAll(except?: ReadonlySet<string>): void {
    for (const key of [...this.#keys]) if (!except?.has(key)) this.remove(key)
  }

  tellAgain(): void {
    for (const [key, tell] of [...this.#untold]) this.#tell(key, tell)
  }

  #tell(key: string, tell: () => void): void {
    try {
      tell()
      this.#untold.delete(key)
    } catch (err) {
      this.#untold.set(key, tell)
      this.#logger.warn({ kind: this.#resource.kind, object: key, err }, 'object cannot be taken in, trying again')
    }
  }
}

/**
 * So many in a row, which takes some five seconds: an API server that has just been started refuses everything until it has
 * read its roles (seen with 1.36).
 */
const refusalsThatCount = 5

/** Whether RBAC lets a kind be followed. Says so once when it does not, and once when it does again. */
class Permissions {
  readonly #name: string
  readonly #follower: Follower
  readonly #logger: FollowOptions['logger']
  readonly #refusals: Record<Verb, number> = { list: 0, watch: 0 }

  constructor(resource: Resource, follower: Follower, logger: FollowOptions['logger']) {
    this.#name = nameOf(resource)
    this.#follower = follower
    this.#logger = logger
  }

  refused(verb: Verb): void {
    const resource = this.#name
    this.#logger.debug({ verb, resource }, 'RBAC forbids it')
    if (++this.#refusals[verb] !== refusalsThatCount) return
    this.#logger.warn(
      { verb, resource },
      `RBAC forbids ${verb} on ${resource}; add the verb to the ClusterRole of sidestep`,
    )
    this.#follower.forbidden?.(verb)
  }

  granted(verb: Verb): void {
    const wasRefused = this.isRefused(verb)
    this.#refusals[verb] = 0
    if (!wasRefused) return
    this.#logger.info({ verb, resource: this.#name }, `RBAC allows ${verb} on ${this.#name} now`)
    this.#follower.forbidden?.((['list', 'watch'] as const).find(other => this.isRefused(other)))
  }

  isRefused(verb: Verb): boolean {
    return this.#refusals[verb] >= refusalsThatCount
  }
}

/** `gateways.gateway.networking.k8s.io`, as RBAC, kubectl and CustomResourceDefinitions have it. */
export function nameOf({ apiVersion, path }: Resource): string {
  const plural = path.slice(path.lastIndexOf('/') + 1)
  return apiVersion.includes('/') ? `${plural}.${apiVersion.slice(0, apiVersion.indexOf('/'))}` : plural
}

/** The items of a list do not say what they are. */
function typed(object: object, { apiVersion, kind }: Resource): KubernetesObject {
  return { ...object, apiVersion, kind } as KubernetesObject
}

function keyOf({ namespace = '', name = '' }: ObjectMeta): string {
  return `${namespace}/${name}`
}
