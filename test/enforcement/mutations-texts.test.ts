// The mutations of mutations-table.ts are run by hand (`npm run test:enforcement-mutations`); that they still name the
// translator's own text is looked at every time, or the table would grow old in silence.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mutations } from './mutations-table.ts'

const folder = join(import.meta.dirname, '../../src/translate')

t.test('every mutation names a text that is there, and once', async t => {
  for (const { name, file, from } of mutations)
    t.equal(readFileSync(join(folder, file), 'utf8').split(from).length, 2, name)
})
