// `sidestep serve`: the flags become the arguments of main.ts, and a newcomer is told what to try.
import { existsSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { serve, type TlsOptions } from '../main.ts'
import { loadSettings } from '../settings.ts'
import { type ClusterSnapshot, snapshotOf } from '../translate/snapshot.ts'
import { type ExitCode, type Io, isColoured } from './io.ts'
import { problemLine } from './print.ts'
import { read } from './read.ts'

export interface ServeFlags {
  kubeconfig?: string
  snapshot?: string
  settings?: string
  profile?: string
  port?: number
  opsPort?: number
  maxHeld?: number
  tlsCert?: string
  tlsKey?: string
  tlsSecret?: { namespace: string; name: string }
  webhookConfiguration?: string
  service?: string
  asIs?: true
  admissionOnly?: true
  reconcileOnly?: true
  leaseNamespace?: string
}

/** An AdmissionReview to try; beside the directories of examples/, since `--snapshot` reads all that is in those. */
const review = fileURLToPath(new URL('../../examples/review.json', import.meta.url))

/** Starts to serve and returns; the process goes on until a signal ends it. */
export async function runServe(flags: ServeFlags, io: Io): Promise<ExitCode> {
  if (!flags.tlsCert !== !flags.tlsKey) {
    io.stderr.write('error: --tls-cert and --tls-key belong together; give both or none\n')
    return 2
  }
  if ((flags.webhookConfiguration || flags.service) && !flags.tlsSecret) {
    io.stderr.write('error: --webhook-configuration and --service belong to --tls-secret; give that too\n')
    return 2
  }
  const settings = loadSettings({ file: flags.settings, env: io.env, flags: { profile: flags.profile } })
  const snapshot = flags.snapshot === undefined ? undefined : await snapshotIn(flags.snapshot, flags, io)
  if (flags.snapshot !== undefined && !snapshot) return 2

  const { webhook, ops } = await serve({
    settings,
    // Without a cluster nobody else calls, and there are no endpoints that have to follow before the end.
    ...(snapshot ? { host: '127.0.0.1', drainMilliseconds: 0 } : {}),
    source: snapshot ? { snapshot } : { kubeconfig: flags.kubeconfig },
    tls: tlsOf(flags),
    ...(flags.admissionOnly && { part: 'admission' as const }),
    ...(flags.reconcileOnly && { part: 'reconciler' as const }),
    lease: { namespace: flags.leaseNamespace ?? ownNamespace() },
    ports: {
      ...(flags.port === undefined ? {} : { webhook: flags.port }),
      ...(flags.opsPort === undefined ? {} : { ops: flags.opsPort }),
    },
    heldBytes: flags.maxHeld && flags.maxHeld * 1024 * 1024,
    // stdout is for the person who starts it.
    logger: pino(io.stderr),
  })
  if (snapshot && webhook) io.stdout.write(invitation(webhook.port, ops.port, snapshot))
  return 0
}

function tlsOf({ tlsCert, tlsKey, tlsSecret, webhookConfiguration, service }: ServeFlags): TlsOptions {
  if (tlsCert && tlsKey) return { certFile: tlsCert, keyFile: tlsKey }
  if (!tlsSecret) return { names: ['localhost', '127.0.0.1'] }
  const configuration = webhookConfiguration ?? 'sidestep'
  return { secret: tlsSecret, configuration, ...(service !== undefined && { service }) }
}

/** Of the Pod that it runs in; elsewhere, where deploy/ puts it. */
function ownNamespace(): string {
  const file = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : 'sidestep-system'
}

async function snapshotIn(directory: string, { asIs }: ServeFlags, io: Io): Promise<ClusterSnapshot | undefined> {
  const { inputs, problems } = await read([directory], io.stdin)
  io.stderr.write(problems.map(problem => problemLine(problem, isColoured(io.stderr, io.env))).join(''))
  if (problems.length > 0) return undefined
  return snapshotOf(
    inputs.map(({ object }) => object),
    asIs ? 'observed' : 'assumed',
  )
}

function invitation(port: number, opsPort: number, { namespaces }: ClusterSnapshot): string {
  const addresses = `sidestep serves https://127.0.0.1:${port}/mutate and /validate, and http://127.0.0.1:${opsPort}/metrics\n`
  if (!existsSync(review)) return addresses
  const { object } = JSON.parse(readFileSync(review, 'utf8')).request
  if (!namespaces.has(object.metadata.namespace)) return addresses
  return `${addresses}
Send it the ${object.kind} that Kubeflow writes for a contributor, and see the patch that moves it to the waypoint:

curl -sk https://127.0.0.1:${port}/mutate -H 'content-type: application/json' -d @${relative('', review)} |
  node -p 'Buffer.from(JSON.parse(require("fs").readFileSync(0)).response.patch, "base64").toString()'
`
}
