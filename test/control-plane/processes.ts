import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

interface Running {
  name: string
  child: ChildProcess
  exited: Promise<unknown>
}

const termSeconds = 10

/**
 * What the watchdog runs. Its standard input is a pipe whose other end only this process holds and nobody writes to: the
 * read returns when this process is gone, however it ended, for the kernel closes the pipe even after a SIGKILL. A
 * `processes` directory that is no longer there means that stop() has done all of it.
 */
const watchdogScript = `
  read -r _
  cd "$1/processes" || exit 0
  for pid in *; do kill -KILL "$pid"; done
  cd /
  for attempt in 1 2 3 4 5; do rm -rf "$1" && exit 0; sleep 1; done
`

/**
 * The processes of one control plane and its directory, which never outlive the process that started them.
 *
 * stop() ends them in order. For a test that crashes, is killed or forgets to stop, a small shell stands by as a
 * watchdog. Each process has a file named after its pid for as long as this process knows it alive, so the watchdog
 * never kills a pid that has been used again. All of them run in sessions of their own: a Ctrl-C in the terminal ends the
 * test, and thereby them, in this order and never half of them. (Linux alone has PR_SET_PDEATHSIG, and Node cannot set it.)
 */
export class Processes {
  readonly #directory: string
  readonly #watchdog: ChildProcess
  #running: Running[] = []
  readonly #failure = new AbortController()
  #stopped: Promise<void> | undefined

  private constructor(directory: string) {
    this.#directory = directory
    this.#watchdog = spawn('sh', ['-c', watchdogScript, 'sh', directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    release(this.#watchdog)
  }

  static async in(directory: string): Promise<Processes> {
    await mkdir(join(directory, 'processes'))
    return new Processes(directory)
  }

  /** Aborts when a process ends that nobody has stopped. */
  get failure(): AbortSignal {
    return this.#failure.signal
  }

  /** The pids of all that runs, the watchdog included. */
  get pids(): number[] {
    return [this.#watchdog, ...this.#running.map(({ child }) => child)].flatMap(({ pid }) => pid ?? [])
  }

  /** Starts a process, whose output goes to `<name>.log` in the directory. */
  async start(command: string, args: readonly string[]): Promise<void> {
    const name = basename(command)
    const log = openSync(this.#logFile(name), 'a')
    const child = spawn(command, args, { cwd: this.#directory, stdio: ['ignore', log, log], detached: true })
    closeSync(log)
    if (child.pid) writeFileSync(this.#pidFile(child.pid), name)
    const exited = once(child, 'exit')
    exited.catch(() => {}) // Awaited by stop(), if at all.
    child.once('exit', (code, signal) => {
      if (child.pid) rmSync(this.#pidFile(child.pid), { force: true })
      const isWanted = this.#running.some(running => running.child === child)
      if (!this.#stopped && isWanted) this.#fail(new Error(`${name} ended by itself (${signal ?? code})`))
    })
    child.once('error', error => this.#fail(error))
    this.#running.push({ name, child, exited })
    release(child)
    await Promise.race([once(child, 'spawn'), exited])
  }

  /** The end of every log. */
  async logs(): Promise<string> {
    const tails = this.#running.map(async ({ name }) => {
      const log = await readFile(this.#logFile(name), 'utf8')
      return `--- ${name}\n${log.slice(-4000)}`
    })
    return (await Promise.all(tails)).join('\n')
  }

  /** Ends what was started by this command, so that it can be started again. */
  async end(command: string): Promise<void> {
    const ended = this.#running.filter(({ name }) => name === basename(command))
    this.#running = this.#running.filter(running => !ended.includes(running))
    for (const running of ended) await terminate(running)
  }

  /** Ends everything, the last that was started first, and removes the directory. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end()
    return this.#stopped
  }

  async #end(): Promise<void> {
    for (const running of this.#running.reverse()) await terminate(running)
    await rm(this.#directory, { recursive: true, force: true })
    this.#watchdog.ref()
    const gone = once(this.#watchdog, 'exit')
    this.#watchdog.stdin?.end()
    await gone
  }

  #fail(error: Error): void {
    this.#failure.abort(error)
  }

  #logFile(name: string): string {
    return join(this.#directory, `${name}.log`)
  }

  #pidFile(pid: number): string {
    return join(this.#directory, 'processes', String(pid))
  }
}

async function terminate({ child, exited }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || !child.pid) return
  child.ref() // Or Node would end here, with nothing left to wait for.
  child.kill('SIGTERM')
  const patience = setTimeout(() => child.kill('SIGKILL'), termSeconds * 1000)
  await exited
  clearTimeout(patience)
}

/** Lets Node end while the child runs. */
function release(child: ChildProcess): void {
  child.unref()
  // A pipe to a child is a socket, which its declared type does not say.
  const stdin = child.stdin as { unref?: () => void } | null
  stdin?.unref?.()
}
