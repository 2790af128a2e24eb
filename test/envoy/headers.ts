// Conditions on headers (translateHeaderMatch; withoutHeaders in TranslateRouteMatch).
import t, { type Test } from 'tap'
import type { Listener } from './bootstrap.ts'
import { envoyTests, named, refusal, withRoutes } from './index.ts'

const test = await envoyTests(t)

const exact = (exact: string) => ({ string_match: { exact } })
const prefix = (prefix: string) => ({ string_match: { prefix } })
const regex = (regex: string) => ({ string_match: { safe_regex: { regex } } })
const present = { present_match: true }
/** As istiod writes withoutHeaders, save for presence, which bears no treat_missing_header_as_empty. */
const without = (matcher: object) => ({ ...matcher, invert_match: true, treat_missing_header_as_empty: true })

/** Requests by name, as the values of x in them, each a header line of its own. */
const requests = {
  none: [],
  empty: [''],
  a: ['a'],
  b: ['b'],
  A: ['A'],
  aa: ['aa'],
  blanks: ['  a  '],
  'a,b': ['a,b'],
  'a & b': ['a', 'b'],
  'b & a': ['b', 'a'],
  'c & d': ['c', 'd'],
}
const single = ['none', 'empty', 'a', 'b', 'A', 'aa', 'blanks'] as const
const several = ['a', 'a,b', 'a & b', 'b & a', 'c & d'] as const

/** Of some requests, those that each of some conditions on x takes. */
async function taken(
  t: Test,
  names: readonly (keyof typeof requests)[],
  matchers: Record<string, object>,
  listener: Partial<Listener> = {},
): Promise<Record<string, string[]>> {
  const entries = Object.entries(matchers)
  const routes = entries.map(([, matcher], i) =>
    named('taken', { path: `/${i}`, headers: [{ name: 'x', ...matcher }] }),
  )
  const envoy = await withRoutes(t, routes, listener)
  const taken: Record<string, string[]> = {}
  for (const [i, [matcher]] of entries.entries()) {
    taken[matcher] = []
    for (const name of names) {
      const headers = requests[name].map(value => ['x', value] as const)
      if ((await envoy.outcome({ path: `/${i}`, headers })) === 'taken') taken[matcher].push(name)
    }
  }
  return taken
}

test('a header is matched to the letter, without the blanks around it', async t => {
  t.strictSame(await taken(t, single, { exact: exact('a') }), { exact: ['a', 'blanks'] })
})

test('a prefix matches the beginning of a header, and a regex a header as a whole', async t => {
  t.strictSame(await taken(t, single, { prefix: prefix('a'), regex: regex('a'), longer: regex('a+') }), {
    prefix: ['a', 'aa', 'blanks'],
    regex: ['a', 'blanks'],
    longer: ['a', 'aa', 'blanks'],
  })
})

test('present_match and the regex .* agree: any value, the empty one too, but not no header', async t => {
  const any = single.filter(name => name !== 'none')
  t.strictSame(await taken(t, single, { present, regex: regex('.*') }), { present: any, regex: any })
})

test('the empty exact value, ^$ and a regex of nothing take the empty header, but not no header', async t => {
  const empty = ['empty']
  t.strictSame(await taken(t, single, { exact: exact(''), regex: regex('^$'), nothing: regex('(?:)') }), {
    exact: empty,
    regex: empty,
    nothing: empty,
  })
})

test('an empty prefix is refused, and with it the whole route table', async t => {
  const route = named('prefix', { prefix: '/', headers: [{ name: 'x', ...prefix('') }] })
  t.match(await refusal([route, named('other', { prefix: '/' })]), /StringMatch/)
})

test('withoutHeaders takes requests without the header, and for a value also those with another', async t => {
  t.strictSame(await taken(t, single, { value: without(exact('a')), presence: { ...present, invert_match: true } }), {
    value: ['none', 'empty', 'b', 'A', 'aa'],
    presence: ['none'],
  })
})

test('withoutHeaders with what takes the empty text takes no request without the header', async t => {
  t.strictSame(await taken(t, single, { regex: without(regex('.*')), empty: without(exact('')) }), {
    regex: [],
    empty: ['a', 'b', 'A', 'aa', 'blanks'],
  })
})

