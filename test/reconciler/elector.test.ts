import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ApiError } from '../../src/reconciler/api-server.ts'
import { elect } from '../../src/reconciler/elector.ts'
import { candidate, LeaseServer, looksWithin, Terms, until } from './leases.ts'

const usualTimes = { lease: 1000, renew: 800, retry: 50 }
const times = usualTimes

function place(times = usualTimes) {
  const server = new LeaseServer()
  const terms = new Terms()
  const start = (t: Test, identity: string, { dawdle = 0, api = server.access() } = {}) => ({
    ...candidate(t, api, identity, terms.work(identity, dawdle), times),
    api,
  })
  return { server, terms, start }
}

t.test('the first one makes the Lease and leads', async t => {
  const { server, terms, start } = place()
  start(t, 'a')
  await until(() => terms.all.length > 0)
  const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
  t.match(server.lease, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: 'sidestep', name: 'reconciler' },
    spec: {
      holderIdentity: 'a',
      leaseDurationSeconds: 1,
      acquireTime: microTime,
      renewTime: microTime,
      leaseTransitions: 0,
    },
  })
  const { acquireTime, renewTime } = server.lease.spec
  await until(() => server.lease.spec.renewTime > renewTime)
  t.equal(server.lease.spec.acquireTime, acquireTime, 'and renews it')
})

t.test('of many that come at once, one leads', async t => {
  const { server, terms, start } = place()
  for (const identity of 'abcdef') start(t, identity)
  await until(() => terms.all.length > 0)
  await sleep(times.lease * 1.5)
  t.equal(terms.all.length, 1)
  t.equal(terms.all[0]?.identity, server.lease.spec.holderIdentity)
})

t.test('a leader that vanishes is followed when its Lease has run out, and not before', async t => {
  const { server, terms, start } = place()
  const a = start(t, 'a')
  await until(() => terms.all.length > 0)
  const b = start(t, 'b')
  await until(() => b.looks.length > 2)
  a.api.isHanging = true
  const { renewed } = server
  await until(() => terms.of('b').length > 0)
  const from = terms.of('b')[0]?.from ?? 0
  t.ok(from - renewed >= times.lease, `taken over after ${from - renewed} ms`)
  const seen = b.looks.find(at => at > renewed) ?? 0
  t.ok(looksWithin(b, seen + times.lease, from) <= 2, 'as soon as it is seen to have run out')
  t.strictSame(terms.overlaps(), [])
  t.equal(server.lease.spec.leaseTransitions, 1)
})

t.test('a leader whose API server hangs stops by the deadline', async t => {
  const { server, terms, start } = place()
  const { api, logs, looks } = start(t, 'a')
  await until(() => looks.length > 2)
  api.isHanging = true
  const { renewed } = server
  // A timer of this process, which is late whenever those of the leader are.
  const over = sleep(times.lease).then(() => performance.now())
  await until(() => terms.all[0]?.to !== undefined)
  const told = terms.all[0]?.told ?? 0
  // Timers may come a millisecond early.
  t.ok(told - renewed > times.renew - 2, `told after ${told - renewed} ms`)
  t.ok(told < (await over), 'before its Lease has run out')
  t.ok(logs.includes('error: no longer the leader: not renewed for 800 ms'), logs.join('\n'))
  api.isHanging = false
  await until(() => terms.all.length > 1)
  t.pass('and leads again when that is over')
})

t.test('is not put out by single errors', async t => {
  const { terms, start } = place()
  const { api } = start(t, 'a')
  await until(() => terms.all.length > 0)
  for (let i = 0; i < 8; i++) {
    api.failures = [503, 409]
    await sleep(times.retry * 3)
  }
  t.strictSame([terms.all.length, terms.all[0]?.told], [1, undefined])
})

t.test('a Lease that is released is taken at the next look', async t => {
  const { server, terms, start } = place()
  const a = start(t, 'a')
  await until(() => terms.all.length > 0)
  const b = start(t, 'b')
  await until(() => b.looks.length > 2)
  await a.stop()
  const released = performance.now()
  await until(() => terms.of('b').length > 0)
  t.ok(looksWithin(b, released, terms.of('b')[0]?.from ?? 0) <= 1)
  t.ok(server.writes.includes('PUT '))
  t.strictSame(terms.overlaps(), [])
  t.equal(server.lease.spec.leaseTransitions, 1)
})

