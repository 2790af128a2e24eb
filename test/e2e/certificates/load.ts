// Admissions at a constant rate, each of which calls both webhooks of sidestep; and between them handshakes of a client that
// trusts what the API server has for a caBundle, since API servers seldom make new ones. A machine that is too slow for the
// rate gets less of it, and how much less is counted: what is shown is that calls succeed, not how many there can be.
import { once } from 'node:events'
import { connect } from 'node:tls'
import { certificatesIn } from '../../../src/certificates/source.ts'
import type { ControlPlane } from '../../control-plane/index.ts'

export interface LoadReport {
  admissions: number
  perSecond: number
  /** Admissions that were due and not begun, because too many were under way. */
  withheld: number
  /** A VirtualService that was not admitted, with the reason. */
  failed: string[]
  /** How many beside them, because the process of the webhook had no time (503), which says nothing about certificates. */
  busy: number
  handshakes: number
  refused: string[]
  /** The certificates that were seen, by fingerprint, and the authorities that signed them. */
  leaves: Set<string>
  authorities: Set<string>
  milliseconds: { p50: number; p99: number; max: number }
}

export interface LoadOptions {
  port: number
  /** Begun at this rate, however long the answers take. */
  perSecond: number
  /** But no more than so many at once: by default few, for tests that share a machine. */
  atOnce?: number
}

const tickMilliseconds = 10
const handshakeMilliseconds = 100

export class Load {
  readonly #controlPlane: ControlPlane
  readonly #port: number
  readonly #underWay = new Set<Promise<void>>()
  readonly #timers: NodeJS.Timeout[]
  readonly #begin = performance.now()
  readonly #times: number[] = []
  readonly #report: LoadReport = {
    admissions: 0,
    perSecond: 0,
    withheld: 0,
    busy: 0,
    failed: [],
    handshakes: 0,
    refused: [],
    leaves: new Set(),
    authorities: new Set(),
    milliseconds: { p50: 0, p99: 0, max: 0 },
  }

  constructor(controlPlane: ControlPlane, { port, perSecond, atOnce = 16 }: LoadOptions) {
    this.#controlPlane = controlPlane
    this.#port = port
    const isRoom = () => this.#underWay.size < atOnce
    let begun = 0
    const tick = () => {
      const due = ((performance.now() - this.#begin) / 1000) * perSecond
      for (; begun < due; begun++) {
        if (isRoom()) this.#start(this.#admit())
        else this.#report.withheld++
      }
    }
    this.#timers = [
      setInterval(tick, tickMilliseconds),
      setInterval(() => isRoom() && this.#start(this.#shakeHands()), handshakeMilliseconds),
    ]
  }

  get authorities(): number {
    return this.#report.authorities.size
  }

  async stop(): Promise<LoadReport> {
    for (const timer of this.#timers) clearInterval(timer)
    await Promise.all(this.#underWay)
    const sorted = this.#times.sort((a, b) => a - b)
    const at = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
    const perSecond = (this.#report.admissions / (performance.now() - this.#begin)) * 1000
    return { ...this.#report, perSecond, milliseconds: { p50: at(0.5), p99: at(0.99), max: at(1) } }
  }

  #start(work: Promise<void>): void {
    this.#underWay.add(work)
    work.finally(() => this.#underWay.delete(work))
  }

  async #admit(): Promise<void> {
    const begin = performance.now()
    const failure = await admit(this.#controlPlane)
    this.#times.push(performance.now() - begin)
    this.#report.admissions++
    if (failure?.includes('has more to do than it can')) this.#report.busy++
    else if (failure) this.#report.failed.push(failure)
  }

  async #shakeHands(): Promise<void> {
    try {
      const { leaf, authority } = await shakeHands(this.#port, await bundles(this.#controlPlane))
      this.#report.leaves.add(leaf)
      this.#report.authorities.add(authority)
    } catch (error) {
      this.#report.refused.push((error as Error).message)
    }
    this.#report.handshakes++
  }
}

/** Why a VirtualService is not admitted; undefined when it is. */
export async function admit(controlPlane: ControlPlane): Promise<string | undefined> {
  const path = '/apis/networking.istio.io/v1/namespaces/team-a/virtualservices?dryRun=All'
  const { status, body } = await controlPlane.request('POST', path, {
    body: {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { generateName: 'load-' },
      spec: { hosts: ['web'], http: [{ route: [{ destination: { host: 'web', port: { number: 80 } } }] }] },
    },
  })
  return status === 201 ? undefined : `${new Date().toISOString()} ${status} ${body.message ?? body}`
}

/** What both webhook configurations trust. */
export async function bundles(controlPlane: ControlPlane): Promise<string[]> {
  const [first = [], ...others] = await Promise.all(
    ['mutating', 'validating'].map(async kind => {
      const path = `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/sidestep`
      const { webhooks } = (await controlPlane.demand('GET', path)).body
      return certificatesIn(Buffer.from(webhooks[0].clientConfig.caBundle ?? '', 'base64').toString())
    }),
  )
  return first.filter(cert => others.every(bundle => bundle.includes(cert)))
}

/** A new connection, by which the server's certificate has to be good. */
export async function shakeHands(port: number, ca: string[]): Promise<{ leaf: string; authority: string }> {
  const socket = connect({ port, host: '127.0.0.1', ca })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(10_000) })
    const { fingerprint256, issuer } = socket.getPeerCertificate()
    return { leaf: fingerprint256, authority: String(issuer.CN) }
  } finally {
    socket.destroy()
  }
}
