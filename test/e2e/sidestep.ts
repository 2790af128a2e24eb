// sidestep as it runs in a cluster, in this process: webhook and reconciler on one live snapshot, as a user who may do just
// what deploy/kustomize/base/rbac.yaml says.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { type ApiServer, connect } from '../../src/reconciler/api-server.ts'
import { contentOf } from '../../src/reconciler/plan.ts'
import { Reconciler } from '../../src/reconciler/reconciler.ts'
import { retrying } from '../../src/reconciler/retry.ts'
import { type LiveSnapshot, startLiveSnapshot } from '../../src/reconciler/snapshot.ts'
import { digest } from '../../src/translate/canonical.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { until } from '../control-plane/until.ts'
import { startWebhookServer } from './admission.ts'
import { Failures } from './failures.ts'

export interface Sidestep {
  live: LiveSnapshot
  reconciler: Reconciler
  /** What the reconciler has sent, other than reading: `PATCH /path`. */
  writes: string[]
  /**
   * Of these what made something else of an object than its last write had made. What loses a race or a connection is sent
   * again, and so is what a watch does not bring back within seconds, which then changes nothing. With a digest of what it made.
   */
  changes: { write: string; made: string }[]
  failures: Failures
  stop(): Promise<void>
}

export interface SidestepOptions {
  settings?: Settings
  /** Whether the webhook is registered at the API server. */
  webhook?: boolean
  /** Between the reconciler and the API server, for a test that watches or breaks what goes through. */
  through?: (api: ApiServer) => ApiServer
}

/** Starts it, and returns when it has read the cluster. */
export async function startSidestep(
  controlPlane: ControlPlane,
  { settings = profiles.kubeflow, webhook = true, through = api => api }: SidestepOptions = {},
): Promise<Sidestep> {
  await grantAsDeployed(controlPlane)
  const logger = pino({ level: process.env.SIDESTEP_LOG ?? 'silent' })
  const writes: string[] = []
  const changes: Sidestep['changes'] = []
  const failures = new Failures()
  const api = through(noting(connect(controlPlane.kubeconfig('sidestep')), { writes, changes }))
  const live = startLiveSnapshot(api, { logger })
  if (!(await live.synced)) throw new Error(`not read: ${live.missing().join(', ')}`)
  const server = await startWebhookServer(live.cluster, settings)
  if (webhook) await controlPlane.registerWebhooks(server)
  const reconciler = new Reconciler({
    api: retrying(api),
    live,
    settings,
    translate,
    listener: failures.listener,
    logger,
  })
  const stopping = new AbortController()
  const running = reconciler.run(stopping.signal)
  return {
    live,
    reconciler,
    writes,
    changes,
    failures,
    async stop() {
      stopping.abort()
      await running
      await server.close()
      await live.stop()
    },
  }
}

/** The service account of the manifests is the user `sidestep` of the tests; nobody but it may write companions. */
export async function grantAsDeployed(controlPlane: ControlPlane): Promise<void> {
  await controlPlane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'sidestep-system' } })
  for (const file of ['rbac.yaml', 'companions.yaml'])
    await controlPlane.apply(await readFile(join(import.meta.dirname, '../../deploy/kustomize/base', file), 'utf8'))
  const isAllowed = () => controlPlane.request('GET', '/api/v1/namespaces', { user: 'sidestep' })
  await until('the rights of sidestep to be in effect', async () => (await isAllowed()).status === 200)
}

function noting(api: ApiServer, { writes, changes }: Pick<Sidestep, 'writes' | 'changes'>): ApiServer {
  const known = new Map<string, string>()
  return {
    ...api,
    async send(call, signal) {
      const write = `${call.method} ${call.path}`
      if (call.method !== 'GET') writes.push(write)
      const answer = await api.send(call, signal)
      const made = digest(contentOf(answer))
      if (call.method !== 'GET' && known.get(call.path) !== made) {
        known.set(call.path, made)
        changes.push({ write, made })
      }
      return answer
    },
  }
}
