// `npm run fixtures`: writes expected.yaml and diagnostics.yaml of every fixture anew, and the rows of the table of codes.
// The diff is the review.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type CatalogueEntry, catalogue } from '../../src/translate/diagnostics.ts'
import { readFixtures, translateAll } from './fixtures.ts'

for (const fixture of readFixtures()) {
  const { objects, diagnostics } = translateAll(fixture)
  const documents = objects.map(object => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }))
  writeFileSync(join(fixture.directory, 'expected.yaml'), documents.join('---\n'))
  writeFileSync(join(fixture.directory, 'diagnostics.yaml'), stringify(diagnostics, { lineWidth: 0 }))
}

// Each kind has a table of its own, whose rows all begin with the kind's code.
const table = new URL('../../docs/diagnostics/README.md', import.meta.url)
const entries: [string, CatalogueEntry][] = Object.entries(catalogue)
const rowsOf = (kind: string) =>
  entries
    .filter(([code]) => code.startsWith(`${kind}-`))
    .map(([code, { severity, message }]) => `| [${code}](${code}.md) | ${severity} | ${escaped(message)} |\n`)
    .join('')
writeFileSync(
  table,
  readFileSync(table, 'utf8').replace(/(?:^\| \[([A-Z]+)-.*\n)+/gm, (_, kind) => rowsOf(kind)),
)

function escaped(message: string): string {
  return message.replace(/[<|*]/g, '\\$&')
}
