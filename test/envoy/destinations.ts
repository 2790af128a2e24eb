// What a route does with a request: destinations, mirrors, retries, headers (applyHTTPRouteDestination and what it calls).
import t, { type Test } from 'tap'
import { until } from '../control-plane/until.ts'
import { type Envoy, envoyTests, refusal, toApp, withRoutes } from './index.ts'

const test = await envoyTests(t)

const all = { prefix: '/' }
const weighted = (weights: Record<string, number>) => ({
  match: all,
  route: {
    timeout: '0s',
    weighted_clusters: { clusters: Object.entries(weights).map(([name, weight]) => ({ name, weight })) },
  },
})

/** How often each upstream is reached by a number of requests, one after the other. */
async function shares(envoy: Envoy, requests: number): Promise<Record<string, number>> {
  const shares: Record<string, number> = {}
  for (let request = 0; request < requests; request++) {
    const { upstream } = await envoy.arrival({})
    shares[upstream] = (shares[upstream] ?? 0) + 1
  }
  return shares
}

test('a destination of weight 0 gets nothing', async t => {
  t.strictSame(await shares(await withRoutes(t, [weighted({ other: 0, app: 1 })]), 50), { app: 50 })
})

test('weights are shares of their sum, whatever it is', async t => {
  const { app = 0, other = 0 } = await shares(await withRoutes(t, [weighted({ app: 1, other: 1 })]), 60)
  t.ok(app > 5 && other > 5, `${app} and ${other} of 60`)
})

test('weights that are all 0, and destinations that are none, are refused with the whole route table', async t => {
  t.match(await refusal([weighted({ app: 0, other: 0 })]), /weight/i)
  t.match(await refusal([weighted({})]), /Clusters/)
})

test('weights whose sum is above 2^32-1 are refused', async t => {
  t.match(await refusal([weighted({ app: 4294967295, other: 1 })]), /weight/i)
  t.equal(await refusal([weighted({ app: 4294967294, other: 1 })]), undefined)
})

test('a direct response of status 500 without body is an empty 500', async t => {
  const envoy = await withRoutes(t, [{ match: all, direct_response: { status: 500 } }])
  const { status, body } = await envoy.send({})
  t.strictSame([status, body], [500, ''])
})

test('a destination that does not exist answers 503, and 500 as istiod asks for HTTPRoutes', async t => {
  const envoy = await withRoutes(t, [
    { match: { prefix: '/a' }, route: toApp({ cluster: 'nowhere' }) },
    {
      match: { prefix: '/b' },
      route: toApp({ cluster: 'nowhere', cluster_not_found_response_code: 'INTERNAL_SERVER_ERROR' }),
    },
  ])
  t.strictSame(await envoy.outcomes(['/a', '/b']), { '/a': 503, '/b': 500 })
})

test('of weighted destinations one that does not exist fails its own share', async t => {
  const envoy = await withRoutes(t, [weighted({ nowhere: 1, other: 1 })])
  const statuses = new Set<number>()
  for (let request = 0; request < 60; request++) statuses.add((await envoy.send({})).status)
  t.strictSame([...statuses].sort(), [200, 503])
})

const mirroring = (numerator: number) => ({
  match: all,
  route: toApp({
    prefix_rewrite: '/x/',
    request_mirror_policies: [
      {
        cluster: 'other',
        runtime_fraction: { default_value: { numerator, denominator: 'HUNDRED' } },
        trace_sampled: false,
      },
    ],
  }),
})

test('a mirror of 100 percent gets a copy of every request, rewritten too, with -shadow at its host', async t => {
  const envoy = await withRoutes(t, [mirroring(100)])
  for (let request = 0; request < 3; request++) await envoy.arrival({ path: '/a', host: 'foo.com:8080' })
  const copies = await until(
    'three copies',
    async () => envoy.arrivalsAt('other').length === 3 && envoy.arrivalsAt('other'),
  )
  t.strictSame([copies[0]?.path, copies[0]?.host], ['/x/a', 'foo.com-shadow:8080'])
})

test('a mirror of 0 percent gets nothing', async t => {
  const envoy = await withRoutes(t, [mirroring(0)])
  for (let request = 0; request < 20; request++) await envoy.arrival({})
  t.strictSame(envoy.arrivalsAt('other'), [])
})

test('a mirror that does not exist does no harm', async t => {
  const policy = { request_mirror_policies: [{ cluster: 'nowhere' }] }
  const envoy = await withRoutes(t, [{ match: all, route: toApp(policy) }])
  t.equal(await envoy.outcome({ path: '/a' }), '/a')
})

/** How often a request arrives whose every answer has a status, for each retry policy and each of some statuses. */
async function attempts(
  t: Test,
  statuses: readonly number[],
  policies: Record<string, object>,
): Promise<Record<string, number[]>> {
  const entries = Object.entries(policies)
  const routes = entries.map(([name, policy]) => ({
    match: { prefix: `/${name}/` },
    route: toApp({ retry_policy: { retry_back_off: { base_interval: '0.001s' }, ...policy } }),
  }))
  const envoy = await withRoutes(t, routes)
  const attempts: Record<string, number[]> = {}
  for (const [name] of entries) {
    attempts[name] = []
    for (const status of statuses) {
      const sent = `/${name}/${status}`
      await envoy.send({ path: sent, headers: [['x-answer', String(status)]] })
      attempts[name].push(envoy.arrivalsAt('app').filter(({ path }) => path === sent).length)
    }
  }
  return attempts
}

test('num_retries comes on top of the first attempt', async t => {
  const policies = {
    none: {},
    unset: { retry_on: '5xx' },
    zero: { retry_on: '5xx', num_retries: 0 },
    three: { retry_on: '5xx', num_retries: 3 },
  }
  t.strictSame(await attempts(t, [503], policies), { none: [1], unset: [2], zero: [1], three: [4] })
})

