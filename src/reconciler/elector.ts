// One of several replicas leads, as the others see from a Lease that it keeps renewing. A rule of client-go's elector:
// nobody's clock is trusted, so a Lease has run out when this process has not seen it change for so long as it lasts.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import type { KubernetesObject } from '../apis/core.ts'
import { ApiError, type ApiServer } from './api-server.ts'
import { collectionOf, pathOf } from './paths.ts'

export interface Election {
  /** Of the Lease. */
  namespace: string
  name: string
  logger: Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>
  /** No two processes may have the same one, nor one process the one it had before. */
  identity?: string
  times?: ElectionTimes
}

/** In milliseconds. */
export interface ElectionTimes {
  /** How long the others leave a leader alone that renews no more. In whole seconds, or else rounded up. */
  lease: number
  /** A leader that could not renew for so long stops. What it has begun has to end within what is left of the lease. */
  renew: number
  /** Between two attempts to renew. Candidates look between once and twice as seldom. */
  retry: number
}

export const usualTimes: ElectionTimes = { lease: 15_000, renew: 10_000, retry: 2_000 }

/** https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/ */
interface Lease extends KubernetesObject {
  spec?: LeaseSpec
}

interface LeaseSpec {
  holderIdentity?: string
  leaseDurationSeconds?: number
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}

/**
 * Calls `lead` whenever this process leads. The signal that it gets aborts when the leadership is lost or is to be given
 * up; until the work has settled nobody campaigns again, and while it is only to be given up, the Lease is renewed and
 * not released. Work that ends by itself gives up the leadership. Resolves when `signal` aborted and all that is done.
 */
export async function elect(
  api: ApiServer,
  election: Election,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { logger, times = usualTimes } = election
  if (times.lease <= times.renew || times.renew <= times.retry) throw new RangeError('a leader would outlast its Lease')
  const candidate = new Candidate(api, election)
  let isFailing = false
  while (!signal.aborted) {
    try {
      const since = await candidate.hold()
      isFailing = false
      if (since !== undefined) {
        if (!signal.aborted) await candidate.serve(since, lead, signal)
        await candidate.release()
      }
    } catch (err) {
      const isRace = err instanceof ApiError && err.status === 409
      logger[isRace || isFailing ? 'debug' : 'warn']({ err }, 'Lease is neither held nor released, trying again')
      isFailing ||= !isRace
    }
    await pause(times.retry * (1 + Math.random()), signal)
  }
}

class Candidate {
  readonly #api: ApiServer
  readonly #logger: Election['logger']
  readonly #identity: string
  readonly #times: ElectionTimes
  readonly #address: Lease & { metadata: { namespace: string; name: string } }
  /** What the Lease said last, and how long somebody else holds it by that. */
  #record = ''
  #heldUntil = 0
  #holder: string | undefined

  constructor(api: ApiServer, { namespace, name, logger, identity, times = usualTimes }: Election) {
    this.#api = api
    this.#logger = logger
    this.#identity = identity ?? `${hostname()}_${randomUUID()}`
    this.#times = times
    this.#address = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { namespace, name } }
  }

