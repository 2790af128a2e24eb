// Callers that are no API server: any pod may connect to the port. Whoever is slow, silent or sends what no API server would is
// answered with an HTTP error or closed in bounded time, others are served meanwhile, and nothing counts as a fault of ours.
// What a body may say at random is in fuzz.test.ts.
import { connect as connectPlainly } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { translate } from '../../src/translate/index.ts'
import { until } from '../control-plane/until.ts'
import { create, review, translateWidget, update, widget } from './reviews.ts'
import { listen, request } from './wire.ts'

const small = JSON.stringify(review(create(widget({ deny: ['VS-A'] }))))
/** Long enough for whoever is not hostile on a machine that is busy. What they end would go on for minutes without them. */
const limits = {
  handshakeMilliseconds: 2000,
  headersMilliseconds: 2000,
  requestMilliseconds: 3000,
  checkMilliseconds: 100,
  silenceMilliseconds: 120_000,
}
const inTime = limits.silenceMilliseconds / 2

type Server = Awaited<ReturnType<typeof listen>>

/** Others are answered, and no line says that anything here has a fault. */
async function served(t: Test, { post, lines }: Server) {
  const { status, body } = await post(small, '/validate?timeout=10s')
  t.equal(status, 200, 'others are served')
  t.match(JSON.parse(body), { response: { allowed: false } })
  t.strictSame(
    lines.filter(({ level }) => Number(level) >= 50),
    [],
    'nothing counts as a fault',
  )
}

t.test('a client that is slow', async t => {
  const server = await listen(t, { limits })
  const trickle = async (bytes: Buffer) => {
    const connection = await server.open()
    const timer = setInterval(() => {
      connection.send(bytes.subarray(0, 1))
      bytes = bytes.subarray(1)
    }, 20)
    t.teardown(() => clearInterval(timer))
    const closed = connection.closed()
    await served(t, server)
    t.ok((await closed) < inTime, 'is closed')
    clearInterval(timer)
  }
  await t.test('with its headers', () => trickle(Buffer.from(`POST /mutate HTTP/1.1\r\nx: ${'x'.repeat(1000)}`)))
  await t.test('with its body', () => trickle(request('{"kind":"AdmissionReview"'.padEnd(1000), '/mutate')))
  await t.test('and says nothing at all', () => trickle(Buffer.alloc(0)))
})

t.test('a handshake that is not finished is given up', async t => {
  const server = await listen(t, { limits })
  const hello = Buffer.from('16030100f4010000f00303', 'hex')
  const sockets = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const socket = connectPlainly({ host: '127.0.0.1', port: server.port })
      socket.on('error', () => {})
      // Half of them say nothing, which is no ClientHello either.
      if (i % 2 === 0) socket.write(hello)
      return socket
    }),
  )
  await until('them to be there', async () => server.accepted() >= 50)
  await served(t, server)
  await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('close', resolve).resume())))
  await served(t, server)
  t.ok((await server.sockets()) <= 2)
})

t.test('a client that does not read its answers is closed', async t => {
  // More than fits into the buffers of a connection.
  const long = 'x'.repeat(20 * 1024 * 1024)
  const server = await listen(t, {
    limits: { ...limits, silenceMilliseconds: 1500 },
    translate: object => {
      if (object.metadata.name !== 'long') return translateWidget(object)
      const metadata = { ...object.metadata, annotations: { long } }
      return { object: { ...object, metadata }, companions: [], warnings: [] }
    },
  })
  const connection = await server.open()
  connection.socket.pause()
  connection.send(request(JSON.stringify(review(create(widget({}, { name: 'long' }))))))
  const closed = connection.closed()
  await sleep(500)
  await served(t, server)
  // As a socket that is paused does not hear that it was closed.
  await t.resolves(until('it to be closed', async () => (await server.sockets()) <= 1))
  connection.socket.resume()
  await closed
})

