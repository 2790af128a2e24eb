import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { ApiError, type Call } from '../../src/reconciler/api-server.ts'
import { type EventLimits, recorder } from '../../src/reconciler/events.ts'

const minute = 60_000
const plenty = { burst: 1_000_000, refillMilliseconds: 1 }
const usual: EventLimits = {
  windowMilliseconds: 30 * minute,
  patchMilliseconds: 5 * minute,
  perObject: plenty,
  overall: plenty,
}
const happening = { type: 'Warning', reason: 'Denied', note: 'it cannot work' } as const

function virtualService(name: string): KubernetesObject {
  const metadata = { namespace: 'team-a', name, uid: `uid-of-${name}` }
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata }
}

function start(limits: Partial<EventLimits> = {}, answer: (call: Call) => unknown = () => ({})) {
  const calls: Call[] = []
  const logs: string[] = []
  const clock = { now: 0 }
  const send = async (call: Call) => {
    calls.push(call)
    await new Promise(resolve => setImmediate(resolve))
    return (await answer(call)) as KubernetesObject
  }
  const logger = { debug: () => void logs.push('debug'), warn: () => void logs.push('warn') } as never
  const events = recorder({
    api: { send },
    logger,
    reportingInstance: 'sidestep-0',
    limits: { ...usual, ...limits },
    now: () => clock.now,
  })
  return { events, calls, logs, clock }
}

t.test('makes an Event on the object', async t => {
  const { events, calls } = start()
  events.tell(virtualService('jupyter'), happening)
  t.strictSame(calls, [], 'and nobody waits for it')
  await events.flush()
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
  t.match(calls, [
    {
      method: 'POST',
      path: '/api/v1/namespaces/team-a/events',
      body: {
        metadata: { namespace: 'team-a', name: /^jupyter\.[0-9a-f-]+$/ },
        involvedObject: { kind: 'VirtualService', namespace: 'team-a', name: 'jupyter', uid: 'uid-of-jupyter' },
        type: 'Warning',
        reason: 'Denied',
        message: 'it cannot work',
        source: { component: 'sidestep' },
        reportingInstance: 'sidestep-0',
        count: 1,
        firstTimestamp: time,
        lastTimestamp: time,
      },
    },
  ])
})

t.test('raises the count of its Event for the same on the same object, and not too often', async t => {
  const { events, calls, clock } = start()
  for (clock.now = 0; clock.now <= 12 * minute; clock.now += minute) {
    events.tell(virtualService('jupyter'), happening)
    await events.flush()
  }
  t.strictSame(
    calls.map(({ method }) => method),
    ['POST', 'PATCH', 'PATCH'],
  )
  t.match(
    calls.map(({ body }) => body),
    [{ count: 1 }, { count: 6 }, { count: 11 }],
  )
  const [created, raised] = calls as (Call & { body: KubernetesObject })[]
  t.equal(raised?.path, `/api/v1/namespaces/team-a/events/${created?.body.metadata.name}`)
  t.equal(calls[1]?.contentType, 'application/merge-patch+json')
})

t.test('what differs is another Event', async t => {
  const { events, calls } = start()
  events.tell(virtualService('jupyter'), happening)
  events.tell(virtualService('jupyter'), { ...happening, note: 'something else' })
  events.tell(virtualService('jupyter'), { ...happening, reason: 'Waiting' })
  events.tell(virtualService('jupyter'), { ...happening, type: 'Normal' })
  events.tell(virtualService('rstudio'), happening)
  const again = virtualService('jupyter')
  events.tell({ ...again, metadata: { ...again.metadata, uid: 'of another of that name' } }, happening)
  await events.flush()
  t.equal(calls.filter(({ method }) => method === 'POST').length, 6)
})

