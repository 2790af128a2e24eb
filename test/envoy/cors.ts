// What Envoy's CORS filter makes of `corsPolicy` (TranslateCORSPolicy) and of a CORS filter, which istiod turns into one
// first (createCorsFilter).
import t from 'tap'
import { type Envoy, envoyTests, named, toApp, withRoutes } from './index.ts'
import type { Response } from './send.ts'

const test = await envoyTests(t)

const cors = (policy: object) => ({
  'envoy.filters.http.cors': {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy',
    filter_enabled: { default_value: { numerator: 100, denominator: 'HUNDRED' } },
    forward_not_matching_preflights: true,
    ...policy,
  },
})
const withCors = (policy: object, match: object = { prefix: '/' }) => ({
  match,
  route: toApp(),
  typed_per_filter_config: cors(policy),
})

function preflight(envoy: Envoy, origin: string, path = '/'): Promise<Response> {
  const headers = [
    ['Origin', origin],
    ['Access-Control-Request-Method', 'PUT'],
  ] as const
  return envoy.send({ method: 'OPTIONS', path, headers })
}

/** Of some origins, those that a matcher allows, for preflights and for simple requests alike. */
async function allowed(t: Parameters<typeof withRoutes>[0], ...matchers: object[]): Promise<string[]> {
  const envoy = await withRoutes(t, [withCors({ allow_origin_string_match: matchers, allow_methods: 'PUT' })])
  const origins = [
    'https://foo.com',
    'https://foo.com:8443',
    'http://foo.com',
    'https://a.foo.com',
    'https://foo.com.evil',
    'HTTPS://FOO.com',
    'null',
  ]
  const allowed: string[] = []
  for (const origin of origins) {
    const simple = (await envoy.send({ headers: [['Origin', origin]] })).headers['access-control-allow-origin']
    const asked = (await preflight(envoy, origin)).headers['access-control-allow-origin']
    t.equal(asked, simple)
    if (simple !== undefined) {
      t.equal(simple, origin, 'the origin comes back as it was sent')
      allowed.push(origin)
    }
  }
  return allowed
}

const all = [
  'https://foo.com',
  'https://foo.com:8443',
  'http://foo.com',
  'https://a.foo.com',
  'https://foo.com.evil',
  'HTTPS://FOO.com',
  'null',
]

test('an exact origin is matched to the letter, with its port', async t => {
  t.strictSame(await allowed(t, { exact: 'https://foo.com' }), ['https://foo.com'])
})

test('a prefix of an origin also takes other hosts that begin like it', async t => {
  t.strictSame(await allowed(t, { prefix: 'https://foo.com' }), [
    'https://foo.com',
    'https://foo.com:8443',
    'https://foo.com.evil',
  ])
})

test('a regex matches an origin as a whole', async t => {
  t.strictSame(await allowed(t, { safe_regex: { regex: 'https://.*\\.foo\\.com' } }), ['https://a.foo.com'])
  t.strictSame(await allowed(t, { safe_regex: { regex: 'foo' } }), [])
})

test('the exact origin * takes every origin, null too', async t => {
  t.strictSame(await allowed(t, { exact: '*' }), all)
})

test('the regex .* takes null, and a regex that asks for a scheme does not', async t => {
  t.strictSame(await allowed(t, { safe_regex: { regex: '.*' } }), all)
  t.strictSame(
    await allowed(t, { safe_regex: { regex: 'https?://.*' } }),
    all.filter(origin => origin.startsWith('http')),
  )
})

test('a matcher that matches the text * takes every origin', async t => {
  t.strictSame(await allowed(t, { safe_regex: { regex: '[^h]' } }), all)
})

