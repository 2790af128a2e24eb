// Where the commands of a page run: a copy of the repository, with `sidestep` as it is built on the PATH.
import { execFile } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { findBinaries } from '../control-plane/binaries.ts'
import { type Outcome, run } from '../control-plane/run.ts'
import { findHelmBinary } from '../helm/helm.ts'
import { type Block, type Page, root } from './pages.ts'

/** What a page may count on beside sidestep itself. */
const copied = ['README.md', 'certs', 'deploy', 'examples']

export interface Tools {
  directory: string
  /** Why one of them is not there. */
  missing: ReadonlyMap<string, string>
  remove(): Promise<void>
}

/** Builds sidestep, and puts it on a PATH of its own, with the kubectl and helm of the other tests. */
export async function prepareTools(): Promise<Tools> {
  const directory = await mkdtemp(join(tmpdir(), 'sidestep-docs-tools-'))
  const dist = join(directory, 'dist')
  await build(dist)
  await cp(join(root, 'package.json'), join(directory, 'package.json'))
  // The pages of `sidestep explain` are found beside dist.
  for (const name of ['node_modules', 'docs', 'deploy']) await symlink(join(root, name), join(directory, name))

  const script = async (name: string, ...lines: string[]) => {
    const file = join(directory, 'bin', name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, `#!/bin/sh\n${lines.join('\n')}\n`)
    await chmod(file, 0o755)
  }
  await script('sidestep', `exec '${process.execPath}' '${dist}/cli/main.js' "$@"`)
  const missing = new Map<string, string>()
  const binaries = await findBinaries()
  if ('reason' in binaries) for (const tool of ['kubectl', 'kustomize']) missing.set(tool, binaries.reason)
  else {
    await script('kubectl', `exec '${binaries.kubectl}' "$@"`)
    // The same code; kubectl has no other command of it.
    await script('kustomize', '[ "$1" = build ] && shift && exec kubectl kustomize "$@"', 'exit 64')
  }
  const helm = await findHelmBinary()
  if (typeof helm === 'string') await script('helm', `exec '${helm}' "$@"`)
  else missing.set('helm', helm.reason)
  return { directory, missing, remove: () => rm(directory, { recursive: true, force: true }) }
}

interface Sandbox {
  directory: string
  /** Runs the commands as an interactive shell would, but ends with the first that fails. */
  run(text: string): Promise<Outcome>
  remove(): Promise<void>
}

async function openSandbox(tools: Tools, kubeconfig: string | undefined): Promise<Sandbox> {
  const parent = await mkdtemp(join(tmpdir(), 'sidestep-docs-'))
  const directory = join(parent, 'sidestep')
  for (const name of copied) await cp(join(root, name), join(directory, name), { recursive: true })
  const home = join(parent, 'home')
  await mkdir(home)
  const env = {
    PATH: `${join(tools.directory, 'bin')}:${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
    HOME: home,
    KUBECONFIG: kubeconfig ?? join(home, 'no-cluster'),
    NO_COLOR: '1',
  }
  return {
    directory,
    run: text => run('bash', ['-e', '-o', 'pipefail', '-c', `exec 2>&1\n${text}`], { cwd: directory, env }),
    remove: () => rm(parent, { recursive: true, force: true }),
  }
}

/** What `npm ci` has built, where nothing is newer; else built anew, beside dist/, which others may read meanwhile. */
async function build(dist: string): Promise<void> {
  const built = join(root, 'dist')
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).map(name => join('src', name))
  const changed = (name: string) => statSync(join(root, name), { throwIfNoEntry: false })?.mtimeMs ?? 0
  const last = Math.max(...[...sources, 'tsconfig.json', 'tsconfig.build.json'].map(changed))
  if (changed('dist/.tsbuildinfo') > last) return cp(built, dist, { recursive: true })
  const flags = ['--outDir', dist, '--tsBuildInfoFile', `${dist}.tsbuildinfo`, '--noCheck']
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  await promisify(execFile)(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), ...flags])
  for (const file of ['report.css', 'report.js'])
    await cp(join(root, 'src/audit/html', file), join(dist, 'audit/html', file))
}

export interface Report {
  ran: number
  skipped: { where: string; reason: string }[]
  problems: string[]
}

/**
 * Runs the commands of a page in their order and in one place, which is new. Without a kubeconfig, those that need a
 * cluster are skipped.
 */
export async function runPage({ path, blocks }: Page, tools: Tools, kubeconfig?: string): Promise<Report> {
  const report: Report = { ran: 0, skipped: [], problems: [] }
  const reasonFor = (block: Block) => reasonToSkip(block, tools, kubeconfig !== undefined)
  const commands = blocks.filter(({ language }) => language === 'sh')
  if (commands.every(reasonFor)) {
    for (const block of commands)
      report.skipped.push({ where: `${path}:${block.line}`, reason: reasonFor(block) ?? '' })
    return report
  }
  const sandbox = await openSandbox(tools, kubeconfig)
  try {
    for (const block of blocks) await runBlock(block, `${path}:${block.line}`)
  } finally {
    await sandbox.remove()
  }
  return report

  async function runBlock(block: Block, where: string) {
    if (block.test.file) {
      await mkdir(dirname(join(sandbox.directory, block.test.file)), { recursive: true })
      await writeFile(join(sandbox.directory, block.test.file), block.text)
    }
    if (block.language !== 'sh') return
    const reason = reasonFor(block)
    if (reason) report.skipped.push({ where, reason })
    else {
      report.ran++
      const outcome = await sandbox.run(block.text)
      // For whoever writes a page: what to put below the commands.
      if (process.env.SIDESTEP_SHOW) process.stderr.write(`${where}\n${block.text}---\n${outcome.stdout}\n`)
      report.problems.push(...problemsOf(block, outcome, where))
    }
  }
}

function reasonToSkip({ text, test }: Block, { missing }: Tools, hasCluster: boolean): string | undefined {
  if (test.skip) return test.skip
  if (/\shttps:\/\//.test(text)) return 'it downloads'
  if (test.cluster && !hasCluster) return 'it needs a cluster, which test/e2e/docs.test.ts has'
  for (const [tool, reason] of missing) if (new RegExp(`(^|\\|)\\s*${tool}\\b`, 'm').test(text)) return reason
  return undefined
}

/** What is other than the page says. */
export function problemsOf({ test, output }: Block, { code, stdout }: Outcome, where: string): string[] {
  const expected = test.exit ?? 0
  if (code !== expected) return [`${where} ends with ${code} and not with ${expected}:\n${stdout}`]
  if (!output || output.test.skip || matches(output.text, stdout)) return []
  return [`${where} prints other than the page says:\n${stdout}\nand the page:\n${output.text}`]
}

/** A line of `...` stands for any lines, and one within a line for any text. Spaces at the end of a line do not count. */
export function matches(expected: string, actual: string): boolean {
  const normal = (text: string) => `${text.replace(/[ \t]+$/gm, '').trimEnd()}\n`
  const pattern = normal(expected)
    .split('\n')
    .slice(0, -1)
    .map(line => (line.trim() === '...' ? '(?:.*\n)*?' : `${line.split('...').map(escapeRegExp).join('.*?')}\n`))
    .join('')
  return new RegExp(`^${pattern}$`).test(normal(actual))
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
