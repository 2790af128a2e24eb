// What becomes of sources, told to Prometheus, to the log and, as Events, to the owners of objects.
import type { BaseLogger } from 'pino'
import type { KubernetesObject } from '../apis/core.ts'
import { digest } from '../translate/canonical.ts'
import { sourceKey } from '../translate/companion.ts'
import type { Mode } from '../translate/mode.ts'
import type { Diagnostic } from '../translate/report.ts'
import type { Translation } from '../translate/translation.ts'
import type { ApiError } from './api-server.ts'
import type { Happening, Recorder } from './events.ts'
import type { ReconcilerMetrics, WriteResult } from './metrics.ts'
import { pathOf } from './paths.ts'
import type { Operation } from './plan.ts'
import type { Listener, Result } from './reconciler.ts'

/** What is known of one source since it was translated last. */
interface Standing {
  kind: string
  isDenied: boolean
  /** Codes of what it waits for, and of objects of others that stand where a companion belongs. */
  pending: string[]
  foreign: number
  /** What would be written, in mode observe. */
  drift: { sources: number; companions: number }
  /** Of what was told of it, so that it is told once. */
  told: string
}

export interface TellingOptions {
  metrics: ReconcilerMetrics
  recorder: Recorder
  logger: Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>
}

export class Telling implements Listener {
  readonly #options: TellingOptions
  readonly #standings = new Map<string, Standing>()
  /** What RBAC does not allow, each of which is said once. */
  readonly #forbidden = new Set<string>()
  /** Whether admission changes nothing, which is said once until it does again: while the webhook is away, every try ends so. */
  #isFruitless = false

  constructor(options: TellingOptions) {
    this.#options = options
  }

