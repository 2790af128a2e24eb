// The command line itself: help, mistakes, `explain`, and the process that npm installs.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { catalogue } from '../../src/translate/diagnostics.ts'
import { sidestep } from './memory.ts'

const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

t.test('--help has examples for each command, and --version is that of the package', async t => {
  for (const command of ['audit', 'convert', 'explain', 'explain-policy', 'serve']) {
    const { code, stdout, stderr } = await sidestep([command, '--help'])
    t.match(stdout, new RegExp(`Examples:\n.*sidestep ${command}`))
    t.equal(stderr, '')
    t.equal(code, 0)
  }
  t.match((await sidestep(['help', 'convert'])).stdout, /Exit codes:/)
  t.match(await sidestep(['--help']), { code: 0, stdout: /Exit codes/ })
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.strictSame(await sidestep(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('a mistake on the command line says what was meant, and exits with 2', async t => {
  const mistakes: [args: string[], hint: RegExp][] = [
    [[], /Usage:/],
    [['conver'], /Did you mean convert\?/],
    [['convert', '--snapshto', 'x'], /Did you mean --snapshot\?/],
    [['convert'], /nothing to convert; name a file, a directory or - with -f/],
    [['convert', '-f', 'a.yaml', 'b.yaml'], /every file needs its own -f/],
    [['convert', '-f', 'a.yaml', '-o', 'xml'], /Allowed choices are yaml, json/],
    [['explain', 'A', 'B'], /too many arguments/],
    [['serve', '--port', '70000'], /number from 0 to 65535/],
    [['serve', '--port', '1e3'], /number from 0 to 65535/],
    [['serve', '--max-held', '7'], /number from 8 to 4096/],
    [['serve', '--snapshot', 'x', '--kubeconfig', 'y'], /cannot be used with option '--snapshot/],
    [['serve', '--tls-cert', 'x'], /--tls-cert and --tls-key belong together/],
    [['serve', '--tls-secret', 'ca'], /must be NAMESPACE\/NAME/],
    [['serve', '--tls-secret', 'a/b', '--snapshot', 'x'], /cannot be used with option '--snapshot/],
    [['serve', '--tls-secret', 'a/b', '--tls-cert', 'x'], /cannot be used with option '--tls-cert/],
    [['serve', '--service', 'hook'], /--webhook-configuration and --service belong to --tls-secret/],
    [['serve', '--snapshot', 'none'], /none: error: is not there/],
  ]
  for (const [args, hint] of mistakes) {
    const { code, stdout, stderr } = await sidestep(args)
    t.match(stderr, hint, args.join(' '))
    t.equal(stdout, '')
    t.equal(code, 2)
  }
})

t.test('explain prints the facts of a code and its page', async t => {
  const { code, stdout } = await sidestep(['explain', 'vs-rewrite-regex'])
  t.match(stdout, /^VS-REWRITE-REGEX \(denial, since 0\.1\.0\): HTTPRoute cannot rewrite by regex/)
  t.match(stdout, readFileSync('docs/diagnostics/VS-REWRITE-REGEX.md', 'utf8'))
  t.equal(code, 0)
})

t.test('explain lists every code in a line', async t => {
  const { code, stdout } = await sidestep(['explain'])
  t.strictSame(
    stdout
      .trimEnd()
      .split('\n')
      .map(line => line.split(' ')[0]),
    Object.keys(catalogue),
  )
  t.equal(code, 0)
})

t.test('explain suggests the nearest codes', async t => {
  const { code, stdout, stderr } = await sidestep(['explain', 'VS-REWRIT-REGEX'])
  t.match(stderr, /VS-REWRIT-REGEX is no diagnostic code; the nearest are VS-REWRITE-REGEX,/)
  t.equal(stdout, '')
  t.equal(code, 2)
  t.match((await sidestep(['explain', 'vs-ord'])).stderr, /VS-ORDER-DEAD, VS-ORDER-INVERTED, VS-ORDER-OVERLAP/)
})

t.test('the process converts stdin to stdout and exits with the code', async t => {
  const child = start(['convert', '-f', '-'])
  child.stdin.end('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1}\n')
  const [[code], stdout, stderr] = await Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)])
  t.equal(code, 2)
  t.equal(stdout, '')
  t.match(stderr, /^stdin:3:12: error metadata\.name: is the number 1/)
})

t.test('a reader who has seen enough is no error', async t => {
  const child = start(['convert', '-f', '-'])
  child.stdout.destroy()
  child.stdin.end(`apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: ${'x'.repeat(1_000_000)}}\n`)
  const [[code], stderr] = await Promise.all([once(child, 'exit'), text(child.stderr)])
  t.equal(code, 0)
  t.equal(stderr, '1 object, 0 rewritten, 0 companions, 0 warnings, 0 denials\n')
})

t.test('serve --snapshot prints a command that shows the rewrite', { skip: process.platform === 'win32' }, async t => {
  const child = start(['serve', '--snapshot', 'examples/kubeflow', '--port', '0', '--ops-port', '0'])
  t.teardown(() => child.kill('SIGKILL'))
  let printed = ''
  for await (const chunk of child.stdout) {
    printed += chunk
    if (printed.includes('node -p')) break
  }
  const command = printed.slice(printed.indexOf('curl -sk'))
  t.ok(command.length < 300, 'short enough to copy')
  const shell = spawn('sh', ['-c', command])
  const [patch] = await Promise.all([text(shell.stdout), once(shell, 'exit')])
  t.match(JSON.parse(patch), [{ op: 'add', path: /^\/spec\// }])
  t.match(patch, '"/spec/targetRefs"')
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
})

function start(args: string[]) {
  return spawn(process.execPath, ['--import=tsx', entry, ...args], { stdio: 'pipe' })
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
