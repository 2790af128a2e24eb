// `sidestep explain CODE`: the page of a diagnostic, and what the catalogue says of it.
import { readFileSync } from 'node:fs'
import { type CatalogueEntry, catalogue } from '../translate/diagnostics.ts'
import type { ExitCode, Io } from './io.ts'
import { nearestTo } from './nearest.ts'

/** docs/ lies two levels above both src/cli/ and dist/cli/. */
const pages = new URL('../../docs/diagnostics/', import.meta.url)

const entries = new Map<string, CatalogueEntry>(Object.entries(catalogue))

/** Prints one code with its page, or all codes. An unknown code gets the nearest ones instead. */
export function explain(code: string | undefined, { stdout, stderr }: Pick<Io, 'stdout' | 'stderr'>): ExitCode {
  if (code === undefined) {
    stdout.write([...entries].map(([name, entry]) => factsOf(name, entry)).join(''))
    return 0
  }
  const name = code.toUpperCase()
  const entry = entries.get(name)
  if (!entry) {
    stderr.write(
      `error: ${code} is no diagnostic code; the nearest are ${nearestTo(name, entries.keys()).join(', ')}\n`,
    )
    return 2
  }
  const page = pageOf(name)
  stdout.write(factsOf(name, entry) + (page ? `\n${page}` : ''))
  return 0
}

/** `VS-FAULT (denial, since 0.1.0): HTTPRoute injects no faults, …` */
function factsOf(name: string, { severity, since, message }: CatalogueEntry): string {
  return `${name} (${severity}, since ${since}): ${message}\n`
}

function pageOf(name: string): string | undefined {
  try {
    return readFileSync(new URL(`${name}.md`, pages), 'utf8')
  } catch {
    return undefined // An installation without docs/ still has the catalogue.
  }
}
