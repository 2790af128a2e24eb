// Which objects are to be looked at next: a queue of keys in the manner of client-go's workqueue.
import { setImmediate as nextTurn } from 'node:timers/promises'

export interface QueueOptions {
  /** What a worker threw, before its key is tried again. Nobody hears of what was thrown because the queue stopped. */
  onError: (error: unknown, key: string) => void
  /** How many keys are worked on at a time. */
  concurrency?: number
  /** Milliseconds before the first retry of a key; twice that before its second, and so on, up to the longest. */
  delays?: { first: number; longest: number }
}

export interface Urgency {
  /** Behind everything that is not. For sweeps over all objects, so that what somebody just changed does not wait for them. */
  later?: boolean
}

export type Worker = (key: string, signal: AbortSignal) => Promise<void>

/** More is no delay at all to Node. */
const longestTimeout = 2 ** 31 - 1

/**
 * Equal keys collapse, and no key is worked on twice at the same time: one that is added meanwhile comes once more afterwards.
 * Timers run only while the queue does. Without, what is put off counts as added, so that the next run begins with it.
 */
export class WorkQueue {
  readonly #options: Required<QueueOptions>
  /** The keys that wait, and since when. Maps keep the order in which keys came. */
  readonly #fresh = new Map<string, number>()
  readonly #later = new Map<string, number>()
  readonly #delayed = new Map<string, { timer: NodeJS.Timeout; due: number }>()
  /** With the urgency they were taken with. They may wait as well, but are not taken. */
  readonly #running = new Map<string, Urgency>()
  readonly #failures = new Map<string, number>()
  #signal: AbortSignal | undefined
  /** Lanes that have nothing to do. */
  #sleepers: (() => void)[] = []
  #idlers: (() => void)[] = []

  constructor(options: QueueOptions) {
    this.#options = { concurrency: 4, delays: { first: 250, longest: 300_000 }, ...options }
  }

  /** How many keys wait, without those that are put off. */
  get depth(): number {
    return this.#fresh.size + this.#later.size
  }

  /** How long the one that came first has waited. Nothing is late in a queue that does not run. */
  get oldestAgeSeconds(): number {
    const now = performance.now()
    let oldest = now
    for (const level of [this.#fresh, this.#later]) for (const since of level.values()) oldest = Math.min(oldest, since)
    return this.#isRunning ? (now - oldest) / 1000 : 0
  }

  add(key: string, { later = false }: Urgency = {}): void {
    if (this.#fresh.has(key)) return
    const since = this.#later.get(key) ?? performance.now()
    if (later) this.#later.set(key, since)
    else {
      this.#later.delete(key)
      this.#fresh.set(key, since)
    }
    this.#sleepers.shift()?.()
  }

  /** Adds it when that time is over. Of several such times the earliest counts, and `add` does not wait for it. */
  addAfter(key: string, milliseconds: number, urgency: Urgency = {}): void {
    const due = performance.now() + milliseconds
    const delayed = this.#delayed.get(key)
    if (delayed && delayed.due <= due) return
    clearTimeout(delayed?.timer)
    const add = () => {
      this.#delayed.delete(key)
      this.add(key, urgency)
    }
    if (!this.#isRunning) add()
    else this.#delayed.set(key, { timer: setTimeout(add, Math.min(milliseconds, longestTimeout)), due })
  }

  /** Adds it after a time that doubles with each retry until the key is forgotten, and is as long as was asked for. */
  retry(key: string, atLeastMilliseconds = 0): void {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    const { first, longest } = this.#options.delays
    // Between a half and one, so that what failed together does not come back together.
    const delay = (Math.min(longest, first * 2 ** failures) * (1 + Math.random())) / 2
    this.addAfter(key, Math.max(delay, atLeastMilliseconds), this.#running.get(key))
  }

  /** It went well, or is no more: its next retry is again a first one. */
  forget(key: string): void {
    this.#failures.delete(key)
  }

  /** Works on keys until the signal aborts. Resolves when every worker is done, too. */
  async run(worker: Worker, signal: AbortSignal): Promise<void> {
    if (this.#signal) throw new Error('the queue runs already')
    this.#signal = signal
    const stop = () => {
      for (const [key, { timer }] of this.#delayed) {
        clearTimeout(timer)
        this.add(key, { later: true })
      }
      this.#delayed.clear()
      for (const wake of this.#sleepers.splice(0)) wake()
    }
    signal.addEventListener('abort', stop)
    await Promise.all(Array.from({ length: this.#options.concurrency }, () => this.#lane(worker, signal)))
    signal.removeEventListener('abort', stop)
    this.#signal = undefined
  }

  /** Resolves when no key waits or is worked on. Keys that are put off are not waited for. */
  async idle(): Promise<void> {
    while (this.depth + this.#running.size > 0) await new Promise<void>(resolve => this.#idlers.push(resolve))
  }

  get #isRunning(): boolean {
    return this.#signal?.aborted === false
  }

  async #lane(worker: Worker, signal: AbortSignal): Promise<void> {
    for (;;) {
      // Thousands of keys about which there is nothing to do must not keep admissions from being answered. It also lets
      // all that one event brings come in before anything is done about it.
      await nextTurn()
      if (signal.aborted) return
      const key = this.#take()
      if (key === undefined) await new Promise<void>(resolve => this.#sleepers.push(resolve))
      else await this.#work(key, worker, signal)
    }
  }

  #take(): string | undefined {
    for (const level of [this.#fresh, this.#later])
      for (const key of level.keys()) {
        if (this.#running.has(key)) continue
        level.delete(key)
        this.#running.set(key, { later: level === this.#later })
        return key
      }
    return undefined
  }

  async #work(key: string, worker: Worker, signal: AbortSignal): Promise<void> {
    try {
      await worker(key, signal)
    } catch (error) {
      if (signal.aborted) this.add(key)
      else {
        this.retry(key)
        this.#options.onError(error, key)
      }
    }
    this.#running.delete(key)
    if (this.depth + this.#running.size === 0) for (const resolve of this.#idlers.splice(0)) resolve()
  }
}
