// `kubectl sidestep`: what npm packs and installs, found and called by a real kubectl.
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import t from 'tap'
import { catalogue } from '../../src/translate/diagnostics.ts'
import { findBinaries } from '../control-plane/binaries.ts'
import { controlPlaneOrSkip, missingLine } from '../control-plane/skip.ts'
import { manual } from './manual.ts'

interface Outcome {
  stdout: string
  stderr: string
  code: number | null
}

function run(
  command: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string } = {},
): Outcome {
  const { stdout, stderr, status, error } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (error) throw error
  return { stdout, stderr, code: status }
}

function succeed(command: string, args: string[], options: { cwd?: string } = {}): void {
  const { stdout, stderr, code } = run(command, args, options)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`)
}

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))

/**
 * Packs what the sources are now, and has npm install it below a prefix of its own. Its dependencies are linked, since npm
 * would ask the registry for them.
 */
function install(directory: string): string {
  const [root, prefix] = [join(directory, 'package'), join(directory, 'prefix')]
  succeed('npm', ['run', '--silent', 'build'])
  for (const path of ['dist', 'docs/diagnostics', 'deploy', 'examples', 'man'])
    cpSync(path, join(root, path), { recursive: true })
  const { dependencies: _, scripts: __, ...manifest } = JSON.parse(readFileSync('package.json', 'utf8'))
  writeFileSync(join(root, 'package.json'), JSON.stringify(manifest))
  succeed('npm', ['pack', '--silent', '--pack-destination', directory], { cwd: root })
  const archive = join(directory, `sidestep-${version}.tgz`)
  succeed('npm', ['install', '--global', '--offline', '--silent', '--prefix', prefix, archive], { cwd: directory })
  symlinkSync(resolve('node_modules'), join(prefix, 'lib/node_modules/sidestep/node_modules'))
  return prefix
}

/** A kubeconfig whose cluster does not answer. */
const away = {
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'away',
  contexts: [{ name: 'away', context: { cluster: 'away', user: 'away' } }],
  clusters: [{ name: 'away', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'away', user: {} }],
}

t.test('as a plugin of kubectl', async t => {
  const binaries = await findBinaries()
  if ('reason' in binaries) {
    process.stderr.write(`${missingLine(binaries.reason)}\n`)
    if (process.env.CI) t.fail(binaries.reason)
    return t.end()
  }
  const directory = mkdtempSync(join(realpathSync(tmpdir()), 'sidestep-npm-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const prefix = install(directory)
  const path = [join(prefix, 'bin'), dirname(process.execPath), dirname(binaries.kubectl), '/usr/bin', '/bin']
  const env = { PATH: path.join(delimiter), HOME: directory, KUBECONFIG: join(directory, 'none') }
  const kubectl = (args: string[], more: NodeJS.ProcessEnv = {}, input = '') =>
    run(binaries.kubectl, args, { env: { ...env, ...more }, cwd: directory, input })

  await t.test('npm installs the commands and their pages for man', async t => {
    for (const name of ['sidestep', 'kubectl-sidestep', 'kubectl_complete-sidestep'])
      t.ok(existsSync(join(prefix, 'bin', name)), name)
    for (const page of [...manual().keys()].filter(path => path.startsWith('man/')))
      t.equal(
        readFileSync(join(prefix, 'share/man/man1', page.replace('man/', '')), 'utf8'),
        readFileSync(page, 'utf8'),
      )
    t.strictSame(run('sidestep', ['--version'], { env }), { code: 0, stdout: `${version}\n`, stderr: '' })
    for (const shell of ['bash', 'zsh', 'fish'])
      t.equal(
        run('sidestep', ['completion', shell], { env }).stdout,
        readFileSync(`src/cli/completion/sidestep.${shell}`, 'utf8'),
      )
  })

  await t.test('kubectl finds it and hands on what follows its name', async t => {
    const list = kubectl(['plugin', 'list'])
    t.match(list, { code: 0, stdout: `${join(prefix, 'bin/kubectl-sidestep')}\n`, stderr: '' })
    t.strictSame(kubectl(['sidestep', '--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
    t.match(kubectl(['sidestep', 'explain', 'VS-FAULT']).stdout, /^VS-FAULT \(denial, since 0\.1\.0\): /)
    const denied = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1}\n'
    t.match(kubectl(['sidestep', 'convert', '-f', '-'], {}, denied), { code: 2, stderr: /^stdin:3:12: error/ })
  })

  await t.test('help and hints are in its name', async t => {
    const { stdout } = kubectl(['sidestep', 'convert', '--help'])
    t.match(stdout, 'Usage: kubectl sidestep convert [options]')
    t.match(stdout, '\n  kustomize build overlays/prod | kubectl sidestep convert -f - > ambient.yaml\n')
    t.match(stdout, /objects that\s+sidestep would keep/, 'where it is no command, the name stays')
    t.match(kubectl(['sidestep', 'conver']).stderr, '(kubectl sidestep help COMMAND shows')
    t.match(kubectl(['sidestep', 'audit', '-x']).stderr, 'kubectl sidestep audit --help shows all options')
    const pages = ['--help', 'audit --help', 'revert --help', 'serve --help', 'explain-policy --help']
    for (const page of pages)
      t.notMatch(
        kubectl(['sidestep', ...page.split(' ')]).stdout,
        /(?<!kubectl )\bsidestep (audit|revert|serve|help|explain)\b|kubectl kubectl/,
      )
  })

  await t.test('kubectl completes it', async t => {
    const offered = (...words: string[]) =>
      kubectl(['__complete', 'sidestep', ...words])
        .stdout.trimEnd()
        .split('\n')
        .map(line => line.replace(/\t.*/, ''))
    t.strictSame(offered('conv'), ['convert', ':4'])
    t.strictSame(offered('explain', 'VS-MATCH-'), [
      ...Object.keys(catalogue).filter(code => code.startsWith('VS-MATCH-')),
      ':4',
    ])
    t.strictSame(offered('audit', '--fail-on', ''), ['warning', 'denial', 'never', ':4'])
    t.strictSame(offered('audit', '--fail-on=w'), ['warning', ':4'])
    t.strictSame(offered('audit', '-f', ''), [':0'])
    t.ok(offered('audit', '--').includes('--context'))
  })

  await t.test("kubectl's own flags stand after the name, and KUBECONFIG holds", async t => {
    const controlPlane = await controlPlaneOrSkip(t)
    if (!controlPlane) return
    const KUBECONFIG = controlPlane.kubeconfig()
    const first = kubectl(['--kubeconfig', KUBECONFIG, 'sidestep', 'audit'])
    t.match(first, { code: 1, stderr: 'flags cannot be placed before plugin name: --kubeconfig' })
    const auditOf = (args: string[], more: NodeJS.ProcessEnv) => {
      const { stdout, stderr, code } = kubectl(['sidestep', 'audit', '-o', 'json', ...args], more)
      t.strictSame([stderr, code], ['', 0], args.join(' '))
      return JSON.parse(stdout)
    }
    const context = run(binaries.kubectl, ['config', 'current-context'], { env: { ...env, KUBECONFIG } }).stdout.trim()
    t.match(auditOf([], { KUBECONFIG }), { source: context })
    // As a list, in which a context is chosen.
    const other = join(directory, 'other')
    writeFileSync(other, JSON.stringify(away))
    const list = [other, KUBECONFIG].join(delimiter)
    t.equal(kubectl(['config', 'current-context'], { KUBECONFIG: list }).stdout, 'away\n')
    t.match(auditOf(['--context', context], { KUBECONFIG: list }), { source: context })
    t.match(auditOf(['--kubeconfig', KUBECONFIG, '-n', 'default'], {}), { source: context })
    t.equal(
      kubectl(['sidestep', 'audit'], { KUBECONFIG: list }).code,
      2,
      'without it, the first file says which cluster',
    )
    t.match(kubectl(['sidestep', 'audit', '--context', 'none'], { KUBECONFIG }), {
      code: 2,
      stderr: /has no context none/,
    })
    t.strictSame(
      kubectl(['__complete', 'sidestep', 'audit', '--context', ''], { KUBECONFIG: list }).stdout,
      `away\n${context}\n:4\n`,
    )
  })
})
