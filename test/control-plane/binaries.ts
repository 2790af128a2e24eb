// The real parts that end-to-end tests run: kube-apiserver, kube-controller-manager, kubectl, etcd, and the CRDs.
// They are looked for in $KUBEBUILDER_ASSETS (where setup-envtest puts them), then in a cache outside the tree, and are
// built into that cache from the Go module beside this file, which pins every version.
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { run } from './run.ts'

export interface Binaries {
  origin: 'KUBEBUILDER_ASSETS' | 'cache'
  directory: string
  apiServer: string
  etcd: string
  kubectl: string
  /** setup-envtest has none, and most tests need none. */
  controllerManager?: string
}

export type Channel = 'standard' | 'experimental'

export interface CrdFiles {
  istio: string[]
  gatewayApi: Record<Channel, string[]>
}

/** Why something is not to be had, in words for whoever runs the tests. */
export interface Missing {
  reason: string
}

export const buildCommand = 'node --import=tsx test/control-plane/build.ts'

const moduleDirectory = dirname(fileURLToPath(import.meta.url))
const goVersion = { major: 1, minor: 26 }

const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
} as const

/** Without C the binaries are static, so that a cache filled on one Linux serves another, whatever its libc. */
const goEnvironment = { CGO_ENABLED: '0', GOWORK: 'off' }

/** Without a VCS stamp: the sources are modules, and a checkout that git distrusts would end the build. */
const goBuildFlags = ['-mod=readonly', '-buildvcs=false', '-trimpath']

/** The binaries from $KUBEBUILDER_ASSETS or the cache. Never builds, so it is quick enough for a test. */
export async function findBinaries(): Promise<Binaries | Missing> {
  const assets = process.env.KUBEBUILDER_ASSETS
  if (assets) {
    const binaries = await binariesIn(resolve(assets), 'KUBEBUILDER_ASSETS')
    return binaries ?? { reason: `KUBEBUILDER_ASSETS is ${assets}, which lacks kube-apiserver, etcd or kubectl` }
  }
  const binaries = await binariesIn(await cachePath('bin'), 'cache')
  return binaries ?? { reason: `no control plane has been built yet; run: ${buildCommand}` }
}

/** The binaries from where findBinaries looks, or else built with Go, which takes minutes on a cold machine. */
export async function ensureBinaries(): Promise<Binaries | Missing> {
  const found = await findBinaries()
  if (!('reason' in found) || process.env.KUBEBUILDER_ASSETS) return found
  const missing = await missingGo()
  if (missing) return missing
  await fillCache('bin', buildBinaries)
  return findBinaries()
}

/** The CRDs of Istio and Gateway API, from the cache, or else from their Go modules. */
export async function crdFiles(): Promise<CrdFiles | Missing> {
  const directory = await cachePath('crds')
  if (!(await isThere(directory))) {
    const missing = await missingGo()
    if (missing) return missing
    await fillCache('crds', copyCrds)
  }
  const filesIn = async (name: string) =>
    (await readdir(join(directory, name))).sort().map(file => join(directory, name, file))
  return {
    istio: await filesIn('istio'),
    gatewayApi: { standard: await filesIn('standard'), experimental: await filesIn('experimental') },
  }
}

async function binariesIn(directory: string, origin: Binaries['origin']): Promise<Binaries | undefined> {
  const path = async (name: keyof typeof packages) =>
    (await isThere(join(directory, name), constants.X_OK)) ? join(directory, name) : undefined
  const [apiServer, etcd, kubectl] = [await path('kube-apiserver'), await path('etcd'), await path('kubectl')]
  if (!apiServer || !etcd || !kubectl) return undefined
  const controllerManager = await path('kube-controller-manager')
  return { origin, directory, apiServer, etcd, kubectl, ...(controllerManager && { controllerManager }) }
}

async function buildBinaries(directory: string): Promise<void> {
  const version = await moduleField('k8s.io/kubernetes', 'Version')
  const [major, minor] = version.replace(/^v/, '').split('.')
  // What Kubernetes' own build stamps. kubectl reports it, and component-base compares feature gates against it.
  const stamps = [
    `k8s.io/component-base/version.gitVersion=${version}`,
    `k8s.io/component-base/version.gitMajor=${major}`,
    `k8s.io/component-base/version.gitMinor=${minor}`,
    `k8s.io/client-go/pkg/version.gitVersion=${version}`,
  ]
  const linkerFlags = ['-s', '-w', ...stamps.map(stamp => `-X ${stamp}`)].join(' ')
  report(`building Kubernetes ${version} and etcd, once; from cold this takes about 8 minutes on 2 cores`)
  for (const [name, path] of Object.entries(packages)) {
    const start = performance.now()
    report(`building ${name} ...`)
    await go(['build', ...goBuildFlags, '-ldflags', linkerFlags, '-o', join(directory, name), path])
    report(`built ${name} in ${Math.round((performance.now() - start) / 1000)} s`)
  }
}

/**
 * Only CRDs are kept of what Gateway API ships. Its ValidatingAdmissionPolicy guards the CRDs against a change of channel
 * in place, which neither the tests nor sidestep do, and as admission of its own it would only cloud what is tested.
 */
