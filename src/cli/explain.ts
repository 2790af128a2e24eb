// `sidestep explain CODE`: the page of a diagnostic, and what the catalogue says of it.
import { catalogue, type DiagnosticCode, sentenceOf } from '../translate/diagnostics.ts'
import type { ExitCode, Io } from './io.ts'
import { nearestTo } from './nearest.ts'
import { pageOf } from './pages.ts'

const codes = Object.keys(catalogue) as DiagnosticCode[]

/** Prints one code with its page, or all codes. An unknown code gets the nearest ones instead. */
export function explain(code: string | undefined, { stdout, stderr }: Pick<Io, 'stdout' | 'stderr'>): ExitCode {
  if (code === undefined) {
    stdout.write(codes.map(factsOf).join(''))
    return 0
  }
  const name = code.toUpperCase()
  const known = codes.find(each => each === name)
  if (!known) {
    stderr.write(`error: ${code} is no diagnostic code; the nearest are ${nearestTo(name, codes).join(', ')}\n`)
    return 2
  }
  const page = pageOf(name)
  stdout.write(factsOf(known) + (page ? `\n${page}` : ''))
  return 0
}

/** `VS-FAULT (denial, since 0.1.0): HTTPRoute injects no faults, …` */
function factsOf(code: DiagnosticCode): string {
  const { severity, since } = catalogue[code]
  return `${code} (${severity}, since ${since}): ${sentenceOf(code)}\n`
}
