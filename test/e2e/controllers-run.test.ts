// What a later test leans on: the counts of the ledger, the rounds of all controllers, and the table of what has changed.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { Ledger } from './controllers/ledger.ts'
import { runControllers } from './controllers/run.ts'
import { Refused, type Send } from './controllers/send.ts'
import { compareStored, peaceTable } from './peace/table.ts'

const path = '/api/v1/namespaces/team-a/services/web'

t.test('a PUT counts as stored when its answer has another version than was read', async t => {
  const answers = [
    service('1'),
    service('1'),
    service('1'),
    service('2'),
    { status: 409, body: { message: 'conflict' } },
  ]
  const ledger = new Ledger()
  const send = ledger.counting('controller', async () => answers.shift() ?? service('9'))
  for (const method of ['GET', 'PUT', 'GET', 'PUT', 'PUT'] as const) await send(method, path)
  t.strictSame(ledger.entries(), [
    {
      controller: 'controller',
      object: 'Service team-a/web',
      reconciles: 2,
      creates: 0,
      puts: 3,
      stored: 1,
      refusals: ['409 conflict'],
    },
  ])
  t.match(ledger.table().split('\n').at(1), /^controller {2}Service team-a\/web +2 +0 +3 +1 +1$/)
  ledger.clear()
  t.strictSame(ledger.entries(), [])
})

t.test('what a list has shown counts as read, and a status as its object', async t => {
  const item = { metadata: service('1').body.metadata }
  const answers = [{ status: 200, body: { apiVersion: 'v1', kind: 'ServiceList', items: [item, item] } }, service('1')]
  const ledger = new Ledger()
  const send = ledger.counting('istiod', async () => answers.shift() ?? service('9'))
  await send('GET', '/api/v1/services')
  t.strictSame(ledger.entries(), [])
  await send('PATCH', `${path}/status`, {})
  t.match(ledger.entries(), [{ object: 'Service team-a/web', reconciles: 2, puts: 1, stored: 0 }])
})

t.test('a POST counts as stored, and a server that is away as a refusal', async t => {
  const ledger = new Ledger()
  const { body } = service('1')
  const send = ledger.counting('controller', async method => {
    if (method === 'PUT') throw new Error('ECONNREFUSED')
    return method === 'GET' ? { status: 404, body: {} } : { status: 201, body }
  })
  await send('GET', path)
  await send('POST', '/api/v1/namespaces/team-a/services', body)
  await t.rejects(send('PUT', path, body), new Refused(0, 'ECONNREFUSED'))
  t.match(ledger.entries(), [{ creates: 1, stored: 1, refusals: ['ECONNREFUSED'] }])
})

t.test('controllers run side by side until the signal, whatever is refused', async t => {
  const stopping = new AbortController()
  const calls = { one: 0, other: 0 }
  const controllers = {
    one: { send, reconcile: async () => calls.one++ },
    other: {
      send,
      reconcile: async () => {
        calls.other++
        throw new Refused(409, 'conflict')
      },
    },
  }
  const running = runControllers(controllers, { everyMilliseconds: 1 }, stopping.signal)
  await running.rounds(3)
  t.strictSame(calls, { one: 3, other: 3 })
  await running.rounds(2)
  t.strictSame(calls, { one: 5, other: 5 })
  stopping.abort()
  await running.stopped
  t.strictSame(calls, { one: 5, other: 5 }, 'no round after the signal')
  await t.rejects(running.rounds(1), /have been stopped/)
})

t.test('a controller that is wrong is not taken for one that is refused', async t => {
  const broken = { send, reconcile: () => Promise.reject(new TypeError('broken')) }
  const running = runControllers({ broken }, { everyMilliseconds: 1 }, new AbortController().signal)
  await t.rejects(running.rounds(1), /broken/)
  await t.rejects(running.stopped, /broken/)
})

t.test('the table of peace says what has become of each object', async t => {
  const before = [stored('kept', '1'), stored('written', '2'), stored('made-again', '3'), stored('taken', '4')]
  const after = [stored('kept', '1'), stored('written', '5'), stored('made-again', '6', 'other'), stored('given', '7')]
  const rows = compareStored(before, after)
  t.strictSame(
    rows.map(({ object, outcome }) => [object.metadata.name, outcome]),
    [
      ['given', 'new'],
      ['kept', 'unchanged'],
      ['made-again', 'replaced'],
      ['taken', 'gone'],
      ['written', 'changed'],
    ],
  )
  const lines = peaceTable(rows).split('\n')
  t.equal(lines.length, 6)
  t.match(lines.at(1), /^VirtualService {2}team-a +given +- +7 +- +1 +new$/)
  t.match(lines.at(5), /^VirtualService {2}team-a +written +2 +5 +1 +1 +changed$/)
})

const send: Send = async () => service('1')

function service(resourceVersion: string) {
  const metadata = { namespace: 'team-a', name: 'web', resourceVersion }
  return { status: 200, body: { apiVersion: 'v1', kind: 'Service', metadata } }
}

function stored(name: string, resourceVersion: string, uid = name): KubernetesObject {
  const metadata = { namespace: 'team-a', name, uid, resourceVersion, generation: 1 }
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata }
}