t.test('what is no call of an API server gets a sentence', async t => {
  const server = await listen(t)
  const whole = review(create(widget({})))
  const json = JSON.stringify(whole)
  const deep = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
  const cases: Record<string, [bytes: Buffer, status: number, sentence: RegExp]> = {
    'no content type': [request(json, '/mutate', { 'content-type': undefined }), 415, /^Content-Type must be/],
    'another content type': [request(json, '/mutate', { 'content-type': 'text/plain' }), 415, /^Content-Type must be/],
    'two in one': [request(json, '/mutate', { 'content-type': 'application/json, text/plain' }), 415, /^Content-Type/],
    gzip: [request(gzipSync(json), '/mutate', { 'content-encoding': 'gzip' }), 400, /^The body must be JSON/],
    'bytes that are no UTF-8': [
      request(Buffer.concat([Buffer.from('{"kind":"'), Buffer.from([0xff, 0xfe])]), '/mutate'),
      400,
      /^The body must be JSON/,
    ],
    '__proto__ in the object': [
      request(json.replace('"spec":{', '"spec":{"__proto__":{"x":1},')),
      400,
      /no key in it may be __proto__/,
    ],
    '__proto__ escaped': [
      request(json.replace('"spec":{', '"spec":{"\\u005f_proto__":{"x":1},')),
      400,
      /no key in it may be __proto__/,
    ],
    'constructor.prototype': [
      request(json.replace('"spec":{', '"spec":{"constructor":{"prototype":{"x":1}},')),
      400,
      /no key in it may be __proto__/,
    ],
    'a uid of 1 MB': [
      request(JSON.stringify(review({ ...create(widget({})), uid: 'x'.repeat(1e6) }))),
      400,
      /^request\.uid must be/,
    ],
    'a list 100,000 deep': [
      request(`${'['.repeat(1e5)}${']'.repeat(1e5)}`),
      400,
      /^The body must be an AdmissionReview/,
    ],
    'a review that is an object 100,000 deep': [request(deep(1e5)), 400, /^kind must be AdmissionReview/],
    'one byte more than 7 MiB': [
      request('', '/mutate', { 'content-length': `${7 * 1024 * 1024 + 1}` }),
      413,
      /^The review is larger/,
    ],
  }
  for (const [what, [bytes, status, sentence]] of Object.entries(cases)) {
    const connection = await server.open()
    connection.send(bytes)
    const answer = await connection.answer()
    t.equal(answer.status, status, what)
    t.match(answer.body, sentence, what)
  }
  t.notMatch(JSON.stringify(server.lines), /xxxxxx|__proto__":/, 'no body is logged')
  await served(t, server)
})

t.test('what an API server could send is judged', async t => {
  const server = await listen(t)
  const judged = async (bytes: Buffer, what: string) => {
    const connection = await server.open()
    connection.send(bytes)
    const { status, body } = await connection.answer()
    t.equal(status, 200, `${what}: ${body.slice(0, 100)}`)
    return JSON.parse(body).response
  }
  const body = Buffer.from(JSON.stringify(review(create(widget({ deny: ['VS-A'], name: 'é☃' })))))
  const chunks = [body.subarray(0, 7), body.subarray(7)].map(part =>
    Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]),
  )
  const chunked = request('', '/validate', { 'content-length': undefined, 'transfer-encoding': 'chunked' })
  t.match(await judged(Buffer.concat([chunked, ...chunks, Buffer.from('0\r\n\r\n')]), 'in chunks'), { allowed: false })
  const padded = JSON.stringify(review(create(widget({ deny: ['VS-A'] })))).padEnd(7 * 1024 * 1024)
  t.match(await judged(request(padded, '/validate'), '7 MiB'), { allowed: false })
  const charset = { 'content-type': 'application/json; charset=utf-8' }
  t.match(await judged(request(body, '/validate', charset), 'a charset'), { allowed: false })

  const connection = await server.open()
  const uids = ['one', 'two', 'three']
  connection.send(Buffer.concat(uids.map(uid => request(JSON.stringify(review({ ...create(widget({})), uid }))))))
  for (const uid of uids) t.equal(JSON.parse((await connection.answer()).body).response.uid, uid, 'pipelined, in order')
  await served(t, server)
})

t.test('kinds and subresources that nobody registered are let through', async t => {
  const server = await listen(t, { translate })
  const status = { ...create(widget({})), subResource: 'status' }
  for (const path of ['/mutate', '/validate']) {
    const { body } = await server.post(JSON.stringify(review(status)), path)
    t.match(JSON.parse(body), { response: { allowed: true } })
    t.notMatch(body, 'patch"')
  }
})

t.test('of a key that stands twice both webhooks read the last', async t => {
  const server = await listen(t)
  const { object: _, ...rest } = create(null)
  const [first, last] = [widget({}), widget({ deny: ['VS-A'], rewrite: true })].map(object => JSON.stringify(object))
  const twice = (a = '', b = '') => JSON.stringify(review(rest)).replace('"uid"', `"object":${a},"object":${b},"uid"`)
  const allowed = async (path: string, body: string) => JSON.parse((await server.post(body, path)).body).response
  t.equal((await allowed('/validate', twice(first, last))).allowed, false)
  t.equal((await allowed('/validate', twice(last, first))).allowed, true)
  t.notOk((await allowed('/mutate', twice(last, first))).patch)
  const rewrite = JSON.stringify(widget({ rewrite: true }))
  t.ok((await allowed('/mutate', twice(first, rewrite))).patch)
})

t.test('an object 100,000 deep is refused by the core, and an update of one is no fault', async t => {
  const server = await listen(t, { translate })
  const spec = `{"rules":${'['.repeat(1e5)}${']'.repeat(1e5)}}`
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'a', namespace: 'b' },
  }
  const text = JSON.stringify({ ...policy, spec: 'deep' })
  for (const [what, whole] of Object.entries({ created: create('object'), updated: update('object', 'object') })) {
    const filled = JSON.stringify(review(whole)).replaceAll(':"object"', `:${text.replace('"deep"', spec)}`)
    for (const path of ['/mutate', '/validate']) {
      const { status, body } = await server.post(filled, path)
      t.equal(status, 200, `${what}, ${path}`)
      const isDenied = what === 'created' && path === '/validate'
      t.match(JSON.parse(body), { response: { allowed: !isDenied } })
    }
  }
  t.notMatch(JSON.stringify(server.lines), /"level":50/)
})

t.test('HTTP/2 and what is no HTTP is closed', async t => {
  const server = await listen(t, { limits })
  for (const bytes of [
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\u0016\u0003\u0001',
    `GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(5000)}`,
  ]) {
    const connection = await server.open()
    connection.send(bytes)
    t.ok((await connection.closed()) < inTime)
  }
  await served(t, server)
})

t.test('a log line stays a line, whatever is in a review', async t => {
  const server = await listen(t)
  const long = 'x'.repeat(1e6)
  const names = {
    name: long,
    namespace: long,
    userInfo: { username: long },
    kind: { group: long, version: 'v1', kind: long },
  }
  for (const more of [names, { name: { a: long }, namespace: [long], userInfo: 7, dryRun: long }])
    await server.post(JSON.stringify(review({ ...create(widget({})), ...more })))
  t.equal(server.lines.length, 2)
  for (const line of server.lines) t.ok(JSON.stringify(line).length < 3000)
})
