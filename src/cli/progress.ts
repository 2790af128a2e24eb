// How far a command is, in one line of a terminal that is written over and taken away again; into a pipe, nothing.
import { type Io, isTerminal } from './io.ts'

export interface Progress {
  show(text: string, share?: number): void
  clear(): void
}

export function progressOn({ stderr, env }: Pick<Io, 'stderr' | 'env'>): Progress {
  if (!isTerminal(stderr, env)) return { show: () => {}, clear: () => {} }
  let shown = ''
  return {
    show(text, share) {
      const line = share === undefined ? text : `${text} ${Math.floor(100 * share)} %`
      // Of ten thousand objects only a hundred change the line.
      if (line !== shown) stderr.write(`\r\u001b[K${line}`)
      shown = line
    },
    clear() {
      if (shown) stderr.write('\r\u001b[K')
      shown = ''
    },
  }
}
