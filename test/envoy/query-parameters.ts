// Conditions on query parameters (translateQueryParamMatch).
import t from 'tap'
import { envoyTests, named, withRoutes } from './index.ts'

const test = await envoyTests(t)

const on = (route: string, name: string, matcher: object) =>
  named(route, { prefix: '/', query_parameters: [{ name, ...matcher }] })
const exact = (exact: string) => ({ string_match: { exact } })
const regex = (regex: string) => ({ string_match: { safe_regex: { regex } } })
const present = { present_match: true }

test('a query parameter is matched to the letter, its name too', async t => {
  const envoy = await withRoutes(t, [on('exact', 'a', exact('b'))])
  const expected = { '/?a=b': 'exact', '/?x=1&a=b': 'exact', '/?a=bc': 404, '/?a=B': 404, '/?A=b': 404, '/': 404 }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('a regex matches a query parameter as a whole', async t => {
  const envoy = await withRoutes(t, [on('regex', 'a', regex('b+'))])
  const expected = { '/?a=bb': 'regex', '/?a=bbc': 404, '/?a=': 404 }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('present_match and the regex .* agree on a query parameter: any value, the empty one too', async t => {
  for (const matcher of [present, regex('.*')]) {
    const envoy = await withRoutes(t, [on('any', 'a', matcher)])
    const expected = { '/?a=b': 'any', '/?a=': 'any', '/?a': 'any', '/?b=a': 404, '/': 404 }
    t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
  }
})

test('a query parameter without = has the empty value', async t => {
  const envoy = await withRoutes(t, [on('empty', 'a', exact(''))])
  const expected = { '/?a=': 'empty', '/?a': 'empty', '/?a&b': 'empty', '/?a=b': 404, '/?b': 404 }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('of a repeated query parameter the first value counts', async t => {
  const envoy = await withRoutes(t, [on('exact', 'a', exact('b'))])
  t.strictSame(await envoy.outcomes(['/?a=b&a=c', '/?a=c&a=b']), { '/?a=b&a=c': 'exact', '/?a=c&a=b': 404 })
})

test('query parameters are compared without decoding', async t => {
  const envoy = await withRoutes(t, [
    on('decoded', 'a', exact('b c')),
    on('encoded', 'a', exact('b%20c')),
    on('plus', 'a', exact('b+c')),
    on('name', 'filter[x]', present),
  ])
  const expected = {
    '/?a=b%20c': 'encoded',
    '/?a=b+c': 'plus',
    '/?a=%62+c': 404,
    '/?%61=b+c': 404,
    '/?filter[x]=1': 'name',
    '/?filter%5Bx%5D=1': 404,
  }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('a semicolon does not separate query parameters', async t => {
  const envoy = await withRoutes(t, [on('a', 'a', exact('b')), on('c', 'a', exact('b;c=d'))])
  t.equal(await envoy.outcome({ path: '/?a=b;c=d' }), 'c')
})
