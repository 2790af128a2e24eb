// The election on a real API server: whoever leads, however that ends, no two lead at the same time.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { connect } from '../../src/reconciler/api-server.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until as become } from '../control-plane/until.ts'
import { candidate, leasePath, looksWithin, Terms, until } from '../reconciler/leases.ts'

const times = { lease: 2000, renew: 1300, retry: 200 }

/** What it needs to be allowed, and no more. */
const role = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'sidestep-elector' },
  rules: [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] }],
}

t.test('an election', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { channel: 'none' })
  if (!controlPlane) return
  await controlPlane.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'sidestep' } }, role])
  await controlPlane.grant('sidestep', role.metadata.name)
  await become(
    'its rights',
    async () => (await controlPlane.request('GET', leasePath, { user: 'sidestep' })).status === 404,
  )
  const terms = new Terms()
  await t.test('passes on at once when the leader stops', t => released(t, controlPlane, terms))
  await t.test('passes on when the leader is killed, once its Lease has run out', t => killed(t, controlPlane, terms))
  await t.test('ends a leadership whose Lease bears another name', t => stolen(t, controlPlane, terms))
  await t.test('ends a leadership by its deadline while the API server hangs', t => hanging(t, controlPlane, terms))
  t.ok(terms.all.length >= 8)
  t.strictSame(terms.overlaps(), [], 'no two led at the same time')
})

/** A candidate with a connection of its own, which leads in `terms`. */
function start(t: Test, controlPlane: ControlPlane, terms: Terms, identity: string, kubeconfig?: string) {
  const api = connect(kubeconfig ?? controlPlane.kubeconfig('sidestep'))
  return candidate(t, api, identity, terms.work(identity, 50), times)
}

async function released(t: Test, controlPlane: ControlPlane, terms: Terms) {
  const a = start(t, controlPlane, terms, 'a')
  await until(() => terms.of('a').length > 0)
  const b = start(t, controlPlane, terms, 'b')
  await until(() => b.looks.length > 1)
  await a.stop()
  const released = performance.now()
  await until(() => terms.of('b').length > 0)
  t.ok(looksWithin(b, released, terms.of('b')[0]?.from ?? 0) <= 2)
  const { spec } = (await controlPlane.demand('GET', leasePath)).body
  t.match(spec, { holderIdentity: 'b', leaseDurationSeconds: 2, leaseTransitions: 1 })
}

async function killed(t: Test, controlPlane: ControlPlane, terms: Terms) {
  const file = fileURLToPath(new URL('elector-process.ts', import.meta.url))
  const args = ['c', ...Object.values(times).map(String)]
  const process_ = spawn(process.execPath, ['--import=tsx', file, controlPlane.kubeconfig('sidestep'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => process_.kill('SIGKILL'))
  await once(process_.stdout, 'data')
  // It began before it said so, and the Lease is what others know of it.
  const term = { identity: 'c', from: performance.now() }
  terms.all.push(term)
  const d = start(t, controlPlane, terms, 'd')
  await until(() => d.looks.length > 1)
  process_.kill('SIGKILL')
  await once(process_, 'exit')
  const end = performance.now()
  Object.assign(term, { to: end })
  const { spec } = (await controlPlane.demand('GET', leasePath)).body
  t.equal(spec.holderIdentity, 'c')
  // By the clock of this machine, which may have been set right a little since this process has begun.
  const renewed = Date.parse(spec.renewTime) - performance.timeOrigin
  await until(() => terms.of('d').length > 0)
  const from = terms.of('d')[0]?.from ?? 0
  t.ok(from - renewed > times.lease - times.retry, `taken over after ${from - renewed} ms`)
  const seen = d.looks.find(at => at > end) ?? 0
  t.ok(looksWithin(d, seen + times.lease, from) <= 2, 'as soon as it is seen to have run out')
}

async function stolen(t: Test, controlPlane: ControlPlane, terms: Terms) {
  const e = start(t, controlPlane, terms, 'e')
  await until(() => terms.of('e').length > 0)
  const f = start(t, controlPlane, terms, 'f')
  await until(() => f.looks.length > 1)
  const theft = performance.now()
  await controlPlane.demand('PATCH', leasePath, {
    body: { spec: { holderIdentity: 'thief' } },
    contentType: 'application/merge-patch+json',
  })
  const stored = performance.now()
  await until(() => terms.of('e')[0]?.to !== undefined)
  t.ok(looksWithin(e, stored, terms.of('e')[0]?.told ?? 0) <= 2)
  const next = () => terms.all.find(({ from }) => from > theft)
  await until(() => next() !== undefined)
  t.ok((next()?.from ?? 0) - theft > times.lease, 'and the thief has its time')
}

async function hanging(t: Test, controlPlane: ControlPlane, terms: Terms) {
  const proxy = await startProxy(t, controlPlane)
  const g = start(t, controlPlane, terms, 'g', proxy.kubeconfig)
  await until(() => terms.of('g').length > 0)
  const h = start(t, controlPlane, terms, 'h')
  await until(() => g.looks.length > 2 && h.looks.length > 1)
  proxy.hang()
  // It renewed after the last look but one; what it wrote after the last may hang.
  const renewed = g.looks.at(-2) ?? 0
  // A timer of this process, which is late whenever those of the leader are.
  const over = sleep(times.lease).then(() => performance.now())
  await until(() => terms.of('g')[0]?.to !== undefined)
  const told = terms.of('g')[0]?.told ?? 0
  // Timers may come a millisecond early.
  t.ok(told - renewed > times.renew - 2, `told after ${told - renewed} ms`)
  t.ok(told < (await over), 'before its Lease has run out')
  await until(() => terms.of('h').length > 0)
  // What hung arrives now, and comes too late.
  const { length } = g.looks
  proxy.resume()
  await until(() => g.looks.length > length + 1)
  t.equal(terms.of('h')[0]?.told, undefined)
  t.equal((await controlPlane.demand('GET', leasePath)).body.spec.holderIdentity, 'h')
}

/** Between a client and the API server: hangs on demand, without closing any connection. */
async function startProxy(t: Test, controlPlane: ControlPlane) {
  const { hostname, port } = new URL(controlPlane.url)
  const sockets = new Set<Socket>()
  let isHanging = false
  const server = createServer(near => {
    const far = dial(Number(port), hostname)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', chunk => to.write(chunk))
      from.on('error', () => to.destroy())
      from.on('close', () => to.end())
      if (isHanging) from.pause()
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const kubeconfig = join(t.testdir(), 'kubeconfig')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const original = await readFile(controlPlane.kubeconfig('sidestep'), 'utf8')
  await writeFile(kubeconfig, original.replace(controlPlane.url, url))
  return {
    kubeconfig,
    hang() {
      isHanging = true
      for (const socket of sockets) socket.pause()
    },
    resume() {
      isHanging = false
      for (const socket of sockets) socket.resume()
    },
  }
}
