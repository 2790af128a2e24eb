// The process behind `sidestep serve`: certificate, snapshot, both servers, the reconciler, and an end that fails no
// admission and leaves no write half made.
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'
import type { Lives } from './certificates/authority.ts'
import { followFiles } from './certificates/files.ts'
import { selfSignedCertificate, webhookNames } from './certificates/issue.ts'
import { type CertificateSource, fixed } from './certificates/source.ts'
import type { ApiServer } from './reconciler/api-server.ts'
import type { ElectionTimes } from './reconciler/elector.ts'
import type { LiveSnapshot } from './reconciler/snapshot.ts'
import { buildOps } from './server/health.ts'
import { remember } from './server/memory.ts'
import { createMetrics, type Metrics } from './server/metrics.ts'
import { buildServer, type ServerOptions, secure, type WebhookServer } from './server/server.ts'
import { translate } from './translate/index.ts'
import type { Settings } from './translate/settings.ts'
import type { ClusterSnapshot } from './translate/snapshot.ts'

export interface ServeOptions {
  settings: Settings
  /** A snapshot that stands still, or the cluster of a kubeconfig (by default the one kubectl would use, or this Pod's). */
  source: { snapshot: ClusterSnapshot } | { kubeconfig?: string | undefined }
  tls: TlsOptions
  logger: Logger
  /** Which part runs, where there is a cluster; both by default. */
  part?: 'admission' | 'reconciler'
  /** The Lease by which one of the replicas is elected to reconcile. */
  lease?: { namespace: string; times?: ElectionTimes }
  /** 9443 for the webhooks and 8080 for probes and metrics; 0 takes any free port. */
  ports?: { webhook?: number; ops?: number }
  /** Of all calls under way together, in bytes: what comes beyond is refused. */
  heldBytes?: number | undefined
  /** The address to listen on; all of them by default. */
  host?: string
  /** Between "not ready" and the last connection, so that the endpoints of the Service can follow. */
  drainMilliseconds?: number
  /** After the first signal, the process ends no later than this. */
  closeMilliseconds?: number
}

/** Certificate files, a Secret and the webhook configurations that are to trust it, or names for a self-signed certificate. */
export type TlsOptions =
  | { certFile: string; keyFile: string }
  | { secret: { namespace: string; name: string }; configuration: string; service?: string; lives?: Lives }
  | { names: readonly string[] }

/** A port that cannot be listened on. */
export class ListenError extends Error {
  readonly code = 'LISTEN_FAILED'
}

/** A running sidestep. */
export interface Serving {
  /** Not where only the reconciler runs. */
  webhook: AddressInfo | undefined
  ops: AddressInfo
  /** What API servers have to trust, as PEM: the caBundle. Empty as long as a Secret has none. */
  ca: string
  /** Whether the whole cluster could be read in time; /readyz says so too, and goes on saying what is missing. */
  synced: Promise<boolean>
  /** Stops at once, without draining and without ending the process. */
  close(): Promise<void>
}

