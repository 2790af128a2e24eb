// The mutations of mutations-table.ts are run by hand (`npm run test:enforcement-mutations`); that they still name the
// translator's own text is looked at every time, or the table would grow old in silence.
import t from 'tap'
import { outdated } from '../support/mutations.ts'
import { table } from './mutations-table.ts'

t.test('every mutation names a text that is there, and once', async t => {
  t.strictSame(
    outdated(table).map(({ name }) => name),
    [],
  )
})
