// Checks the property: breaks the translator, one way at a time, and wants the property of equivalence.ts to see each. A
// mutation that nobody sees is a hole in the generator, in the requests or in the evaluators.
//   npm run test:mutations             all of them
//   npm run test:mutations -- R3       those with R3 in their name
import { resolve } from 'node:path'
import { type Answer, outputOf, runMutations } from '../support/mutations.ts'
import { type Mutation, shows, table, type Verdict } from './mutations-table.ts'

const source = resolve(import.meta.dirname, '../..')

await runMutations(table, 'seen after | counterexample', ask)

async function ask(copy: string, mutation: Mutation): Promise<Answer> {
  const { features, seed = 1, runs = 2000, expected = 'rerouted', because } = mutation
  const args = [source, features.join(), String(seed), String(runs), expected]
  const verdict = verdictIn(await outputOf(copy, ['test/routing/mutant.ts', ...args]))
  const seen = verdict.shows === 'rerouted' ? String(verdict.runs) : `${verdict.shows} (${verdict.runs})`
  const told = [verdict.kind, because].filter(Boolean).join('; ')
  return { cells: `${seen} | ${told}`, isExpected: verdict.shows === expected }
}

function verdictIn(output: string): Verdict {
  const { shows: showed, runs, kind }: Partial<Verdict> = output === '' ? {} : JSON.parse(output)
  return { shows: showed ?? shows[3], runs: runs ?? 0, kind: kind ?? 'it did not run' }
}