async function copyCrds(directory: string): Promise<void> {
  await go(['mod', 'download', 'istio.io/api', 'sigs.k8s.io/gateway-api'])
  const istio = join(await moduleField('istio.io/api', 'Dir'), 'kubernetes')
  const gatewayApi = join(await moduleField('sigs.k8s.io/gateway-api', 'Dir'), 'config/crd')
  const sources = {
    istio: [join(istio, 'customresourcedefinitions.gen.yaml')],
    standard: await yamlFilesIn(join(gatewayApi, 'standard')),
    experimental: await yamlFilesIn(join(gatewayApi, 'experimental')),
  }
  for (const [name, files] of Object.entries(sources)) {
    await mkdir(join(directory, name))
    for (const file of files) {
      const content = await readFile(file, 'utf8')
      // Written anew rather than copied, since files of the module cache are read-only.
      if (isCrd(content)) await writeFile(join(directory, name, basename(file)), content)
    }
  }
}

async function yamlFilesIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter(file => file.endsWith('.yaml')).map(file => join(directory, file))
}

export function isCrd(yaml: string): boolean {
  return /^kind: CustomResourceDefinition$/m.test(yaml)
}

async function missingGo(): Promise<Missing | undefined> {
  const wanted = `go >= ${goVersion.major}.${goVersion.minor}`
  let version: string
  try {
    // In the module's directory, where a Go that may switch its own toolchain already answers for the one it switches to.
    version = (await go(['env', 'GOVERSION'])).trim()
  } catch (error) {
    return { reason: `${wanted} is needed to build the control plane: ${(error as Error).message}` }
  }
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? []
  const isNewEnough =
    Number(major) > goVersion.major || (Number(major) === goVersion.major && Number(minor) >= goVersion.minor)
  return isNewEnough ? undefined : { reason: `${wanted} is needed to build the control plane, and there is ${version}` }
}

async function moduleField(path: string, field: 'Dir' | 'Version'): Promise<string> {
  return (await go(['list', '-mod=readonly', '-m', '-f', `{{.${field}}}`, path])).trim()
}

async function go(args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await run('go', args, {
    cwd: moduleDirectory,
    env: { ...process.env, ...goEnvironment },
  })
  if (code !== 0) throw new Error(`go ${args[0]} failed: ${stderr.trim().slice(-2000)}`)
  return stdout
}

/** One directory per content of go.mod, go.sum and these flags: another version never meets a stale binary. */
async function cachePath(name: 'bin' | 'crds'): Promise<string> {
  const key = createHash('sha256')
  for (const file of ['go.mod', 'go.sum']) key.update(await readFile(join(moduleDirectory, file)))
  key.update(JSON.stringify([process.platform, process.arch, goEnvironment, goBuildFlags]))
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(caches, 'sidestep', 'control-plane', key.digest('hex').slice(0, 16), name)
}

/** Fills one directory of the cache, unless it is there. It appears complete or not at all, and one process works on it. */
async function fillCache(name: 'bin' | 'crds', fill: (directory: string) => Promise<void>): Promise<void> {
  const directory = await cachePath(name)
  await mkdir(dirname(directory), { recursive: true })
  await exclusively(`${directory}.lock`, async () => {
    if (await isThere(directory)) return
    await removeLeftovers(directory)
    const unfinished = await mkdtemp(`${directory}.unfinished-`)
    try {
      await fill(unfinished)
      await rename(unfinished, directory)
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true })
      if (!(await isThere(directory))) throw error
    }
  })
}

/** What crashed builds have left. The lock is held, so nobody is at work on them. */
async function removeLeftovers(directory: string): Promise<void> {
  const prefix = `${basename(directory)}.unfinished-`
  for (const name of await readdir(dirname(directory))) {
    if (name.startsWith(prefix)) await rm(join(dirname(directory), name), { recursive: true, force: true })
  }
}

const heartbeatSeconds = 2
const abandonedAfterSeconds = 15

/**
 * Runs `work` in one process at a time. The lock is a file that its holder touches again and again: a holder that crashed
 * stops, and the next one takes over. A pid in it would not do, as pids are used again and differ between containers.
 * Should two ever hold it (the first was suspended for long), the first wastes its time or fails, and nothing else breaks:
 * each fills a directory of its own, and the rename is atomic.
 */
async function exclusively(lock: string, work: () => Promise<void>): Promise<void> {
  let isWaiting = false
  while (!(await take(lock))) {
    if (await isAbandoned(lock)) {
      await rm(lock, { force: true })
      continue
    }
    if (!isWaiting) report(`another process is at it (${lock}); waiting`)
    isWaiting = true
    await pause(500)
  }
  const heartbeat = setInterval(() => {
    const now = new Date()
    utimes(lock, now, now).catch(() => {}) // Somebody has removed the lock: the work goes on, see above.
  }, heartbeatSeconds * 1000)
  try {
    await work()
  } finally {
    clearInterval(heartbeat)
    await rm(lock, { force: true })
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, `${process.pid}\n`, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function isAbandoned(lock: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(lock)).mtimeMs > abandonedAfterSeconds * 1000
  } catch {
    return false // Just released.
  }
}

async function isThere(path: string, mode?: number): Promise<boolean> {
  try {
    await access(path, mode)
    return true
  } catch {
    return false
  }
}

function report(line: string): void {
  process.stderr.write(`sidestep: ${line}\n`)
}
