// The promise of the translator: no request is rerouted in silence. Two evaluators, written from the specification and
// not from the translator, answer the same requests before and after.
//   SIDESTEP_RUNS=100000 SIDESTEP_SEED=1 npx tap test/routing/equivalence.test.ts
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { differences, refusedRoutes } from './comparison.ts'
import { type Configuration, translateAll } from './configuration.ts'
import { explain } from './explain.ts'
import { configuration } from './generate.ts'
import { requestsFor } from './requests.ts'

const numRuns = Number(process.env.SIDESTEP_RUNS ?? 3000)
const seed = Number(process.env.SIDESTEP_SEED ?? Date.now() % 2 ** 31)
t.comment(`SIDESTEP_SEED=${seed} SIDESTEP_RUNS=${numRuns}`)

/** Fails with the smallest configuration for which `problem` has something to tell. */
function never(
  t: Test,
  problem: (configuration: Configuration) => string | undefined,
  { numRuns, todo = '' }: { numRuns: number; todo?: string },
) {
  const { failed, counterexample } = fc.check(
    fc.property(configuration, configuration => problem(configuration) === undefined),
    { seed, numRuns },
  )
  const [smallest] = counterexample ?? []
  if (smallest) t.comment(problem(smallest))
  t.notOk(failed, `never in ${numRuns} configurations`, { todo: failed && todo })
}

t.test('a request to a translated VirtualService is answered as before, or as the diagnostics announce', async t => {
  const problem = (configuration: Configuration) => {
    const translations = translateAll(configuration)
    const [refusal] = refusedRoutes(translations)
    if (refusal) return `The API server would refuse ${refusal}\n${explain(configuration, translations)}`
    for (const difference of differences(configuration, translations, requestsFor(configuration))) {
      if (difference.kind === 'rerouted') return explain(configuration, translations, difference)
    }
    return undefined
  }
  never(t, problem, { numRuns })
})

t.test('a request to a refused VirtualService is answered by nobody else', async t => {
  const problem = (configuration: Configuration) => {
    const translations = translateAll(configuration)
    for (const difference of differences(configuration, translations, requestsFor(configuration))) {
      if (difference.kind === 'taken over') return explain(configuration, translations, difference)
    }
    return undefined
  }
  never(t, problem, { numRuns: Math.ceil(numRuns / 6), todo: 'undecided: refuse the neighbours too, or announce it' })
})

t.test('the configurations are worth comparing', async t => {
  const samples = fc.sample(configuration, { seed, numRuns: 300 }).map(translateAll)
  const translations = samples.flatMap(sample => [...sample.values()])
  const translated = translations.filter(({ companions }) => companions.length > 0)
  t.ok(translated.length > translations.length / 3, 'a third of the VirtualServices is translated')
  t.ok(
    samples.some(sample => [...sample.values()].filter(({ companions }) => companions.length > 0).length > 1),
    'two of a cluster are translated',
  )
  const said = new Set(translated.flatMap(({ warnings }) => warnings).map(({ code }) => code))
  for (const code of [
    'VS-MATCH-PREFIX-SLASH',
    'VS-MATCH-PREFIX-ELEMENT',
    'VS-REWRITE-SLASH',
    'VS-ORDER-DEAD',
  ] as const) {
    t.ok(said.has(code), `${code} is said of something translated`)
  }
})
