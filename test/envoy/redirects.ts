// What Location says for `redirect` (ApplyRedirect), for a RequestRedirect, which istiod turns into such a redirect first
// (createRedirectFilter), and for `tls.httpsRedirect` of a server (buildGatewayHTTPRouteConfig).
import t, { type Test } from 'tap'
import { localCertificate } from '../control-plane/certificate.ts'
import { type Envoy, envoyTests, named, start, withRoutes } from './index.ts'

const test = await envoyTests(t)

/** Routes that redirect, by the prefix that leads to them. The listener's port is none of 80 and 443. */
function redirecting(t: Test, redirects: Record<string, object>): Promise<Envoy> {
  return withRoutes(
    t,
    Object.entries(redirects).map(([prefix, redirect]) => ({ match: { prefix }, redirect })),
  )
}

const hosts = ['foo.com', 'foo.com:80', 'foo.com:443', 'foo.com:8080'] as const

/** The Locations for the values of Host above. */
async function locations(envoy: Envoy, path: string): Promise<Record<string, string | number>> {
  const outcomes: Record<string, string | number> = {}
  for (const host of hosts) outcomes[host] = await envoy.outcome({ host, path })
  return outcomes
}

test('path_redirect replaces the path and keeps the query, unless it has one of its own or strip_query is set', async t => {
  const envoy = await redirecting(t, {
    '/own': { path_redirect: '/x?c' },
    '/strip': { path_redirect: '/x', strip_query: true },
    '/': { path_redirect: '/x' },
  })
  const expected = {
    '/a/b': 'http://foo.com/x',
    '/a?b': 'http://foo.com/x?b',
    '/own?b': 'http://foo.com/x?c',
    '/strip?b': 'http://foo.com/x',
  }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('an empty path_redirect, as istiod writes it for no uri, keeps path and query', async t => {
  const envoy = await redirecting(t, { '/': { scheme_redirect: 'https', path_redirect: '' } })
  t.equal(await envoy.outcome({ path: '/a//b/?c' }), 'https://foo.com/a//b/?c')
})

test('prefix_rewrite in a redirect replaces text, so a path-separated /foo -> / leaves a double slash', async t => {
  const envoy = await withRoutes(t, [
    { match: { path_separated_prefix: '/foo' }, redirect: { prefix_rewrite: '/' } },
    { match: { path_separated_prefix: '/bar' }, redirect: { prefix_rewrite: '/x' } },
    { match: { path: '/exact' }, redirect: { prefix_rewrite: '/x' } },
  ])
  const expected = {
    '/foo/bar': 'http://foo.com//bar',
    '/foo': 'http://foo.com/',
    '/bar/foo?a': 'http://foo.com/x/foo?a',
    '/bar': 'http://foo.com/x',
    '/bars': 404,
    '/exact?a': 'http://foo.com/x?a',
  }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('a redirect in which nothing is set leads to where the request came from, port and all', async t => {
  const envoy = await redirecting(t, { '/': {} })
  t.strictSame(await locations(envoy, '/a?b'), {
    'foo.com': 'http://foo.com/a?b',
    'foo.com:80': 'http://foo.com:80/a?b',
    'foo.com:443': 'http://foo.com:443/a?b',
    'foo.com:8080': 'http://foo.com:8080/a?b',
  })
})

test('host_redirect replaces the host of the client with its port, and may name one', async t => {
  const envoy = await redirecting(t, { '/port': { host_redirect: 'bar.com:81' }, '/': { host_redirect: 'bar.com' } })
  for (const host of hosts) {
    t.equal(await envoy.outcome({ host, path: '/a' }), 'http://bar.com/a')
    t.equal(await envoy.outcome({ host, path: '/port' }), 'http://bar.com:81/port')
  }
})

test('scheme_redirect keeps the port of the client, except the usual one of the scheme that it came with', async t => {
  const envoy = await redirecting(t, { '/https': { https_redirect: true }, '/': { scheme_redirect: 'https' } })
  for (const path of ['/https?b', '/scheme?b']) {
    t.strictSame(await locations(envoy, path), {
      'foo.com': `https://foo.com${path}`,
      'foo.com:80': `https://foo.com${path}`,
      'foo.com:443': `https://foo.com:443${path}`,
      'foo.com:8080': `https://foo.com:8080${path}`,
    })
  }
})

test('port_redirect replaces the port of the client, and Envoy writes also the usual one of the scheme', async t => {
  const envoy = await redirecting(t, {
    '/80': { port_redirect: 80 },
    '/443': { port_redirect: 443, scheme_redirect: 'https' },
    '/8443': { port_redirect: 8443, scheme_redirect: 'https' },
    '/host': { port_redirect: 8080, host_redirect: 'bar.com' },
  })
  for (const host of hosts) {
    t.equal(await envoy.outcome({ host, path: '/80' }), 'http://foo.com:80/80')
    t.equal(await envoy.outcome({ host, path: '/443' }), 'https://foo.com:443/443')
    t.equal(await envoy.outcome({ host, path: '/8443' }), 'https://foo.com:8443/8443')
    t.equal(await envoy.outcome({ host, path: '/host' }), 'http://bar.com:8080/host')
  }
})

test('every redirect code is sent as it is', async t => {
  const codes = {
    MOVED_PERMANENTLY: 301,
    FOUND: 302,
    SEE_OTHER: 303,
    TEMPORARY_REDIRECT: 307,
    PERMANENT_REDIRECT: 308,
  }
  const redirects = Object.entries(codes).map(([response_code, status]) => [`/${status}`, { response_code }] as const)
  const envoy = await redirecting(t, Object.fromEntries(redirects))
  for (const status of Object.values(codes)) t.equal((await envoy.send({ path: `/${status}` })).status, status)
})

test('require_tls: ALL, which is httpsRedirect, answers 301 before routes are asked and keeps every port', async t => {
  const served = named('served', { prefix: '/' })
  const envoy = await start(t, {
    virtualHosts: [
      { name: 'foo.com:80', domains: ['foo.com'], require_tls: 'ALL' },
      { name: 'bar.com:80', domains: ['bar.com'], require_tls: 'ALL', routes: [served] },
    ],
  })
  t.equal((await envoy.send({})).status, 301)
  t.strictSame(await locations(envoy, '/a?b'), {
    'foo.com': 'https://foo.com/a?b',
    'foo.com:80': 'https://foo.com:80/a?b',
    'foo.com:443': 'https://foo.com:443/a?b',
    'foo.com:8080': 'https://foo.com:8080/a?b',
  })
  t.equal(await envoy.outcome({ host: 'bar.com', path: '/a' }), 'https://bar.com/a')
  t.equal(await envoy.outcome({ host: 'baz.com' }), 404)
})

test('on a TLS listener https is the scheme that a request came with', async t => {
  const certificate = await localCertificate()
  const to = (prefix: string, redirect: object) => ({ match: { prefix }, redirect })
  const routes = [to('/http', { scheme_redirect: 'http' }), to('/', { path_redirect: '/x' })]
  const envoy = await withRoutes(t, routes, { certificate })
  t.strictSame(await locations(envoy, '/'), {
    'foo.com': 'https://foo.com/x',
    'foo.com:80': 'https://foo.com:80/x',
    'foo.com:443': 'https://foo.com:443/x',
    'foo.com:8080': 'https://foo.com:8080/x',
  })
  t.equal(await envoy.outcome({ path: '/http', host: 'foo.com:443' }), 'http://foo.com/http')
  t.equal(await envoy.outcome({ path: '/http', host: 'foo.com:80' }), 'http://foo.com:80/http')
})
