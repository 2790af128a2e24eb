// Keeps what the webhook's TLS needs at the API server: the authorities in a Secret, and their certificates as the caBundle
// of both webhook configurations. The leaf stays in this process. Every replica does all of it, and none leads.
import type { BaseLogger } from 'pino'
import type { KubernetesObject } from '../apis/core.ts'
import { ApiError, type ApiServer } from '../reconciler/api-server.ts'
import { type Address, collectionOf, pathOf } from '../reconciler/paths.ts'
import { limited, retrying } from '../reconciler/retry.ts'
import { Bell, follow } from '../reconciler/watch.ts'
import { type Authorities, advance, bundleOf, isDue, type Lives, type Trusted, usualLives } from './authority.ts'
import { issueAuthority, issueLeaf, validityOf } from './issue.ts'
import { decode, encode, type SecretData, trustedIn } from './secret.ts'
import { type Certificate, CertificateError, type CertificateSource, certificatesIn, expired } from './source.ts'

export interface KeeperOptions {
  api: ApiServer
  secret: { namespace: string; name: string }
  /** The name that both webhook configurations have. */
  configuration: string
  /** What the leaf is for (`webhookNames`). */
  names: readonly string[]
  logger: Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>
  lives?: Lives
  clock?: Clock
}

export interface Clock {
  /** In milliseconds since 1970. */
  now(): number
  /** In milliseconds of any beginning, which nobody sets. */
  monotonic(): number
}

const systemClock: Clock = { now: Date.now, monotonic: () => performance.now() }

/** Who writes the caBundle, in managedFields: not the manager of everything else, whose applies would take it away. */
const fieldManager = 'sidestep-certificates'

interface Secret extends KubernetesObject {
  data?: SecretData
}

interface Configuration extends KubernetesObject {
  webhooks?: { name: string; clientConfig?: { caBundle?: string } }[]
}

/** Starts to keep it. Nothing here rejects: what does not work is tried again, and shows in `missing`. */
export function keepCertificate(options: KeeperOptions): CertificateSource {
  const { api, logger } = options
  const stopping = new AbortController()
  // Whoever else writes the caBundle as well is not fought at the speed of the network.
  const keeper = new Keeper({ ...options, api: limited(retrying(api), { perSecond: 20, burst: 60 }) })
  const bell = new Bell()
  const ring = () => bell.ring()
  const followed = keeper.addresses.map(({ apiVersion, kind, metadata }) =>
    follow(
      api,
      {
        apiVersion,
        kind,
        path: collectionOf({ apiVersion, kind, metadata }),
        query: { fieldSelector: `metadata.name=${metadata.name}` },
      },
      { put: ring, remove: ring, listed: ring },
      { signal: stopping.signal, logger },
    ),
  )
  const kept = keeper.run(bell, stopping.signal)
  return {
    certificate: () => keeper.certificate,
    missing: () => keeper.missing(),
    isTrusted: () => keeper.isTrusted(),
    subscribe: listener => keeper.subscribe(listener),
    async stop() {
      stopping.abort()
      await Promise.all([...followed, kept])
    },
  }
}

