// watch -> snapshot -> translate -> plan -> apply: keeps the companions of every source, and sends sources through
// admission again when their translation has come to be another. One write for a source at a time, and then the source is
// looked at again with what the watch has brought: so the order of design.md section 5 is always read from the snapshot.
import { setMaxListeners } from 'node:events'
import type { BaseLogger } from 'pino'
import type { KubernetesObject } from '../apis/core.ts'
import { digest, isEqual } from '../translate/canonical.ts'
import { isCompanion } from '../translate/companion.ts'
import { type Mode, modeFor } from '../translate/mode.ts'
import type { Settings } from '../translate/settings.ts'
import type { Translate, Translation } from '../translate/translation.ts'
import { affectedBy } from './affected.ts'
import { ApiError, type ApiServer } from './api-server.ts'
import { carryOut } from './apply.ts'
import { Inventory, keysOf, sourcePathOf } from './inventory.ts'
import { pathOf } from './paths.ts'
import { contentOf, type Operation, plan } from './plan.ts'
import { PutOff } from './put-off.ts'
import { WorkQueue } from './queue.ts'
import type { Change, LiveSnapshot } from './snapshot.ts'
import { trim } from './trim.ts'

export interface ReconcilerOptions {
  api: ApiServer
  live: Pick<LiveSnapshot, 'cluster' | 'objects' | 'subscribe' | 'knows'>
  settings: Settings
  translate: Translate<KubernetesObject>
  listener: Listener
  logger: Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>
  /** How many sources are worked on at a time. */
  concurrency?: number
  /** How often every source is looked at, whatever the watches say. */
  resyncMilliseconds?: number
}

/**
 * How a write ended. `fruitless`: a source came out of admission as it went in, though it should not have. `gone`: what it
 * was about is not there any more, or its Namespace is going, of which the watch is about to tell.
 */
export type Result = 'done' | 'fruitless' | 'conflict' | 'gone' | 'forbidden' | 'refused' | 'failed'

/** Who hears what becomes of sources. Nothing of it may throw or wait. */
export interface Listener {
  /** A source was translated; `left` is what is still to be written for it. */
  translated(source: KubernetesObject, translation: Translation, mode: Mode, left: readonly Operation[]): void
  /** A write for a source, or for what a source that is gone has left. */
  wrote(source: KubernetesObject | undefined, operation: Operation, result: Result, error?: ApiError): void
  /** The same write has been needed again and again: somebody undoes it. */
  looping(source: KubernetesObject, operation: Operation, milliseconds: number): void
  gone(key: string): void
}

/** Four hours: what a watch has lost without a word is found at the latest then. */
const defaultResyncMilliseconds = 4 * 60 * 60 * 1000

/** How long a write that was answered may take to come back by the watch before the source is looked at anyhow. */
export const watchMilliseconds = 10_000

export class Reconciler {
  readonly queue: WorkQueue
  readonly #options: ReconcilerOptions
  readonly #inventory = new Inventory()
  /** What each source wants beside it, by path, and who wants a path. */
  readonly #wanted = new Map<string, Set<string>>()
  readonly #wantedBy = new Map<string, Set<string>>()
  /** Sources that were not looked at since the start. Until there is none, nobody knows what is not wanted. */
  readonly #unseen = new Set<string>()
  /** The last write for a source, until the watch brings it. */
  readonly #awaited = new Map<string, { path: string; answer: KubernetesObject | undefined; since: number }>()
  readonly #putOff = new PutOff()
  /** Re-admissions that changed nothing: what is put off, and its source. */
  readonly #fruitless = new Map<string, string>()
  /** What was asked of admission in vain, by source: it only looked so, since the snapshot does not keep managedFields. */
  readonly #settled = new Map<string, string>()

  constructor(options: ReconcilerOptions) {
    this.#options = options
    const { logger, concurrency = 8 } = options
    const onError = (err: unknown, key: string) =>
      logger.error({ err, source: key }, 'a fault in sidestep, trying again')
    this.queue = new WorkQueue({ onError, concurrency })
  }

