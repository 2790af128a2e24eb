// A cluster in memory for the Reconciler: a store that answers as the API server does, the webhook, and watches that bring
// changes late. Server-side apply is simplified: lists are atomic, and ownership is by whole fields of the spec.
import type { KubernetesObject, ManagedFieldsEntry } from '../../src/apis/core.ts'
import { ApiError, type ApiServer, type Call } from '../../src/reconciler/api-server.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { type Change, trim } from '../../src/reconciler/snapshot.ts'
import { isEqual } from '../../src/translate/canonical.ts'
import { translate } from '../../src/translate/index.ts'
import type { Settings } from '../../src/translate/settings.ts'
import type { Translate } from '../../src/translate/translation.ts'
import { accepted, hasStatus, LiveModel } from './live-model.ts'

type Fields = Record<string, unknown>
type Stored = KubernetesObject & { spec?: Fields; status?: unknown }

const manager = 'sidestep'

export class FakeCluster implements Pick<ApiServer, 'send'> {
  readonly model: LiveModel
  /** Every write that was sent, as `PATCH /path`, whether it succeeded or not. */
  readonly writes: string[] = []
  readonly reads: string[] = []
  /** Whether the webhook is reached; `failurePolicy: Ignore`. */
  hasWebhook = true
  /** Whether Istio reports on what it finds. */
  hasIstio = true
  /** Milliseconds until a watch brings a change. */
  delay = 20
  /** Kinds whose watches bring nothing for the time being. */
  readonly held = new Set<string>()
  /** Called before each call is answered; may throw, wait, or change the cluster. */
  before: (call: Call, signal: AbortSignal) => Promise<void> | void = () => {}
  /** What the webhook does. */
  translate: Translate<KubernetesObject> = translate
  readonly #settings: Settings
  readonly #store = new Map<string, Stored>()
  readonly listeners = new Set<(change: Change) => void>()
  /** By kind, in the order of writing. */
  readonly #undelivered = new Map<string, { path: string; object: Stored | undefined }[]>()
  #version = 1000

  constructor(settings: Settings, objects: KubernetesObject[] = []) {
    this.#settings = settings
    this.model = new LiveModel(settings)
    for (const object of objects) this.put(object)
    this.deliver()
  }

  /** The part of a LiveSnapshot that the Reconciler takes. */
  get live() {
    const { model } = this
    return {
      cluster: model.cluster,
      objects: model.objects,
      subscribe: (listener: (change: Change) => void) => {
        this.listeners.add(listener)
        return () => this.listeners.delete(listener)
      },
      knows: (path: string) => ![...this.#undelivered.values()].flat().some(change => change.path === path),
    }
  }

  // What others do -------------------------------------------------------------------------------------------------

  at(path: string): Stored | undefined {
    return this.#store.get(path)
  }

  all(): Stored[] {
    return [...this.#store.values()]
  }

  /** Somebody writes an object whole, past the webhook. Their name makes its spec theirs. */
  put(object: KubernetesObject, by?: string): void {
    const path = pathOf(object)
    const stored = this.#store.get(path)
    const managedFields = by ? [...entriesOf(stored, by), ownerOf(by, 'Update', (object as Stored).spec)] : undefined
    const { uid = stored?.metadata.uid ?? `uid-${this.#version}` } = object.metadata
    this.#keep({ ...object, metadata: { ...object.metadata, uid, ...(managedFields && { managedFields }) } })
  }

  remove(path: string): void {
    const stored = this.#store.get(path)
    if (!stored) return
    this.#store.delete(path)
    this.#version++
    this.#announce(stored.kind, { path, object: undefined })
  }

  /** Brings what has been held back, of a kind or of all. */
  deliver(kind?: string): void {
    for (const [each, events] of this.#undelivered)
      if (kind === undefined || kind === each) for (const event of events.splice(0)) this.#bring(event)
  }

  // ApiServer ------------------------------------------------------------------------------------------------------

  async send(call: Call, signal: AbortSignal): Promise<KubernetesObject> {
    const line = `${call.method} ${call.path}`
    if (call.method === 'GET') this.reads.push(line)
    else this.writes.push(line)
    await this.before(call, signal)
    signal.throwIfAborted()
    const stored = this.#store.get(call.path)
    if (!stored && !(call.method === 'PATCH' && call.contentType === 'application/apply-patch+yaml'))
      throw new ApiError(404, `${call.path} is not there`, { reason: 'NotFound' })
    switch (`${call.method} ${call.contentType ?? ''}`) {
      case 'PATCH application/merge-patch+json':
        return this.#readmitted(stored as Stored)
      case 'PATCH application/apply-patch+yaml':
        return this.#applied(call, stored)
      case 'PUT ':
        return this.#replaced(call.body as Stored, stored as Stored)
      case 'DELETE ':
        return this.#deleted(call, stored as Stored)
      default:
        return stored as Stored
    }
  }

  #readmitted(stored: Stored): KubernetesObject {
    if (!this.hasWebhook) return stored
    const { object, denial } = this.translate(stored, this.model.cluster, this.#settings)
    if (denial) throw new ApiError(403, 'denied the request', { reason: 'Forbidden' })
    return this.#keep(object as Stored)
  }

  #applied({ path, query, body }: Call, stored: Stored | undefined): KubernetesObject {
    const applied = body as Stored
    const { uid } = applied.metadata
    if (uid !== undefined && !stored)
      throw new ApiError(409, `uid mismatch: there is no ${path}`, { reason: 'Conflict' })
    if (uid !== undefined && uid !== stored?.metadata.uid)
      throw new ApiError(422, `metadata.uid: Invalid value: "${uid}": field is immutable`, { reason: 'Invalid' })
    if (!stored)
      return this.#keep({ ...applied, metadata: { ...applied.metadata, uid: `uid-${this.#version}` } }, applied)
    const own = this.#lastApplied.get(path)
    const spec = merged(without(stored.spec, own?.spec), applied.spec)
    const isTaken =
      applied.spec !== undefined && !isEqual(merged(applied.spec, stored.spec), merged(stored.spec, applied.spec))
    if (query?.force !== 'true' && (isTaken || isForeignLabel(stored, applied)))
      throw new ApiError(409, 'Apply failed with 1 conflict', { reason: 'Conflict' })
    const labels = { ...stored.metadata.labels, ...applied.metadata.labels }
    const annotations = { ...stored.metadata.annotations, ...applied.metadata.annotations }
    const metadata = { ...stored.metadata, ...applied.metadata, labels, annotations }
    return this.#keep({ ...stored, metadata, ...(spec && { spec }) }, applied)
  }

  readonly #lastApplied = new Map<string, Stored>()

  #replaced(whole: Stored, stored: Stored): KubernetesObject {
    if (whole.metadata.resourceVersion !== stored.metadata.resourceVersion)
      throw new ApiError(409, 'the object has been modified', { reason: 'Conflict' })
    const { status } = stored
    return this.#keep({ ...whole, ...(status === undefined ? {} : { status }) } as Stored, whole)
  }

  #deleted({ path, body }: Call, stored: Stored): KubernetesObject {
    const { uid, resourceVersion } = (body as { preconditions: Fields }).preconditions
    if (uid !== stored.metadata.uid || resourceVersion !== stored.metadata.resourceVersion)
      throw new ApiError(409, 'the precondition failed', { reason: 'Conflict' })
    this.remove(path)
    return stored
  }

