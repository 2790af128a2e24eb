// RE2 in Envoy, and `ignoreUriCase`.
import t from 'tap'
import { envoyTests, named, refusal, withRoutes } from './index.ts'

const test = await envoyTests(t)

const regex = (regex: string, fields: object = {}) => named('regex', { safe_regex: { regex }, ...fields })

test('case_sensitive: false holds for prefix, path-separated prefix and exact path', async t => {
  const envoy = await withRoutes(t, [
    named('prefix', { prefix: '/Foo', case_sensitive: false }),
    named('separated', { path_separated_prefix: '/Bar', case_sensitive: false }),
    named('exact', { path: '/Baz', case_sensitive: false }),
  ])
  const expected = { '/fOO': 'prefix', '/FOO/BAR': 'prefix', '/bAR/x': 'separated', '/bARx': 404, '/bAZ': 'exact' }
  t.strictSame(await envoy.outcomes(Object.keys(expected)), expected)
})

test('case_sensitive: false means nothing for a regex', async t => {
  const envoy = await withRoutes(t, [regex('/foo', { case_sensitive: false })])
  t.strictSame(await envoy.outcomes(['/foo', '/FOO']), { '/foo': 'regex', '/FOO': 404 })
})

test('(?i) in a regex ignores case', async t => {
  const envoy = await withRoutes(t, [regex('(?i)/foo.*')])
  t.strictSame(await envoy.outcomes(['/fOO', '/Foo/Bar', '/bar']), {
    '/fOO': 'regex',
    '/Foo/Bar': 'regex',
    '/bar': 404,
  })
})

test('a regex matches the path as a whole', async t => {
  const envoy = await withRoutes(t, [regex('/foo')])
  t.strictSame(await envoy.outcomes(['/foo', '/foo/bar', '/x/foo']), {
    '/foo': 'regex',
    '/foo/bar': 404,
    '/x/foo': 404,
  })
})

test('^ and $ are allowed and change nothing', async t => {
  const envoy = await withRoutes(t, [regex('^/foo$')])
  t.strictSame(await envoy.outcomes(['/foo', '/foo/bar']), { '/foo': 'regex', '/foo/bar': 404 })
})

test('the alternatives of a regex are all matched as a whole', async t => {
  const envoy = await withRoutes(t, [regex('/foo|/bar')])
  t.strictSame(await envoy.outcomes(['/foo', '/bar', '/foox', '/x/bar']), {
    '/foo': 'regex',
    '/bar': 'regex',
    '/foox': 404,
    '/x/bar': 404,
  })
})

test('.* takes every path, since no path holds a newline', async t => {
  const envoy = await withRoutes(t, [regex('/.*')])
  t.strictSame(await envoy.outcomes(['/', '/a%0Ab', '//']), { '/': 'regex', '/a%0Ab': 'regex', '//': 'regex' })
})

test('(?:) anywhere in a regex means nothing', async t => {
  const envoy = await withRoutes(t, [regex('(?:)(?:)/foo(?:)/[a-z]+(?:)(?:)')])
  t.strictSame(await envoy.outcomes(['/foo/bar', '/foo/', '/foo/bar/x']), {
    '/foo/bar': 'regex',
    '/foo/': 404,
    '/foo/bar/x': 404,
  })
})

test('a regex that RE2 lacks is refused, and with it the whole route table', async t => {
  for (const pattern of ['*', '[', '(?=x)', '(?!x)', '(a)\\1', 'a{1001}', '(?<=x)']) {
    t.match(
      await refusal([regex(pattern), named('other', { prefix: '/' })]),
      /regex|repetition|invalid|missing/i,
      pattern,
    )
  }
})

test('an empty regex is refused', async t => {
  t.match(await refusal([regex('')]), /Regex/)
})

test('a regex that takes other engines exponential time takes no time', async t => {
  const envoy = await withRoutes(t, [regex('/(a+)+$')])
  const start = performance.now()
  t.equal(await envoy.outcome({ path: `/${'a'.repeat(30_000)}!` }), 404)
  t.ok(performance.now() - start < 5000, 'with backtracking it would take years')
})

test('a regex is refused for the size of its program, which Istio raises from 100 to 32768', async t => {
  const long = `/(?i)${'ab'.repeat(500)}.*`
  t.equal(await refusal([regex(long)]), undefined)
  t.match(await refusal([regex(long)], { runtime: { 're2.max_program_size.error_level': 100 } }), /program size/)
})