t.test('keeps the Lease for as long as its work goes on, though it is to stop', async t => {
  const { server, terms, start } = place()
  const a = start(t, 'a', { dawdle: 2 * times.lease })
  await until(() => terms.all.length > 0)
  start(t, 'b')
  await a.stop()
  const { told = 0, to = 0 } = terms.of('a')[0] ?? {}
  t.ok(to - told > 2 * times.lease - 50)
  await until(() => terms.of('b').length > 0)
  t.strictSame(terms.overlaps(), [])
  t.equal(server.writes.indexOf('PUT '), server.writes.lastIndexOf('PUT a') + 1, 'and releases it then')
})

t.test('does not campaign before the work of its last term has settled', async t => {
  const { server, terms, start } = place()
  start(t, 'a', { dawdle: 2 * times.lease })
  await until(() => terms.all.length > 0)
  server.write(lease => ({ ...lease, spec: { ...lease.spec, holderIdentity: 'thief' } }))
  await until(() => terms.all.length > 1)
  t.strictSame(terms.overlaps(), [])
})

t.test('a Lease that bears another name ends the leadership', async t => {
  const { server, terms, start } = place()
  const a = start(t, 'a')
  const { logs } = a
  await until(() => terms.all.length > 0)
  const stolen = performance.now()
  server.write(lease => ({ ...lease, spec: { ...lease.spec, holderIdentity: 'thief' } }))
  await until(() => terms.all[0]?.to !== undefined)
  t.equal(looksWithin(a, stolen, terms.all[0]?.told ?? 0), 1, 'at its next look')
  t.ok(logs.some(line => line.includes('somebody else wrote or deleted the Lease')))
  t.equal(server.lease.spec.holderIdentity, 'thief', 'and is left alone')
  await until(() => terms.all.length > 1)
  t.ok((terms.all[1]?.from ?? 0) - stolen > times.lease, 'until it runs out')
})

t.test(
  'a Lease that is deleted ends the leadership, and nobody else uses that before it would have run out',
  async t => {
    const { server, terms, start } = place()
    const a = start(t, 'a', { dawdle: 400 })
    await until(() => terms.all.length > 0)
    start(t, 'b')
    await sleep(times.retry * 4)
    server.write(() => undefined)
    await until(() => terms.all[0]?.to !== undefined)
    await until(() => terms.all.length > 1)
    t.strictSame(terms.overlaps(), [])
    t.ok(a.logs.some(line => line.includes('somebody else wrote or deleted the Lease')))
  },
)

t.test('nor if the name in it is deleted', async t => {
  // By a duration of one second a Lease is taken for released.
  const { server, terms, start } = place({ ...times, lease: 2000 })
  start(t, 'a', { dawdle: 400 })
  await until(() => terms.all.length > 0)
  start(t, 'b')
  await sleep(times.retry * 4)
  server.write(({ spec: { holderIdentity, ...spec }, ...lease }) => ({ ...lease, spec }))
  await until(() => terms.all.length > 1)
  t.strictSame(terms.overlaps(), [])
})

t.test('what somebody writes beside does not count as renewing', async t => {
  const { server, terms, start } = place()
  const a = start(t, 'a')
  await until(() => terms.all.length > 0)
  start(t, 'b')
  a.api.isHanging = true
  let touches = 0
  while (terms.of('b').length === 0 && touches < 100) {
    server.write(lease => ({ ...lease, metadata: { ...lease.metadata, labels: { touches: String(++touches) } } }))
    await sleep(40)
  }
  t.ok(terms.of('b').length > 0 && touches > 10)
})

