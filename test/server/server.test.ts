import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { AdmissionRequest, AdmissionReview } from '../../src/apis/admission.ts'
import { selfSignedCertificate } from '../../src/certificates/issue.ts'
import { buildOps } from '../../src/server/health.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { buildServer, type ServerOptions } from '../../src/server/server.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import { create, review, translateWidget, widget } from './reviews.ts'

const tls = await selfSignedCertificate({ names: ['localhost', '127.0.0.1'] })

/** A server without a port, the lines that it logs, and its metrics as text. */
function start(t: Test, more: Partial<ServerOptions> = {}) {
  const lines: Record<string, unknown>[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const metrics = createMetrics()
  const options = {
    cluster: snapshotOf([]),
    settings: profiles.generic,
    logger,
    tls,
    metrics,
    translate: translateWidget,
  }
  const app = buildServer({ ...options, ...more })
  t.teardown(async () => {
    await app.close()
    metrics.close()
  })
  const post = (
    url: string,
    payload: unknown,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ) =>
    app.inject({
      method: 'POST',
      url,
      headers,
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    })
  return { app, lines, post, metrics, scrape: () => metrics.registry.metrics() }
}

t.test('an answer is a review of the same version with the uid of the request', async t => {
  const { post } = start(t)
  const request = create(widget({ rewrite: true }))
  const { statusCode, headers, ...response } = await post('/mutate?timeout=10s', review(request))
  t.equal(statusCode, 200)
  t.match(headers['content-type'], /^application\/json/)
  t.match(response.json(), {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: request.uid, allowed: true, patchType: 'JSONPatch', patch: String },
  })
  t.notOk('request' in response.json())
})

t.test('a server that is about to close gives each connection back with its answer', async t => {
  let isDraining = false
  const { post } = start(t, { isDraining: () => isDraining })
  const connection = async () => (await post('/mutate', review(create(widget({}))))).headers.connection
  t.not(await connection(), 'close')
  isDraining = true
  t.equal(await connection(), 'close')
})

t.test('a denial is an answer, not an HTTP error', async t => {
  const { post } = start(t)
  const response = await post('/validate', review(create(widget({ deny: ['VS-A'] }))))
  t.equal(response.statusCode, 200)
  t.match(response.json<AdmissionReview>().response, { allowed: false, status: { code: 403 } })
})

t.test('the object reaches the translation exactly as it was sent', async t => {
  const seen: unknown[] = []
  const { post } = start(t, {
    translate: object => {
      seen.push(object)
      return { object, companions: [], warnings: [] }
    },
  })
  const object = widget({ number: '7', yes: 'true', nothing: null, list: 1, constructor: 'label', deep: { a: [{}] } })
  await post('/mutate', review(create(object)))
  t.strictSame(seen, [object])
})

t.test('a call that is no admission review gets a sentence that says what is wrong', async t => {
  const { post, app, lines } = start(t, { limits: { bodyBytes: 2000 } })
  const good = review(create(widget({})))
  const cases: [Awaited<ReturnType<typeof post>>, number, RegExp][] = [
    [await post('/mutate', { ...good, kind: 'Pod' }), 400, /^kind must be AdmissionReview, not "Pod"\.\n$/],
    [await post('/mutate', '{"kind"'), 400, /^The body must be JSON/],
    [await post('/mutate', ''), 400, /^The body must be JSON/],
    [await post('/mutate', '{"metadata": {"labels": {"__proto__": {"x": 1}}}}'), 400, /no key in it may be __proto__/],
    [await post('/mutate', good, { 'content-type': 'text/plain' }), 415, /^Content-Type must be application\/json/],
    [await post('/mutate', good, { 'content-type': 'application/yaml' }), 415, /^Content-Type must be/],
    [await post('/mutate', review(create(widget({ big: 'x'.repeat(2000) })))), 413, /^The review is larger/],
    [await post('/elsewhere', good), 404, /^There are only POST \/mutate and POST \/validate/],
    [await app.inject({ method: 'GET', url: '/mutate' }), 404, /^There are only/],
  ]
  for (const [response, status, sentence] of cases) {
    t.equal(response.statusCode, status)
    t.match(response.body, sentence)
    t.match(response.headers['content-type'], /^text\/plain/, 'which the API server quotes')
  }
  t.notMatch(JSON.stringify(lines), /"x":1|xxxx/, 'and no body is logged')
})

