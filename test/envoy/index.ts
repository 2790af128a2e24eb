// A real Envoy with a route table as istiod writes it, on 127.0.0.1, in front of servers that tell what arrives. It shows
// what docs/decisions/0003-envoy.md says of Envoy. How a test gets it:
//
//   const test = await envoyTests(t)
//   test('what it shows', async t => {
//     const envoy = await withRoutes(t, [{ match: { prefix: '/' }, route: toApp() }])
//     t.equal(await envoy.outcome({ path: '/foo' }), '/foo')
//   })
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Processes } from '../control-plane/processes.ts'
import { run } from '../control-plane/run.ts'
import { until } from '../control-plane/until.ts'
import { findEnvoy } from './binary.ts'
import { bootstrap, type Listener } from './bootstrap.ts'
import { type Request, type Response, send } from './send.ts'
import { type Arrival, Upstream } from './upstream.ts'

/**
 * `t.test` for what needs Envoy. Without one, the tests of the file are skipped and the reason is printed once. That holds
 * in CI too, unlike for the control plane, which any machine with Go can build: nothing but pip brings Envoy, CI may
 * start with an empty cache and no pip, and what is measured here changes with Envoy, not with sidestep. Who wants to be
 * sure that they run sets SIDESTEP_ENVOY, and then a missing binary is a failure.
 */
export async function envoyTests(t: Test): Promise<(name: string, body: (t: Test) => Promise<void>) => void> {
  missing ??= await whyNone()
  const skip = missing
  return (name, body) => {
    t.test(name, { skip }, body)
  }
}

let missing: string | false | undefined

async function whyNone(): Promise<string | false> {
  const found = await findEnvoy()
  if (typeof found === 'string') return false
  process.stderr.write(`sidestep: SKIPPING THE TESTS OF ENVOY: ${found.reason}\n`)
  return found.reason
}

/** One virtual host for all hosts. */
export function withRoutes(t: Test, routes: readonly object[], listener: Partial<Listener> = {}): Promise<Envoy> {
  return start(t, { virtualHosts: [{ name: '*:80', domains: ['*'], routes }], ...listener })
}

/** A RouteAction to the upstream `app`, as `applyHTTPRouteDestination` and `setTimeout` write it. */
export function toApp(action: object = {}): object {
  return { cluster: 'app', timeout: '0s', max_grpc_timeout: '0s', ...action }
}

/** A route that answers with its own name, for tests about matching. */
export function named(name: string, match: object): object {
  return { name, match, direct_response: { status: 200, body: { inline_string: name } } }
}

/** Starts Envoy, which stops when `t` ends. */
export async function start(t: Test, listener: Listener): Promise<Envoy> {
  const binary = await envoyBinary()
  const directory = await mkdtemp(join(tmpdir(), 'sidestep-envoy-'))
  const processes = await Processes.in(directory)
  const upstreams = ['app', 'other'].map(name => new Upstream(name))
  t.teardown(async () => {
    await processes.stop()
    for (const upstream of upstreams) await upstream.stop()
  })
  const ports: Record<string, number> = {}
  for (const upstream of upstreams) ports[upstream.name] = await upstream.start()
  const file = join(directory, 'envoy.json')
  await writeFile(file, JSON.stringify(bootstrap(listener, ports)))
  const adminFile = join(directory, 'admin')
  // Without hot restart, Envoys share no memory and need no base id of their own.
  const flags = ['--disable-hot-restart', '--concurrency', '1', '--log-level', 'error']
  await processes.start(binary, ['--config-path', file, '--admin-address-path', adminFile, ...flags])
  try {
    const port = await until('Envoy to be ready', () => listenerPort(adminFile), { signal: processes.failure })
    return new Envoy(port, listener.certificate !== undefined, upstreams)
  } catch (error) {
    throw new Error(`Envoy does not start: ${await processes.logs()}`, { cause: error })
  }
}

/** What Envoy says of routes that it refuses; undefined if it takes them. */
export async function refusal(
  routes: readonly object[],
  listener: Partial<Listener> = {},
): Promise<string | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'sidestep-envoy-'))
  try {
    const file = join(directory, 'envoy.json')
    const virtualHosts = [{ name: '*:80', domains: ['*'], routes }]
    await writeFile(file, JSON.stringify(bootstrap({ virtualHosts, ...listener }, { app: 1, other: 1 })))
    const flags = ['--mode', 'validate', '--disable-hot-restart', '--log-level', 'error']
    const { code, stdout, stderr } = await run(await envoyBinary(), ['--config-path', file, ...flags])
    return code === 0 ? undefined : stdout + stderr
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function envoyBinary(): Promise<string> {
  const found = await findEnvoy()
  if (typeof found !== 'string') throw new Error(found.reason)
  return found
}

/** The port of the listener, once Envoy serves. */
async function listenerPort(adminFile: string): Promise<number | false> {
  const admin = `http://${await readFile(adminFile, 'utf8')}`
  if ((await fetch(`${admin}/ready`)).status !== 200) return false
  const { listener_statuses: listeners } = (await (await fetch(`${admin}/listeners?format=json`)).json()) as {
    listener_statuses: { local_address: { socket_address: { port_value: number } } }[]
  }
  return listeners[0]?.local_address.socket_address.port_value ?? false
}

export class Envoy {
  readonly port: number
  readonly #overTls: boolean
  readonly #upstreams: Upstream[]

  constructor(port: number, overTls: boolean, upstreams: Upstream[]) {
    this.port = port
    this.#overTls = overTls
    this.#upstreams = upstreams
  }

  send(request: Request): Promise<Response> {
    return send(this.port, request, this.#overTls)
  }

  /** What a request becomes behind Envoy. */
  async arrival(request: Request): Promise<Arrival> {
    const response = await this.send(request)
    if (!response.headers['x-echo']) throw new Error(`${JSON.stringify(request)} was answered with ${response.status}`)
    return JSON.parse(response.body)
  }

  /** What became of a request: the path that arrived, the Location of a redirect, the name of a route, or the status. */
  async outcome(request: Request): Promise<string | number> {
    const { status, headers, body } = await this.send(request)
    if (headers['x-echo']) return JSON.parse(body).path
    if (headers.location !== undefined) return headers.location
    return status === 200 ? body : status
  }

  /** The outcomes of requests that differ in their paths. */
  async outcomes(paths: readonly string[], request: Request = {}): Promise<Record<string, string | number>> {
    const outcomes: Record<string, string | number> = {}
    for (const path of paths) outcomes[path] = await this.outcome({ ...request, path })
    return outcomes
  }

  /** Everything that arrived at an upstream so far, copies by mirroring included. */
  arrivalsAt(name: string): readonly Arrival[] {
    return this.#upstreams.find(upstream => upstream.name === name)?.arrivals ?? []
  }
}