  /** Stores an object, unless it is stored so. */
  #keep(object: Stored, applied?: Stored): Stored {
    const path = pathOf(object)
    const stored = this.#store.get(path)
    if (applied) this.#lastApplied.set(path, applied)
    const others = (object.metadata.managedFields ?? []).filter(each => each.manager !== manager)
    const left = applied ? others.filter(({ fieldsV1 }) => isWithin(fieldsV1, object.spec, applied.spec)) : others
    const managedFields = [
      ...left,
      ...(applied ? [ownerOf(manager, 'Apply', applied.spec)] : entriesBy(object, manager)),
    ]
    const { resourceVersion: _, ...metadata } = { ...object.metadata, managedFields }
    const { resourceVersion, ...before } = stored?.metadata ?? {}
    if (stored && isEqual({ ...object, metadata }, { ...stored, metadata: before })) return stored
    const next = { ...object, metadata: { ...metadata, resourceVersion: String(++this.#version) } }
    this.#store.set(path, next)
    this.#announce(next.kind, { path, object: next })
    if (this.hasIstio && hasStatus(next) && !isEqual(next.status, (accepted(next) as Stored).status))
      return this.#reportedOn(next)
    return next
  }

  /** Istio's own write comes right after; the writer hears of the state before. */
  #reportedOn(object: Stored): Stored {
    const next = accepted(object) as Stored
    next.metadata = { ...next.metadata, resourceVersion: String(++this.#version) }
    this.#store.set(pathOf(next), next)
    this.#announce(next.kind, { path: pathOf(next), object: next })
    return object
  }

  // Watches --------------------------------------------------------------------------------------------------------

  #announce(kind: string, event: { path: string; object: Stored | undefined }): void {
    const events = this.#undelivered.get(kind) ?? []
    this.#undelivered.set(kind, [...events, event])
    if (this.listeners.size > 0)
      setTimeout(() => {
        const [first, ...rest] = this.held.has(kind) ? [] : (this.#undelivered.get(kind) ?? [])
        if (!first) return
        this.#undelivered.set(kind, rest)
        this.#bring(first)
      }, this.delay)
  }

  #bring({ path, object }: { path: string; object: Stored | undefined }): void {
    const change = object ? this.model.put(trim(object)) : this.model.remove(path)
    if (change) for (const listener of this.listeners) listener(change)
  }
}

// Ownership -----------------------------------------------------------------------------------------------------------

function ownerOf(name: string, operation: string, spec: Fields | undefined): ManagedFieldsEntry {
  const fields = Object.fromEntries(Object.keys(spec ?? {}).map(field => [`f:${field}`, {}]))
  return { manager: name, operation, fieldsV1: { 'f:spec': fields } } as ManagedFieldsEntry
}

function entriesOf(object: Stored | undefined, except: string): ManagedFieldsEntry[] {
  return (object?.metadata.managedFields ?? []).filter(each => each.manager !== except)
}

function entriesBy(object: Stored, name: string): ManagedFieldsEntry[] {
  return (object.metadata.managedFields ?? []).filter(each => each.manager === name)
}

/** Whether somebody still owns a field of the spec beside those that were applied. */
function isWithin(fieldsV1: unknown, spec: Fields = {}, applied: Fields = {}): boolean {
  const fields = Object.keys((fieldsV1 as { 'f:spec'?: Fields })?.['f:spec'] ?? {}).map(field => field.slice(2))
  return fields.some(field => field in spec && !(field in applied))
}

function without(spec: Fields | undefined, own: Fields | undefined): Fields | undefined {
  return spec && Object.fromEntries(Object.entries(spec).filter(([field]) => !(field in (own ?? {}))))
}

function merged(one: Fields | undefined, other: Fields | undefined): Fields | undefined {
  return one || other ? { ...one, ...other } : undefined
}

function isForeignLabel(stored: Stored, applied: Stored): boolean {
  const there = stored.metadata.labels ?? {}
  return Object.entries(applied.metadata.labels ?? {}).some(
    ([name, value]) => there[name] !== undefined && there[name] !== value,
  )
}
