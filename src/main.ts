// The process behind `sidestep serve`: certificate, snapshot, both servers, and an end that fails no admission.
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'
import type { LiveSnapshot } from './reconciler/snapshot.ts'
import { type Certificate, certificateFromFiles, selfSignedCertificate } from './server/certificates.ts'
import { buildOps } from './server/health.ts'
import { createMetrics } from './server/metrics.ts'
import { buildServer } from './server/server.ts'
import type { Settings } from './translate/settings.ts'
import type { ClusterSnapshot } from './translate/snapshot.ts'

export interface ServeOptions {
  settings: Settings
  /** A snapshot that stands still, or the cluster of a kubeconfig (by default the one kubectl would use, or this Pod's). */
  source: { snapshot: ClusterSnapshot } | { kubeconfig?: string | undefined }
  /** Certificate files, or the names for a self-signed certificate. */
  tls: { certFile: string; keyFile: string } | { names: readonly string[] }
  logger: Logger
  /** 9443 for the webhooks and 8080 for probes and metrics; 0 takes any free port. */
  ports?: { webhook?: number; ops?: number }
  /** The address to listen on; all of them by default. */
  host?: string
  /** Between "not ready" and the last connection, so that the endpoints of the Service can follow. */
  drainMilliseconds?: number
  /** After the first signal, the process ends no later than this. */
  closeMilliseconds?: number
}

/** A running sidestep. */
export interface Serving {
  webhook: AddressInfo
  ops: AddressInfo
  /** What API servers have to trust, as PEM: the caBundle. */
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
  const { settings, source, tls, logger, ports = {}, host = anyAddress() } = options
  const { drainMilliseconds = 5_000, closeMilliseconds = 25_000 } = options
  const certificate = await loadCertificate(tls)
  const live = 'snapshot' in source ? still(source.snapshot) : await followCluster(source.kubeconfig, logger)
  const metrics = createMetrics()
  metrics.setCertificateExpiry(certificate.notAfter)

  let isClosing = false
  const missing = () => [
    ...(isClosing ? ['shutting down'] : []),
    ...(certificate.notAfter.getTime() <= Date.now() ? ['the certificate has expired'] : []),
    ...live.missing().map(kind => `${kind} is not read yet`),
  ]
  const server = buildServer({
    cluster: live.cluster,
    settings,
    logger,
    tls: certificate,
    metrics,
    unread: live.missing,
  })
  const ops = buildOps({ logger, metrics, missing })

  const close = async () => {
    isClosing = true
    await server.close()
    await live.stop()
    // Last, so that probes and scrapes are answered to the end.
    await ops.close()
    metrics.close()
  }
  try {
    await server.listen({ host, port: ports.webhook ?? 9443 })
    // Second, so that nobody hears of readiness before there is a port to call.
    await ops.listen({ host, port: ports.ops ?? 8080 })
  } catch (error) {
    await close()
    throw error
  }
  const grace = closeWithGrace({ delay: closeMilliseconds, logger }, async ({ signal, err }) => {
    if (err) logger.fatal({ err }, 'closing after an error that nobody caught')
    else logger.info({ signal, drainMilliseconds }, 'closing')
    isClosing = true
    // API servers go on calling until they know that this replica is not ready.
    if (!err) await sleep(drainMilliseconds)
    await close()
  })
  return {
    webhook: server.server.address() as AddressInfo,
    ops: ops.server.address() as AddressInfo,
    ca: certificate.ca,
    synced: live.synced,
    async close() {
      grace.uninstall()
      await close()
    },
  }
}

function loadCertificate(tls: ServeOptions['tls']): Promise<Certificate> {
  return 'certFile' in tls ? certificateFromFiles(tls.certFile, tls.keyFile) : selfSignedCertificate(tls)
}

/** A snapshot of files: everything is read, and stays as it is. */
function still(cluster: ClusterSnapshot): LiveSnapshot {
  return { cluster, synced: Promise.resolve(true), missing: () => [], stop: async () => {} }
}

/** Imported only when there is a cluster: loading the Kubernetes client takes longer than everything else together. */
async function followCluster(kubeconfig: string | undefined, logger: Logger): Promise<LiveSnapshot> {
  const [{ connect }, { startLiveSnapshot }] = await Promise.all([
    import('./reconciler/api-server.ts'),
    import('./reconciler/snapshot.ts'),
  ])
  return startLiveSnapshot(connect(kubeconfig), { logger })
}

/** All addresses of both families where there is IPv6, or else of IPv4. */
function anyAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap(found => found ?? [])
  return addresses.some(({ family }) => family === 'IPv6') ? '::' : '0.0.0.0'
}
