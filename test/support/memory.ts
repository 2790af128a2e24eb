// The command line without a process: what goes to stdout and stderr is kept as text.
import { Readable } from 'node:stream'
import type { Io } from '../../src/cli/io.ts'

export interface Memory {
  io: Io
  stdout(): string
  stderr(): string
}

export function memory(stdin = ''): Memory {
  const out: string[] = []
  const err: string[] = []
  return {
    io: {
      stdin: Readable.from([stdin]),
      stdout: { write: text => out.push(text) },
      stderr: { write: text => err.push(text) },
      env: {},
    },
    stdout: () => out.join(''),
    stderr: () => err.join(''),
  }
}
