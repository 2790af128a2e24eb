// The process around the command line. npm makes a name for each entry of `bin`, as a link or as a script of its own that
// calls the file; so an entry's name says nothing, and each of them is a file.
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ExitCode, Io } from './io.ts'

/** Whether this module is what Node was told to run; npm may say so through a symbolic link. */
export function isEntry(url: string, script = process.argv[1] ?? ''): boolean {
  return script !== '' && realpathSync(script) === fileURLToPath(url)
}

export async function runProcess(run: (argv: string[], io: Io) => Promise<ExitCode>): Promise<void> {
  // Whoever reads has seen enough (`| head`): that is no error, and the rest may go nowhere.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  process.exitCode = await run(process.argv.slice(2), process)
}
