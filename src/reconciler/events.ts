// Kubernetes Events on sources, which say to their owners what stands in no status of theirs. They are core/v1 rather than
// events.k8s.io/v1: both are stored as the same objects, but only `count` and `lastTimestamp` can be raised by a small
// patch, and are what every kubectl prints. An Event on a Namespace is in that namespace, where its owners may read.
import { randomUUID } from 'node:crypto'
import type { BaseLogger } from 'pino'
import type { KubernetesObject } from '../apis/core.ts'
import { ApiError, type ApiServer } from './api-server.ts'
import { pathOf } from './paths.ts'

export interface RecorderOptions {
  api: Pick<ApiServer, 'send'>
  logger: Pick<BaseLogger, 'debug' | 'warn'>
  /** This Pod. */
  reportingInstance: string
  limits?: EventLimits
  /** Milliseconds of a clock that does not jump. */
  now?: () => number
}

export interface EventLimits {
  /** The same is told again by raising the count of its Event, until nothing was heard of it for so long. */
  windowMilliseconds: number
  /** The count is raised no more often than this. */
  patchMilliseconds: number
  /** How many Events there may be at once, and after what time there may be one more: on one object, and on all. */
  perObject: Allowance
  overall: Allowance
}

export interface Allowance {
  burst: number
  refillMilliseconds: number
}

export interface Happening {
  type: 'Normal' | 'Warning'
  /** In UpperCamelCase, for machines. */
  reason: string
  /** For people; cut at 1024 bytes. */
  note: string
}

export interface Recorder {
  /** Returns at once and never throws: what cannot be told is dropped. */
  tell(object: KubernetesObject, happening: Happening): void
  /** Resolves when all that was told so far is sent, or dropped. */
  flush(): Promise<void>
}

/** client-go's limits for one object; the API server keeps an Event for an hour. */
const usualLimits: EventLimits = {
  windowMilliseconds: 30 * 60_000,
  patchMilliseconds: 5 * 60_000,
  perObject: { burst: 25, refillMilliseconds: 5 * 60_000 },
  overall: { burst: 100, refillMilliseconds: 1_000 },
}

const mostBytes = 1024
/** Of objects, and of what was told; what was told longest ago is forgotten. */
const mostKept = 2_000
const mostUnsent = 200
const patienceMilliseconds = 10_000

/** What is known of one Event. */
interface Told {
  event: KubernetesObject
  count: number
  heard: number
  sent: number
}

export function recorder({
  api,
  logger,
  reportingInstance,
  limits = usualLimits,
  now = () => performance.now(),
}: RecorderOptions): Recorder {
  const told = new Map<string, Told>()
  const buckets = new Map<string, Bucket>()
  const overall = new Bucket(limits.overall, now())
  let isFailing = false
  let unsent = 0
  // One after the other, so that the count of an Event is not raised before the Event is there.
  let sent = Promise.resolve()

  const mayTell = (object: string, time: number) => {
    const bucket = buckets.get(object) ?? new Bucket(limits.perObject, time)
    keep(buckets, object, bucket)
    return unsent < mostUnsent && overall.has(time) && bucket.take(time) && overall.take(time)
  }

  const send = async (key: string, { event, count }: Told, isNew: boolean) => {
    const signal = AbortSignal.timeout(patienceMilliseconds)
    const lastTimestamp = seconds()
    const create = () => {
      const body = { ...event, firstTimestamp: lastTimestamp, lastTimestamp, count }
      return api.send({ method: 'POST', path: pathOf(event).replace(/\/[^/]+$/, ''), body }, signal)
    }
    try {
      if (isNew) await create()
      else {
        const body = { count, lastTimestamp }
        const contentType = 'application/merge-patch+json'
        await api.send({ method: 'PATCH', path: pathOf(event), body, contentType }, signal).catch(error => {
          // The API server has let it go.
          if (error instanceof ApiError && error.status === 404) return create()
          throw error
        })
      }
      isFailing = false
    } catch (err) {
      told.delete(key)
      // No Event may be made in a namespace that goes, which is nobody's fault.
      const isGoing =
        err instanceof ApiError && [403, 404].includes(err.status) && /terminat|not found/.test(err.message)
      logger[isGoing || isFailing ? 'debug' : 'warn']({ err }, 'Event could not be made')
      isFailing ||= !isGoing
    }
  }

  return {
    tell(object, { type, reason, note }) {
      const time = now()
      const message = cut(note)
      const source = object.metadata.uid ?? pathOf(object)
      const key = JSON.stringify([source, type, reason, message])
      const known = told.get(key)
      const isNew = !known || time - known.heard > limits.windowMilliseconds
      if (known && !isNew) {
        known.count++
        known.heard = time
        keep(told, key, known)
        if (time - known.sent < limits.patchMilliseconds) return
      }
      if (!mayTell(source, time)) return
      const next = isNew
        ? { event: eventOn(object, { type, reason, message, reportingInstance }), count: 1, heard: time, sent: time }
        : known
      next.sent = time
      keep(told, key, next)
      unsent++
      sent = sent.then(() => send(key, next, isNew)).finally(() => unsent--)
    },
    flush: () => sent,
  }
}

function eventOn(
  { apiVersion, kind, metadata: { name = '', namespace, uid } }: KubernetesObject,
  { reportingInstance, ...rest }: { type: string; reason: string; message: string; reportingInstance: string },
): KubernetesObject {
  // The API server takes an Event only into the namespace of its object, and into `default` when that has none.
  const itsNamespace = namespace ?? (kind === 'Namespace' ? name : undefined)
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      namespace: itsNamespace ?? 'default',
      name: `${name.slice(0, 200).replace(/[^a-z0-9]+$/, '')}.${randomUUID().slice(0, 13)}`,
    },
    involvedObject: { apiVersion, kind, name, ...(itsNamespace && { namespace: itsNamespace }), ...(uid && { uid }) },
    ...rest,
    source: { component: 'sidestep' },
    reportingComponent: 'sidestep',
    reportingInstance,
  }
  return event
}

/** As many tokens as the burst at first, and one more after each refill. */
class Bucket {
  readonly #allowance: Allowance
  #tokens: number
  #filled: number

  constructor(allowance: Allowance, now: number) {
    this.#allowance = allowance
    this.#tokens = allowance.burst
    this.#filled = now
  }

  has(now: number): boolean {
    const { burst, refillMilliseconds } = this.#allowance
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#filled) / refillMilliseconds)
    this.#filled = now
    return this.#tokens >= 1
  }

  take(now: number): boolean {
    if (!this.has(now)) return false
    this.#tokens--
    return true
  }
}

/** Puts it last. Of too many, the first goes. */
function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > mostKept) map.delete(map.keys().next().value ?? key)
}

/** At the end of a whole character. */
function cut(note: string): string {
  if (Buffer.byteLength(note) <= mostBytes) return note
  const bytes = Buffer.from(note).subarray(0, mostBytes - 3)
  return `${bytes.toString('utf8').replace(/\uFFFD+$/, '')}…`
}

/** The API of core/v1 has whole seconds. */
function seconds(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z')
}
