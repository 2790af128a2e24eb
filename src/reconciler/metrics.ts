// What Prometheus scrapes of the reconciler, in the registry that the server has. No label holds a name or a namespace.
import { Counter, Gauge, type Registry } from 'prom-client'
import type { WorkQueue } from './queue.ts'

/** Counted as it happens. A kind is one of a source or of a companion, so there are few. */
export interface ReconcilerMetrics {
  /** One write. A re-admission is `unchanged` when the webhook had nothing to rewrite. */
  countWrite(verb: 'apply' | 'readmit' | 'delete', kind: string, result: WriteResult): void
  /** One call that is made again, by the status it got, or by the code of the broken connection. */
  countRetry(status: number | string): void
  setLeading(isLeading: boolean): void
}

/** `refused` is what the API server or a webhook denies, `failed` what may go better another time. */
export type WriteResult = 'changed' | 'unchanged' | 'refused' | 'failed'

/** Asked for at each scrape. */
export interface ReconcilerState {
  queue: Pick<WorkQueue, 'depth' | 'oldestAgeSeconds'>
  /** How many writes are put off because somebody undoes them. */
  looping(): number
  /** In mode observe, what would be written in mode enforce. */
  drift(): { sources: number; companions: number }
  /** How many sources are denied, by their kind. */
  denied(): ReadonlyMap<string, number>
  /** How many sources wait for a step, by the diagnostic's code. */
  pending(): ReadonlyMap<string, number>
  /** How many objects of others stand where a companion belongs, by their kind. */
  foreign(): ReadonlyMap<string, number>
}

export function createReconcilerMetrics(registry: Registry, state: ReconcilerState): ReconcilerMetrics {
  const registers = [registry]
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `sidestep_reconciler_${name}`,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  const gaugeBy = (label: string, name: string, help: string, values: () => Iterable<readonly [string, number]>) =>
    new Gauge({
      name: `sidestep_reconciler_${name}`,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset()
        for (const [value, count] of values()) this.set({ [label]: value }, count)
      },
    })

  gauge('queue_depth', 'Sources that wait to be looked at.', () => state.queue.depth)
  gauge('queue_age_seconds', 'How long the first of them has waited.', () => state.queue.oldestAgeSeconds)
  gauge('looping_writes', 'Writes that are put off because somebody undoes them again and again.', () =>
    state.looping(),
  )
  gaugeBy('of', 'drift', 'In mode observe, objects that would be written in mode enforce.', () =>
    Object.entries(state.drift()),
  )
  gaugeBy('kind', 'denied_sources', 'Sources that cannot work in ambient as they are.', () => state.denied())
  gaugeBy('code', 'pending_sources', 'Sources that wait for a step, by the code that says for which.', () =>
    state.pending(),
  )
  gaugeBy('kind', 'foreign_objects', 'Objects of others that stand where a companion belongs.', () => state.foreign())

  const writes = new Counter({
    name: 'sidestep_reconciler_writes_total',
    help: 'Companions applied and deleted, and sources sent through admission again.',
    labelNames: ['verb', 'kind', 'result'] as const,
    registers,
  })
  const retries = new Counter({
    name: 'sidestep_reconciler_retries_total',
    help: 'Calls to the API server that were made again, by the status they got before.',
    labelNames: ['status'] as const,
    registers,
  })
  const leader = new Gauge({
    name: 'sidestep_reconciler_leader',
    help: 'Whether this replica is the one that writes.',
    registers,
  })

  return {
    countWrite: (verb, kind, result) => writes.inc({ verb, kind, result }),
    countRetry: status => retries.inc({ status: String(status) }),
    setLeading: isLeading => leader.set(Number(isLeading)),
  }
}