  /**
   * Takes or renews the Lease, and returns from when on it counts: nobody has seen it renewed before that. Undefined if
   * somebody else holds it, or if it was to be `kept` and is no longer ours. @throws ApiError with 409 if somebody was first
   */
  async hold({ kept = false } = {}): Promise<number | undefined> {
    const signal = AbortSignal.timeout(this.#times.renew / 2)
    const lease = await this.#read(signal)
    const isOurs = lease?.spec?.holderIdentity === this.#identity
    if (!this.#isFree(lease?.spec ?? {}) || (kept && !isOurs)) return undefined
    const since = performance.now()
    const { acquireTime, leaseTransitions = -1 } = lease?.spec ?? {}
    const renewTime = microTime()
    await this.#write(
      lease,
      {
        holderIdentity: this.#identity,
        leaseDurationSeconds: Math.ceil(this.#times.lease / 1000),
        acquireTime: (isOurs && acquireTime) || renewTime,
        renewTime,
        leaseTransitions: isOurs ? Math.max(0, leaseTransitions) : leaseTransitions + 1,
      },
      signal,
    )
    return since
  }

  /** Leads until the work has settled, and renews the Lease until then, or until it is lost. */
  async serve(since: number, lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const leadership = new AbortController()
    const ended = new AbortController() // There is nothing to renew any more.
    const giveUp = () => leadership.abort()
    const lose = (why: string) => {
      if (ended.signal.aborted) return
      this.#logger.error({ identity: this.#identity }, `no longer the leader: ${why}`)
      leadership.abort()
      ended.abort()
    }
    this.#logger.info({ identity: this.#identity }, 'now the leader')
    signal.addEventListener('abort', giveUp)
    const work = Promise.resolve(leadership.signal)
      .then(lead)
      .catch(err =>
        this.#logger[leadership.signal.aborted ? 'debug' : 'error']({ err }, 'the work of the leader failed'),
      )
      .finally(() => ended.abort())
    // Not left to the calls below, which may hang: nothing but this timer makes a leader stop in time.
    const { renew, retry } = this.#times
    const deadline = () => setTimeout(lose, since + renew - performance.now(), `not renewed for ${renew} ms`)
    let timer = deadline()
    for (;;) {
      await pause(retry, ended.signal)
      if (ended.signal.aborted) break
      try {
        const renewed = await this.hold({ kept: true })
        if (renewed === undefined) lose('somebody else wrote or deleted the Lease')
        since = renewed ?? since
        clearTimeout(timer)
        timer = deadline()
      } catch (err) {
        this.#logger.warn({ err }, 'Lease is not renewed, trying again')
      }
    }
    clearTimeout(timer)
    await work
    signal.removeEventListener('abort', giveUp)
  }

  /** Lets the next one take over at once, in the way of client-go. Without, it would only take longer. */
  async release(): Promise<void> {
    const signal = AbortSignal.timeout(this.#times.renew / 2)
    const lease = await this.#read(signal)
    if (lease?.spec?.holderIdentity !== this.#identity) return
    await this.#write(
      lease,
      { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime() },
      signal,
    )
    this.#logger.info({ identity: this.#identity }, 'Lease released')
  }

  /** Nobody else holds it, or has been seen to hold it for as long as that counts. */
  #isFree(spec: LeaseSpec): boolean {
    const { holderIdentity, leaseDurationSeconds } = spec
    const isReleased = !holderIdentity && leaseDurationSeconds === 1
    // Not the resourceVersion, which changes with every label that somebody puts on the Lease of a leader that is no more.
    const record = JSON.stringify(spec)
    if (isReleased || holderIdentity === this.#identity) this.#heldUntil = 0
    else if (holderIdentity && record !== this.#record)
      this.#heldUntil = performance.now() + (leaseDurationSeconds ? leaseDurationSeconds * 1000 : this.#times.lease)
    // Else it ran out, or somebody deleted or emptied it, which its holder has yet to find out.
    this.#record = record
    if (holderIdentity && holderIdentity !== this.#holder) this.#logger.info({ holderIdentity }, 'Lease is held')
    this.#holder = holderIdentity
    return performance.now() >= this.#heldUntil
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#api.send({ method: 'GET', path: pathOf(this.#address) }, signal)
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    }
  }

  /** With the resourceVersion of what was read, so that of several that want it one gets it. */
  async #write(lease: Lease | undefined, spec: LeaseSpec, signal: AbortSignal): Promise<void> {
    if (lease)
      await this.#api.send(
        { method: 'PUT', path: pathOf(this.#address), body: { ...lease, spec: { ...lease.spec, ...spec } } },
        signal,
      )
    else
      await this.#api.send(
        { method: 'POST', path: collectionOf(this.#address), body: { ...this.#address, spec } },
        signal,
      )
  }
}

/** As the API has it, with six digits. The last three only make it differ from the one before. */
function microTime(): string {
  const digits = Math.floor((performance.now() % 1) * 1000)
  return new Date().toISOString().replace('Z', `${String(digits).padStart(3, '0')}Z`)
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {})
}
