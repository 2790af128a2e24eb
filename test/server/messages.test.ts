import t from 'tap'
import { toLine, toStatus, toWarnings } from '../../src/server/messages.ts'
import { finding } from './reviews.ts'

t.test('a line has the code first', async t => {
  t.equal(toLine(finding('warning')('VS-A')), 'VS-A spec.x: is not possible; use y')
  t.equal(toLine({ ...finding('warning')('VS-A'), field: '' }), 'VS-A is not possible; use y')
})

t.test('a warning has 256 characters at most and is cut at a word', async t => {
  const [warning = ''] = toWarnings([`VS-A ${'word '.repeat(100)}`])
  t.ok(warning.length <= 256)
  t.match(warning, /word…$/)
  t.strictSame(toWarnings(['x'.repeat(256)]), ['x'.repeat(256)])
  t.strictSame(toWarnings(['x'.repeat(257)]), [`${'x'.repeat(255)}…`])
})

t.test('a cut never splits a character', async t => {
  const [warning = ''] = toWarnings([`a${'😀'.repeat(200)}`])
  t.notMatch(warning, /[\uD800-\uDBFF](?![\uDC00-\uDFFF])/)
})

t.test('a warning is one line without control characters', async t => {
  t.strictSame(toWarnings(['one\r\ntwo\tthree\u0007']), ['one two three'])
})

t.test('equal warnings are printed once', async t => {
  t.strictSame(toWarnings(['a', 'b', 'a\n']), ['a', 'b'])
})

t.test('warnings have 4096 characters in total, and the last one counts the others', async t => {
  const lines = Array.from({ length: 40 }, (_, i) => `${i} ${'x'.repeat(200)}`)
  const warnings = toWarnings(lines)
  t.ok(warnings.join('').length <= 4096)
  t.equal(warnings.at(-1), `and ${40 - (warnings.length - 1)} more that do not fit here`)
})

t.test('a refusal with one reason does not count', async t => {
  const { message } = toStatus([finding('denial')('VS-A')])
  t.match(
    message,
    /^sidestep: this would not work in ambient mode:\n- VS-A spec\.x: .*\n {2}see docs\/diagnostics\/VS-A\.md$/,
  )
})

t.test('a refusal for 50,000 reasons names 100 and counts the others', async t => {
  const reason = { code: 'VS-FAULT', severity: 'denial', message: 'x' } as const
  const { message } = toStatus(Array.from({ length: 50_000 }, (_, i) => ({ ...reason, field: `spec.http[${i}]` })))
  t.equal(message?.split('\n').length, 202)
  t.match(message, /for 50000 reasons:.*\nand 49900 more$/s)
})
