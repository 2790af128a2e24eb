import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import https from 'node:https'
import { createInterface } from 'node:readline'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { AdmissionReview } from '../../src/apis/admission.ts'
import { type ServeOptions, serve } from '../../src/main.ts'
import { resources } from '../../src/reconciler/snapshot.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import { until } from '../control-plane/until.ts'
import { FakeApiServer } from '../reconciler/fake-api-server.ts'
import { create, review, widget } from './reviews.ts'

const options: ServeOptions = {
  settings: profiles.generic,
  source: { snapshot: snapshotOf([]) },
  tls: { names: ['localhost', '127.0.0.1'] },
  logger: pino({ level: 'silent' }),
  ports: { webhook: 0, ops: 0 },
  host: '127.0.0.1',
}

/** Where there is no webhook. */
const noPort = { port: 0 }

/** Posts a review; the status and the body of the answer. */
function admit(
  port: number,
  ca: string,
  agent?: https.Agent,
  object: object = widget({}),
): Promise<{ status: number | undefined; body: string }> {
  const headers = { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const request = https.request({
      host: '127.0.0.1',
      port,
      ca,
      path: '/mutate',
      method: 'POST',
      headers,
      ...(agent && { agent }),
    })
    request.on('error', reject).on('response', async response => {
      let body = ''
      for await (const chunk of response) body += chunk
      resolve({ status: response.statusCode, body })
    })
    request.end(JSON.stringify(review(create(object))))
  })
}

async function isRefused(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/livez`).then(
    () => false,
    () => true,
  )
}

t.test('serves admissions over TLS, and probes and metrics without', async t => {
  const { webhook = noPort, ops, ca, synced, close } = await serve(options)
  t.equal(await synced, true)
  const { status, body } = await admit(webhook.port, ca)
  t.equal(status, 200)
  t.match((JSON.parse(body) as AdmissionReview).response, { allowed: true })
  for (const path of ['livez', 'readyz', 'metrics'])
    t.equal((await fetch(`http://127.0.0.1:${ops.port}/${path}`)).status, 200, path)
  await close()
  t.ok(await isRefused(ops.port))
  await t.rejects(admit(webhook.port, ca), { code: 'ECONNREFUSED' })
})

t.test('leaves nothing behind when a port is taken', async t => {
  const first = await serve(options)
  t.teardown(() => first.close())
  const listeners = process.listenerCount('SIGTERM')
  const { port } = first.ops
  await t.rejects(serve({ ...options, ports: { webhook: 0, ops: port } }), {
    code: 'LISTEN_FAILED',
    message: `port ${port} of 127.0.0.1 cannot be had: somebody else listens there; --ops-port gives another`,
  })
  t.equal(process.listenerCount('SIGTERM'), listeners)
})

t.test('refuses certificate files that cannot be used', async t => {
  await t.rejects(serve({ ...options, tls: { certFile: 'none', keyFile: 'none' } }), { code: 'CERTIFICATE_INVALID' })
})

t.test('refuses a kubeconfig that cannot be used', async t => {
  await t.rejects(serve({ ...options, source: { kubeconfig: 'none' } }), { code: 'KUBECONFIG_INVALID' })
})

t.test('with a live cluster', async t => {
  const server = new FakeApiServer()
  server.install(...resources.map(({ path }) => path))
  server.fail('/api/v1/pods', ...Array(100).fill(500))
  const { kubeconfig } = await server.start(t)
  const {
    webhook = noPort,
    ops,
    ca,
    synced,
    close,
  } = await serve({ ...options, source: { kubeconfig }, settings: profiles.kubeflow })
  t.teardown(async () => {
    await close()
    await server.stop()
  })
  const readyz = () => fetch(`http://127.0.0.1:${ops.port}/readyz`)

  t.test('nothing is judged and nothing is ready before the cluster is read', async t => {
    const { status, body } = await admit(webhook.port, ca)
    t.equal(status, 503)
    t.match(body, /^sidestep has not read the cluster yet: .*Pod \(v1\)/)
    const response = await readyz()
    t.equal(response.status, 503)
    t.match(await response.text(), /^not ready: .*Pod \(v1\) is not read yet/)
  })

  t.test('both are afterwards', async t => {
    server.fail('/api/v1/pods')
    t.equal(await synced, true)
    t.equal((await readyz()).status, 200)
    t.equal((await admit(webhook.port, ca)).status, 200)
  })

  t.test('what changes in the cluster changes the answer about the same object', async t => {
    const codes = async () => {
      const { response } = JSON.parse((await admit(webhook.port, ca, undefined, atHome)).body) as AdmissionReview
      return response?.auditAnnotations?.codes ?? ''
    }
    t.notMatch(await codes(), /VS-COMPANION-FOREIGN/)
    const collection = '/apis/gateway.networking.k8s.io/v1/httproutes'
    server.put(collection, { ...route, metadata: { ...route.metadata, resourceVersion: '200' } })
    await t.resolves(until('the route in the way to be told of', async () => /FOREIGN/.test(await codes())))
    server.delete(collection, { ...route, metadata: { ...route.metadata, resourceVersion: '201' } })
    await t.resolves(until('nothing to be in the way', async () => !/FOREIGN/.test(await codes())))
  })
})

const route = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'home', namespace: 'team-a' },
  spec: { rules: [{ backendRefs: [{ name: 'home', port: 80 }] }] },
}

const atHome = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'home', namespace: 'team-a' },
  spec: {
    hosts: ['*'],
    gateways: ['kubeflow/kubeflow-gateway'],
    http: [{ route: [{ destination: { host: 'home', port: { number: 80 } } }] }],
  },
}

/** A process that serves; killed at the end of the test if it is still there. */
async function start(t: Test, drain: number, close: number) {
  const script = new URL('serve-process.ts', import.meta.url).pathname
  const child: ChildProcess = spawn(process.execPath, ['--import=tsx', script, String(drain), String(close)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>
  const [line] = await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line')
  return { child, exited, ...(JSON.parse(line) as { webhook: number; ops: number; ca: string }) }
}

function isClosing(ops: number): Promise<true> {
  const isReady = async () => (await fetch(`http://127.0.0.1:${ops}/readyz`)).status !== 503
  return until('it to be not ready', async () => !(await isReady()))
}

t.test('the first signal makes it not ready, lets it answer while it drains, and ends it with 0', async t => {
  const { child, exited, webhook, ops, ca } = await start(t, 5000, 20_000)
  const agent = new https.Agent({ keepAlive: true, ca })
  t.teardown(() => agent.destroy())
  t.equal((await admit(webhook, ca, agent)).status, 200)
  child.kill('SIGTERM')
  await isClosing(ops)
  t.equal((await fetch(`http://127.0.0.1:${ops}/livez`)).status, 200)
  t.equal((await admit(webhook, ca, agent)).status, 200, 'on the connection that it has')
  t.equal((await admit(webhook, ca)).status, 200, 'and on a new one')
  t.strictSame(await exited, [0, null])
})

t.test('the second signal ends it at once', async t => {
  const { child, exited, ops } = await start(t, 60_000, 60_000)
  child.kill('SIGTERM')
  // Two signals that wait for a process are one.
  await isClosing(ops)
  child.kill('SIGTERM')
  t.strictSame(await exited, [1, null])
})

t.test('it does not drain for longer than its time limit', async t => {
  const { child, exited } = await start(t, 60_000, 300)
  child.kill('SIGTERM')
  t.strictSame(await exited, [1, null])
})
