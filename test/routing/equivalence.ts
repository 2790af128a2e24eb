// The promise of the translator: no request is rerouted in silence. Two evaluators, written from the specification and
// not from the translator, answer the same requests before and after. The files equivalence-*.test.ts each take a share of
// the runs, so that tap can use every core.
//   SIDESTEP_RUNS=20000 SIDESTEP_SEED=1 npm run test:routing
//   SIDESTEP_FEATURES=cors,mirrors (or all but one: -'foreign routes') SIDESTEP_RUNS=500 node --import=tsx test/routing/equivalence-1.test.ts
import fc from 'fast-check'
import t from 'tap'
import type { Translation } from '../../src/translate/translation.ts'
import { differences, refusedRoutes } from './comparison.ts'
import { type Configuration, translateAll } from './configuration.ts'
import { explain } from './explain.ts'
import { configurations } from './generate.ts'

const shares = 2

/** 20,000 in CI; for people a share that is done in seconds. */
export const runs = Number(process.env.SIDESTEP_RUNS ?? (process.env.CI ? 20_000 : 600))
const features = (process.env.SIDESTEP_FEATURES ?? '').split(',').filter(Boolean)
// The same every time, so that a change is told apart from luck; `npm run test:routing` looks further.
const asked = process.env.SIDESTEP_SEED ?? '1'
const firstSeed = asked === 'random' ? Date.now() % 2 ** 31 : Number(asked)

/** One share of the runs, with a seed of its own. */
export function neverReroutes(share: number): void {
  const numRuns = Math.ceil(runs / shares)
  const seed = firstSeed + share * 1_000_003
  t.comment(`SIDESTEP_SEED=${firstSeed} SIDESTEP_RUNS=${runs}, share ${share} of ${shares}`)
  t.test('a request to a translated VirtualService is answered as before, or as the diagnostics announce', async t => {
    const said = new Set<string>()
    let [there, translated] = [0, 0]
    const property = fc.property(configurations(features), configuration => {
      const translations = translateAll(configuration)
      for (const { companions, warnings } of translations.values()) {
        there += 1
        if (companions.length === 0) continue
        translated += 1
        for (const { code } of warnings) said.add(code)
      }
      return problem(configuration, translations) === undefined
    })
    const { failed, counterexample } = fc.check(property, { seed, numRuns })
    const [smallest] = counterexample ?? []
    if (smallest) t.comment(problem(smallest, translateAll(smallest)))
    t.notOk(failed, `never in ${numRuns} configurations (SIDESTEP_SEED=${firstSeed})`)
    t.comment(`${translated} of ${there} VirtualServices translated; said of them: ${[...said].sort().join(' ')}`)
    if (failed || features.length > 0 || numRuns < 300) return
    // A property about nothing holds too.
    t.ok(translated > there / 4, 'a quarter of the VirtualServices is translated')
    for (const code of ['VS-MATCH-PREFIX-SLASH', 'VS-MATCH-PREFIX-ELEMENT', 'VS-REWRITE-SLASH', 'VS-ORDER-DEAD']) {
      t.ok(said.has(code), `${code} is said of something translated`)
    }
  })
}

/** What is wrong with the translation of a configuration, as a person wants to read it. */
function problem(configuration: Configuration, translations: Map<string, Translation>): string | undefined {
  const [refusal] = refusedRoutes(configuration, translations)
  if (refusal) return `The API server would refuse ${refusal}\n${explain(configuration, translations)}`
  const [difference] = differences(configuration, translations)
  return difference && explain(configuration, translations, difference)
}
