// What a command may touch beside files: arguments come in, text and an exit code go out. `process` is one of these.

export interface Io {
  stdin: AsyncIterable<Uint8Array | string>
  stdout: Output
  stderr: Output
  env: Readonly<Record<string, string | undefined>>
}

export interface Output {
  write(text: string): unknown
  isTTY?: boolean
}

/** 0: done, 1: at least one object is denied, 2: the input, the settings or the command line cannot be used. */
export type ExitCode = 0 | 1 | 2

/** Colours are for people: only on a terminal, and not against their will (https://no-color.org). */
export function isColoured({ isTTY }: Output, { NO_COLOR, TERM }: Io['env']): boolean {
  return isTTY === true && !NO_COLOR && TERM !== 'dumb'
}
