import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const directory = fileURLToPath(new URL('.', import.meta.url))
const decision = fileURLToPath(new URL('../../docs/decisions/0003-envoy.md', import.meta.url))

t.test('every test that docs/decisions/0003-envoy.md names exists', async t => {
  const source = readdirSync(directory)
    .map(file => readFileSync(`${directory}${file}`, 'utf8'))
    .join('\n')
  const names = new Set(
    [...source.matchAll(/^test\(\s*(['"])(.+?)\1,/gm)].map(([, , name]) => name?.replaceAll('\\\\', '\\')),
  )
  const rows = readFileSync(decision, 'utf8')
    .split('\n')
    .filter(line => line.startsWith('| '))
  const shownBy = rows.map(row => row.split(' | ')[2] ?? '')
  const named = shownBy.flatMap(cell => [...cell.matchAll(/`(.+?)`/g)].map(([, name = '']) => name))
  t.ok(named.length > 50, `${named.length} names`)
  for (const name of named) t.ok(names.has(name), name)
})
