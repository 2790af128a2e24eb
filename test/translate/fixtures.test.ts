import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { catalogue } from '../../src/translate/diagnostics.ts'
import { type Fixture, readFixtures, translateAll } from './fixtures.ts'

const fixtures = readFixtures()

for (const fixture of fixtures) {
  t.test(fixture.name, async t => {
    const { objects, diagnostics } = translateAll({ ...fixture, input: fixture.input.map(deepFreeze) })
    t.strictSame(plain(objects), expected(fixture, 'expected.yaml'), 'objects')
    t.strictSame(diagnostics, parse(readFileSync(join(fixture.directory, 'diagnostics.yaml'), 'utf8')), 'diagnostics')
    t.match(firstLine(fixture), /^# ./, 'the first line of input.yaml says why the fixture exists')
  })
}

t.test('every code of the catalogue fires in some fixture', async t => {
  const fired = new Set(fixtures.flatMap(fixture => translateAll(fixture).diagnostics.map(({ code }) => code)))
  const silent = Object.keys(catalogue).filter(code => !fired.has(code as keyof typeof catalogue))
  t.strictSame(silent, [])
})

function expected({ directory }: Fixture, file: string): unknown[] {
  return parseAllDocuments(readFileSync(join(directory, file), 'utf8')).map(document => document.toJS())
}

function firstLine({ directory }: Fixture): string {
  return readFileSync(join(directory, 'input.yaml'), 'utf8').split('\n', 1)[0] ?? ''
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const field of Object.values(value)) deepFreeze(field)
  return Object.freeze(value)
}