/**
 * Starts everything and returns when both ports are open; readiness follows when the cluster is read. The first signal
 * drains and ends the process with 0, a second one ends it at once.
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { settings, source, tls, logger, part, ports = {}, heldBytes, host = anyAddress() } = options
  const { lease = { namespace: 'sidestep-system' } } = options
  const { drainMilliseconds = 5_000, closeMilliseconds = 25_000 } = options
  const cluster = 'snapshot' in source ? source : { api: await connectTo(source.kubeconfig) }
  const certificates = part === 'reconciler' ? undefined : await certificatesOf(tls, cluster, logger)
  const metrics = createMetrics()
  const { live, api } = 'api' in cluster ? await follow(cluster.api, logger, metrics) : still(cluster.snapshot)

  const memory = remember(translate)
  live.subscribe(memory.forget)

  let isClosing = false
  const missing = () => [
    ...(isClosing ? ['shutting down'] : []),
    ...(certificates?.missing() ?? []),
    ...live.missing().map(kind => `${kind} is not read yet`),
  ]
  const server =
    certificates &&
    webhookServer(certificates, {
      cluster: live.cluster,
      settings,
      logger,
      metrics,
      translate: memory.translate,
      unread: live.missing,
      isDraining: () => isClosing,
      limits: { heldBytes },
    })
  const ops = buildOps({ logger, metrics, missing })

  const stopping = new AbortController()
  let reconciling = Promise.resolve()
  const close = async () => {
    isClosing = true
    stopping.abort()
    await Promise.all([reconciling, server?.close()])
    await Promise.all([live.stop(), certificates?.stop()])
    // Last, so that probes and scrapes are answered to the end.
    await ops.close()
    metrics.close()
  }
  try {
    if (server) await listen(server, { host, port: ports.webhook ?? 9443 }, '--port')
    // Second, so that nobody hears of readiness before there is a port to call.
    await listen(ops, { host, port: ports.ops ?? 8080 }, '--ops-port')
  } catch (error) {
    await close()
    throw error
  }
  if (api && part !== 'admission') {
    const { reconcileWhenLeading } = await import('./reconciler/index.ts')
    const options = { api, live, settings, logger, registry: metrics.registry, ...lease }
    reconciling = reconcileWhenLeading(options, stopping.signal)
  }
  const grace = closeWithGrace({ delay: closeMilliseconds, logger }, async ({ signal, err }) => {
    if (err) logger.fatal({ err }, 'closing after an error that nobody caught')
    else logger.info({ signal, drainMilliseconds }, 'closing')
    isClosing = true
    // Another replica may lead while this one drains.
    stopping.abort()
    // API servers go on calling until they know that this replica is not ready.
    if (!err) await sleep(drainMilliseconds)
    await close()
  })
  return {
    webhook: server?.server.address() as AddressInfo | undefined,
    ops: ops.server.address() as AddressInfo,
    ca: certificates?.certificate()?.ca ?? '',
    synced: live.synced,
    async close() {
      grace.uninstall()
      await close()
    },
  }
}

/** What a snapshot of files has not. */
type Cluster = { api: ApiServer } | { snapshot: ClusterSnapshot }

async function certificatesOf(tls: TlsOptions, cluster: Cluster, logger: Logger): Promise<CertificateSource> {
  if ('certFile' in tls) return followFiles(tls, logger)
  if ('names' in tls) return fixed(await selfSignedCertificate(tls))
  if (!('api' in cluster)) throw new TypeError('without a cluster there is no Secret')
  const { keepCertificate } = await import('./certificates/keeper.ts')
  const names = webhookNames(tls.secret.namespace, tls.service)
  return keepCertificate({ ...tls, ...cluster, names, logger })
}

/** The webhook's server, which takes up every certificate that comes. */
function webhookServer(certificates: CertificateSource, options: ServerOptions): WebhookServer {
  const { metrics } = options
  const certificate = certificates.certificate()
  const server = buildServer({ ...options, tls: certificate })
  if (certificate) metrics.setCertificate(certificate)
  if (certificates.isTrusted) metrics.watchBundle(certificates.isTrusted)
  certificates.subscribe(certificate => {
    secure(server, certificate)
    metrics.setCertificate(certificate)
  })
  return server
}

/** Of the cluster, what the two parts share. */
interface Followed {
  live: Pick<LiveSnapshot, 'cluster' | 'synced' | 'missing' | 'subscribe' | 'stop'>
  api?: undefined
}

/** A snapshot of files: everything is read, and stays as it is; there is nothing to reconcile. */
function still(cluster: ClusterSnapshot): Followed {
  const live = { cluster, synced: Promise.resolve(true), missing: () => [], subscribe: () => () => {} }
  return { live: { ...live, stop: async () => {} } }
}

async function follow(
  api: ApiServer,
  logger: Logger,
  metrics: Metrics,
): Promise<{ live: LiveSnapshot; api: ApiServer }> {
  const { startLiveSnapshot } = await import('./reconciler/snapshot.ts')
  return { live: startLiveSnapshot(api, { logger, onFailure: metrics.countWatchFailure }), api }
}

/** Imported only when there is a cluster. */
async function connectTo(kubeconfig: string | undefined): Promise<ApiServer> {
  const { connect } = await import('./reconciler/api-server.ts')
  return connect(kubeconfig)
}
/** All addresses of both families where there is IPv6, or else of IPv4. */
function anyAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap(found => found ?? [])
  return addresses.some(({ family }) => family === 'IPv6') ? '::' : '0.0.0.0'
}

/** @throws ListenError which names the option that gives another port */
async function listen(server: Listening, at: { host: string; port: number }, option: string): Promise<void> {
  try {
    await server.listen(at)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'somebody else listens there' : message
    throw new ListenError(`port ${at.port} of ${at.host} cannot be had: ${why}; ${option} gives another`, { cause })
  }
}

interface Listening {
  listen(at: { host: string; port: number }): Promise<unknown>
}
