import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ApiError, type ApiServer, type Call, connect } from '../../src/reconciler/api-server.ts'
import { type Clock, limited, retrying } from '../../src/reconciler/retry.ts'
import { FakeApiServer } from './fake-api-server.ts'

const { signal } = new AbortController()
const call: Call = { method: 'PATCH', path: '/x', body: {} }

/** Time that passes only in sleep, and at once: what matters is what was slept for. */
class FakeClock implements Clock {
  time = 1000
  luck = 0
  readonly slept: number[] = []
  now = () => this.time
  random = () => this.luck
  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.slept.push(milliseconds)
    this.time += milliseconds
  }
}

/** Answers with these errors, then well. `calls` counts. */
function failing(...errors: unknown[]) {
  const api = {
    calls: 0,
    async send() {
      api.calls++
      const error = errors.shift()
      if (error) throw error
      return { apiVersion: 'v1', kind: 'X', metadata: {} }
    },
    async list() {
      await api.send()
      return { metadata: {}, items: [] }
    },
    async watch() {
      await api.send()
    },
  }
  return api satisfies ApiServer
}

const status = (status: number, retryAfterSeconds?: number) =>
  new ApiError(status, 'as the test wants', { ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) })
/** What `rejects` is to find: tap's type of an error asks for more fields than an ApiError has. */
const apiError = (status: number) => ({ status }) as unknown as Error
const broken = (code: string) => Object.assign(new Error('connection'), { code })

t.test('makes calls again that failed for no fault of their own, waiting longer each time', async t => {
  const errors = [
    status(500),
    broken('ECONNRESET'),
    status(503),
    broken('ECONNREFUSED'),
    broken('ETIMEDOUT'),
    status(504),
  ]
  for (const what of ['send', 'list'] as const) {
    const api = failing(...errors)
    const clock = new FakeClock()
    const retries: unknown[] = []
    const again = retrying(api, { clock, tries: 7, onRetry: ({ status }) => retries.push(status) })
    await (what === 'send' ? again.send(call, signal) : again.list('/x', {}, signal))
    t.equal(api.calls, 7)
    t.strictSame(clock.slept, [250, 500, 1000, 2000, 4000, 8000])
    t.strictSame(retries, [500, 'ECONNRESET', 503, 'ECONNREFUSED', 'ETIMEDOUT', 504])
  }
})

t.test('waits between a half and the whole of it, by chance', async t => {
  const clock = new FakeClock()
  clock.luck = 0.999
  await retrying(failing(status(500)), { clock }).send(call, signal)
  t.ok((clock.slept[0] ?? 0) > 499 && (clock.slept[0] ?? 0) < 500)
})

t.test('gives up after so many tries, with the last error', async t => {
  const api = failing(...Array(9).fill(status(503)), status(500))
  const retries: unknown[] = []
  const again = retrying(api, { clock: new FakeClock(), tries: 3, onRetry: retry => retries.push(retry) })
  await t.rejects(again.send(call, signal), apiError(503))
  t.equal(api.calls, 3)
  t.equal(retries.length, 2)
})

t.test('throws at once what another try cannot mend', async t => {
  for (const error of [400, 401, 403, 404, 409, 410, 415, 422, 501].map(code => status(code))) {
    const api = failing(error)
    await t.rejects(retrying(api, { clock: new FakeClock() }).send(call, signal), apiError(error.status))
    t.equal(api.calls, 1)
  }
  const api = failing(new SyntaxError('no JSON'))
  await t.rejects(retrying(api, { clock: new FakeClock() }).list('/x', {}, signal), { name: 'SyntaxError' })
  t.equal(api.calls, 1)
})

t.test('makes no call again once the signal is aborted', async t => {
  t.test('while the call is under way', async t => {
    const stopping = new AbortController()
    let calls = 0
    const api: ApiServer = {
      ...failing(),
      send: async () => {
        calls++
        stopping.abort(new Error('stop'))
        throw status(503)
      },
    }
    await t.rejects(retrying(api, { clock: new FakeClock() }).send(call, stopping.signal), apiError(503))
    t.equal(calls, 1)
  })
  t.test('while it waits, with the real clock', async t => {
    const stopping = new AbortController()
    const api = failing(status(503, 60))
    const sent = retrying(api).send(call, stopping.signal)
    setTimeout(() => stopping.abort(), 20)
    await t.rejects(sent, { name: 'AbortError' })
    t.equal(api.calls, 1)
  })
})

t.test('leaves the API server alone for at least as long as it asks', async t => {
  for (const code of [429, 503]) {
    const clock = new FakeClock()
    await retrying(failing(status(code, 7)), { clock }).send(call, signal)
    t.strictSame(clock.slept, [7250])
  }
})

