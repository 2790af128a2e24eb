// Minutes of timers within milliseconds: the clock stands still until a test advances it.
import { setImmediate as turn } from 'node:timers/promises'
import type { Test } from 'tap'

interface Timer {
  due: number
  call: () => void
  every?: number
}

export class VirtualTime {
  #now = 1_000_000
  #next = 1
  readonly #timers = new Map<number, Timer>()

  /** In place of the timers and the clock of this process, until the test ends. */
  constructor(t: Test) {
    const real = { ...pick(globalThis, 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval') }
    const { now } = performance
    const set = (call: () => void, milliseconds = 0, every?: number) => {
      const id = this.#next++
      this.#timers.set(id, { due: this.#now + milliseconds, call, ...(every === undefined ? {} : { every }) })
      return id
    }
    const clear = (id: unknown) => void this.#timers.delete(id as number)
    Object.assign(globalThis, {
      setTimeout: (call: () => void, milliseconds?: number) => set(call, milliseconds),
      setInterval: (call: () => void, milliseconds = 0) => set(call, milliseconds, milliseconds),
      clearTimeout: clear,
      clearInterval: clear,
    })
    performance.now = () => this.#now
    t.teardown(() => {
      Object.assign(globalThis, real)
      performance.now = now
    })
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#timers.size
  }

  /** Lets so much time go by, and everybody do what they do meanwhile. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    await this.settle()
    for (;;) {
      const [id, timer] = [...this.#timers].sort(([, a], [, b]) => a.due - b.due)[0] ?? []
      if (id === undefined || timer === undefined || timer.due > end) break
      this.#now = Math.max(this.#now, timer.due)
      if (timer.every === undefined) this.#timers.delete(id)
      else timer.due += timer.every
      timer.call()
      await this.settle()
    }
    this.#now = end
  }

  /** Lets everybody come to rest who waits for no timer. */
  async settle(): Promise<void> {
    for (let i = 0; i < 40; i++) await turn()
  }
}

function pick<T extends object, K extends keyof T>(object: T, ...keys: K[]): Pick<T, K> {
  return Object.fromEntries(keys.map(key => [key, object[key]])) as Pick<T, K>
}
