// The server of one contestant: a process of its own, pinned to one core, whose output goes to a file.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../../test/control-plane/until.ts'
import type { Stage } from './contestants/index.ts'
import { post } from './post.ts'

/** Where servers run; the load comes from the other. */
const serverCore = '0'

export interface Command {
  command: string
  args: readonly string[]
  cwd?: string
  env?: Record<string, string>
  /** Of the webhook, with its slash. */
  path: string
}

export class ServerProcess {
  readonly url: string
  readonly log: string
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  private constructor(url: string, log: string, child: ChildProcess) {
    this.url = url
    this.log = log
    this.#child = child
    this.#exited = once(child, 'exit')
    this.#exited.catch(() => {}) // Awaited by stop().
  }

  /** Starts it, and returns once it has answered a review. */
  static async start(name: string, { command, args, cwd, env, path }: Command, stage: Stage): Promise<ServerProcess> {
    const log = join(stage.directory, `${name}.log`)
    const output = openSync(log, 'a')
    const child = spawn('taskset', ['--cpu-list', serverCore, command, ...args], {
      cwd,
      env: { ...process.env, NODE_ENV: 'production', ...env },
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    // As the API server calls it.
    const ended = new AbortController()
    child.once('exit', code => ended.abort(new Error(`it has ended with ${code}`)))
    const server = new ServerProcess(`https://127.0.0.1:${stage.port}${path}?timeout=10s`, log, child)
    try {
      const answers = async () => Boolean(await post(server.url, stage.certificate, stage.probe))
      await until(`${name} to answer`, answers, { signal: ended.signal })
      return server
    } catch (error) {
      await server.stop()
      throw new Error(`${name} does not start\n${readFileSync(log, 'utf8').slice(-4000)}`, { cause: error })
    }
  }

  /** Milliseconds of a core that it has used since it started, all its threads together. */
  async cpuMilliseconds(): Promise<number> {
    const stat = await readFile(`/proc/${this.#child.pid}/stat`, 'utf8')
    // Behind the name, which may hold spaces: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const clockTicksPerSecond = 100
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / clockTicksPerSecond
  }

  async rssMebibytes(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
  }

  async stop(): Promise<void> {
    if (this.#child.pid === undefined) return
    this.#child.kill('SIGTERM')
    const killing = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await this.#exited
    clearTimeout(killing)
  }
}
