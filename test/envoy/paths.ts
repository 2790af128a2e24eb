// Which paths a route takes (TranslateRouteMatch), and what the path is when routes are asked.
import t from 'tap'
import { envoyTests, named, refusal, toApp, withRoutes } from './index.ts'

const test = await envoyTests(t)

test('the first route that matches wins, however specific the others are', async t => {
  const envoy = await withRoutes(t, [
    named('canary', { prefix: '/api', headers: [{ name: 'x', present_match: true }] }),
    named('api', { prefix: '/api' }),
    named('exact', { path: '/api/v1' }),
    named('longer', { prefix: '/api/v1/users' }),
  ])
  t.strictSame(await envoy.outcomes(['/api/v1', '/api/v1/users']), { '/api/v1': 'api', '/api/v1/users': 'api' })
  t.equal(await envoy.outcome({ path: '/api/v1', headers: [['x', '1']] }), 'canary')
})

test('a path is matched without its query', async t => {
  const envoy = await withRoutes(t, [
    named('exact', { path: '/foo' }),
    named('regex', { safe_regex: { regex: '/bar' } }),
    named('separated', { path_separated_prefix: '/baz' }),
  ])
  const expected = { '/foo?x': 'exact', '/foo?': 'exact', '/bar?x=/': 'regex', '/baz?x': 'separated' }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('a fragment is cut off before routes are asked, as Istio configures it', async t => {
  const envoy = await withRoutes(t, [{ match: { path: '/foo' }, route: toApp() }])
  t.strictSame(await envoy.outcomes(['/foo#x', '/foo?a#x', '/#/foo']), {
    '/foo#x': '/foo',
    '/foo?a#x': '/foo?a',
    '/#/foo': 404,
  })
})

test('a question mark in a prefix or an exact path never matches', async t => {
  const envoy = await withRoutes(t, [named('prefix', { prefix: '/foo?' }), named('exact', { path: '/foo?x' })])
  t.strictSame(await envoy.outcomes(['/foo?x', '/foo%3Fx', '/foo']), { '/foo?x': 404, '/foo%3Fx': 404, '/foo': 404 })
})

test('a prefix or an exact path without leading slash never matches', async t => {
  const envoy = await withRoutes(t, [named('prefix', { prefix: 'foo' }), named('exact', { path: 'foo' })])
  t.strictSame(await envoy.outcomes(['/foo', '/foo/bar']), { '/foo': 404, '/foo/bar': 404 })
})

test('a request for a path without leading slash is refused before routes are asked', async t => {
  const envoy = await withRoutes(t, [named('prefix', { prefix: 'foo' }), named('all', { prefix: '' })])
  t.equal(await envoy.outcome({ path: 'foo' }), 400)
})

test('the empty prefix takes every path', async t => {
  const envoy = await withRoutes(t, [named('all', { prefix: '' })])
  t.strictSame(await envoy.outcomes(['/', '/foo']), { '/': 'all', '/foo': 'all' })
})

test('a path-separated prefix ends at a slash or at the end, and at nothing else', async t => {
  const envoy = await withRoutes(t, [named('separated', { path_separated_prefix: '/foo' })])
  const expected = {
    '/foo': 'separated',
    '/foo/': 'separated',
    '/foo/bar': 'separated',
    '/foo//bar': 'separated',
    '/foo?x': 'separated',
    '/foobar': 404,
    '/foo;x': 404,
    '/foo.html': 404,
    '/foo%2Fbar': 404,
  }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('a path-separated prefix with a slash at its end is refused, also one that is / alone', async t => {
  t.match(await refusal([named('x', { path_separated_prefix: '/foo/' })]), /path_separated_prefix|PathSeparatedPrefix/)
  t.match(await refusal([named('x', { path_separated_prefix: '/' })]), /path_separated_prefix|PathSeparatedPrefix/)
})

test('a path-separated /foo and the regex /foo[^/].* take together what the prefix /foo takes', async t => {
  const envoy = await withRoutes(t, [
    named('separated', { path_separated_prefix: '/foo' }),
    named('rest', { safe_regex: { regex: '/foo[^/].*' } }),
  ])
  const expected = { '/foo': 'separated', '/foo/': 'separated', '/foobar': 'rest', '/foo;x': 'rest', '/fo': 404 }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('path parameters after a semicolon are part of the path', async t => {
  const envoy = await withRoutes(t, [named('exact', { path: '/foo' }), named('prefix', { prefix: '/foo' })])
  t.equal(await envoy.outcome({ path: '/foo;x' }), 'prefix')
})

test('double slashes are not merged', async t => {
  const envoy = await withRoutes(t, [
    { match: { prefix: '/foo/bar' }, route: toApp({ prefix_rewrite: '/merged' }) },
    { match: { prefix: '/' }, route: toApp() },
  ])
  const paths = ['//foo/bar', '/foo//bar', '/foo/bar//']
  t.strictSame(await envoy.outcomes(paths), {
    '//foo/bar': '//foo/bar',
    '/foo//bar': '/foo//bar',
    '/foo/bar//': '/merged//',
  })
})

test('dot segments and backslashes are resolved before routes are asked, as Istio configures it', async t => {
  const envoy = await withRoutes(t, [{ match: { prefix: '/' }, route: toApp() }])
  const expected = {
    '/a/../b': '/b',
    '/a/./b': '/a/b',
    '/a/%2e%2e/b': '/b',
    '/../b': '/b',
    '/a/..': '/',
    '/a\\b': '/a/b',
    '/a//../b': '/a/b',
  }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('normalization decodes percent-encoded letters and encodes what a URL may not hold', async t => {
  const envoy = await withRoutes(t, [{ match: { prefix: '/' }, route: toApp() }])
  const expected = {
    '/%61bc': '/abc',
    '/a%7Eb': '/a~b',
    '/a%2Fb': '/a%2Fb',
    '/a%2fb': '/a%2fb',
    '/a%5Cb': '/a%5Cb',
    '/a%20b': '/a%20b',
    '/a%3Fb': '/a%3Fb',
    '/a%zzb': '/a%zzb',
    '/a{b}': '/a%7Bb%7D',
    '/a|b': '/a%7Cb',
    '/a"b': '/a%22b',
    '/a^b': '/a%5Eb',
    '/a:@b': '/a:@b',
    "/a!$&'()*+,;=b": "/a!$&'()*+,;=b",
    '/a%00b': 400,
    '/\u00fc': 400,
  }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('a path or a prefix that normalization would change never matches', async t => {
  const envoy = await withRoutes(t, [
    named('encoded letter', { path: '/%61' }),
    named('brace', { prefix: '/a{' }),
    named('blank', { prefix: '/a b' }),
    named('dots', { prefix: '/x/../y' }),
    named('encoded brace', { prefix: '/b%7B' }),
    named('encoded slash', { path: '/c%2Fd' }),
    named('encoded slash in lower case', { path: '/c%2fd' }),
  ])
  const expected = {
    '/%61': 404,
    '/a{': 404,
    '/a%20b': 404,
    '/x/../y': 404,
    '/b{': 'encoded brace',
    '/b%7B': 'encoded brace',
    '/b%7b': 404,
    '/c%2Fd': 'encoded slash',
    '/c%2fd': 'encoded slash in lower case',
    '/c/d': 404,
  }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('without normalization nothing of the path is touched', async t => {
  const envoy = await withRoutes(t, [{ match: { prefix: '/' }, route: toApp() }], {
    connectionManager: { normalize_path: false },
  })
  const paths = ['/a/../b', '/%61bc', '/a\\b']
  t.strictSame(await envoy.outcomes(paths), { '/a/../b': '/a/../b', '/%61bc': '/%61bc', '/a\\b': '/a\\b' })
})

test('an absolute request target gives its path and its host', async t => {
  const envoy = await withRoutes(t, [{ match: { prefix: '/foo' }, route: toApp() }])
  const { path, host } = await envoy.arrival({ path: 'http://bar.com/foo?a', host: 'foo.com' })
  t.strictSame([path, host], ['/foo?a', 'bar.com'])
})

const method = (matcher: object) => ({ prefix: '/', headers: [{ name: ':method', string_match: matcher }] })

test('a method is matched to the letter', async t => {
  const envoy = await withRoutes(t, [
    named('get', method({ exact: 'get' })),
    named('GET', method({ exact: 'GET' })),
    named('regex', method({ safe_regex: { regex: 'POST|PROPFIND' } })),
    named('prefix', method({ prefix: 'PA' })),
  ])
  const methods = ['GET', 'POST', 'PROPFIND', 'PATCH', 'PUT']
  const outcomes = await Promise.all(methods.map(method => envoy.outcome({ method })))
  t.strictSame(outcomes, ['GET', 'regex', 'regex', 'prefix', 404])
})

test("a method in lower case or of one's own never reaches a route", async t => {
  const envoy = await withRoutes(t, [named('get', method({ exact: 'get' })), named('all', { prefix: '/' })])
  t.equal(await envoy.outcome({ method: 'get' }), 400)
  t.equal(await envoy.outcome({ method: 'FROBNICATE' }), 400)
})

test('a regex on the method matches it as a whole', async t => {
  const envoy = await withRoutes(t, [named('regex', method({ safe_regex: { regex: 'P' } }))])
  t.equal(await envoy.outcome({ method: 'PUT' }), 404)
})