/** The same without watches: it acts when it is told to. */
export class Keeper {
  readonly #options: KeeperOptions
  readonly #lives: Lives
  readonly #clock: Clock
  readonly #listeners = new Set<(certificate: Certificate) => void>()
  readonly #secret: Address
  readonly #configurations: Address[]
  #certificate: Certificate | undefined
  /** Since when every webhook configuration has had a certificate in its bundle, by PEM and monotonic clock. */
  #trustedSince = new Map<string, number>()
  /** Why API servers do not trust the certificate: one sentence for each webhook configuration of which that is so. */
  #untrusting: string[] = []
  /** Why the last pass came to no end. */
  #problem: string | undefined

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#lives = options.lives ?? usualLives
    this.#clock = options.clock ?? systemClock
    this.#secret = { apiVersion: 'v1', kind: 'Secret', metadata: options.secret }
    this.#configurations = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'].map(kind => ({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind,
      metadata: { name: options.configuration },
    }))
    this.#problem = `${this.#nameOfSecret} is not read yet`
  }

  /** Everything that it reads and writes. */
  get addresses(): readonly Address[] {
    return [this.#secret, ...this.#configurations]
  }

  get certificate(): Certificate | undefined {
    return this.#certificate
  }

  subscribe(listener: (certificate: Certificate) => void): void {
    this.#listeners.add(listener)
  }

  /** A certificate that is valid and trusted serves on, whatever has become of the Secret meanwhile. */
  missing(): string[] {
    if (!this.#certificate) return [this.#problem ?? 'there is no certificate yet']
    const reasons = [...expired(this.#certificate, this.#clock.now()), ...this.#untrusting]
    return reasons.length > 0 && this.#problem ? [...reasons, this.#problem] : reasons
  }

  isTrusted(): boolean {
    return this.#certificate !== undefined && this.#untrusting.length === 0
  }

  async run(bell: Bell, signal: AbortSignal): Promise<void> {
    const { poll } = this.#lives
    let failures = 0
    while (!signal.aborted) {
      let wait = poll
      try {
        while (await this.pass(signal)) signal.throwIfAborted()
        failures = 0
      } catch (err) {
        if (signal.aborted) return
        this.#say((err as Error).message, err)
        wait = Math.min(poll, 500 * 2 ** Math.min(failures++, 10) * (1 + Math.random()))
      }
      await bell.wait(wait, signal)
    }
  }

  /**
   * Reads everything, and does the next thing that is to be done; whether another may follow at once. The webhook
   * configurations are read first: so a bundle is never replaced by one of an older Secret, and replicas that look at
   * different moments cannot write against each other.
   */
  async pass(signal: AbortSignal): Promise<boolean> {
    const now = this.#clock.now()
    const configurations = await Promise.all(
      this.#configurations.map(address => this.#read<Configuration>(address, signal)),
    )
    this.#observe(configurations)
    const secret = await this.#read<Secret>(this.#secret, signal)
    const authorities = secret && (await this.#authorities(secret, configurations, now, signal))
    if (authorities === 'conflict') return true
    if (!authorities) {
      if (!secret) this.#say(`${this.#nameOfSecret} does not exist; create it without data`)
      this.#compare(configurations)
      return false
    }
    this.#problem = undefined
    await this.#renew(authorities, now)
    this.#compare(configurations)
    const written = await Promise.all(
      configurations.map(configuration => configuration && this.#publish(authorities, configuration, signal)),
    )
    return written.some(Boolean)
  }

  /** What the Secret holds when this is done; undefined when it holds what it must not. */
  async #authorities(
    secret: Secret,
    configurations: readonly (Configuration | undefined)[],
    now: number,
    signal: AbortSignal,
  ): Promise<Authorities | 'conflict' | undefined> {
    const { data } = secret
    const { skew, authority, settle } = this.#lives
    try {
      const stored = decode(data)
      const wanted = await advance(
        stored,
        {
          now,
          isSettled: ({ cert }) => this.#isTrustedFor(cert, settle),
          trusted: () => certificatesOf(configurations),
          issue: () => issueAuthority({ notBefore: now - skew, notAfter: now + authority }),
        },
        this.#lives,
      )
      if (wanted === stored) return stored
      await this.#options.api.send(
        { method: 'PUT', path: pathOf(secret), body: { ...secret, data: encode(wanted, data) } },
        signal,
      )
      this.#options.logger.info(
        { bundle: bundleOf(wanted).length, hasNext: wanted.next !== undefined },
        stored ? 'the authorities have moved on' : `${this.#nameOfSecret} was empty and has an authority now`,
      )
      return wanted
    } catch (err) {
      if (err instanceof ApiError && err.status === 409) return 'conflict'
      if (!(err instanceof CertificateError)) throw err
      this.#say(`${this.#nameOfSecret} holds what sidestep did not write: ${err.message}; empty it for a new authority`)
      return undefined
    }
  }

  /**
   * The leaf is renewed by the authority that has just been read, or one that was replaced meanwhile would go on signing.
   * A leaf of another authority waits until API servers trust that, as long as there is something to serve.
   */
  async #renew({ current }: Authorities, now: number): Promise<void> {
    const served = this.#certificate
    const { leaf, skew, settle } = this.#lives
    if (served && served.notAfter.getTime() > now) {
      const isSame = served.ca === current.cert
      if (isSame ? !isDue(validityOf(served.cert), now, this.#lives) : !this.#isTrustedFor(current.cert, settle)) return
    }
    const validity = { notBefore: now - skew, notAfter: now + leaf }
    const certificate = await issueLeaf(current, this.#options.names, validity)
    this.#certificate = certificate
    this.#options.logger.info({ notAfter: certificate.notAfter }, 'serving a new certificate')
    for (const listener of this.#listeners) listener(certificate)
  }

  /** Whether it had to be written, and so is to be looked at again. */
  async #publish(authorities: Authorities, configuration: Configuration, signal: AbortSignal): Promise<boolean> {
    const wanted = new Set(bundleOf(authorities))
    const webhooks = configuration.webhooks ?? []
    const isPublished = webhooks.every(webhook => {
      const found = bundleIn(webhook)
      return found.length === wanted.size && found.every(cert => wanted.has(cert))
    })
    if (isPublished) return false
    const { apiVersion, kind, metadata } = configuration
    const caBundle = Buffer.from([...wanted].join('')).toString('base64')
    try {
      await this.#options.api.send(
        {
          method: 'PATCH',
          path: pathOf(configuration),
          query: { fieldManager, force: 'true' },
          contentType: 'application/apply-patch+yaml',
          body: {
            apiVersion,
            kind,
            metadata: { name: metadata.name, resourceVersion: metadata.resourceVersion },
            webhooks: webhooks.map(({ name }) => ({ name, clientConfig: { caBundle } })),
          },
        },
        signal,
      )
    } catch (err) {
      if (err instanceof ApiError && err.status === 409) return true
      throw err
    }
    this.#options.logger.info({ kind, name: metadata.name, certificates: wanted.size }, 'caBundle written')
    return true
  }

  #observe(configurations: readonly (Configuration | undefined)[]): void {
    const bundles = configurations.flatMap(configuration => {
      const webhooks = configuration?.webhooks ?? []
      return webhooks.length > 0 ? webhooks.map(bundleIn) : [[]]
    })
    const everywhere = (bundles[0] ?? []).filter(cert => bundles.every(bundle => bundle.includes(cert)))
    const since = this.#clock.monotonic()
    this.#trustedSince = new Map(everywhere.map(cert => [cert, this.#trustedSince.get(cert) ?? since]))
  }

  #isTrustedFor(cert: string, milliseconds: number): boolean {
    const since = this.#trustedSince.get(cert)
    return since !== undefined && this.#clock.monotonic() - since >= milliseconds
  }

  /** Notes which webhook configurations do not trust what is served. */
  #compare(configurations: readonly (Configuration | undefined)[]): void {
    const ca = this.#certificate?.ca ?? ''
    this.#untrusting = this.#configurations.flatMap(({ kind, metadata: { name } }, i) => {
      const configuration = configurations[i]
      if (!configuration) return [`${kind} ${name} does not exist`]
      const { webhooks = [] } = configuration
      if (webhooks.length === 0) return [`${kind} ${name} has no webhooks`]
      const isTrusting = webhooks.every(webhook => bundleIn(webhook).includes(ca))
      return isTrusting ? [] : [`the caBundle of ${kind} ${name} is not ours yet`]
    })
  }

  /** Once, and again when it has changed. */
  #say(problem: string, err?: unknown): void {
    this.#options.logger[problem === this.#problem ? 'debug' : 'error']({ err }, problem)
    this.#problem = problem
  }

  async #read<T extends KubernetesObject>(address: Address, signal: AbortSignal): Promise<T | undefined> {
    try {
      return (await this.#options.api.send({ method: 'GET', path: pathOf(address) }, signal)) as T
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    }
  }

  get #nameOfSecret(): string {
    const { namespace, name } = this.#options.secret
    return `Secret ${namespace}/${name}`
  }
}

function bundleIn({ clientConfig }: NonNullable<Configuration['webhooks']>[number]): string[] {
  return certificatesIn(Buffer.from(clientConfig?.caBundle ?? '', 'base64').toString())
}

/** Every certificate in a bundle that can be read. */
function certificatesOf(configurations: readonly (Configuration | undefined)[]): Trusted[] {
  const bundles = configurations.flatMap(configuration => (configuration?.webhooks ?? []).flatMap(bundleIn))
  return [...new Set(bundles)].flatMap(cert => {
    try {
      return [trustedIn(cert, 'caBundle')]
    } catch {
      return []
    }
  })
}
