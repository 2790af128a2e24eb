// docs/diagnostics: a page for each code of the catalogue, and a table of all of them. Their links and YAML are looked at in
// docs.test.ts, with those of all pages.
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { type CatalogueEntry, catalogue } from '../src/translate/diagnostics.ts'

const directory = new URL('../docs/diagnostics/', import.meta.url)
const entries: [string, CatalogueEntry][] = Object.entries(catalogue)
const files = readdirSync(directory).sort()

t.test('the catalogue and the pages are equal, both ways', async t => {
  const pages = files.filter(file => file !== 'README.md')
  t.strictSame(pages, entries.map(([code]) => `${code}.md`).sort())
})

for (const [code, { severity, since }] of entries) {
  t.test(`${code} has a page with its facts and its three sections`, async t => {
    const [title, facts = '', ...rest] = read(`${code}.md`).split('\n')
    t.equal(title, `# ${code}`)
    t.ok(facts.startsWith(`Severity: ${severity}. Since ${since}. Kind: `), facts)
    t.strictSame(
      rest.filter(line => line.startsWith('## ')),
      ['## What you wrote', '## What would happen in ambient', '## What to write instead'],
    )
  })
}

t.test('the table lists every code with its severity and its sentence, and no other', async t => {
  const rows = read('README.md')
    .split('\n')
    .filter(line => line.startsWith('| ['))
  const expected = entries.map(
    ([code, { severity, message }]) => `| [${code}](${code}.md) | ${severity} | ${escaped(message)} |`,
  )
  t.strictSame(rows.toSorted(), expected.toSorted())
})

function read(file: string): string {
  return readFileSync(new URL(file, directory), 'utf8')
}

/** What Markdown would take for HTML, emphasis or the end of a cell stands behind a backslash. */
function escaped(sentence: string): string {
  return sentence.replace(/[<|*]/g, '\\$&')
}
