// What a command may touch beside files: arguments come in, text and an exit code go out. `process` is one of these.

export interface Io {
  stdin: AsyncIterable<Uint8Array | string>
  stdout: Output
  stderr: Output
  env: Readonly<Record<string, string | undefined>>
  /** Ends what takes long; without one, SIGINT and SIGTERM do. */
  signal?: AbortSignal
}

export interface Output {
  write(text: string): unknown
  isTTY?: boolean
}

/**
 * 0: done, 1: an object is denied or something is left to do, 2: the input, the settings or the command line cannot be used,
 * 130: interrupted.
 */
export type ExitCode = 0 | 1 | 2 | 130

type Env = Io['env']

/** Whether a line can be written over, as progress does: a terminal that understands escapes. */
export function isTerminal({ isTTY }: Output, { TERM }: Env): boolean {
  return isTTY === true && TERM !== 'dumb'
}

/**
 * Colours are for people: on a terminal, and not against their will (https://no-color.org). Who says FORCE_COLOR, as logs of
 * CI do that show colours, has the last word (https://force-color.org); 0 is no, as Node itself has it.
 */
export function isColoured(output: Output, env: Env): boolean {
  const { FORCE_COLOR, NO_COLOR } = env
  if (FORCE_COLOR) return FORCE_COLOR !== '0'
  return isTerminal(output, env) && !NO_COLOR
}
