// The load generator in load/, built once into the cache, and run on the core that servers do not have.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GoModule } from '../../test/control-plane/go-module.ts'
import { run } from '../../test/control-plane/run.ts'
import type { Payload } from './payloads.ts'

const clientCore = '1'
const directory = join(import.meta.dirname, 'load')
const goModule = new GoModule(directory, 'bench load', ['main.go', 'reviews.go', 'source.go', 'worker.go'])

export interface LoadOptions {
  url: string
  certFile: string
  /** Of writeMix. */
  mixFile: string
  connections: number
  seconds: number
  /** Reviews due in a second; as many as are answered when not given. */
  rate?: number
  onNewConnections?: boolean
}

/** What load/main.go prints. Latencies are in milliseconds. */
export interface Load {
  reviews: number
  seconds: number
  perSecond: number
  latency: { p50: number; p90: number; p99: number; max: number }
  /** Refused with HTTP 503 and not counted above: the server had more to do than it could. */
  shed: number
  failed: number
  failures: string[]
}

export async function buildLoad(): Promise<string> {
  const missing = await goModule.missing()
  if (missing) throw new Error(missing.reason)
  await goModule.fillCache('bin', bin => goModule.build(bin, 'load', '.'))
  return join(await goModule.cachePath('bin'), 'load')
}

export async function writeMix(directory: string, { name, mix }: Payload): Promise<string> {
  const file = join(directory, `${name}.json`)
  await writeFile(file, JSON.stringify(mix))
  return file
}

/** Sends reviews for some seconds. One that is not answered as it should be makes the whole run worthless. */
export async function sendLoad(binary: string, options: LoadOptions): Promise<Load> {
  const { url, certFile, mixFile, connections, seconds, rate = 0, onNewConnections = false } = options
  const flags = { url, ca: certFile, mix: mixFile, connections, seconds, rate, 'new-connections': onNewConnections }
  const args = Object.entries(flags).map(([name, value]) => `-${name}=${value}`)
  const env = { ...process.env, GOMAXPROCS: '1' }
  const { stdout, stderr, code } = await run('taskset', ['--cpu-list', clientCore, binary, ...args], { env })
  if (code !== 0) throw new Error(stderr)
  const load: Load = JSON.parse(stdout)
  if (load.failed > 0) throw new Error(`${load.failed} reviews failed: ${load.failures.join('; ')}`)
  return load
}
