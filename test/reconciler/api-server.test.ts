import { chmod, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { connect } from '../../src/reconciler/api-server.ts'
import { follow } from '../../src/reconciler/watch.ts'
import { FakeApiServer } from './fake-api-server.ts'

const path = '/apis/networking.istio.io/v1/virtualservices'
const { signal } = new AbortController()

async function start(t: Test, user?: object) {
  const server = new FakeApiServer()
  server.install(path)
  const { kubeconfig } = await server.start(t, user)
  t.teardown(() => server.stop())
  return { server, kubeconfig }
}

t.test('sends what a call says, and throws what the API server answers', async t => {
  const { server, kubeconfig } = await start(t)
  const api = connect(kubeconfig)
  await api.send({ method: 'PATCH', path, body: { a: 'ü' }, contentType: 'application/apply-patch+yaml' }, signal)
  t.strictSame(server.writes, ['PATCH application/apply-patch+yaml {"a":"ü"}'])
  server.fail(
    path,
    { status: 429, retryAfter: '3', body: '{"reason":"TooManyRequests"}' },
    { status: 502, body: '<html>' },
  )
  await t.rejects(
    api.list(path, {}, signal),
    apiError({ status: 429, retryAfterSeconds: 3, reason: 'TooManyRequests' }),
  )
  await t.rejects(
    api.list(path, {}, signal),
    apiError({ status: 502, reason: undefined, message: /GET .*: HTTP 502: <html>/ }),
  )
  await t.rejects(api.list(path, {}, AbortSignal.abort()), { name: 'AbortError' })
})

for (const [what, user] of [
  ['as a kubeconfig names it', (file: string) => ({ tokenFile: file })],
  ['as a Pod finds it', (file: string) => ({ 'auth-provider': { name: 'tokenFile', config: { tokenFile: file } } })],
] as const) {
  t.test(`a token file that changes, ${what}, is used at once`, async t => {
    const file = join(t.testdirName, 'token')
    const { server, kubeconfig } = await start(t, user(file))
    await writeFile(file, 'old\n')
    server.tokens = ['old']
    const api = connect(kubeconfig)
    await api.list(path, {}, signal)
    server.tokens = ['new']
    await t.rejects(api.list(path, {}, signal), apiError({ status: 401 }))
    t.equal(server.requests.length, 2, 'nothing is asked twice with the same token')
    await writeFile(file, 'new\n')
    await api.list(path, {}, signal)
    t.strictSame([...server.authorizations], ['Bearer old', 'Bearer new'], 'without the newline')
  })
}

t.test('a token file is found beside the kubeconfig that names it', async t => {
  const { server, kubeconfig } = await start(t, { tokenFile: 'token' })
  await writeFile(join(kubeconfig, '../token'), 'beside')
  await connect(kubeconfig).list(path, {}, signal)
  t.strictSame([...server.authorizations], ['Bearer beside'])
})

t.test('a token of an exec plugin that is refused before its time is fetched anew, and once for all calls', async t => {
  const directory = t.testdirName
  const plugin = join(directory, 'plugin')
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin, args: [] }
  const { server, kubeconfig } = await start(t, { exec })
  const status = { token: '$token', expirationTimestamp: '2999-01-01T00:00:00Z' }
  const script = `
    echo run >>${directory}/runs
    token=$(cat ${directory}/token)
    echo "${JSON.stringify({ status }).replaceAll('"', '\\"')}"
  `
  await writeFile(plugin, `#!/bin/sh\n${script}`)
  await chmod(plugin, 0o755)
  await writeFile(join(directory, 'token'), 'old')
  server.tokens = ['old']
  const api = connect(kubeconfig)
  const listAll = () => Promise.all(Array.from({ length: 5 }, () => api.list(path, {}, signal)))
  await listAll()
  await writeFile(join(directory, 'token'), 'new')
  server.tokens = ['new']
  await listAll()
  t.equal(await readFile(join(directory, 'runs'), 'utf8'), 'run\nrun\n')
})

t.test('a watch outlives a change of token: the next one has the new', async t => {
  const { server, kubeconfig } = await start(t, { tokenFile: 'token' })
  const file = join(t.testdirName, 'token')
  await writeFile(file, 'old')
  server.tokens = ['old']
  const put: string[] = []
  const stopping = new AbortController()
  const log = () => {}
  const followed = follow(
    connect(kubeconfig),
    { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', path },
    { put: ({ metadata: { name = '' } }) => put.push(name), remove: () => {}, listed: () => {} },
    {
      signal: stopping.signal,
      logger: { debug: log, info: log, warn: log } as never,
      delays: { first: 5, longest: 40, absent: 20 },
    },
  )
  t.teardown(async () => {
    stopping.abort()
    await followed
  })
  await until(() => server.watchCount(path) === 1)
  server.tokens = ['new']
  server.end(path)
  await until(() => server.requestsFor(path, 'watch').length > 4)
  t.equal(server.watchCount(path), 0, 'while the old token is all there is')
  await writeFile(file, 'new')
  await until(() => server.watchCount(path) === 1)
  server.put(path, { apiVersion: '', kind: '', metadata: { namespace: 'a', name: 'one' } })
  await until(() => put.length === 1)
  t.equal(server.requestsFor(path, 'list').length, 1, 'and nothing had to be listed again')
})

t.test('gives up a call when the API server says nothing, but not one that goes slowly', async t => {
  const body = JSON.stringify({ metadata: {}, items: [] })
  let pause = 50
  const silent = createServer(async socket => {
    const gone = new AbortController()
    socket.resume() // Or it would not hear of its end.
    socket.on('error', () => {}).on('close', () => gone.abort())
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`)
    for (const letter of body) {
      await sleep(pause, undefined, gone).catch(() => {})
      if (!gone.signal.aborted) socket.write(letter)
    }
    socket.end()
  })
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  const { kubeconfig } = await start(t)
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  await writeFile(kubeconfig, (await readFile(kubeconfig, 'utf8')).replace(/http:[^"]*/, url))
  const api = connect(kubeconfig, undefined, { answer: 1000 })
  t.strictSame(await api.list(path, {}, signal), { metadata: {}, items: [] })
  pause = 60_000
  await t.rejects(api.list(path, {}, signal), { code: 'ETIMEDOUT', message: 'the API server said nothing for 1 s' })
  const stopping = new AbortController()
  setTimeout(() => stopping.abort(new Error('stop')), 20)
  await t.rejects(api.list(path, {}, stopping.signal), { message: 'stop' })
})

t.test('leaves nothing on a signal that lives on', async t => {
  const { server, kubeconfig } = await start(t)
  const api = connect(kubeconfig)
  const long = new AbortController()
  let listeners = 0
  const { addEventListener, removeEventListener } = long.signal
  long.signal.addEventListener = (...args: unknown[]) => {
    listeners++
    return Reflect.apply(addEventListener, long.signal, args)
  }
  long.signal.removeEventListener = (...args: unknown[]) => {
    listeners--
    return Reflect.apply(removeEventListener, long.signal, args)
  }
  await api.list(path, {}, long.signal)
  server.fail(path, 500)
  await t.rejects(api.list(path, {}, long.signal))
  await api.send({ method: 'GET', path }, long.signal)
  t.equal(listeners, 0)
})

/** tap's type of an error wants to know of `errors`, which only an AggregateError has. */
function apiError(fields: object): Error {
  return fields as Error
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 12_000 && !holds(); i++) await sleep(5)
  if (!holds()) throw new Error(`never: ${holds}`)
}
