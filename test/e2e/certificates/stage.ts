// A control plane where sidestep's webhooks are registered as a cluster would have them: nothing goes without them, and
// they come without a caBundle. Two replicas make it work.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Lives, usualLives } from '../../../src/certificates/authority.ts'
import type { TlsOptions } from '../../../src/main.ts'
import type { ControlPlane } from '../../control-plane/index.ts'
import { freePort } from '../../control-plane/ports.ts'
import { until } from '../../control-plane/until.ts'
import type { ReplicaOptions } from '../serve-process.ts'
import { grantAsDeployed } from '../sidestep.ts'
import { Balancer, type Endpoint } from './balancer.ts'

/**
 * So short that an authority follows another every 25 seconds. Of its last third, each hand-over takes a second here and some
 * ten calls of the API server: of four seconds those were too many on a core that had much else to do.
 */
export const lives: Lives = {
  ...usualLives,
  authority: 36_000,
  leaf: 27_000,
  skew: 15_000,
  settle: 1_000,
  poll: 250,
}

export const secret = { namespace: 'sidestep-system', name: 'sidestep-ca' }
export const secretPath = '/api/v1/namespaces/sidestep-system/secrets/sidestep-ca'

export const tls: TlsOptions = { secret, configuration: 'sidestep', lives }

/** Shorter, for a bench, which has the machine for itself. */
const benchLives: Lives = { ...lives, authority: 24_000, leaf: 18_000, skew: 10_000 }

export const emptySecret = readFile(
  new URL('../../../deploy/kustomize/base/certificates.yaml', import.meta.url),
  'utf8',
)

export async function prepare(controlPlane: ControlPlane): Promise<Balancer> {
  await grantAsDeployed(controlPlane)
  await controlPlane.apply(await emptySecret)
  await controlPlane.apply([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a' } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'team-a' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    },
  ])
  const balancer = await Balancer.start()
  await controlPlane.registerWebhooks({ url: balancer.url, failurePolicy: 'Fail' })
  return balancer
}

/** A replica in a process of its own. */
export class ReplicaProcess {
  readonly endpoint: Endpoint
  readonly #child: ReturnType<typeof spawn>
  readonly #balancer: Balancer
  readonly #exited: Promise<unknown[]>
  #log = ''

  /** Starts it, and returns when it is ready. */
  static async start(controlPlane: ControlPlane, balancer: Balancer): Promise<ReplicaProcess> {
    const endpoint = { webhook: await freePort(), ops: await freePort() }
    const options: ReplicaOptions = {
      kubeconfig: controlPlane.kubeconfig('sidestep'),
      part: 'admission',
      certificate: { ...tls, lives: benchLives },
      drainMilliseconds: 5_000,
      ports: endpoint,
      times: { lease: 7000, renew: 4000, retry: 400 },
    }
    const replica = new ReplicaProcess(endpoint, balancer, JSON.stringify(options))
    const { ops } = endpoint
    const isReady = async () => (await fetch(`http://127.0.0.1:${ops}/readyz`)).status === 200
    await until('a replica to be ready', isReady).catch(error => {
      throw new Error(`${error.message}\n${replica.#log}`)
    })
    return replica
  }

  private constructor(endpoint: Endpoint, balancer: Balancer, options: string) {
    this.endpoint = endpoint
    this.#balancer = balancer
    balancer.endpoints.add(endpoint)
    const script = fileURLToPath(new URL('../serve-process.ts', import.meta.url))
    this.#child = spawn(process.execPath, ['--import=tsx', script, options], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child.stderr?.on('data', chunk => {
      this.#log = (this.#log + chunk).slice(-8000)
    })
    this.#exited = once(this.#child, 'exit')
  }

  async metric(line: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.endpoint.ops}/metrics`)).text()
    return Number(
      text
        .split('\n')
        .find(found => found.startsWith(`${line} `))
        ?.split(' ')
        .at(-1),
    )
  }

  /** As the kubelet does it: it is asked to end, and the endpoints find out by themselves. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    const [code] = await this.#exited
    this.#balancer.endpoints.delete(this.endpoint)
    if (code !== 0) throw new Error(`a replica ended with ${code}\n${this.#log}`)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