test('a status is retried only with both retriable-status-codes and its code', async t => {
  const connection = 'connect-failure,refused-stream,unavailable,cancelled'
  const both = `${connection},retriable-status-codes`
  const policies = {
    word: { retry_on: both, num_retries: 2 },
    code: { retry_on: connection, num_retries: 2, retriable_status_codes: [503] },
    both: { retry_on: both, num_retries: 2, retriable_status_codes: [503] },
  }
  t.strictSame(await attempts(t, [500, 503], policies), { word: [1, 1], code: [1, 1], both: [1, 3] })
})

test('gateway-error is 502, 503 and 504, 5xx every status from 500, and an unknown word nothing', async t => {
  const policies = {
    gateway: { retry_on: 'gateway-error' },
    server: { retry_on: '5xx' },
    client: { retry_on: 'retriable-4xx' },
    unknown: { retry_on: 'no-such-thing' },
  }
  t.strictSame(await attempts(t, [409, 500, 502, 503, 504, 599], policies), {
    gateway: [1, 1, 2, 2, 2, 1],
    server: [1, 2, 2, 2, 2, 2],
    client: [2, 1, 1, 1, 1, 1],
    unknown: [1, 1, 1, 1, 1, 1],
  })
})

const added = (key: string, value: string, append_action = 'OVERWRITE_IF_EXISTS_OR_ADD', fields: object = {}) => ({
  header: { key, value },
  append_action,
  ...fields,
})
const adding = (...request_headers_to_add: object[]) => ({ match: all, route: toApp(), request_headers_to_add })

test('host_rewrite_literal replaces the host with its port, and may name one', async t => {
  const envoy = await withRoutes(t, [
    { match: { prefix: '/port' }, route: toApp({ host_rewrite_literal: 'bar.com:81' }) },
    { match: all, route: toApp({ host_rewrite_literal: 'Bar.com' }) },
  ])
  t.equal((await envoy.arrival({ host: 'foo.com:8080' })).host, 'Bar.com')
  t.equal((await envoy.arrival({ path: '/port' })).host, 'bar.com:81')
  t.equal((await envoy.arrival({})).headers['x-forwarded-host'], undefined)
})

test('request_headers_to_add with Host or :authority is refused, so istiod writes host_rewrite_literal instead', async t => {
  for (const key of ['Host', 'host', ':authority', ':path']) {
    t.match(await refusal([adding(added(key, 'bar.com'))]), /header/i, key)
  }
  t.match(await refusal([{ match: all, route: toApp(), request_headers_to_remove: ['host'] }]), /header/i)
})

test('host_rewrite_literal of a route wins over that of one of several destinations', async t => {
  const clusters = [{ name: 'app', weight: 1, host_rewrite_literal: 'destination.com' }]
  const envoy = await withRoutes(t, [
    { match: { prefix: '/route' }, route: { weighted_clusters: { clusters }, host_rewrite_literal: 'route.com' } },
    { match: all, route: { weighted_clusters: { clusters } } },
  ])
  t.equal((await envoy.arrival({ path: '/route' })).host, 'route.com')
  t.equal((await envoy.arrival({})).host, 'destination.com')
})

test('a header is set and then added to, in the order of the list', async t => {
  const envoy = await withRoutes(t, [adding(added('x', 'set'), added('x', 'added', 'APPEND_IF_EXISTS_OR_ADD'))])
  t.strictSame((await envoy.arrival({ headers: [['X', 'sent']] })).headers.x, ['set', 'added'])
})

test('a header is removed before it is added, also by the same route', async t => {
  const envoy = await withRoutes(t, [
    { ...adding(added('x', 'added', 'APPEND_IF_EXISTS_OR_ADD')), request_headers_to_remove: ['x'] },
  ])
  t.strictSame((await envoy.arrival({ headers: [['x', 'sent']] })).headers.x, ['added'])
})

test('an empty header value is not set, and what was there stays', async t => {
  const envoy = await withRoutes(t, [adding(added('x', ''), added('y', ''))])
  const { headers } = await envoy.arrival({ headers: [['x', 'sent']] })
  t.strictSame([headers.x, headers.y], [['sent'], undefined])
})

test('a header value between percent signs is a formatter, and an unknown one is refused', async t => {
  const envoy = await withRoutes(t, [adding(added('x', '%REQ(:path)% 100%%'))])
  t.strictSame((await envoy.arrival({ path: '/a' })).headers.x, ['/a 100%'])
  t.match(await refusal([adding(added('x', '%FOO%'))]), /FOO|format/i)
  t.match(await refusal([adding(added('x', '100%'))]), /format|%/i)
})

test('of several destinations the headers are set before those of the route, of a single one after them', async t => {
  const clusters = [{ name: 'app', weight: 1, request_headers_to_add: [added('x', 'destination')] }]
  const envoy = await withRoutes(t, [
    {
      match: { prefix: '/several' },
      route: { weighted_clusters: { clusters } },
      request_headers_to_add: [added('x', 'route')],
    },
    // processDestination appends those of a single destination to those of the route.
    adding(added('x', 'route'), added('x', 'destination')),
  ])
  t.strictSame((await envoy.arrival({ path: '/several' })).headers.x, ['route'])
  t.strictSame((await envoy.arrival({})).headers.x, ['destination'])
})

test('a condition on headers sees the request before headers are changed', async t => {
  const envoy = await withRoutes(t, [
    { match: { prefix: '/', headers: [{ name: 'x', present_match: true }] }, direct_response: { status: 500 } },
    adding(added('x', 'set')),
  ])
  t.strictSame((await envoy.arrival({})).headers.x, ['set'])
})
