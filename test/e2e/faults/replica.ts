// One replica: a process that serves, and the proxy through which it reaches the API server.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { ElectionTimes } from '../../../src/reconciler/elector.ts'
import { freePort } from '../../control-plane/ports.ts'
import { until } from '../../control-plane/until.ts'
import type { ReplicaOptions } from '../serve-process.ts'
import { ApiProxy, type Hooks, type Write } from './api-proxy.ts'
import type { World } from './world.ts'

/** Long enough for a machine that has other things to do, and short enough to be waited for. */
export const times: ElectionTimes = { lease: 7000, renew: 4000, retry: 400 }

export interface StartOptions {
  part?: 'admission' | 'reconciler'
  /** As `sidestep serve` itself, with the times that it has. */
  isCommand?: boolean
  /** A module that the process loads first. */
  imported?: string
}

/** A line of the log. */
export interface Line {
  level: number
  msg: string
  path?: string
  kind?: string
  result?: string
}

export class Replica {
  readonly name: string
  readonly proxy: ApiProxy
  readonly log: Line[] = []
  readonly exited: Promise<[code: number | null, signal: string | null]>
  readonly #child: ChildProcess
  readonly #ports: { webhook?: number; ops: number }
  readonly #world: World

  /** Starts the process; it is not ready yet. */
  static async start(world: World, name: string, options: StartOptions = {}): Promise<Replica> {
    const { part, isCommand, imported } = options
    const proxy = await ApiProxy.start(world.controlPlane, name, world.journal)
    const ports = { webhook: await freePort(), ops: await freePort() }
    const { kubeconfig } = proxy
    const { certificate } = world
    const itself = { kubeconfig, certificate, ports, times, ...(part && { part }) } satisfies ReplicaOptions
    const args = isCommand ? command(itself) : [locate('../serve-process.ts'), JSON.stringify(itself)]
    const imports = ['tsx', ...(imported ? [imported] : [])].map(module => `--import=${module}`)
    const child = spawn(process.execPath, [...imports, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    return new Replica(world, name, proxy, child, part === 'reconciler' ? { ops: ports.ops } : ports)
  }

  private constructor(
    world: World,
    name: string,
    proxy: ApiProxy,
    child: ChildProcess,
    ports: { webhook?: number; ops: number },
  ) {
    this.name = name
    this.proxy = proxy
    this.#world = world
    this.#child = child
    this.#ports = ports
    this.exited = once(child, 'exit') as Promise<[number | null, string | null]>
    const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream })
    lines.on('line', line => {
      if (process.env.SIDESTEP_LOG) process.stderr.write(`${name}: ${line}\n`)
      this.log.push(line.startsWith('{') ? JSON.parse(line) : { level: 60, msg: line })
    })
    child.once('exit', () => {
      this.#leaveFront()
      proxy.close()
    })
  }

  /** Waits until it is ready, and has the webhook's calls reach it. */
  async ready(): Promise<void> {
    await until(`replica ${this.name} to be ready`, () => this.isReady(), {
      signal: this.#gone(),
    })
    if (this.#ports.webhook) this.#world.front.ports.add(this.#ports.webhook)
  }

  async isReady(): Promise<boolean> {
    return (await fetch(`http://127.0.0.1:${this.#ports.ops}/readyz`)).status === 200
  }

  /** A value of a metric, of all its labels the sum; undefined for one that is not there. */
  async metric(name: string, labels = ''): Promise<number | undefined> {
    const text = await (await fetch(`http://127.0.0.1:${this.#ports.ops}/metrics`)).text()
    const lines = text.split('\n').filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    const values = lines.filter(line => line.includes(labels)).map(line => Number(line.split(' ').at(-1)))
    return values.length > 0 ? values.reduce((total, each) => total + each, 0) : undefined
  }

  async isLeading(): Promise<boolean> {
    return (await this.metric('sidestep_reconciler_leader')) === 1
  }

  /**
   * Does something at its next write but so many, `before` the API server hears of it or `after` that. The write waits for
   * it; what `before` returns may be `drop`. Resolves with the write when it has been done.
   */
  atWrite(number: number, when: keyof Hooks, act: (write: Write) => Promise<unknown>): Promise<Write> {
    let count = 0
    return new Promise((resolve, reject) => {
      this.proxy.hooks = {
        [when]: async (write: Write) => {
          if (++count !== number) return undefined
          const outcome = act(write)
          outcome.then(() => resolve(write), reject)
          return outcome
        },
      }
    })
  }

  /** What it has written of sources and companions. */
  get writes(): Write[] {
    return this.#world.workOf(this.name)
  }

  said(pattern: RegExp): Line[] {
    return this.log.filter(({ msg }) => pattern.test(msg))
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
  }

  /** By a signal as the kubelet sends it. Returns its exit code. */
  async terminate(): Promise<number | null> {
    this.#leaveFront()
    this.signal('SIGTERM')
    return (await this.exited)[0]
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  #leaveFront(): void {
    if (this.#ports.webhook) this.#world.front.ports.delete(this.#ports.webhook)
  }

  #gone(): AbortSignal {
    const gone = new AbortController()
    this.exited.then(([code, signal]) => {
      const log = this.log.map(line => JSON.stringify(line)).join('\n')
      gone.abort(new Error(`replica ${this.name} ended with ${signal ?? code}\n${log}`))
    })
    return gone.signal
  }
}

function command({
  kubeconfig,
  part,
  certificate,
  ports,
}: ReplicaOptions & { certificate: World['certificate'] }): string[] {
  return [
    locate('../../../src/cli/main.ts'),
    'serve',
    `--kubeconfig=${kubeconfig}`,
    `--tls-cert=${certificate.certFile}`,
    `--tls-key=${certificate.keyFile}`,
    ...(part === 'reconciler' ? ['--reconcile-only'] : [`--port=${ports.webhook}`]),
    ...(part === 'admission' ? ['--admission-only'] : []),
    `--ops-port=${ports.ops}`,
  ]
}

function locate(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url))
}
