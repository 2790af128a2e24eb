import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { connect } from '../../src/reconciler/api-server.ts'
import { follow } from '../../src/reconciler/watch.ts'
import { FakeApiServer } from './fake-api-server.ts'

const path = '/apis/networking.istio.io/v1/virtualservices'
const resource = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', path }
const delays = { first: 5, longest: 40, absent: 20 }

function virtualService(name: string, spec: object = {}): KubernetesObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { namespace: 'a', name },
    spec,
  } as KubernetesObject
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await sleep(5)
  if (!holds()) throw new Error(`never: ${holds}`)
}

/** Follows the fake server; `events` are what the follower was told, such as `put a/x`. */
async function start(t: Test, prepare: (server: FakeApiServer) => void = () => {}) {
  const server = new FakeApiServer()
  server.install(path)
  prepare(server)
  const { kubeconfig } = await server.start(t)
  const events: string[] = []
  const objects = new Map<string, KubernetesObject>()
  const logs: { level: string; line: { err?: Error } & Record<string, unknown>; message?: string }[] = []
  const log = (level: string) => (line: object, message?: string) =>
    logs.push({ level, line: { ...line }, ...(message && { message }) })
  const stopping = new AbortController()
  const nameOf = ({ metadata }: KubernetesObject) => `${metadata.namespace}/${metadata.name}`
  const followed = follow(
    connect(kubeconfig),
    resource,
    {
      put: object => {
        events.push(`put ${nameOf(object)}`)
        objects.set(nameOf(object), object)
      },
      remove: object => {
        events.push(`remove ${object.kind} ${nameOf(object)}`)
        objects.delete(nameOf(object))
      },
      listed: () => events.push('listed'),
    },
    { signal: stopping.signal, logger: { debug: log('debug'), info: log('info'), warn: log('warn') } as never, delays },
  )
  t.teardown(async () => {
    stopping.abort()
    await followed
    await server.stop()
  })
  return {
    server,
    events,
    objects,
    logs,
    stopping,
    followed,
    watching: () => until(() => server.watchCount(path) === 1),
  }
}

t.test('lists, then follows what is added, changed and deleted', async t => {
  const { server, events, objects, watching } = await start(t, server => server.put(path, virtualService('one')))
  await watching()
  t.strictSame(events, ['put a/one', 'listed'])
  t.match(objects.get('a/one'), { apiVersion: resource.apiVersion, kind: 'VirtualService' }, 'with kind and apiVersion')
  server.put(path, virtualService('two'))
  server.put(path, virtualService('two', { hosts: ['x'] }))
  server.delete(path, virtualService('one'))
  await until(() => events.length === 5)
  t.strictSame(events.slice(2), ['put a/two', 'put a/two', 'remove VirtualService a/one'])
  t.match(objects.get('a/two'), { spec: { hosts: ['x'] } })
  t.strictSame([...server.authorizations], ['Bearer test-token'])
  t.match(server.requestsFor(path, 'watch')[0], /resourceVersion=101&watch=true&allowWatchBookmarks=true/)
})

t.test('reads long lists page by page', async t => {
  const { server, events, watching } = await start(t, server => {
    server.pageSize = 2
    for (const name of ['a', 'b', 'c', 'd', 'e']) server.put(path, virtualService(name))
  })
  await watching()
  t.equal(server.requestsFor(path, 'list').length, 3)
  t.strictSame(events, ['put a/a', 'put a/b', 'put a/c', 'put a/d', 'put a/e', 'listed'])
})

t.test('goes on from the last version when the server ends the watch, without another list', async t => {
  const { server, watching } = await start(t)
  await watching()
  server.put(path, virtualService('one'))
  server.send(path, { type: 'BOOKMARK', object: { metadata: { resourceVersion: '777' } } })
  await sleep(20)
  server.end(path)
  await until(() => server.requestsFor(path, 'watch').length === 2)
  t.match(server.requestsFor(path, 'watch')[1], /resourceVersion=777/)
  t.equal(server.requestsFor(path, 'list').length, 1)
})

t.test('goes on after a broken connection, and says so', async t => {
  const { server, events, logs, watching } = await start(t)
  await watching()
  server.break(path)
  await until(() => server.requestsFor(path, 'watch').length === 2)
  await watching()
  server.put(path, virtualService('one'))
  await until(() => events.includes('put a/one'))
  t.match(
    logs.filter(({ level }) => level === 'warn'),
    [{ message: 'watch failed, trying again' }],
  )
})

t.test('lists again when its version is too old, and removes what has gone meanwhile', async t => {
  const { server, events, watching } = await start(t, server => {
    server.put(path, virtualService('one'))
    server.put(path, virtualService('two'))
  })
  await watching()
  server.delete(path, virtualService('one'), { silently: true })
  server.put(path, virtualService('three'), { silently: true })
  server.send(path, { type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old resource version' } })
  await until(() => events.filter(event => event === 'listed').length === 2)
  t.strictSame(events.slice(3), ['put a/two', 'put a/three', 'remove VirtualService a/one', 'listed'])
})

t.test('lists again when the watch is refused as too old', async t => {
  const { server, events, watching } = await start(t)
  await watching()
  server.fail(path, 410)
  server.end(path)
  await until(() => events.filter(event => event === 'listed').length === 2)
  await watching()
})

t.test('tries again after errors, waiting longer each time', async t => {
  const { server, logs, watching } = await start(t, server => server.fail(path, 500, 503, 403, 429))
  await watching()
  t.equal(server.requestsFor(path, 'list').length, 5)
  const warnings = logs.filter(({ level }) => level === 'warn')
  t.strictSame(
    warnings.map(({ line }) => line.failures),
    [0, 1, 2, 3],
  )
  t.match(warnings[0]?.line.err, { code: 'API_ERROR', status: 500, message: /HTTP 500: .*as the test wants/ })
})

t.test('watches that end at once do not become a storm', async t => {
  const { server, watching } = await start(t)
  await watching()
  const ending = setInterval(() => server.end(path), 1)
  await sleep(400)
  clearInterval(ending)
  // Without a delay there would be hundreds; with 5, 10, 20, 40, 40 … ms, each halved at most, about twenty.
  t.ok(server.requestsFor(path, 'watch').length < 30, `${server.requestsFor(path, 'watch').length} watches`)
})

t.test('a kind that is not installed counts as read, without noise, and is found once it is installed', async t => {
  const { server, events, logs } = await start(t, server => server.uninstall(path))
  await until(() => server.requestsFor(path, 'list').length >= 4)
  t.equal(events[0], 'listed')
  t.strictSame(
    logs.filter(({ level }) => level !== 'debug').map(({ message }) => message),
    ['kind is not installed, looking for it from time to time'],
  )
  server.install(path)
  server.put(path, virtualService('one'))
  await until(() => events.includes('put a/one'))
})

t.test('a kind that is uninstalled takes its objects with it', async t => {
  const { server, events, watching } = await start(t, server => server.put(path, virtualService('one')))
  await watching()
  server.uninstall(path)
  await until(() => events.includes('remove VirtualService a/one'))
})

t.test('stops at once, whatever it is doing', async t => {
  t.test('while it watches', async t => {
    const { stopping, followed, server, watching } = await start(t)
    await watching()
    stopping.abort()
    await followed
    await until(() => server.watchCount(path) === 0)
  })
  t.test('while it waits', async t => {
    const { stopping, followed, logs } = await start(t, server => server.fail(path, ...Array(50).fill(500)))
    await until(() => logs.length > 2)
    stopping.abort()
    await followed
  })
})
