// Runs the tests with tap and closes with one plain line of counts, which any CI can read.
import { spawn } from 'node:child_process'

const summary = /^# \{ total: (\d+)(?:, pass: (\d+))?(?:, fail: (\d+))?(?:, todo: (\d+))?(?:, skip: (\d+))? \}$/m
const tap = spawn('tap', ['--reporter=terse', ...process.argv.slice(2)], { stdio: ['ignore', 'pipe', 'inherit'] })
let output = ''
for await (const chunk of tap.stdout) {
  process.stdout.write(chunk)
  output += chunk
}
const code = tap.exitCode ?? (await new Promise(resolve => tap.once('close', resolve)))
const [, total = '0', pass = '0', fail = '0', , skip = '0'] = summary.exec(output) ?? []
process.stdout.write(`\n${pass} passed, ${fail} failed${skip === '0' ? '' : `, ${skip} skipped`}\n`)
// A run of no tests, or one whose end cannot be read, is no success.
process.exitCode = code === 0 && Number(total) > 0 ? 0 : 1