t.test('after a 429 no call of any kind is made until the time is over', async t => {
  const clock = new FakeClock()
  const times: [string, number][] = []
  let errors = [status(429, 10)]
  const note = (what: string) => {
    times.push([what, clock.now()])
    const error = errors.shift()
    if (error) throw error
  }
  const api: ApiServer = {
    send: async ({ path }) => {
      note(path)
      return { apiVersion: 'v1', kind: 'X', metadata: {} }
    },
    list: async path => {
      note(path)
      return { metadata: {}, items: [] }
    },
    watch: async path => note(path),
  }
  const again = retrying(api, { clock, tries: 1 })
  await t.rejects(again.send({ ...call, path: '/first' }, signal), apiError(429))
  await Promise.all([
    again.send({ ...call, path: '/send' }, signal),
    again.list('/list', {}, signal),
    again.watch('/watch', {}, () => {}, signal),
  ])
  t.strictSame(times[0], ['/first', 1000])
  t.strictSame(
    times
      .slice(1)
      .map(([what]) => what)
      .sort(),
    ['/list', '/send', '/watch'],
  )
  for (const [what, time] of times.slice(1)) t.ok(time >= 11_000, `${what} after ${time - 1000} ms`)

  t.test('nor after the 429 of a watch, which is not made again by this', async t => {
    errors = [status(429, 5)]
    await t.rejects(
      again.watch('/watch', {}, () => {}, signal),
      apiError(429),
    )
    const until = clock.now() + 5000
    await again.send(call, signal)
    t.ok((times.at(-1)?.[1] ?? 0) >= until)
  })
  t.test('while a 503 is about one call only', async t => {
    errors = [status(503, 5)]
    await t.rejects(again.send(call, signal), apiError(503))
    const now = clock.now()
    await again.send(call, signal)
    t.equal(times.at(-1)?.[1], now)
  })
})

t.test('over a real connection', async t => {
  const server = new FakeApiServer()
  server.install('/x')
  const { kubeconfig } = await server.start(t)
  t.teardown(() => server.stop())
  const retries: unknown[] = []
  const again = retrying(connect(kubeconfig, undefined, { answer: 100 }), {
    delays: { first: 5, longest: 40 },
    onRetry: ({ status }) => retries.push(status),
  })
  server.fail('/x', 'hang up', { status: 429, retryAfter: '1' }, { status: 503, body: 'a proxy speaks' })
  const start = performance.now()
  await again.send(call, signal)
  t.strictSame(retries, ['ECONNRESET', 429, 503])
  t.ok(performance.now() - start >= 1000)
  t.strictSame(server.writes, Array(4).fill('PATCH application/json {}'), 'with its body each time')
  await server.stop()
  retries.length = 0
  await t.rejects(again.send(call, signal), { code: 'ECONNREFUSED' })
  t.strictSame(retries, Array(4).fill('ECONNREFUSED'))
})

t.test('limited lets a burst through, then keeps the pace, in order', async t => {
  const clock = new FakeClock()
  const times: [string, number][] = []
  const api: ApiServer = {
    ...failing(),
    send: async ({ path }) => {
      times.push([path, clock.now()])
      return { apiVersion: 'v1', kind: 'X', metadata: {} }
    },
  }
  const slow = limited(api, { perSecond: 10, burst: 3, clock })
  for (let i = 0; i < 6; i++) await slow.send({ ...call, path: `/${i}` }, signal)
  t.strictSame(times, [
    ['/0', 1000],
    ['/1', 1000],
    ['/2', 1000],
    ['/3', 1100],
    ['/4', 1200],
    ['/5', 1300],
  ])
  clock.time += 10_000
  times.length = 0
  for (let i = 0; i < 4; i++) await slow.send(call, signal)
  t.strictSame(
    times.map(([, time]) => time - 11_300),
    [0, 0, 0, 100],
    'rest is not saved up beyond a burst',
  )
  await slow.list('/x', {}, signal)
  t.strictSame(clock.slept.length, 4, 'lists wait for nobody')
  await t.rejects(slow.send(call, AbortSignal.abort()), { name: 'AbortError' })
})

t.test('limited holds concurrent calls to the pace as well', async t => {
  const times: number[] = []
  const start = performance.now()
  const api: ApiServer = {
    ...failing(),
    send: async () => {
      times.push(performance.now() - start)
      return { apiVersion: 'v1', kind: 'X', metadata: {} }
    },
  }
  const slow = limited(api, { perSecond: 50, burst: 1 })
  const stopping = new AbortController()
  const sent = Array.from({ length: 5 }, () => slow.send(call, signal))
  const aborted = slow.send(call, stopping.signal)
  stopping.abort()
  await t.rejects(aborted, { name: 'AbortError' })
  await Promise.all(sent)
  await sleep(0)
  times.forEach((time, i) => void t.ok(time >= i * 20 - 2, `call ${i} after ${time} ms`))
})
