// All controllers at once, as in a cluster: each of them again and again, and none waiting for another's good time.
import { setTimeout as pause } from 'node:timers/promises'
import { Ledger } from './ledger.ts'
import { Refused, type Send } from './send.ts'

export interface Controller {
  send: Send
  /** One pass over everything that the controller serves. A refusal ends it, until the next. */
  reconcile(send: Send): Promise<unknown>
}

export interface Running {
  /** What each of them did, from the beginning or since it was cleared. */
  ledger: Ledger
  /** Waits until all of them have reconciled so many times from now on. */
  rounds(count: number): Promise<void>
  /** When the last round is over, after the signal; rejects when a controller fails in another way than by a refusal. */
  stopped: Promise<void>
}

/** Reconciles all controllers, side by side, every so often, until the signal. */
export function runControllers(
  controllers: Record<string, Controller>,
  { everyMilliseconds }: { everyMilliseconds: number },
  signal: AbortSignal,
): Running {
  const ledger = new Ledger()
  const sends = Object.entries(controllers).map(([name, { send, reconcile }]) => {
    const counted = ledger.counting(name, send)
    return () => reconcile(counted).catch(unlessRefused)
  })
  let begun = 0
  let ended = 0
  const waiting = new Map<() => void, number>()

  async function run(): Promise<void> {
    while (!signal.aborted) {
      begun++
      await Promise.all(sends.map(reconcile => reconcile()))
      ended++
      for (const [resolve, round] of waiting) if (ended >= round) resolve()
      // An abort ends the pause, and the loop with it.
      await pause(everyMilliseconds, undefined, { signal }).catch(() => {})
    }
  }

  // Not at once, so that the first round can be waited for as well.
  const stopped = Promise.resolve().then(run)
  return {
    ledger,
    rounds(count) {
      const reached = new Promise<void>(resolve => waiting.set(resolve, begun + count))
      const over = stopped.then(() => {
        throw new Error('the controllers have been stopped')
      })
      return Promise.race([reached, over])
    },
    stopped,
  }
}

/** Reconciles all of them so many times, with next to nothing between, and returns what they did. */
export async function runRounds(controllers: Record<string, Controller>, count: number): Promise<Ledger> {
  const stopping = new AbortController()
  const { ledger, rounds, stopped } = runControllers(controllers, { everyMilliseconds: 10 }, stopping.signal)
  await rounds(count).finally(() => stopping.abort())
  await stopped
  return ledger
}

function unlessRefused(error: unknown): void {
  if (!(error instanceof Refused)) throw error
}
