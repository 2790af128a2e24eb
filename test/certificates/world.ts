// Replicas that keep certificates, in a world where time is told, and calls arrive when chance has it: late, never, or so
// that only the answer is lost. Clocks differ, replicas restart and are cut off, and API servers are behind with the caBundle.
import { type Lives, usualLives } from '../../src/certificates/authority.ts'
import { Keeper } from '../../src/certificates/keeper.ts'
import { type Certificate, certificatesIn } from '../../src/certificates/source.ts'
import { ApiError, type ApiServer, type Call } from '../../src/reconciler/api-server.ts'

const minute = 60_000
const second = 1000

export const lives: Lives = {
  ...usualLives,
  authority: 180 * minute,
  leaf: 60 * minute,
  skew: 12 * minute,
  settle: 1 * minute,
}

/** How wrong a clock may be. */
const maxSkew = 5 * minute
/** No call takes longer; the API server's client gives up then. */
const patience = 1 * minute

export const secretPath = '/api/v1/namespaces/sidestep-system/secrets/sidestep-ca'
export const configurationPaths = ['mutating', 'validating'].map(
  kind => `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/sidestep`,
)

// biome-ignore lint/suspicious/noExplicitAny: objects of three kinds, whose fields a test reads as it needs them.
type Stored = any

interface Pending {
  replica: Replica
  call: Call
  since: number
  resolve: (object: Stored) => void
  reject: (error: Error) => void
}

export class Replica {
  readonly keeper: Keeper
  readonly skew: number
  #pass: Promise<boolean> | undefined
  /** Calls without an answer. */
  waiting = 0
  /** When its next pass is due. */
  due = 0
  cutOffUntil = 0
  quiet = () => {}

  constructor(world: World) {
    this.skew = Math.round((world.random() * 2 - 1) * maxSkew)
    const send = (call: Call) =>
      new Promise<Stored>((resolve, reject) => {
        this.waiting++
        world.pending.push({ replica: this, call, since: world.time, resolve, reject })
        this.quiet()
      })
    this.keeper = new Keeper({
      api: { send } as unknown as ApiServer,
      secret: { namespace: 'sidestep-system', name: 'sidestep-ca' },
      configuration: 'sidestep',
      names: ['localhost'],
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      lives,
      clock: { now: () => world.time + this.skew, monotonic: () => world.time },
    })
  }

  get isIdle(): boolean {
    return this.#pass === undefined
  }

  /** Begins a pass, and returns when that waits for an answer, or is over. */
  async begin(world: World): Promise<void> {
    this.due = world.time + lives.poll
    this.#pass = this.keeper
      .pass(new AbortController().signal)
      .then(
        again => {
          if (again) this.due = world.time
          return again
        },
        // As after every failure, a try that comes soon.
        () => {
          this.due = world.time + 2 * second
          return false
        },
      )
      .finally(() => {
        this.#pass = undefined
        this.quiet()
      })
    await this.settled()
  }

  /** Until it waits for answers or for nothing. */
  async settled(): Promise<void> {
    while (this.waiting === 0 && this.#pass !== undefined)
      await new Promise<void>(resolve => {
        this.quiet = resolve
      })
  }
}

export class World {
  time = Date.parse('2026-11-21T12:00:00Z')
  readonly random: () => number
  readonly objects = new Map<string, Stored>()
  readonly replicas: Replica[] = []
  pending: Pending[] = []
  writes = 0
  /** Which certificates all webhooks of all configurations had, and since when. */
  readonly bundles: { since: number; certs: Set<string> }[] = []
  #version = 0

  constructor(random: () => number) {
    this.random = random
    this.put(secretPath, { apiVersion: 'v1', kind: 'Secret', metadata: named('sidestep-ca', 'sidestep-system') })
    for (const [i, path] of configurationPaths.entries()) {
      const kind = `${i === 0 ? 'Mutating' : 'Validating'}WebhookConfiguration`
      const webhooks = [
        { name: 'one.sidestep.dev', clientConfig: { url: 'https://one' } },
        { name: 'two.sidestep.dev' },
      ]
      this.put(path, { apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: named('sidestep'), webhooks })
    }
  }

