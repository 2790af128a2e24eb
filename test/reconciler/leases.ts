// What tests of the elector need: a server of one Lease, candidates, and a record of who led when.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { ApiError, type ApiServer, type Call } from '../../src/reconciler/api-server.ts'
import { type ElectionTimes, elect } from '../../src/reconciler/elector.ts'

// biome-ignore lint/suspicious/noExplicitAny: whatever somebody has written into it.
export type AnyLease = any

export const leasePath = '/apis/coordination.k8s.io/v1/namespaces/sidestep/leases/reconciler'

/** Keeps one Lease as the API server does: by resourceVersion, and without a new one when nothing changes. */
export class LeaseServer {
  lease: AnyLease
  /** Every write that was done, as `PUT identity`. */
  readonly writes: string[] = []
  /** When the last of them was sent. */
  renewed = 0
  #version = 0

  /** Access of one candidate, to be cut off or disturbed. */
  access(): ApiServer & { isHanging: boolean; failures: number[]; calls: number } {
    const api = {
      isHanging: false,
      failures: [] as number[],
      calls: 0,
      send: async (call: Call, signal: AbortSignal) => {
        api.calls++
        const sent = performance.now()
        await sleep(1, undefined, { signal })
        // Not by a promise alone, which would not keep the process.
        if (api.isHanging) await sleep(3_600_000, undefined, { signal })
        const status = api.failures.shift()
        if (status) throw new ApiError(status, 'as the test wants')
        const answer = structuredClone(this.#answer(structuredClone(call)))
        if (call.method !== 'GET') this.renewed = sent
        return answer
      },
      list: () => Promise.reject(new Error('not here')),
      watch: () => Promise.reject(new Error('not here')),
    }
    return api
  }

  /** Somebody's write, such as kubectl's. */
  write(change: (lease: AnyLease) => AnyLease): void {
    this.#store(change(structuredClone(this.lease)))
  }

  #answer({ method, path, body }: Call): AnyLease {
    if (method === 'POST') {
      if (this.lease) throw new ApiError(409, 'exists', { reason: 'AlreadyExists' })
    } else {
      if (path !== leasePath) throw new ApiError(404, path)
      if (!this.lease) throw new ApiError(404, 'gone', { reason: 'NotFound' })
      if (method === 'GET') return this.lease
      if ((body as AnyLease).metadata.resourceVersion !== this.lease.metadata.resourceVersion)
        throw new ApiError(409, 'changed', { reason: 'Conflict' })
    }
    this.writes.push(`${method} ${(body as AnyLease).spec.holderIdentity}`)
    return this.#store(body)
  }

  #store(lease: AnyLease): AnyLease {
    if (JSON.stringify(lease) === JSON.stringify(this.lease)) return this.lease
    this.lease = lease && { ...lease, metadata: { ...lease.metadata, resourceVersion: String(++this.#version) } }
    return this.lease
  }
}

export interface Term {
  identity: string
  from: number
  /** When its signal aborted, and when its work had settled. */
  told?: number
  to?: number
}

/** Everybody's terms, in the order in which they began. */
export class Terms {
  readonly all: Term[] = []

  of(identity: string): Term[] {
    return this.all.filter(term => term.identity === identity)
  }

  /** Work that lasts until it is told to end, and `dawdle` milliseconds more. */
  work(identity: string, dawdle = 0): (signal: AbortSignal) => Promise<void> {
    return async signal => {
      const term: Term = { identity, from: performance.now() }
      this.all.push(term)
      if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve))
      term.told = performance.now()
      if (dawdle) await sleep(dawdle)
      term.to = performance.now()
    }
  }

  /** The pairs that led at the same time. */
  overlaps(): string[] {
    return this.all.flatMap((term, i) =>
      this.all
        .slice(i + 1)
        .filter(next => next.from < (term.to ?? Number.POSITIVE_INFINITY))
        .map(
          next =>
            `${next.identity} began ${Math.round((term.to ?? Number.NaN) - next.from)} ms before ${term.identity} ended`,
        ),
    )
  }
}

export interface Candidate {
  identity: string
  /** `warn: message` and so on. */
  logs: string[]
  /** When it was answered what the Lease says. */
  looks: readonly number[]
  stop(): Promise<void>
}

/**
 * How often a candidate has looked at the Lease within some time. Whoever is to take it at once takes it at the first look
 * at which it may: how long that takes depends on the machine, and the look may be on its way already.
 */
export function looksWithin({ looks }: Candidate, from: number, to: number): number {
  return looks.filter(at => at > from && at <= to).length
}

export function candidate(
  t: Test,
  api: ApiServer,
  identity: string,
  lead: (signal: AbortSignal) => Promise<void>,
  times: ElectionTimes,
): Candidate {
  const logs: string[] = []
  const log = (level: string) => (_: object, message: string) => void logs.push(`${level}: ${message}`)
  const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') } as never
  const stopping = new AbortController()
  const looks: number[] = []
  const noting: ApiServer = {
    ...api,
    async send(call, signal) {
      const isNoted = call.method === 'GET'
      try {
        return await api.send(call, signal)
      } finally {
        if (isNoted && !signal.aborted) looks.push(performance.now())
      }
    },
  }
  const elected = elect(
    noting,
    { namespace: 'sidestep', name: 'reconciler', identity, logger, times },
    lead,
    stopping.signal,
  )
  const stop = () => {
    stopping.abort()
    return elected
  }
  t.teardown(stop)
  return { identity, logs, looks, stop }
}

export async function until(holds: () => boolean, milliseconds = 60_000): Promise<void> {
  const end = performance.now() + milliseconds
  while (!holds()) {
    if (performance.now() > end) throw new Error(`never: ${holds}`)
    await sleep(5)
  }
}
