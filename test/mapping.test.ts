// docs/mapping.md against the tables and the catalogue: a row for each field, and codes where they belong.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
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

const pages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...markdownIn('docs/'), ...markdownIn('docs/decisions/')]

for (const name of pages) {
  t.test(`${name} names codes that there are, and its links lead somewhere`, async t => {
    const text = read(name)
    // A decision speaks of the codes of its time.
    const isRecord = name.startsWith('docs/decisions/')
    for (const [code] of isRecord ? [] : text.matchAll(/\b(VS|AP|RA|PA|NS|SVC|GW)-[A-Z]{2,}(-[A-Z0-9]+)*\b(?!-\*)/g))
      t.ok(Object.hasOwn(codes, code), `${code} is in the catalogue`)
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target.startsWith('https://')) continue
      const [path = '', fragment] = target.split('#')
      const url = new URL(path || name.replace(/.*\//, ''), new URL(name, root))
      const [, code] = /\/docs\/diagnostics\/([A-Z0-9-]+)\.md$/.exec(url.pathname) ?? []
      // That each code has its page is for diagnostics-pages.test.ts to say.
      if (!t.ok(code && code !== 'README' ? Object.hasOwn(codes, code) : existsSync(url), `${target} is there`))
        continue
      if (fragment) t.ok(anchorsOf(readFileSync(url, 'utf8')).includes(fragment), `${target} has that heading`)
    }
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

/** The fragments that GitHub gives to headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
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
