// The page of a diagnostic, from the documentation that a package and an image bring along.
import { readFileSync } from 'node:fs'

/** docs/ lies two levels above both src/cli/ and dist/cli/. */
const pages = new URL('../../docs/diagnostics/', import.meta.url)

export function pageOf(code: string): string | undefined {
  try {
    return readFileSync(new URL(`${code}.md`, pages), 'utf8')
  } catch {
    return undefined // An installation without docs/ still has the catalogue.
  }
}
