// A Go module beside the tests, whose tool directives and go.sum pin what they run, and a cache outside the tree for what
// is built from it.
import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { run } from './run.ts'

/** Why something is not to be had, in words for whoever runs the tests. */
export interface Missing {
  reason: string
}

const goVersion = { major: 1, minor: 26 }

/** Without C the binaries are static, so that a cache filled on one Linux serves another, whatever its libc. */
const goEnvironment = { CGO_ENABLED: '0', GOWORK: 'off' }

/** Without a VCS stamp: the sources are modules, and a checkout that git distrusts would end the build. */
const goBuildFlags = ['-mod=readonly', '-buildvcs=false', '-trimpath']

export class GoModule {
  readonly #directory: string
  readonly #name: string
  readonly #sources: readonly string[]

  /**
   * The directory of go.mod, and the name of what it builds, in the cache and for people. `sources` are the files of the
   * module that are built; a module that only pins what others have written has none.
   */
  constructor(directory: string, name: string, sources: readonly string[] = []) {
    this.#directory = directory
    this.#name = name
    this.#sources = sources
  }

  /** Why nothing can be built here; undefined when it can. */
  async missing(): Promise<Missing | undefined> {
    const wanted = `go >= ${goVersion.major}.${goVersion.minor}`
    const purpose = `is needed to build ${this.#name}`
    let version: string
    try {
      // In the module's directory, where a Go that may switch its own toolchain already answers for the one it switches to.
      version = (await this.go(['env', 'GOVERSION'])).trim()
    } catch (error) {
      return { reason: `${wanted} ${purpose}: ${(error as Error).message}` }
    }
    const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? []
    const isNewEnough =
      Number(major) > goVersion.major || (Number(major) === goVersion.major && Number(minor) >= goVersion.minor)
    return isNewEnough ? undefined : { reason: `${wanted} ${purpose}, and there is ${version}` }
  }

  async field(path: string, field: 'Dir' | 'Version'): Promise<string> {
    return (await this.go(['list', '-mod=readonly', '-m', '-f', `{{.${field}}}`, path])).trim()
  }

  async go(args: readonly string[]): Promise<string> {
    const { stdout, stderr, code } = await run('go', args, {
      cwd: this.#directory,
      env: { ...process.env, ...goEnvironment },
    })
    if (code !== 0) throw new Error(`go ${args[0]} failed: ${stderr.trim().slice(-2000)}`)
    return stdout
  }

  /** Builds one package into a directory, with what its own build would stamp. */
  async build(directory: string, name: string, path: string, stamps: readonly string[] = []): Promise<void> {
    const linkerFlags = ['-s', '-w', ...stamps.map(stamp => `-X ${stamp}`)].join(' ')
    const start = performance.now()
    report(`building ${name} ...`)
    await this.go(['build', ...goBuildFlags, '-ldflags', linkerFlags, '-o', join(directory, name), path])
    report(`built ${name} in ${Math.round((performance.now() - start) / 1000)} s`)
  }

  /** One directory per content of go.mod, go.sum, sources and these flags: another version never meets a stale binary. */
  async cachePath(part: string): Promise<string> {
    const key = createHash('sha256')
    for (const file of ['go.mod', 'go.sum', ...this.#sources]) key.update(await readFile(join(this.#directory, file)))
    key.update(JSON.stringify([process.platform, process.arch, goEnvironment, goBuildFlags]))
    const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
    return join(caches, 'sidestep', this.#name.replaceAll(' ', '-'), key.digest('hex').slice(0, 16), part)
  }

  /** Fills one directory of the cache, unless it is there. It appears complete or not at all, and one process works on it. */
  async fillCache(part: string, fill: (directory: string) => Promise<void>): Promise<void> {
    const directory = await this.cachePath(part)
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

export async function isThere(path: string, mode?: number): Promise<boolean> {
  try {
    await access(path, mode)
    return true
  } catch {
    return false
  }
}

export function report(line: string): void {
  process.stderr.write(`sidestep: ${line}\n`)
}