t.test('a review of seven MiB is read', async t => {
  const { post } = start(t)
  const object = widget({ big: 'x'.repeat(3.4 * 1024 * 1024) })
  const response = await post('/mutate', review(create(object, { operation: 'UPDATE', oldObject: object })))
  t.equal(response.statusCode, 200)
})

t.test('one line is logged per admission, with neither bodies nor secrets', async t => {
  const { post, lines } = start(t)
  const extra = { 'authentication.kubernetes.io/credential-id': ['secret-extra'] }
  const request = create(widget({ deny: ['VS-B', 'VS-A'], jwks: 'secret-keys' }), {
    userInfo: { username: 'ann', groups: ['secret-group'], extra } as AdmissionRequest['userInfo'] & object,
    dryRun: true,
  })
  await post('/validate', review(request), { 'content-type': 'application/json', authorization: 'Bearer secret-token' })
  t.equal(lines.length, 1)
  const { level, time, pid, hostname, ...line } = lines[0] ?? {}
  t.match(line.ms, Number)
  t.strictSame(line, {
    uid: request.uid,
    webhook: 'validate',
    operation: 'CREATE',
    kind: 'Widget',
    namespace: 'team-a',
    name: 'w',
    user: 'ann',
    dryRun: true,
    mode: 'enforce',
    outcome: 'denied',
    codes: ['VS-A', 'VS-B'],
    patchOperations: 0,
    ms: line.ms,
    msg: 'admission',
  })
  t.notMatch(JSON.stringify(lines), /secret/)
})

t.test('a fault of the translation', async t => {
  const request = review(create(widget({ throw: true, jwks: 'secret-keys' })))

  t.test('lets /mutate store the object as it is, with a warning', async t => {
    const { post, lines, scrape } = start(t)
    const response = await post('/mutate', request)
    t.equal(response.statusCode, 200)
    t.match(response.json<AdmissionReview>().response, { allowed: true, warnings: [/^sidestep failed on this object/] })
    t.notOk('patch' in (response.json<AdmissionReview>().response ?? {}))
    t.match(lines, [{ level: 50, outcome: 'error', err: { message: 'the core has a fault' } }])
    t.match(await scrape(), /sidestep_admission_seconds_count\{[^}]*outcome="error"[^}]*\} 1/)
    t.notMatch(JSON.stringify(lines), /secret/)
  })

  t.test('leaves /validate to the failurePolicy', async t => {
    const { post, lines, scrape } = start(t)
    const response = await post('/validate', request)
    t.equal(response.statusCode, 500)
    t.match(response.body, /^sidestep failed to judge this object/)
    t.equal(lines.length, 1)
    t.match(await scrape(), /sidestep_refused_calls_total\{webhook="validate",status="500"\} 1/)
  })

  t.test('does not keep the next request from its answer', async t => {
    const { post } = start(t)
    await post('/validate', request)
    t.equal((await post('/validate', review(create(widget({}))))).statusCode, 200)
  })
})

t.test('an answer after the timeout of the API server is logged as a warning', async t => {
  const { post, lines } = start(t, {
    translate: object => {
      const end = performance.now() + 30
      while (performance.now() < end);
      return { object, companions: [], warnings: [] }
    },
  })
  await post('/mutate?timeout=0.01s', review(create(widget({}))))
  await post('/mutate?timeout=10s', review(create(widget({}))))
  t.match(lines, [
    { level: 40, timeoutSeconds: 0.01 },
    { level: 30, outcome: 'admitted' },
  ])
})

t.test('a server with more than it can do answers 503 at once', async t => {
  const { app, post } = start(t, { limits: { eventLoopDelayMilliseconds: 1 } })
  await app.ready()
  const end = performance.now() + 1200
  while (performance.now() < end) {
    const pause = performance.now() + 80
    while (performance.now() < pause);
    await sleep(1)
  }
  const response = await post('/mutate', review(create(widget({}))))
  t.equal(response.statusCode, 503)
  t.equal(response.headers['retry-after'], '1')
  t.match(response.body, /more to do than it can/)
})

