// docs/mapping.md against the tables and the catalogue: a row for each field, and codes where they belong.
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { type CatalogueEntry, catalogue } from '../src/translate/diagnostics.ts'
import type { Shape } from '../src/translate/fate.ts'
import { gatewayFates } from '../src/translate/gateway/fates.ts'
import { virtualServiceFates } from '../src/translate/virtual-service/fates.ts'

const root = new URL('../', import.meta.url)
const codes: Record<string, CatalogueEntry> = catalogue
const page = read('docs/mapping.md')
const sections = page.split(/^## /m).slice(1)

for (const [title, prefix, fates] of [
  ['VirtualService', 'VS-', virtualServiceFates],
  ['Istio Gateway', 'GW-', gatewayFates],
] as const) {
  const section = sections.find(text => text.startsWith(`${title}\n`)) ?? ''
  const rows = rowsOf(section)

  t.test(`${title}: each field has one row, and each row is of fields that there are`, async t => {
    const named = rows.flatMap(([fields = '']) => [...fields.matchAll(/`([^`]+)`/g)].map(([, field]) => field ?? ''))
    t.strictSame(named.toSorted(), fieldsOf(fates, 'spec').toSorted())
  })

  t.test(`${title}: what is announced is translated, and what is refused is not`, async t => {
    for (const [field = '', becomes = '', announced = '', refused = ''] of rows) {
      t.strictSame(codesIn(becomes), [], `${field} names codes in the other columns`)
      for (const code of codesIn(announced)) t.notOk(isRefusal(code), `${code} is announced of ${field}`)
      for (const code of codesIn(refused)) t.ok(isRefusal(code), `${code} refuses ${field}`)
    }
  })

  t.test(`${title}: every code of the kind is somewhere in its section`, async t => {
    const wanted = Object.keys(codes).filter(code => code.startsWith(prefix))
    t.strictSame(
      wanted.filter(code => !codesIn(section).includes(code)),
      [],
    )
  })
}

t.test('every code of the kinds that stay as they are is in their section', async t => {
  const section = sections.find(text => text.startsWith('Kinds that stay as they are\n')) ?? ''
  const ours = /^(DR|EF|KN|KS|NP|PC|POD|SC|SE|TM|WE|WP)-/
  t.strictSame(
    codesIn(section).filter(code => !ours.test(code)),
    [],
  )
  for (const code of Object.keys(codes).filter(code => ours.test(code)))
    t.ok(codesIn(section).includes(code), `${code} is there`)
})

const prefixes = [...new Set(Object.keys(codes).map(code => code.replace(/-.*/, '')))]
const anyCode = new RegExp(`\\b(${prefixes.join('|')})-[A-Z]{2,}(-[A-Z0-9]+)*\\b(?!-\\*)`, 'g')
const pages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...markdownIn('docs/'), ...markdownIn('docs/decisions/')]

for (const name of pages) {
  t.test(`${name} names codes that there are`, async t => {
    // A decision speaks of the codes of its time.
    const isRecord = name.startsWith('docs/decisions/')
    for (const [code] of isRecord ? [] : read(name).matchAll(anyCode))
      t.ok(Object.hasOwn(codes, code), `${code} is in the catalogue`)
  })
}

/** The cells of every table row; a bar inside a cell stands behind a backslash. */
function rowsOf(section: string): string[][] {
  return section
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map(cell => cell.trim()),
    )
}

/** Every field of a table and of the tables below it, in the words of the page. */
function fieldsOf(shape: Shape, path: string): string[] {
  if (typeof shape === 'string') return []
  if ('list' in shape) return fieldsOf(shape.list, path)
  if ('map' in shape) return fieldsOf(shape.map, path)
  return Object.entries(shape.fields).flatMap(([name, [, inner]]) => {
    const here = `${path}.${name}${suffixOf(inner)}`
    return [here, ...fieldsOf(inner, here)]
  })
}

function suffixOf(shape: Shape): string {
  if (typeof shape === 'string') return ''
  return 'list' in shape ? '[]' : 'map' in shape ? '[name]' : ''
}

function isRefusal(code: string): boolean {
  const entry = codes[code]
  return entry?.severity === 'denial' || entry?.untranslated === true
}

function codesIn(text: string): string[] {
  return [...text.matchAll(/\]\((?:[\w.]+\/)*([A-Z]+-[A-Z0-9-]+)\.md\)/g)].map(([, code]) => code ?? '')
}

function markdownIn(directory: string): string[] {
  return readdirSync(new URL(directory, root))
    .filter(name => name.endsWith('.md'))
    .sort()
    .map(name => `${directory}${name}`)
}

function read(name: string): string {
  return readFileSync(new URL(name, root), 'utf8')
}
