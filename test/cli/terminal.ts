// A pseudo-terminal, for what a program does only there. util-linux's `script` makes it; Node itself cannot.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

/** Why there is none here. */
export function noTerminal(): string | undefined {
  const { status } = spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: ['pipe', 'ignore', 'ignore'] })
  return status === 0 ? undefined : 'there is no script of util-linux, which makes a pseudo-terminal'
}

export class Terminal {
  /** All that has been printed, with its escapes. */
  screen = ''
  readonly #child: ChildProcessWithoutNullStreams

  constructor(command: string, env: Record<string, string | undefined>) {
    this.#child = spawn('script', ['-qfec', command, '/dev/null'], { env: { ...env, SHELL: '/bin/sh' } })
    this.#child.stdout.on('data', chunk => {
      this.screen += chunk
    })
  }

  type(keys: string): void {
    this.#child.stdin.write(keys)
  }

  /** Waits until something is printed so often; false for what never comes, however slow the machine. */
  async shows(expected: RegExp, times = 1): Promise<boolean> {
    const deadline = AbortSignal.timeout(240_000)
    while ([...this.screen.matchAll(expected)].length < times) {
      try {
        await once(this.#child.stdout, 'data', { signal: deadline })
      } catch {
        return false
      }
    }
    return true
  }

  /** The exit code. */
  async end(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'close')
    return this.#child.exitCode
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