  translated(source: KubernetesObject, translation: Translation, mode: Mode, left: readonly Operation[]): void {
    const { warnings, denial } = translation
    const denials = mode === 'off' ? [] : (denial?.reasons ?? [])
    const all = mode === 'off' ? [] : [...denials, ...warnings]
    const isObserved = mode === 'observe'
    const key = sourceKey(source)
    const pending = all.filter(({ code }) => code.endsWith('-PENDING'))
    const told = digest([denials, pending])
    const before = this.#standings.get(key)
    this.#standings.set(key, {
      kind: source.kind,
      isDenied: denials.length > 0,
      pending: pending.map(({ code }) => code),
      foreign: all.filter(({ code }) => /-COMPANION-(FOREIGN|TAKEN)$/.test(code)).length,
      drift: {
        sources: isObserved && left.some(({ kind }) => kind === 'readmit' || kind === 'label') ? 1 : 0,
        companions: isObserved ? left.filter(({ kind }) => kind === 'apply' || kind === 'delete').length : 0,
      },
      told,
    })
    if (before?.told === told) return
    for (const happening of [...denials.map(asDenied), ...pending.map(asPending)])
      this.#options.recorder.tell(source, happening)
  }

  wrote(source: KubernetesObject | undefined, operation: Operation, result: Result, error?: ApiError): void {
    const { metrics, recorder, logger } = this.#options
    const { kind, object } = operation
    const verb = kind === 'label' ? 'apply' : kind
    metrics.countWrite(verb, object.kind, writeResults[result])
    const line = { operation: kind, path: pathOf(object), source: source && sourceKey(source), result }
    const isForbidden = result === 'forbidden' && this.#tellForbidden(operation, error)
    if (isForbidden) return
    const isToldAgain = result === 'fruitless' && this.#isFruitless
    logger[isToldAgain ? 'debug' : levels[result]]({ ...line, ...(error && { err: error }) }, messages[result])
    if (kind === 'readmit' && (result === 'done' || result === 'fruitless')) this.#isFruitless = result === 'fruitless'
    if (!source) return
    if (result === 'done' && kind !== 'readmit')
      recorder.tell(source, { type: 'Normal', reason: reasons[kind], note: nameOf(object) })
    else if (result === 'refused' || result === 'forbidden')
      recorder.tell(source, {
        type: 'Warning',
        reason: 'Refused',
        note: `${kind} ${nameOf(object)}: ${error?.message}`,
      })
  }

  looping(source: KubernetesObject, { kind, object }: Operation, milliseconds: number): void {
    const { recorder, logger } = this.#options
    const path = pathOf(object)
    const note = `somebody undoes what sidestep writes to ${path}, again and again; it is left alone for ${Math.round(milliseconds / 1000)} s`
    logger.warn({ operation: kind, path, source: sourceKey(source), milliseconds }, note)
    recorder.tell(source, { type: 'Warning', reason: 'Contested', note })
  }

  gone(key: string): void {
    this.#standings.delete(key)
  }

  // For metrics ----------------------------------------------------------------------------------------------------

  drift(): { sources: number; companions: number } {
    const drifts = [...this.#standings.values()].map(({ drift }) => drift)
    return { sources: sum(drifts.map(each => each.sources)), companions: sum(drifts.map(each => each.companions)) }
  }

  denied(): ReadonlyMap<string, number> {
    return countBy([...this.#standings.values()].filter(({ isDenied }) => isDenied).map(({ kind }) => kind))
  }

  /** By code. */
  pending(): ReadonlyMap<string, number> {
    return countBy([...this.#standings.values()].flatMap(({ pending }) => pending))
  }

  foreign(): ReadonlyMap<string, number> {
    return countBy([...this.#standings.values()].flatMap(({ kind, foreign }) => Array<string>(foreign).fill(kind)))
  }

  /** Returns whether it was RBAC, and not somebody's webhook or a quota, which say 403 as well. */
  #tellForbidden({ object }: Operation, err: ApiError | undefined): boolean {
    const { recorder, logger } = this.#options
    const right = err && rightIn(err)
    if (right === undefined) return false
    const message = `sidestep may not ${right}; give it the rights of deploy/kustomize/base/rbac.yaml`
    const isNew = !this.#forbidden.has(right)
    this.#forbidden.add(right)
    logger[isNew ? 'error' : 'debug']({ path: pathOf(object), err }, message)
    if (isNew) recorder.tell(object, { type: 'Warning', reason: 'Forbidden', note: message })
    return true
  }
}

/** `patch httproutes.gateway.networking.k8s.io`, as the API server says it in the JSON of its answer. */
function rightIn({ status, message }: ApiError): string | undefined {
  if (status === 401) return 'speak to the API server'
  const [, verb, resource, group] =
    /cannot (\w+) resource \\*"([^"\\]+)\\*" in API group \\*"([^"\\]*)/.exec(message) ?? []
  return verb && `${verb} ${resource}${group ? `.${group}` : ''}`
}

/** `HTTPRoute team-a/jupyter` */
function nameOf({ kind, metadata: { namespace, name } }: KubernetesObject): string {
  return `${kind} ${[namespace, name].filter(Boolean).join('/')}`
}

const reasons = { apply: 'Kept', label: 'Enrolled', delete: 'Removed' } as const

// What somebody else has changed or deleted meanwhile is looked at again, and nobody's fault.
const levels = {
  done: 'info',
  fruitless: 'warn',
  conflict: 'debug',
  gone: 'debug',
  forbidden: 'warn',
  refused: 'warn',
  failed: 'warn',
} as const

const messages = {
  done: 'written',
  fruitless: 'admission left the object as it is; is the webhook registered, and can the API server reach it?',
  conflict: 'somebody else was first',
  gone: 'it is gone, or going',
  forbidden: 'the API server does not take it',
  refused: 'the API server does not take it',
  failed: 'not written, trying again',
} as const

const writeResults: Record<Result, WriteResult> = {
  done: 'changed',
  fruitless: 'unchanged',
  refused: 'refused',
  forbidden: 'refused',
  conflict: 'failed',
  gone: 'failed',
  failed: 'failed',
}

function asDenied({ code, field, message }: Diagnostic): Happening {
  return { type: 'Warning', reason: 'Denied', note: `${code} ${field}: ${message}` }
}

function asPending({ code, field, message }: Diagnostic): Happening {
  return { type: 'Normal', reason: 'Pending', note: `${code} ${field}: ${message}` }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}

function countBy(values: string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}
