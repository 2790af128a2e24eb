// sidestep's own webhook server for the tests: as `sidestep serve --snapshot` runs it, in this process.
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { selfSignedCertificate } from '../../src/certificates/issue.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { buildServer } from '../../src/server/server.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { type ClusterSnapshot, emptySnapshot, putObject } from '../../src/translate/snapshot.ts'
import type { Webhooks } from '../control-plane/webhooks.ts'

export interface Admission extends Webhooks {
  /** Shows an object to sidestep, as a watch would. */
  put(object: KubernetesObject): void
  close(): Promise<void>
}

/** A small Kubeflow, as YAML would say it. */
const surroundings = [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'team-a', labels: { 'app.kubernetes.io/part-of': 'kubeflow-profile' } },
  },
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kubeflow' } },
  service('web', 'team-a'),
  service('ml-pipeline', 'kubeflow'),
  deployment('ml-pipeline', 'kubeflow'),
]

function service(app: string, namespace: string): KubernetesObject {
  const spec = { selector: { app }, ports: [{ port: 80 }] }
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: app, namespace }, spec } as KubernetesObject
}

function deployment(app: string, namespace: string): KubernetesObject {
  const spec = { template: { metadata: { labels: { app } }, spec: { containers: [{ name: 'main' }] } } }
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: app, namespace }, spec } as KubernetesObject
}

/** The webhook server on a free port, with a small Kubeflow in its snapshot, where all that sidestep keeps is in place. */
export async function startAdmission(objects: KubernetesObject[] = []): Promise<Admission> {
  const cluster = emptySnapshot('assumed')
  for (const object of [...surroundings, ...objects]) putObject(cluster, object)
  return { ...(await startWebhookServer(cluster)), put: object => putObject(cluster, object) }
}

/** The webhook server on a free port, judging with a snapshot that may go on changing. */
export async function startWebhookServer(
  cluster: ClusterSnapshot,
  settings: Settings = profiles.kubeflow,
): Promise<Webhooks & { close(): Promise<void> }> {
  const certificate = await selfSignedCertificate({ names: ['127.0.0.1', 'localhost'] })
  const metrics = createMetrics()
  const logger = pino({ level: 'silent' })
  // How busy this process is says nothing here: it does the test's work as well, and 503 would leave objects as they are.
  const limits = { eventLoopDelayMilliseconds: 0 }
  const server = buildServer({ cluster, settings, logger, tls: certificate, metrics, limits })
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${port}`,
    caBundle: certificate.ca,
    async close() {
      await server.close()
      metrics.close()
    },
  }
}