t.test('closes at once, though a client holds a connection that has never carried a call', async t => {
  const { app } = start(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const socket = connect({ host: '127.0.0.1', port, ca: tls.ca })
  await once(socket, 'secureConnect')
  await Promise.all([app.close(), once(socket, 'close')])
  t.notOk(app.server.listening)
})

t.test('metrics count admissions, denials and calls in flight, with no name in any label', async t => {
  const { post, metrics, scrape } = start(t)
  metrics.setCertificate({ notAfter: new Date(1_900_000_000_000), ca: 'one' })
  await post('/mutate', review(create(widget({ rewrite: true }))))
  await post('/validate', review(create(widget({ deny: ['VS-A', 'VS-B'], warn: ['VS-C'] }), { dryRun: true })))
  await sleep(5)
  const text = await scrape()
  const labels = 'kind="other",operation="CREATE"'
  t.match(text, `sidestep_admission_seconds_count{webhook="mutate",${labels},outcome="patched",dry_run="false"} 1`)
  t.match(text, `sidestep_admission_seconds_count{webhook="validate",${labels},outcome="denied",dry_run="true"} 1`)
  t.match(text, 'sidestep_denied_total{code="VS-A"} 1')
  t.match(text, 'sidestep_denied_total{code="VS-B"} 1')
  t.match(text, 'sidestep_admissions_in_flight 0')
  t.match(text, 'sidestep_certificate_not_after_seconds 1900000000')
  t.match(text, /sidestep_event_loop_lag_seconds [\d.e-]+\n/)
  t.notMatch(text, 'VS-C', 'a warning is no denial')
  t.notMatch(text, /team-a|ann|Widget/)
})

t.test('the ops server', async t => {
  const missing: string[] = ['the snapshot of pods']
  const metrics = createMetrics()
  const app = buildOps({ logger: pino({ level: 'silent' }), metrics, missing: () => missing })
  t.teardown(async () => {
    await app.close()
    metrics.close()
  })

  t.test('is live while it is not ready, and says what is missing', async t => {
    t.equal((await app.inject('/livez')).statusCode, 200)
    const response = await app.inject('/readyz')
    t.equal(response.statusCode, 503)
    t.equal(response.body, 'not ready: the snapshot of pods\n')
  })

  t.test('is ready when nothing is missing', async t => {
    missing.length = 0
    t.equal((await app.inject('/readyz')).statusCode, 200)
  })

  t.test('gives the metrics in the format of Prometheus', async t => {
    const response = await app.inject('/metrics')
    t.match(response.headers['content-type'], /^text\/plain; version=/)
    t.match(response.body, /# TYPE sidestep_admission_seconds histogram/)
  })
})

t.test('over TLS', async t => {
  const { app } = start(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const agent = new https.Agent({ keepAlive: true, ca: tls.ca })
  t.teardown(() => agent.destroy())

  const call = (options: https.RequestOptions = {}) =>
    new Promise<{ body: string; socket: unknown; protocol: string | null }>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      const path = '/mutate?timeout=10s'
      const request = https.request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent, ...options })
      request.on('error', reject).on('response', async response => {
        const { socket } = response
        const protocol = (socket as import('node:tls').TLSSocket).getProtocol()
        const chunks: Buffer[] = []
        for await (const chunk of response) chunks.push(chunk)
        resolve({ body: Buffer.concat(chunks).toString(), socket, protocol })
      })
      request.end(JSON.stringify(review(create(widget({ rewrite: true })))))
    })

  t.test('a client that trusts the certificate is answered, twice over one connection', async t => {
    const first = await call()
    t.match(JSON.parse(first.body), { response: { allowed: true, patchType: 'JSONPatch' } })
    t.equal(first.protocol, 'TLSv1.3')
    t.equal((await call()).socket, first.socket)
  })

  t.test('a client that does not trust it refuses', async t => {
    await t.rejects(call({ agent: new https.Agent() }), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  })

  t.test('TLS 1.2 is accepted, TLS 1.1 is not', async t => {
    t.equal((await call({ agent: new https.Agent({ ca: tls.ca, maxVersion: 'TLSv1.2' }) })).protocol, 'TLSv1.2')
    const old = new https.Agent({
      ca: tls.ca,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    await t.rejects(call({ agent: old }))
  })

  t.test('connections outlive those of the API server', async t => {
    t.equal(app.server.keepAliveTimeout, 90_000)
    t.equal(app.server.headersTimeout, 32_000)
    t.equal(app.server.requestTimeout, 35_000)
  })
})
