// Runs the tests with tap and closes with one plain line of counts, which any CI can read.
//   npm test [-- FILE…]   for people: all but what takes longest
//   npm run test:all      what CI runs
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Each takes half a minute or more, and shows what seldom breaks without another test that says so. */
const longest = [
  'test/audit/html.test.ts',
  'test/certificates/rotation.test.ts',
  'test/cli/kubectl.test.ts',
  'test/deploy/cluster.test.ts',
  'test/enforcement/steps-notice.test.ts',
]
/** Of those with a control plane people run the one that shows how the parts work together. */
const isShort = (file: string) =>
  !longest.includes(file) && (dirname(file) !== 'test/e2e' || file === 'test/e2e/reconciler-life.test.ts')

const given = process.argv.slice(2).filter(argument => argument !== '--all')
const isWhole = given.length > 0 || Boolean(process.env.CI) || process.argv.includes('--all')
const files = isWhole ? given : testFiles().filter(isShort)

const summary = /^# \{ total: (\d+)(?:, pass: (\d+))?(?:, fail: (\d+))?(?:, todo: (\d+))?(?:, skip: (\d+))? \}$/m
const tap = spawn('tap', ['--reporter=terse', ...files], { stdio: ['ignore', 'pipe', 'inherit'] })
let output = ''
for await (const chunk of tap.stdout) {
  process.stdout.write(chunk)
  output += chunk
}
const code = tap.exitCode ?? (await new Promise(resolve => tap.once('close', resolve)))
const [, total = '0', pass = '0', fail = '0', , skip = '0'] = summary.exec(output) ?? []
const left = isWhole ? [] : testFiles().filter(file => !isShort(file))
if (left.length > 0) process.stdout.write(`\nleft to CI and to npm run test:all: ${left.join(', ')}\n`)
process.stdout.write(`\n${pass} passed, ${fail} failed${skip === '0' ? '' : `, ${skip} skipped`}\n`)
// A run of no tests, or one whose end cannot be read, is no success.
process.exitCode = code === 0 && Number(total) > 0 ? 0 : 1

function testFiles(): string[] {
  return readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.test.ts'))
    .map(file => join('test', file))
    .sort()
}