  /** Stores an object, as somebody would who does not ask, and wakes whoever watches. */
  put(path: string, object: Stored): Stored {
    const stored = structuredClone(object)
    stored.metadata.resourceVersion = String(++this.#version)
    this.objects.set(path, stored)
    this.#changed()
    return stored
  }

  remove(path: string): void {
    this.objects.delete(path)
    this.#changed()
  }

  start(): Replica {
    const replica = new Replica(this)
    this.replicas.push(replica)
    return replica
  }

  /** Ends a replica in the middle of whatever it does; calls that are under way may arrive all the same. */
  end(replica: Replica): void {
    this.replicas.splice(this.replicas.indexOf(replica), 1)
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.random() * values.length)] as T
  }

  /** Lets one thing happen. */
  async step({ faults = true } = {}): Promise<void> {
    const late = this.pending.find(({ since }) => this.time - since >= patience)
    const ready = this.replicas.filter(({ isIdle, due }) => isIdle && due <= this.time)
    const chance = this.random()
    if (late) return this.#answer(late, faults)
    if (this.pending.length > 0 && chance < 0.6) return this.#answer(this.pick(this.pending), faults)
    if (ready.length > 0 && chance < 0.9) return this.pick(ready).begin(this)
    this.time += Math.ceil(this.random() * (this.pending.length + ready.length > 0 ? 5 * second : 2 * minute))
  }

  async #answer(pending: Pending, faults: boolean): Promise<void> {
    const { replica, call, resolve, reject } = pending
    this.pending = this.pending.filter(other => other !== pending)
    const luck = faults ? this.random() : 1
    const isLost = replica.cutOffUntil > this.time || luck < 0.03
    try {
      const answer = isLost ? undefined : this.#serve(call)
      replica.waiting--
      if (!answer || luck < 0.06) reject(new Error('no answer'))
      else resolve(structuredClone(answer))
    } catch (error) {
      replica.waiting--
      reject(error as Error)
    }
    await replica.settled()
  }

  #serve({ method, path, body }: Call): Stored {
    const stored = this.objects.get(path)
    if (!stored) throw new ApiError(404, 'not found')
    if (method === 'GET') return stored
    const sent = body as Stored
    const { resourceVersion = stored.metadata.resourceVersion } = sent.metadata
    if (resourceVersion !== stored.metadata.resourceVersion) throw new ApiError(409, 'Conflict')
    this.writes++
    if (method === 'PUT') return this.put(path, sent)
    const bundles = new Map(sent.webhooks.map((webhook: Stored) => [webhook.name, webhook.clientConfig.caBundle]))
    const webhooks = stored.webhooks.map((webhook: Stored) => ({
      ...webhook,
      clientConfig: { ...webhook.clientConfig, caBundle: bundles.get(webhook.name) },
    }))
    return this.put(path, { ...stored, webhooks })
  }

  #changed(): void {
    const bundles = configurationPaths.flatMap(path =>
      (this.objects.get(path)?.webhooks ?? [{}]).map((webhook: Stored) =>
        certificatesIn(Buffer.from(webhook.clientConfig?.caBundle ?? '', 'base64').toString()),
      ),
    ) as string[][]
    const certs = new Set((bundles[0] ?? []).filter(cert => bundles.every(bundle => bundle.includes(cert))))
    this.bundles.push({ since: this.time, certs })
    // A watch tells each replica, some time.
    for (const replica of this.replicas) replica.due = Math.min(replica.due, this.time + this.random() * 2 * second)
  }

  /** Whether all API servers trust it, also those that are behind by almost as long as a bundle has to settle. */
  trusts({ ca }: Certificate, behind: number = lives.settle * 0.95): boolean {
    const from = this.bundles.findLastIndex(({ since }) => since <= this.time - behind)
    return this.bundles.slice(Math.max(0, from)).every(({ certs }) => certs.has(ca))
  }
}

/** Repeatable (https://en.wikipedia.org/wiki/Xorshift). */
export function randomOf(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

function named(name: string, namespace?: string) {
  return { name, ...(namespace && { namespace }), uid: name }
}
