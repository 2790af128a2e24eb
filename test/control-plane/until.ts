import { setTimeout as pause } from 'node:timers/promises'

const intervalMilliseconds = 50

export interface UntilOptions {
  /** When what is waited for counts as never coming: no measure of how fast anything is, which depends on the machine. */
  seconds?: number
  /** Ends the wait early, with the reason of the abort. */
  signal?: AbortSignal
}

/**
 * Attempts until there is a result, and returns it. An attempt that throws, or gives undefined or false, is made again:
 * what is waited for lives in another process, which offers nothing to be awaited. Past the deadline it throws, naming
 * what was waited for and the last error.
 */
export async function until<T>(
  what: string,
  attempt: () => Promise<T | undefined | false>,
  { seconds = 240, signal }: UntilOptions = {},
): Promise<T> {
  const deadline = performance.now() + seconds * 1000
  let lastError: unknown
  while (performance.now() < deadline) {
    signal?.throwIfAborted()
    try {
      const result = await attempt()
      if (result !== undefined && result !== false) return result
      lastError = undefined
    } catch (error) {
      lastError = error
    }
    await pause(intervalMilliseconds)
  }
  signal?.throwIfAborted()
  throw new Error(`waited ${seconds} s in vain for ${what}`, { cause: lastError })
}
