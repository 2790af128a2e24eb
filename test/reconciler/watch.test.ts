import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { connect, type Patience } from '../../src/reconciler/api-server.ts'
import { Bell, type Delays, follow, type Verb } from '../../src/reconciler/watch.ts'
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
  for (let i = 0; i < 12_000 && !holds(); i++) await sleep(5)
  if (!holds()) throw new Error(`never: ${holds}`)
}

interface Options extends Partial<Delays> {
  patience?: Partial<Patience>
  bell?: Bell
  /** Called by the follower before it takes in an object. */
  onPut?: (object: KubernetesObject) => void
}

/** Follows the fake server; `events` are what the follower was told, such as `put a/x`. */
async function start(
  t: Test,
  prepare: (server: FakeApiServer) => void = () => {},
  { patience, bell, onPut, ...others }: Options = {},
) {
  const server = new FakeApiServer()
  server.install(path)
  prepare(server)
  const { kubeconfig } = await server.start(t)
  const events: string[] = []
  const objects = new Map<string, KubernetesObject>()
  const reached: string[] = []
  const forbidden: (Verb | undefined)[] = []
  const logs: { level: string; line: { err?: Error } & Record<string, unknown>; message?: string }[] = []
  const log = (level: string) => (line: object, message?: string) =>
    logs.push({ level, line: { ...line }, ...(message && { message }) })
  const stopping = new AbortController()
  const nameOf = ({ metadata }: KubernetesObject) => `${metadata.namespace}/${metadata.name}`
  const followed = follow(
    connect(kubeconfig, undefined, patience),
    resource,
    {
      put: object => {
        onPut?.(object)
        events.push(`put ${nameOf(object)}`)
        objects.set(nameOf(object), object)
      },
      remove: object => {
        events.push(`remove ${object.kind} ${nameOf(object)}`)
        objects.delete(nameOf(object))
      },
      listed: () => events.push('listed'),
      reached: version => reached.push(version),
      forbidden: verb => forbidden.push(verb),
    },
    {
      signal: stopping.signal,
      logger: { debug: log('debug'), info: log('info'), warn: log('warn') } as never,
      delays: { ...delays, ...others },
      bell,
    },
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
    reached,
    forbidden,
    logs,
    stopping,
    followed,
    watching: () => until(() => server.watchCount(path) === 1),
    listed: (times: number) => until(() => events.filter(event => event === 'listed').length === times),
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
  const [, seconds] = /timeoutSeconds=(\d+)&/.exec(server.requestsFor(path, 'watch')[0] ?? '') ?? []
  t.ok(Number(seconds) >= 300 && Number(seconds) <= 600, `a watch of ${seconds} s`)
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

t.test('lists again at once when its version is too old, however that is said', async t => {
  // Longer than the test waits: whatever does not happen at once does not happen.
  const slow = { first: 60_000, longest: 60_000 }
  t.test('by an event', async t => {
    const { server, watching, listed } = await start(t, () => {}, slow)
    await watching()
    server.send(path, { type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old resource version' } })
    await listed(2)
  })
  t.test('by the answer to a watch, after the connection was lost', async t => {
    const { server, watching, listed } = await start(t, () => {}, { first: 6000, longest: 6000 })
    await watching()
    server.fail(path, 'hang up', 410)
    server.break(path)
    await until(() => server.requestsFor(path, 'watch').length >= 3)
    const refused = performance.now()
    await listed(2)
    t.ok(performance.now() - refused < 3000, 'though it had to wait before, for half of its delay at least')
    await watching()
  })
})

t.test('lists again at once only the first time, or versions that are always too old would become a storm', async t => {
  const { server, watching, listed } = await start(t, () => {}, { first: 60_000, longest: 60_000 })
  await watching()
  server.send(path, { type: 'ERROR', object: { code: 410 } })
  await listed(2)
  await watching()
  server.send(path, { type: 'ERROR', object: { code: 410 } })
  await until(() => server.watchCount(path) === 0)
  await sleep(100)
  t.equal(server.requestsFor(path, 'list').length, 2)
})

t.test('a list whose continuation expires is read again from the start, in one piece', async t => {
  const names = ['a', 'b', 'c', 'd', 'e']
  const { server, events, objects, watching } = await start(t, server => {
    server.pageSize = 2
    for (const name of names) server.put(path, virtualService(name))
    server.onPage = (_, start) => {
      if (start !== 0) return
      server.onPage = () => {}
      server.delete(path, virtualService('a'))
      server.compact()
    }
  })
  await watching()
  t.strictSame([...objects.keys()].sort(), ['a/b', 'a/c', 'a/d', 'a/e'], 'without what went between the pages')
  t.ok(events.includes('remove VirtualService a/a'))
  t.strictSame(
    server
      .requestsFor(path, 'list')
      .map(url => /limit|continue/.exec(url.replace('limit=500&continue', 'continue'))?.[0]),
    ['limit', 'continue', undefined],
  )
  t.equal(events.filter(event => event === 'listed').length, 1)
})

t.test('a watch that says nothing any more is given up and goes on from the last version', async t => {
  const { server, logs, objects, watching } = await start(t, () => {}, { patience: { watch: 1000 } })
  await watching()
  // A bookmark is a sign of life.
  for (let i = 0; i < 40; i++) {
    server.send(path, { type: 'BOOKMARK', object: { metadata: { resourceVersion: String(200 + i) } } })
    await sleep(40)
  }
  t.equal(server.requestsFor(path, 'watch').length, 1)
  await until(() => server.requestsFor(path, 'watch').length === 2)
  t.match(server.requestsFor(path, 'watch')[1], /resourceVersion=239/)
  t.equal(server.requestsFor(path, 'list').length, 1)
  t.match(logs.at(-1), { level: 'warn', line: { err: { code: 'ETIMEDOUT' } } })
  await watching()
  server.put(path, virtualService('one'))
  await until(() => objects.has('a/one'))
})

t.test('half an event at the end of a watch is no event; the next watch brings it whole', async t => {
  const { server, events, watching } = await start(t)
  await watching()
  server.put(path, virtualService('one'))
  await until(() => events.includes('put a/one'))
  server.write(path, '{"type":"ADDED","object":{"metadata":{"name":"half","resourceVer')
  server.end(path)
  await until(() => server.requestsFor(path, 'watch').length === 2)
  server.put(path, virtualService('two'))
  await until(() => events.includes('put a/two'))
  t.strictSame(events, ['listed', 'put a/one', 'put a/two'])
})

t.test('an event that comes in pieces, cut within a letter, is one event', async t => {
  const { server, objects, watching } = await start(t)
  await watching()
  const object = { ...virtualService('one', { hosts: ['ü'.repeat(20_000)] }) }
  const bytes = Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n`)
  for (let i = 0; i < bytes.length; i += 9999) {
    server.write(path, bytes.subarray(i, i + 9999))
    await sleep(2)
  }
  await until(() => objects.has('a/one'))
  t.strictSame((objects.get('a/one') as { spec?: object })?.spec, { hosts: ['ü'.repeat(20_000)] })
})

for (const [what, line] of [
  ['that is no JSON', '{"type": "ADDED", "object": {'],
  ['without an object', '{"type":"ADDED"}'],
  ['of nothing', 'null'],
  ['whose object has no metadata', '{"type":"MODIFIED","object":{}}'],
]) {
  t.test(`an event ${what} is asked for again, and listed when it comes again`, async t => {
    const { server, events, logs, watching } = await start(t, () => {}, { longest: 60_000 })
    await watching()
    server.put(path, virtualService('one'))
    await until(() => events.includes('put a/one'))
    server.write(path, `${line}\n`)
    await until(() => server.requestsFor(path, 'watch').length === 2)
    t.match(server.requestsFor(path, 'watch')[1], /resourceVersion=101/)
    t.equal(server.requestsFor(path, 'list').length, 1)
    t.match(logs.at(-1), { level: 'warn', line: { err: { name: 'SyntaxError' } } })
    await watching()
    server.write(path, `${line}\n`)
    await until(() => server.requestsFor(path, 'list').length === 2)
  })
}

t.test('an exception of the follower costs neither the object nor those that come after it', async t => {
  let refused = 0
  const onPut = ({ metadata: { name = '' } }: KubernetesObject) => {
    if (!name.startsWith('bad') || refused >= 4) return
    refused++
    throw new Error('not now')
  }
  const prepare = (server: FakeApiServer) => {
    server.put(path, virtualService('bad-listed'))
    server.put(path, virtualService('good-listed'))
  }
  const { server, events, logs, watching } = await start(t, prepare, { onPut })
  await watching()
  t.strictSame(events, ['put a/good-listed', 'listed'])
  server.put(path, virtualService('bad-watched'))
  server.put(path, virtualService('good-watched'))
  await until(() => events.includes('put a/good-watched'))
  t.equal(refused, 2)
  t.match(logs.at(-1), { level: 'warn', line: { object: 'a/bad-watched', err: { message: 'not now' } } })
  const bookmark = () => server.send(path, { type: 'BOOKMARK', object: { metadata: { resourceVersion: '200' } } })
  bookmark()
  await until(() => refused === 4)
  t.notOk(events.includes('put a/bad-listed'))
  bookmark()
  await until(() => events.includes('put a/bad-watched'))
  t.ok(events.includes('put a/bad-listed'))
  t.equal(server.requestsFor(path, 'watch').length, 1)
  refused = 3
  server.put(path, virtualService('bad-before-the-end'))
  await until(() => refused === 4)
  server.end(path)
  await until(() => events.includes('put a/bad-before-the-end'))
  await watching()
  bookmark()
  server.put(path, virtualService('last'))
  await until(() => events.includes('put a/last'))
  t.equal(events.length, 7, 'and each of them once')
})

t.test('an object that could not be taken in and goes meanwhile is not put any more', async t => {
  const { server, events, watching } = await start(t, () => {}, {
    onPut: () => {
      throw new Error('never')
    },
  })
  await watching()
  server.put(path, virtualService('one'))
  server.delete(path, virtualService('one'))
  await until(() => events.includes('remove VirtualService a/one'))
  server.end(path)
  await until(() => server.requestsFor(path, 'watch').length === 2)
  t.strictSame(events, ['listed', 'remove VirtualService a/one'])
})

t.test('says how far it has come: after a list, with each event, and with bookmarks', async t => {
  const { server, reached, watching } = await start(t, server => server.put(path, virtualService('one')))
  await watching()
  server.put(path, virtualService('two'))
  server.delete(path, virtualService('one'))
  server.send(path, { type: 'BOOKMARK', object: { metadata: { resourceVersion: '107' } } })
  await until(() => reached.length === 4)
  t.strictSame(reached, ['101', '102', '103', '107'])
})

t.test('waits for at least as long as the API server asks', async t => {
  const { server, watching } = await start(t, server => server.fail(path, { status: 429, retryAfter: '1' }))
  await until(() => server.requestsFor(path, 'list').length === 1)
  const asked = performance.now()
  await watching()
  t.ok(performance.now() - asked >= 900)
})

t.test('a kind that RBAC forbids is named once, and followed as soon as it is allowed', async t => {
  t.test('to list', async t => {
    const { server, logs, events, forbidden, watching } = await start(t, server => server.forbid(path, 'list'))
    await until(() => server.requestsFor(path, 'list').length > 7)
    const said = () => logs.filter(({ level }) => level !== 'debug').map(({ message }) => message)
    const refusal =
      'RBAC forbids list on virtualservices.networking.istio.io; add the verb to the ClusterRole of sidestep'
    t.strictSame(said(), [refusal])
    t.strictSame([forbidden, events], [['list'], []])
    server.allow(path, 'list')
    await watching()
    t.strictSame([forbidden, events], [['list', undefined], ['listed']])
    t.strictSame(said().slice(1), ['RBAC allows list on virtualservices.networking.istio.io now'])
  })
  t.test('to watch, and is listed from time to time until then', async t => {
    const { server, logs, events, forbidden, watching } = await start(t, server => server.forbid(path, 'watch'))
    await until(() => forbidden.length > 0)
    server.put(path, virtualService('one'))
    await until(() => events.includes('put a/one'))
    const warnings = logs.filter(({ level }) => level === 'warn')
    t.match(warnings, [{ message: /^RBAC forbids watch on virtualservices/, line: { verb: 'watch' } }])
    server.allow(path, 'watch')
    await watching()
    t.match(server.requestsFor(path, 'watch').at(-1), /timeoutSeconds=5&/, 'briefly first')
    server.end(path)
    await until(() => forbidden.length === 2)
    t.strictSame(forbidden, ['watch', undefined])
  })
  t.test('but a few refusals are none: the API server may just have started', async t => {
    const { server, logs, forbidden, watching } = await start(t, server => server.fail(path, 403, 403, 403, 403))
    await watching()
    server.fail(path, 403, 403, 403, 403)
    server.end(path)
    await until(() => server.requestsFor(path, 'watch').length === 6)
    await watching()
    t.strictSame([forbidden, logs.filter(({ level }) => level !== 'debug')], [[], []])
    t.equal(server.requestsFor(path, 'list').length, 5, 'and nothing has to be listed again')
  })
})

t.test('tries again after errors, waiting longer each time', async t => {
  const { server, logs, watching } = await start(t, server => server.fail(path, 500, 503, 504, 429))
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

t.test('looks for a kind that is not installed as soon as the bell rings', async t => {
  const bell = new Bell()
  const slow = { first: 60_000, absent: 60_000 }
  const { server, events } = await start(t, server => server.uninstall(path), { bell, ...slow })
  await until(() => events.includes('listed'))
  server.install(path)
  server.put(path, virtualService('one'))
  bell.ring()
  await until(() => events.includes('put a/one'))
})

t.test('looks again soon after the bell rang, since a kind is announced before it is served', async t => {
  const bell = new Bell()
  const slow = { first: 40, longest: 40, absent: 60_000 }
  const { server, events } = await start(t, server => server.uninstall(path), { bell, ...slow })
  // 20 to 40 ms, then twice as long each time: so many that what follows cannot be chance.
  await until(() => server.requestsFor(path, 'list').length === 7)
  await sleep(100)
  const before = server.requestsFor(path, 'list').length
  bell.ring()
  await until(() => server.requestsFor(path, 'list').length === before + 1)
  server.install(path)
  server.put(path, virtualService('one'))
  const installed = performance.now()
  await until(() => events.includes('put a/one'))
  t.ok(performance.now() - installed < 1200)
})

t.test('a bell that rang while nobody listened is heard', async t => {
  const bell = new Bell()
  const { signal } = new AbortController()
  bell.ring()
  t.equal(await bell.wait(60_000, signal), true)
  t.equal(await bell.wait(1, signal), false)
  t.equal(await bell.wait(60_000, AbortSignal.abort()), false)
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
