import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

export interface Outcome {
  stdout: string
  stderr: string
  /** The exit code; 1 when a signal ended the command. */
  code: number
}

export interface RunOptions {
  stdin?: string
  cwd?: string
  env?: NodeJS.ProcessEnv
}

/** Runs a command to its end. An exit code other than 0 is an outcome, a command that cannot be started is an error. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { stdin = '', cwd, env } = options
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => {}) // EPIPE: it ended without reading everything, which its exit code tells.
  child.stdin.end(stdin)
  const [[code], stdout, stderr] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)])
  return { stdout, stderr, code: code ?? 1 }
}