t.test('makes a new one when nothing was heard of it for long, or the API server let it go', async t => {
  const gone = (call: Call) => {
    if (call.method === 'PATCH') throw new ApiError(404, 'not found')
  }
  const { events, calls, logs, clock } = start({}, gone)
  for (const pause of [0, 31, 6]) {
    clock.now += pause * minute
    events.tell(virtualService('jupyter'), happening)
    await events.flush()
  }
  t.strictSame(
    calls.map(({ method, body }) => [method, (body as { count: number }).count]),
    [
      ['POST', 1],
      ['POST', 1],
      ['PATCH', 2],
      ['POST', 2],
    ],
  )
  t.strictSame(logs, [])
})

t.test('one object has so many Events at once, and later more', async t => {
  const { events, calls, clock } = start({ perObject: { burst: 3, refillMilliseconds: 5 * minute } })
  const tell = (name: string, i: number) => events.tell(virtualService(name), { ...happening, note: `note ${i}` })
  for (let i = 0; i < 10; i++) tell('jupyter', i)
  tell('rstudio', 0)
  await events.flush()
  t.equal(calls.length, 4, 'and does not count against others')
  clock.now += 5 * minute
  tell('jupyter', 8)
  tell('jupyter', 9)
  await events.flush()
  t.match(calls.slice(4), [{ method: 'POST', body: { message: 'note 8', count: 1 } }])
  t.equal(calls.length, 5)
})

t.test('all objects have so many at once, and what is dropped uses up nothing of its object', async t => {
  const limits = {
    overall: { burst: 5, refillMilliseconds: minute },
    perObject: { burst: 1, refillMilliseconds: 1e9 },
  }
  const { events, calls, clock } = start(limits)
  for (let i = 0; i < 20; i++) events.tell(virtualService(`${i}`), happening)
  await events.flush()
  t.equal(calls.length, 5)
  clock.now += minute
  events.tell(virtualService('19'), happening)
  await events.flush()
  t.equal(calls.length, 6)
})

t.test('does not pile up while the API server does not answer, nor throw', async t => {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  const { events, calls } = start({}, () => opened)
  for (let i = 0; i < 1_000; i++) events.tell(virtualService(`${i}`), happening)
  open()
  await events.flush()
  t.equal(calls.length, 200)
})

t.test('says once that it may not, and tries again what it could not tell', async t => {
  let status: number | undefined = 403
  const { events, calls, logs } = start({}, () => {
    if (status) throw new ApiError(status, 'events is forbidden')
  })
  for (let i = 0; i < 3; i++) {
    events.tell(virtualService('jupyter'), happening)
    await events.flush()
  }
  t.equal(calls.length, 3)
  t.strictSame(logs, ['warn', 'debug', 'debug'])
  status = undefined
  events.tell(virtualService('jupyter'), happening)
  await events.flush()
  status = 500
  events.tell(virtualService('rstudio'), happening)
  await events.flush()
  t.strictSame(logs, ['warn', 'debug', 'debug', 'warn'])
})

t.test('a note has no more than 1024 bytes, and ends with a whole character', async t => {
  const { events, calls } = start()
  for (const note of ['a'.repeat(2_000), 'ä'.repeat(1_000), 'a🎉'.repeat(1_000), 'a'.repeat(1_024)])
    events.tell(virtualService('jupyter'), { ...happening, note })
  await events.flush()
  const messages = calls.map(({ body }) => (body as { message: string }).message)
  for (const message of messages) t.ok(Buffer.byteLength(message) <= 1_024 && Buffer.byteLength(message) > 1_015)
  const ends = [/^a+…$/, /^ä+…$/, /^(a🎉)+a?…$/u, /^a{1024}$/]
  for (const [i, end] of ends.entries()) t.match(messages[i], end)
  t.notOk(messages.some(message => message.includes('\uFFFD')))
})

t.test('remembers no more than so much', async t => {
  const { events, calls } = start()
  for (let i = 0; i < 4_000; i++) {
    events.tell(virtualService(`${i}`), happening)
    if (i % 100 === 0) await events.flush()
  }
  await events.flush()
  const before = calls.length
  events.tell(virtualService('3999'), happening)
  events.tell(virtualService('0'), happening)
  await events.flush()
  t.equal(calls.length - before, 1, 'the last is known, the first forgotten')
})
