// Checks the properties of never-looser.ts: breaks the translation of policies, one way at a time, and wants them to see it.
//   npm run test:enforcement-mutations             all of them
//   npm run test:enforcement-mutations -- ports    those with "ports" in their name
import { type Answer, outputOf, runMutations } from '../support/mutations.ts'
import { table } from './mutations-table.ts'

const runs = process.env.SIDESTEP_RUNS ?? '3000'

await runMutations(table, 'seen by | after', ask)

/** The property that fails and after how many sets; the first that fails is enough. */
async function ask(copy: string): Promise<Answer> {
  const output = await outputOf(copy, ['test/enforcement/never-looser-1.test.ts'], {
    env: { SIDESTEP_RUNS: runs, SIDESTEP_SEED: '1', SIDESTEP_SHRINK: 'no' },
    isEnough: text => text.includes('SIDESTEP_PATH='),
  })
  const [, property, index] = /SIDESTEP_PATH=1\/(\w+)\/(\d+)/.exec(output) ?? []
  if (!property) return { cells: `nobody | ${runs}`, isExpected: false }
  return { cells: `${property} | ${Number(index) + 1}`, isExpected: true }
}
