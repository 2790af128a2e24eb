// `sidestep serve` as it is deployed, in a process of its own, so that its memory and its time are its own.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { localCertificate } from '../test/control-plane/certificate.ts'
import type { ControlPlane } from '../test/control-plane/index.ts'
import { freePort } from '../test/control-plane/ports.ts'

/** What vitals.mjs tells. */
export interface Vitals {
  /** Bytes that JavaScript holds, and buffers beside them. */
  heap: number
  /** What keeps the event loop going: sockets, servers, timers. */
  handles: number
}

/** However that ends. */
const endsWithParent = "process.on('disconnect', () => process.exit(1)); process.channel?.unref()"

export interface Ports {
  webhook: number
  ops: number
}

export class ServeProcess {
  /** Where /mutate and /validate are. */
  readonly url: string
  /** Where probes and metrics are. */
  readonly ops: string
  /** When it was started, by performance.now(). */
  readonly begun = performance.now()
  readonly #child: ChildProcess
  /** Aborts when it ends. */
  readonly #gone = new AbortController()
  /** The end of what it said. */
  #log = ''

  /** @param preload a module beside this one that answers `ask`; without one the process is as it is */
  constructor(flags: readonly string[], ports: Ports, preload?: string) {
    this.url = urlOf(ports)
    this.ops = `http://127.0.0.1:${ports.ops}`
    const profile = process.env.CPU_PROFILES
    const own = [`--port=${ports.webhook}`, `--ops-port=${ports.ops}`]
    this.#child = fork(inTree('../dist/cli/main.js'), ['serve', ...flags, ...own], {
      execArgv: [
        // As deploy/ has it.
        '--max-old-space-size=768',
        `--import=data:text/javascript,${encodeURIComponent(endsWithParent)}`,
        ...(preload ? [`--import=${inTree(preload)}`] : []),
        ...(profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : []),
      ],
      env: { ...process.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child.stderr?.on('data', chunk => {
      this.#log = (this.#log + chunk).slice(-4000)
    })
    this.#child.once('exit', (code, signal) =>
      this.#gone.abort(new Error(`sidestep ended (${signal ?? code}): ${this.#log}`)),
    )
  }

  /** Waits until /readyz says so, and returns the seconds since the start. */
  async ready(): Promise<number> {
    for (;;) {
      const answer = await fetch(`${this.ops}/readyz`).catch(() => undefined)
      if (answer?.ok) return (performance.now() - this.begun) / 1000
      this.#gone.signal.throwIfAborted()
      await pause(5)
    }
  }

  /** What the module loaded before it answers. */
  async ask<T = Vitals>(question: string): Promise<T> {
    const { signal } = this.#gone
    signal.throwIfAborted()
    this.#child.send(question)
    const [answer] = await once(this.#child, 'message', { signal }).catch(error => {
      throw signal.aborted ? signal.reason : error
    })
    return answer
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.ops}/metrics`)).text()
  }

  /** What of it is in memory now, and what was at most. */
  get mebibytes(): { now: number; peak: number } {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024
    return { now: field('VmRSS'), peak: field('VmHWM') }
  }

  get openFiles(): number {
    return readdirSync(`/proc/${this.#child.pid}/fd`).length
  }

  async stop(): Promise<void> {
    if (this.#gone.signal.aborted) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await exited
  }
}

/** A certificate in files, and the flags that name them. */
export async function certificateIn(directory: string): Promise<{ cert: string; flags: string[] }> {
  const { key, cert } = await localCertificate()
  const [keyFile, certFile] = [join(directory, 'sidestep.key'), join(directory, 'sidestep.crt')]
  await writeFile(keyFile, key)
  await writeFile(certFile, cert)
  return { cert, flags: [`--tls-cert=${certFile}`, `--tls-key=${keyFile}`] }
}

/**
 * sidestep beside a control plane whose webhooks call it. The webhooks come first, so that no source is sent through an
 * admission that does not know sidestep.
 */
export async function serveBeside(
  controlPlane: ControlPlane,
  { flags = [], preload }: { flags?: string[]; preload?: string } = {},
): Promise<ServeProcess> {
  const certificate = await certificateIn(controlPlane.directory)
  const ports = await freePorts()
  await controlPlane.registerWebhooks({ url: urlOf(ports), caBundle: certificate.cert })
  const kubeconfig = `--kubeconfig=${controlPlane.kubeconfig('sidestep')}`
  return new ServeProcess([kubeconfig, ...certificate.flags, ...flags], ports, preload)
}

export async function freePorts(): Promise<Ports> {
  return { webhook: await freePort(), ops: await freePort() }
}

function urlOf({ webhook }: Ports): string {
  return `https://127.0.0.1:${webhook}`
}

export function inTree(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url))
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
