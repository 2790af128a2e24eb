// Calls that are made again when they failed for no fault of their own, and a pace that the API server can stand.
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError, type ApiServer } from './api-server.ts'

/** What passes of time, so that tests do not have to wait for it. */
export interface Clock {
  /** In milliseconds, of any beginning. */
  now(): number
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
  /** From 0 to 1. */
  random(): number
}

const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  random: Math.random,
}

export interface RetryOptions {
  /** How often a call is made at most. */
  tries?: number
  /** Milliseconds before the second try; each later one waits twice as long, up to `longest`. */
  delays?: { first: number; longest: number }
  /** Called before each further try, with the HTTP status or the code of the broken connection. */
  onRetry?: (retry: { status: number | string }) => void
  clock?: Clock
}

/**
 * The same API server, whose `list` and `send` are made again after an answer that says "later" and after a broken
 * connection. A write may then have happened all the same: what is sent through here is written so that a second time
 * does no harm (server-side apply, an empty patch, DELETE with the uid), and a POST has to expect `AlreadyExists`.
 *
 * While the API server asks with 429 to be left alone, nothing at all is sent: it is the flow of this client that API
 * priority and fairness limits, and not the call that it happened to refuse.
 */
export function retrying(
  api: ApiServer,
  { tries = 5, delays = { first: 500, longest: 30_000 }, onRetry, clock = systemClock }: RetryOptions = {},
): ApiServer {
  let closedUntil = Number.NEGATIVE_INFINITY
  /** Between a half and one, so that those who were refused together do not come back together. */
  const jittered = (milliseconds: number) => (milliseconds * (1 + clock.random())) / 2

  async function gated<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
    // Again and again, since it may have been closed anew in the meantime.
    for (let rest = closedUntil - clock.now(); rest > 0; rest = closedUntil - clock.now())
      await clock.sleep(rest + jittered(delays.first), signal)
    try {
      return await call()
    } catch (error) {
      if (error instanceof ApiError && error.status === 429)
        closedUntil = Math.max(closedUntil, clock.now() + millisecondsAsked(error))
      throw error
    }
  }

  async function persistently<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let tried = 1; ; tried++) {
      try {
        return await gated(call, signal)
      } catch (error) {
        const status = passingStatus(error)
        if (status === undefined || tried >= tries || signal.aborted) throw error
        onRetry?.({ status })
        const delay = Math.min(delays.longest, delays.first * 2 ** (tried - 1))
        await clock.sleep(millisecondsAsked(error) + jittered(delay), signal)
      }
    }
  }

  return {
    list: (path, query, signal) => persistently(() => api.list(path, query, signal), signal),
    send: (call, signal) => persistently(() => api.send(call, signal), signal),
    // Whoever follows a kind comes back by itself, and knows from where.
    watch: (path, query, onEvent, signal) => gated(() => api.watch(path, query, onEvent, signal), signal),
  }
}

/**
 * The same API server with `send` slowed down to so many calls a second, after a burst of so many at once. They are let
 * through in the order in which they came.
 */
export function limited(
  api: ApiServer,
  { perSecond, burst, clock = systemClock }: { perSecond: number; burst: number; clock?: Clock },
): ApiServer {
  const interval = 1000 / perSecond
  // When the next call is due if all that went before had kept the pace. A bucket of tokens, told by the clock alone.
  let due = Number.NEGATIVE_INFINITY
  return {
    ...api,
    async send(call, signal) {
      signal.throwIfAborted()
      const now = clock.now()
      const start = Math.max(due, now - (burst - 1) * interval)
      due = start + interval
      if (start > now) await clock.sleep(start - now, signal)
      return api.send(call, signal)
    },
  }
}

/** Answers that mean "not now". 501 and 505 mean "never". */
const passingStatuses = [429, 500, 502, 503, 504]

/** As Node names connections that could not be made or were lost; a socket that hangs up is an ECONNRESET. */
const passingCodes = [
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
]

/** The HTTP status or code of an error that may be gone the next time; undefined for every other error. */
function passingStatus(error: unknown): number | string | undefined {
  if (error instanceof ApiError) return passingStatuses.includes(error.status) ? error.status : undefined
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && passingCodes.includes(code) ? code : undefined
}

/** How long the API server asks to be left alone, which it does by Retry-After with 429 and 503. */
function millisecondsAsked(error: unknown): number {
  return error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0
}
