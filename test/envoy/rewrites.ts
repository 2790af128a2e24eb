// What Envoy makes of `rewrite` (applyHTTPRouteDestination) and of a URLRewrite, which istiod turns into such a rewrite
// first (createRewriteFilter in pilot/pkg/config/kube/gateway/conversion.go).
import t from 'tap'
import { envoyTests, toApp, withRoutes } from './index.ts'

const test = await envoyTests(t)

const rewritten = (match: object, rewrite: string) => ({ match, route: toApp({ prefix_rewrite: rewrite }) })
const substituted = (match: object, regex: string, substitution: string) => ({
  match,
  route: toApp({ regex_rewrite: { pattern: { regex }, substitution } }),
})

test('prefix_rewrite replaces the text of a prefix, wherever a path element ends', async t => {
  const envoy = await withRoutes(t, [
    rewritten({ prefix: '/a/' }, '/'),
    rewritten({ prefix: '/b' }, '/x'),
    rewritten({ prefix: '/c' }, '/x/'),
    rewritten({ prefix: '/d/' }, '/x'),
    rewritten({ prefix: '/e/' }, '/x/'),
  ])
  const expected = {
    '/a/bar': '/bar',
    '/a/': '/',
    '/a': 404,
    '/b/bar': '/x/bar',
    '/b': '/x',
    '/bar': '/xar',
    '/c/bar': '/x//bar',
    '/c': '/x/',
    '/d/bar': '/xbar',
    '/e/bar': '/x/bar',
  }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('prefix_rewrite from /foo to / leaves a double slash', async t => {
  const envoy = await withRoutes(t, [rewritten({ prefix: '/foo' }, '/')])
  const expected = { '/foo/bar': '//bar', '/foo': '/', '/foo/': '//', '/foobar': '/bar' }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('prefix_rewrite of the prefix / swallows the first slash', async t => {
  const to = async (rewrite: string) => {
    const envoy = await withRoutes(t, [rewritten({ prefix: '/' }, rewrite)])
    return envoy.outcomes(['/foo/bar', '/'])
  }
  t.strictSame(await to('/x'), { '/foo/bar': '/xfoo/bar', '/': '/x' })
  t.strictSame(await to('/x/'), { '/foo/bar': '/x/foo/bar', '/': '/x/' })
  t.strictSame(await to('/'), { '/foo/bar': '/foo/bar', '/': '/' })
})

test('prefix_rewrite of the empty prefix puts its text before the path', async t => {
  const envoy = await withRoutes(t, [rewritten({ prefix: '' }, '/x')])
  t.strictSame(await envoy.outcomes(['/foo/bar', '/']), { '/foo/bar': '/x/foo/bar', '/': '/x/' })
})

test('prefix_rewrite on an exact path or on a regex replaces the whole path', async t => {
  const envoy = await withRoutes(t, [
    rewritten({ path: '/foo' }, '/x'),
    rewritten({ safe_regex: { regex: '/[a-z]+/bar' } }, '/y'),
  ])
  t.strictSame(await envoy.outcomes(['/foo?a=1', '/foo/bar?a=1']), { '/foo?a=1': '/x?a=1', '/foo/bar?a=1': '/y?a=1' })
})

test('prefix_rewrite on a path-separated prefix replaces whole path elements', async t => {
  const envoy = await withRoutes(t, [rewritten({ path_separated_prefix: '/foo' }, '/x')])
  const expected = { '/foo/bar': '/x/bar', '/foo': '/x', '/foo/': '/x/', '/foo//bar': '/x//bar', '/foobar': 404 }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('prefix_rewrite on a case-insensitive prefix replaces the text as the client wrote it', async t => {
  const envoy = await withRoutes(t, [rewritten({ prefix: '/foo', case_sensitive: false }, '/x')])
  t.strictSame(await envoy.outcomes(['/FOO/Bar']), { '/FOO/Bar': '/x/Bar' })
})

test('a prefix that is rewritten to itself arrives unchanged', async t => {
  const envoy = await withRoutes(t, [
    rewritten({ prefix: '/foo/' }, '/foo/'),
    { match: { prefix: '/' }, route: toApp() },
  ])
  const { path, headers } = await envoy.arrival({ path: '/foo/bar' })
  t.equal(path, '/foo/bar')
  t.strictSame(headers['x-envoy-original-path'], ['/foo/bar'])
  t.equal((await envoy.arrival({ path: '/bar' })).headers['x-envoy-original-path'], undefined)
})

test('the substitution /\\2 of ^/p(/?)(.*) removes a prefix and keeps one slash', async t => {
  const envoy = await withRoutes(t, [substituted({ path_separated_prefix: '/p' }, '^/p(/?)(.*)', '/\\2')])
  const expected = { '/p/bar': '/bar', '/p': '/', '/p/': '/', '/p//bar': '//bar', '/p/p/bar': '/p/bar' }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('the same substitution of ^(/?)(.*), which is / -> /, changes nothing', async t => {
  const envoy = await withRoutes(t, [substituted({ prefix: '/' }, '^(/?)(.*)', '/\\2')])
  const expected = { '/': '/', '/foo/bar?a': '/foo/bar?a', '//foo': '//foo' }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('the substitution of /.* replaces the whole path', async t => {
  const envoy = await withRoutes(t, [substituted({ prefix: '/' }, '/.*', '/x')])
  const expected = { '/': '/x', '/a/b': '/x', '//a//': '/x', '/a?b=/c': '/x?b=/c' }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('regex_rewrite replaces every place that matches, not only the first', async t => {
  const envoy = await withRoutes(t, [substituted({ prefix: '/' }, '/a', '/b')])
  t.strictSame(await envoy.outcomes(['/a/a/c/a']), { '/a/a/c/a': '/b/b/c/b' })
})

test('in a substitution \\0 is the whole match and a double backslash is one backslash', async t => {
  const envoy = await withRoutes(t, [
    substituted({ prefix: '/all/' }, '/.*', '/x\\0'),
    substituted({ prefix: '/backslash/' }, '/.*', '/x\\\\y'),
  ])
  t.strictSame(await envoy.outcomes(['/all/a', '/backslash/a']), { '/all/a': '/x/all/a', '/backslash/a': '/x\\y' })
})

test('a backslash before anything else spoils the substitution: it is cut there, or not made at all', async t => {
  const envoy = await withRoutes(t, [
    substituted({ prefix: '/cut/' }, '/.*', '/x\\y'),
    substituted({ prefix: '/end/' }, '/.*', '/x\\'),
    substituted({ prefix: '/group/' }, '/.*', '/x\\1'),
  ])
  t.strictSame(await envoy.outcomes(['/cut/a', '/end/a', '/group/a']), {
    '/cut/a': '/x',
    '/end/a': '/x',
    '/group/a': '/group/a',
  })
})

test('an empty substitution is not made', async t => {
  const envoy = await withRoutes(t, [substituted({ prefix: '/' }, '/.*', '')])
  t.equal(await envoy.outcome({ path: '/foo' }), '/foo')
})

test('the query string survives every rewrite and takes no part in it', async t => {
  const envoy = await withRoutes(t, [
    rewritten({ prefix: '/a/' }, '/'),
    rewritten({ path: '/b' }, '/x'),
    rewritten({ path_separated_prefix: '/c' }, '/x'),
    substituted({ path_separated_prefix: '/d' }, '^/d(/?)(.*)', '/\\2'),
    substituted({ prefix: '/e' }, '/.*', '/x'),
  ])
  const expected = {
    '/a/bar?q=/a/&r': '/bar?q=/a/&r',
    '/b?q=/b': '/x?q=/b',
    '/c?q=%2Fc': '/x?q=%2Fc',
    '/d?q=/d': '/?q=/d',
    '/d/bar?': '/bar?',
    '/e?q': '/x?q',
  }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('a rewrite may carry a query of its own', async t => {
  const envoy = await withRoutes(t, [rewritten({ prefix: '/foo' }, '/x?a=1')])
  t.strictSame(await envoy.outcomes(['/foo', '/foo?b=2']), { '/foo': '/x?a=1', '/foo?b=2': '/x?a=1?b=2' })
})
