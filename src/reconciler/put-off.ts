// How long a write is left alone that failed, that changed nothing, or that somebody undoes again and again.

interface Entry {
  failures: number
  /** When the write was made lately, the oldest first. */
  made: number[]
  until: number
  /** Whether it is put off because somebody undoes it, and not because it failed. */
  isLoop?: boolean
}

export interface Limits {
  /** Milliseconds before a write that failed is tried again; twice that after each further failure, up to the longest. */
  first: number
  longest: number
  /** So many equal writes in so many milliseconds are a loop. */
  writes: number
  window: number
}

/** Ten writes of one kind in two minutes are more than a person makes; a controller that compares makes one each second. */
export const defaultLimits: Limits = { first: 500, longest: 300_000, writes: 10, window: 120_000 }

/** Writes are told apart by an id, which holds what is written: another content is another write. */
export class PutOff {
  readonly #entries = new Map<string, Entry>()
  readonly #limits: Limits
  readonly #now: () => number

  constructor(limits: Limits = defaultLimits, now = () => performance.now()) {
    this.#limits = limits
    this.#now = now
  }

  millisecondsLeft(id: string): number {
    return Math.max(0, (this.#entries.get(id)?.until ?? 0) - this.#now())
  }

  isWaiting(id: string): boolean {
    return this.millisecondsLeft(id) > 0
  }

  /** Puts a write off that did not succeed, at least for as long as the API server asked for. */
  noteFailed(id: string, atLeastSeconds = 0): void {
    const { failures = 0, made = [] } = this.#entries.get(id) ?? {}
    const delay = Math.max(this.#delay(failures), atLeastSeconds * 1000)
    this.#set(id, { failures: failures + 1, made, until: this.#now() + delay })
  }

  /**
   * Notes a write that succeeded. When it is made too often it is put off, each time for longer, since who undoes it will
   * do so again. Returns for how many milliseconds the first time, and nothing otherwise.
   */
  noteDone(id: string): number | undefined {
    const { window, writes } = this.#limits
    const now = this.#now()
    const before = this.#entries.get(id)
    const made = [...(before?.made ?? []).filter(time => now - time < window), now]
    if (made.length < writes) {
      this.#set(id, { failures: 0, made, until: 0 })
      return undefined
    }
    // The next one comes with its whole past, so that one more write is a loop again.
    const { isLoop = false, failures: earlier = 0 } = before ?? {}
    const failures = isLoop ? earlier + 1 : 1
    const delay = Math.max(this.#delay(failures + 4), window / 4)
    this.#set(id, { failures, made: made.slice(1).map(time => time + delay), until: now + delay, isLoop: true })
    return isLoop ? undefined : delay
  }

  /** Lets a write that has failed be tried at once; should it fail again, it is put off for longer still. */
  release(id: string): void {
    const entry = this.#entries.get(id)
    if (entry && !entry.isLoop) entry.until = 0
  }

  /** Forgets what has failed, for reasons that may be over. */
  forgive(): void {
    for (const [id, { isLoop }] of this.#entries) if (!isLoop) this.#entries.delete(id)
  }

  /** How many writes are put off because somebody undoes them. */
  get looping(): number {
    const now = this.#now()
    return [...this.#entries.values()].filter(({ isLoop, until }) => isLoop && until > now).length
  }

  #delay(failures: number): number {
    const { first, longest } = this.#limits
    return Math.min(longest, first * 2 ** failures)
  }

  /** The map keeps the order of the last notes; what nobody has asked about for long is forgotten. */
  #set(id: string, entry: Entry): void {
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    for (const [old, { until, made }] of this.#entries) {
      const last = Math.max(until, ...made)
      if (this.#now() - last < Math.max(this.#limits.window, this.#limits.longest)) break
      this.#entries.delete(old)
    }
  }
}