for (const [what, spec] of Object.entries({
  'no spec at all': undefined,
  'no holder': { leaseDurationSeconds: 3600 },
  'no duration, and times from another age': {
    holderIdentity: 'x',
    renewTime: '9999-01-01T00:00:00.000000Z',
    acquireTime: '0001-01-01T00:00:00.000000Z',
  },
  'another age, and no more time': { holderIdentity: 'x', leaseDurationSeconds: 1, renewTime: '1970-01-01T00:00:00Z' },
}))
  t.test(`takes a Lease with ${what}, in its time`, async t => {
    const { server, terms, start } = place()
    server.write(() => ({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace: 'sidestep', name: 'reconciler', labels: { a: 'b' } },
      ...(spec && { spec }),
    }))
    const a = start(t, 'a')
    await until(() => terms.all.length > 0)
    const { from = 0 } = terms.all[0] ?? {}
    if (spec && 'holderIdentity' in spec) t.ok(from - (a.looks[0] ?? 0) >= times.lease)
    else t.equal(looksWithin(a, 0, from), 1, 'at its first look')
    t.match(server.lease, { metadata: { labels: { a: 'b' } }, spec: { holderIdentity: 'a', leaseDurationSeconds: 1 } })
  })

t.test('a clock that jumps changes nothing', async t => {
  const { server, terms, start } = place()
  const day = 86_400_000
  let offset = 0
  const RealDate = Date
  globalThis.Date = class extends RealDate {
    constructor(...args: [] | [number]) {
      super(...((args.length === 0 ? [RealDate.now() + offset] : args) as [number]))
    }
    static override now() {
      return RealDate.now() + offset
    }
  } as DateConstructor
  t.teardown(() => {
    globalThis.Date = RealDate
  })
  const a = start(t, 'a')
  start(t, 'b')
  await until(() => terms.all.length > 0)
  for (const jump of [30 * day, -60 * day, 3650 * day, 0]) {
    offset = jump
    await sleep(times.lease / 2)
  }
  t.strictSame([terms.all.length, terms.all[0]?.told], [1, undefined])
  const leader = terms.all[0]?.identity
  if (leader === 'a') {
    a.api.isHanging = true
    offset = 30 * day
    const { renewed } = server
    await until(() => terms.all.length > 1)
    t.ok((terms.all[1]?.from ?? 0) - renewed >= times.lease)
  }
  t.strictSame(terms.overlaps(), [])
})

t.test('work that ends by itself gives up the leadership, and is told apart from work that fails', async t => {
  const server = new LeaseServer()
  const terms: string[] = []
  const ending = candidate(t, server.access(), 'a', async () => void terms.push('a'), times)
  await until(() => terms.length > 1)
  await ending.stop()
  t.notOk(ending.logs.some(line => line.startsWith('error')))
  const failing = candidate(
    t,
    server.access(),
    'b',
    () => {
      terms.push('b')
      throw new Error('as the test wants')
    },
    times,
  )
  await until(() => terms.filter(identity => identity === 'b').length > 1)
  await failing.stop()
  t.ok(failing.logs.includes('error: the work of the leader failed'))
  t.equal(server.lease.spec.holderIdentity, '')
})

t.test('one that may not use Leases says so once', async t => {
  const api = { ...new LeaseServer().access(), send: () => Promise.reject(new ApiError(403, 'forbidden')) }
  const { logs, stop } = candidate(t, api, 'a', () => Promise.reject(new Error('led')), times)
  await until(() => logs.length > 3)
  await stop()
  t.equal(logs.filter(line => line.startsWith('warn')).length, 1)
})

t.test('ends while it waits, and leaves no timer behind', async t => {
  const { terms, start } = place()
  const a = start(t, 'a')
  await until(() => terms.all.length > 0)
  const b = start(t, 'b')
  await sleep(times.retry)
  await b.stop()
  await a.stop()
  t.strictSame(
    process.getActiveResourcesInfo().filter(name => name === 'Timeout'),
    [],
  )
})

t.test('refuses times by which two could lead', async t => {
  const election = { namespace: 'a', name: 'b', logger: {} as never }
  for (const wrong of [
    { lease: 10, renew: 10, retry: 1 },
    { lease: 20, renew: 10, retry: 10 },
  ])
    await t.rejects(
      elect(new LeaseServer().access(), { ...election, times: wrong }, async () => {}, AbortSignal.abort()),
      /outlast/,
    )
})