test('invert_match alone, without treat_missing_header_as_empty, takes no request without the header', async t => {
  const inverted = { ...exact('a'), invert_match: true }
  t.strictSame(await taken(t, ['none', 'a', 'b'], { inverted }), { inverted: ['b'] })
})

test('of several header lines each is matched by itself, since Envoy 1.39', async t => {
  const matchers = { a: exact('a'), 'a,b': exact('a,b'), prefix: prefix('b'), regex: regex('a|c'), end: regex('.*b') }
  t.strictSame(await taken(t, several, matchers), {
    a: ['a', 'a & b', 'b & a'],
    'a,b': ['a,b'],
    prefix: ['a & b', 'b & a'],
    regex: ['a', 'a & b', 'b & a', 'c & d'],
    end: ['a,b', 'a & b', 'b & a'],
  })
})

test('withoutHeaders refuses a request of which one header line matches, since Envoy 1.39', async t => {
  t.strictSame(await taken(t, several, { a: without(exact('a')), regex: without(regex('a|c')) }), {
    a: ['a,b', 'c & d'],
    regex: ['a,b'],
  })
})

test('several header lines were joined by a comma without blank before Envoy 1.39', async t => {
  const matchers = { a: exact('a'), 'a,b': exact('a,b'), prefix: prefix('b'), without: without(exact('a')) }
  const runtime = { 'envoy.reloadable_features.match_headers_individually': false }
  t.strictSame(await taken(t, several, matchers, { runtime }), {
    a: ['a'],
    'a,b': ['a,b', 'a & b'],
    prefix: ['b & a'],
    without: ['a,b', 'a & b', 'b & a', 'c & d'],
  })
})

test('the name of a header has no case, neither in the route nor in the request', async t => {
  const envoy = await withRoutes(t, [named('x', { prefix: '/', headers: [{ name: 'X-Test', ...exact('a') }] })])
  t.equal(await envoy.outcome({ headers: [['x-TEST', 'a']] }), 'x')
})

test('two conditions on one header both have to hold', async t => {
  const headers = [
    { name: 'x', ...prefix('a') },
    { name: 'x', ...regex('.*z') },
  ]
  const envoy = await withRoutes(t, [named('both', { prefix: '/', headers })])
  t.equal(await envoy.outcome({ headers: [['x', 'az']] }), 'both')
  t.equal(await envoy.outcome({ headers: [['x', 'ab']] }), 404)
})

const on = (name: string, matcher: object) => named(name, { prefix: '/', headers: [{ name, ...matcher }] })

test('Host and host are names of :authority', async t => {
  const names = ['Host', 'host', ':authority']
  const envoy = await withRoutes(
    t,
    names.map((name, i) => named(name, { path: `/${i}`, headers: [{ name, ...exact('foo.com') }] })),
  )
  for (const [i, name] of names.entries()) {
    t.equal(await envoy.outcome({ path: `/${i}`, host: 'foo.com' }), name)
    t.equal(await envoy.outcome({ path: `/${i}`, host: 'bar.com' }), 404)
  }
})

test('a condition on :authority sees the port and the case that the client sent', async t => {
  const envoy = await withRoutes(t, [on(':authority', exact('foo.com'))])
  t.equal(await envoy.outcome({ host: 'foo.com' }), ':authority')
  t.equal(await envoy.outcome({ host: 'foo.com:80' }), 404)
  t.equal(await envoy.outcome({ host: 'FOO.com' }), 404)
})

test('a condition on :path sees the query', async t => {
  const envoy = await withRoutes(t, [on(':path', exact('/foo?a'))])
  t.strictSame(await envoy.outcomes(['/foo?a', '/foo']), { '/foo?a': ':path', '/foo': 404 })
})

test(':scheme and x-forwarded-proto are those of the connection, whatever a client says of them', async t => {
  const envoy = await withRoutes(t, [
    named('forwarded', { path: '/forwarded', headers: [{ name: 'x-forwarded-proto', ...exact('http') }] }),
    on(':scheme', exact('http')),
  ])
  const headers = [['X-Forwarded-Proto', 'https']] as const
  t.equal(await envoy.outcome({ headers }), ':scheme')
  t.equal(await envoy.outcome({ path: '/forwarded', headers }), 'forwarded')
})