test('Envoy answers a preflight itself, with what the policy says', async t => {
  const envoy = await withRoutes(t, [
    withCors({
      allow_origin_string_match: [{ exact: 'https://foo.com' }],
      allow_methods: 'GET,PUT',
      allow_headers: 'x-a,x-b',
      expose_headers: 'x-c',
      allow_credentials: true,
      max_age: '600',
    }),
  ])
  const { status, headers } = await preflight(envoy, 'https://foo.com')
  t.equal(status, 200)
  t.strictSame(corsHeaders(headers), {
    'access-control-allow-origin': 'https://foo.com',
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'GET,PUT',
    'access-control-allow-headers': 'x-a,x-b',
    'access-control-expose-headers': 'x-c',
    'access-control-max-age': '600',
  })
  t.strictSame(envoy.arrivalsAt('app'), [])
  const simple = await envoy.send({ headers: [['Origin', 'https://foo.com']] })
  t.strictSame(corsHeaders(simple.headers), {
    'access-control-allow-origin': 'https://foo.com',
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': 'x-c',
  })
})

test('without max_age, and without the other lists, their headers are not sent', async t => {
  const envoy = await withRoutes(t, [withCors({ allow_origin_string_match: [{ exact: '*' }] })])
  const { headers } = await preflight(envoy, 'https://foo.com')
  t.strictSame(corsHeaders(headers), { 'access-control-allow-origin': 'https://foo.com' })
})

test('a preflight from another origin reaches the upstream, unless forward_not_matching_preflights is false', async t => {
  const policy = { allow_origin_string_match: [{ exact: 'https://foo.com' }] }
  const envoy = await withRoutes(t, [
    withCors({ ...policy, forward_not_matching_preflights: false }, { prefix: '/ignored' }),
    withCors(policy),
  ])
  const forwarded = await preflight(envoy, 'https://bar.com')
  t.equal(forwarded.headers['x-echo'], 'true')
  t.strictSame(corsHeaders(forwarded.headers), {})
  const ignored = await preflight(envoy, 'https://bar.com', '/ignored')
  t.equal(ignored.status, 200)
  t.equal(ignored.headers['x-echo'], undefined)
  t.strictSame(corsHeaders(ignored.headers), {})
})

test('a request from another origin reaches the upstream, also when forward_not_matching_preflights is false', async t => {
  const policy = { allow_origin_string_match: [{ exact: 'https://foo.com' }], forward_not_matching_preflights: false }
  const envoy = await withRoutes(t, [withCors(policy)])
  const { headers } = await envoy.send({ method: 'PUT', headers: [['Origin', 'https://bar.com']] })
  t.equal(headers['x-echo'], 'true')
  t.strictSame(corsHeaders(headers), {})
})

test('an OPTIONS request without Access-Control-Request-Method is no preflight', async t => {
  const envoy = await withRoutes(t, [withCors({ allow_origin_string_match: [{ exact: '*' }] })])
  const { headers } = await envoy.send({ method: 'OPTIONS', headers: [['Origin', 'https://foo.com']] })
  t.equal(headers['x-echo'], 'true')
})

test('a preflight takes the route of an OPTIONS request, so the policy of a route for GET does not answer it', async t => {
  const get = { prefix: '/', headers: [{ name: ':method', string_match: { exact: 'GET' } }] }
  const envoy = await withRoutes(t, [
    withCors({ allow_origin_string_match: [{ exact: '*' }] }, get),
    named('rest', { prefix: '/' }),
  ])
  const { body, headers } = await preflight(envoy, 'https://foo.com')
  t.equal(body, 'rest')
  t.strictSame(corsHeaders(headers), {})
})

test('a policy means nothing on a redirect or a direct response', async t => {
  const policy = cors({ allow_origin_string_match: [{ exact: '*' }] })
  const envoy = await withRoutes(t, [
    { match: { prefix: '/moved' }, redirect: { path_redirect: '/x' }, typed_per_filter_config: policy },
    { ...named('direct', { prefix: '/' }), typed_per_filter_config: policy },
  ])
  for (const path of ['/moved', '/']) {
    const simple = await envoy.send({ path, headers: [['Origin', 'https://foo.com']] })
    const asked = await preflight(envoy, 'https://foo.com', path)
    t.strictSame([corsHeaders(simple.headers), corsHeaders(asked.headers)], [{}, {}])
    t.equal(asked.status, path === '/' ? 200 : 301)
  }
})

function corsHeaders(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')))
}