  /** How many writes are put off because somebody undoes them. */
  get looping(): number {
    return this.#putOff.looping
  }

  /** Works until the signal aborts. Everything that is read of the cluster has been read before. */
  async run(signal: AbortSignal): Promise<void> {
    const { live, resyncMilliseconds = defaultResyncMilliseconds } = this.#options
    setMaxListeners(0, signal) // Each lane and its call listen, which is no leak.
    for (const [path, after] of live.objects) this.#inventory.note({ path, after })
    const unsubscribe = live.subscribe(change => this.#noteChange(change))
    for (const key of this.#keys()) this.#unseen.add(key)
    this.#sweep()
    const resync = setInterval(() => this.#sweep(), resyncMilliseconds)
    try {
      await this.queue.run((key, signal) => this.#work(key, signal), signal)
    } finally {
      clearInterval(resync)
      unsubscribe()
    }
  }

  #noteChange(change: Change): void {
    const { live, settings } = this.#options
    this.#inventory.note(change)
    const { own, others } = affectedBy(change, this.#inventory, live.cluster, settings)
    // What could not be written for want of its kind may be now.
    if ((change.after ?? change.before)?.kind === 'CustomResourceDefinition') this.#putOff.forgive()
    for (const key of own) {
      // What somebody has deleted right after it was written does not come any more.
      if (!change.after && this.#awaited.get(key)?.path === change.path) this.#awaited.delete(key)
      this.queue.add(key)
    }
    for (const key of others) this.queue.add(key, { later: true })
    for (const path of backendsOf(change.before)) this.#lookAtOwner(path)
  }

  async #work(key: string, signal: AbortSignal): Promise<void> {
    const source = this.#inventory.source(key)
    if (!source) await this.#collect(key, signal)
    else if (!this.#isGoing(source)) {
      const left = this.#millisecondsAwaited(key)
      if (left > 0) this.queue.addAfter(key, left)
      else await this.#keep(key, source, signal)
    }
    // Once all were seen it is known what nobody wants.
    if (this.#unseen.delete(key) && this.#unseen.size === 0) this.#sweep()
  }

  /** The keys of all sources, the oldest first, and those that only companions still name. */
  #keys(): string[] {
    return [...this.#inventory.keysByAge(), ...this.#inventory.orphaned()]
  }

  /** Has everything looked at, behind what somebody just changed. */
  #sweep(): void {
    for (const key of this.#keys()) this.queue.add(key, { later: true })
  }

  /** Makes the first write of a source's plan that is not put off. */
  async #keep(key: string, source: KubernetesObject, signal: AbortSignal): Promise<void> {
    const { live, settings, translate, listener } = this.#options
    const mode = modeFor(source, live.cluster, settings)
    const translation = translate(source, live.cluster, settings)
    if (!translation.denial) this.#want(key, translation.companions.map(pathOf))
    if (this.#settled.get(key) !== questionOf(source, translation.object)) this.#settled.delete(key)
    const operations = plan(translation, mode, {
      source,
      isSettled: this.#settled.has(key),
      at: path => live.objects.get(path),
      companions: this.#inventory.companionsOf(key),
      isNeeded: path => this.#unseen.size > 0 || this.#isNeeded(path, key),
    })
    listener.translated(source, translation, mode, operations)
    if (operations.length === 0) return this.queue.forget(key)
    if (mode !== 'enforce') return
    const ids = operations.map(operation => idOf(key, operation))
    const next = ids.findIndex(id => !this.#putOff.isWaiting(id))
    const operation = operations[next]
    if (!operation) return this.queue.addAfter(key, Math.min(...ids.map(id => this.#putOff.millisecondsLeft(id))))
    await this.#write(key, source, operation, ids[next] ?? key, signal)
  }

  async #write(
    key: string,
    source: KubernetesObject,
    operation: Operation,
    id: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { api, live, listener } = this.#options
    const { answer, error } = await attempt(operation, path => live.objects.get(path), api, signal)
    if (signal.aborted) return
    // Not by its version, which others raise by writing its status.
    const isUnchanged =
      answer !== undefined && operation.kind === 'readmit' && isEqual(contentOf(trim(answer)), contentOf(source))
    if (isUnchanged && this.#isTranslated(answer)) {
      // Unless the cluster has changed meanwhile, and may change back.
      if (!this.#isTranslated(source)) this.#settled.set(key, questionOf(source, operation.into))
      return this.queue.add(key)
    }
    const result = error ? resultOf(error) : isUnchanged ? 'fruitless' : 'done'
    listener.wrote(source, operation, result, error)
    if (result !== 'done') {
      this.#putOff.noteFailed(id, error?.retryAfterSeconds)
      if (result === 'fruitless') this.#fruitless.set(id, key)
      return this.queue.add(key)
    }
    if (operation.kind === 'readmit') this.#retryFruitless()
    this.#await(key, operation, answer)
    const loop = this.#putOff.noteDone(id)
    if (loop !== undefined) listener.looping(source, operation, loop)
  }

  /** The webhook answers: whatever it left alone while it was away is not to wait any longer. */
  #retryFruitless(): void {
    for (const [id, key] of this.#fruitless) {
      this.#putOff.release(id)
      this.queue.add(key, { later: true })
    }
    this.#fruitless.clear()
  }

  /** Whether a source, as the API server has it with all its managedFields, is its own translation. */
  #isTranslated(source: KubernetesObject): boolean {
    const { live, settings, translate } = this.#options
    return isEqual(contentOf(translate(source, live.cluster, settings).object), contentOf(source))
  }

  /** Deletes what a source has left that is gone; the garbage collector does not look into other Namespaces. */
  async #collect(key: string, signal: AbortSignal): Promise<void> {
    const { api, live, settings, listener } = this.#options
    this.#want(key, [])
    this.#awaited.delete(key)
    listener.gone(key)
    const left = [...this.#inventory.companionsOf(key)].filter(([path]) => !this.#isNeeded(path, key))
    const path = sourcePathOf(key)
    if (left.length === 0 || this.#unseen.size > 1 || path === undefined) return
    if (await isThere(path, api, signal)) return this.queue.addAfter(key, watchMilliseconds)
    for (const [, object] of left) {
      if (modeFor(object, live.cluster, settings) === 'off' || this.#isGoing(object)) continue
      const operation = { kind: 'delete', object } as const
      const { error } = await attempt(operation, path => live.objects.get(path), api, signal)
      if (signal.aborted) return
      listener.wrote(undefined, operation, error ? resultOf(error) : 'done', error)
      if (error) this.queue.retry(key)
    }
  }

  /** What is going is left to go. */
  #isGoing({ metadata }: KubernetesObject): boolean {
    const { namespaces } = this.#options.live.cluster
    const namespace = namespaces.get(metadata.namespace ?? '')
    return metadata.deletionTimestamp !== undefined || namespace?.metadata.deletionTimestamp !== undefined
  }

  // What is wanted -------------------------------------------------------------------------------------------------

  #want(key: string, paths: string[]): void {
    for (const path of this.#wanted.get(key) ?? []) {
      this.#wantedBy.get(path)?.delete(key)
      if (!paths.includes(path)) this.#lookAtOwner(path)
    }
    if (paths.length === 0) this.#wanted.delete(key)
    else this.#wanted.set(key, new Set(paths))
    for (const path of paths) this.#wantedBy.set(path, (this.#wantedBy.get(path) ?? new Set()).add(key))
  }

  /** Whether another source wants a companion, or a route that stands sends requests to it. */
  #isNeeded(path: string, key: string): boolean {
    const wantedBy = this.#wantedBy.get(path) ?? new Set()
    if ([...wantedBy].some(each => each !== key)) return true
    // Routes send to nothing else, and there are many routes.
    if (this.#options.live.objects.get(path)?.kind !== 'Service') return false
    return [...this.#inventory.companions].some(route => backendsOf(route).includes(path))
  }

  /** What is not needed any more is for the source to delete whose companion it is. */
  #lookAtOwner(path: string): void {
    for (const key of keysOf(this.#options.live.objects.get(path))) this.queue.add(key, { later: true })
  }

  // What is awaited ------------------------------------------------------------------------------------------------

  #await(key: string, { object }: Operation, answer: KubernetesObject | undefined): void {
    this.#awaited.set(key, { path: pathOf(object), answer, since: performance.now() })
    // The change brings the key by itself, unless the watch is ill.
    this.queue.addAfter(key, watchMilliseconds)
  }

  /** For how long the last write for a source is still awaited by the watch: until then the snapshot shows what was before. */
  #millisecondsAwaited(key: string): number {
    const awaited = this.#awaited.get(key)
    if (!awaited) return 0
    const { live } = this.#options
    const { path, answer, since } = awaited
    // What was deleted may stay for a while, with a finalizer.
    const isKnown = answer
      ? live.knows(path, answer.metadata.resourceVersion ?? '0')
      : live.objects.get(path)?.metadata.deletionTimestamp !== undefined || !live.objects.has(path)
    const left = isKnown ? 0 : since + watchMilliseconds - performance.now()
    if (left <= 0) this.#awaited.delete(key)
    return left
  }
}

/** Equal for what would be written again: the source into which a re-admission leads, or the companion. */
function idOf(key: string, operation: Operation): string {
  const content = operation.kind === 'readmit' ? operation.into : operation.object
  return `${key} ${operation.kind} ${pathOf(operation.object)} ${digest(contentOf(content))}`
}

/** Whether this version of a source is to become that. */
function questionOf({ metadata }: KubernetesObject, into: KubernetesObject): string {
  return `${metadata.resourceVersion} ${digest(contentOf(into))}`
}

async function attempt(
  ...[operation, at, api, signal]: Parameters<typeof carryOut>
): Promise<{ answer?: KubernetesObject | undefined; error?: ApiError }> {
  try {
    return { answer: await carryOut(operation, at, api, signal) }
  } catch (error) {
    if (error instanceof ApiError) return { error }
    if (signal.aborted) return {}
    // No answer at all.
    return { error: new ApiError(0, error instanceof Error ? error.message : String(error)) }
  }
}

function resultOf({ status, reason, message }: ApiError): Result {
  // Where another object has come to have the name, its uid would have to change.
  if (status === 409 || (status === 422 && /metadata\.uid: Invalid value/.test(message))) return 'conflict'
  // A kind that is not installed is "404 page not found", without a reason. The other is the cause NamespaceTerminating.
  if (reason === 'NotFound' || (reason === 'Forbidden' && /being terminated/.test(message))) return 'gone'
  if (status === 401 || status === 403) return 'forbidden'
  return status === 400 || status === 422 ? 'refused' : 'failed'
}

async function isThere(path: string, api: ApiServer, signal: AbortSignal): Promise<boolean> {
  try {
    await api.send({ method: 'GET', path }, signal)
    return true
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false
    throw error
  }
}

/** The paths of the Services to which a companion sends requests. One of a source that cannot be is no route of ours. */
function backendsOf(route: KubernetesObject | undefined): string[] {
  if (!route?.kind.endsWith('Route') || !isCompanion(route)) return []
  if (keysOf(route).every(key => sourcePathOf(key) === undefined)) return []
  const { rules = [] } = (route as { spec?: { rules?: Rule[] } }).spec ?? {}
  const backends = rules.flatMap(({ backendRefs = [], filters = [] }) => [
    ...backendRefs,
    ...[filters, ...backendRefs.map(each => each.filters ?? [])]
      .flat()
      .flatMap(each => each.requestMirror?.backendRef ?? []),
  ])
  return backends.map(({ name, namespace = route.metadata.namespace ?? '' }) =>
    pathOf({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace } }),
  )
}

interface Rule {
  backendRefs?: (Backend & { filters?: Filter[] })[]
  filters?: Filter[]
}
interface Backend {
  name: string
  namespace?: string
}
interface Filter {
  requestMirror?: { backendRef: Backend }
}
