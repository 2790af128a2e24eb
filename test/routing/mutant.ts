// One mutant: asked inside a copy of the sources that mutations.ts has broken. Translates configurations until what is
// wrong shows, and prints one line of JSON.
//   node --import=tsx test/routing/mutant.ts <sound sources> <features> <seed> <runs> <what is expected>
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import type { Translation } from '../../src/translate/translation.ts'
import { type Difference, differences, refusedRoutes } from './comparison.ts'
import { type Configuration, translateAll } from './configuration.ts'
import { configurations } from './generate.ts'
import { type Shows, shows, type Verdict } from './mutations-table.ts'

const [source = '', features = '', seed = '', wantedRuns = '', wanted = ''] = process.argv.slice(2)
const runs = Number(wantedRuns)

type Translations = Map<string, Translation>

/** The first configuration that shows what is expected, or something worse, and else what showed at all. */
function verdictOf(sound: (configuration: Configuration) => Translations, expected: Shows): Verdict {
  let best: Verdict = { shows: 'nothing', runs, kind: '' }
  for (const [i, configuration] of sampled()) {
    const mutant = translateAll(configuration)
    const before = sound(configuration)
    // What the mutation leaves as it was is not asked again: the property holds for it.
    if (isDeepStrictEqual(mutant, before)) continue
    const found = symptom(configuration, mutant, before)
    const verdict = { ...found, runs: i + 1, configuration }
    if (shows.indexOf(verdict.shows) < shows.indexOf(best.shows)) best = verdict
    if (shows.indexOf(best.shows) <= shows.indexOf(expected)) return best
  }
  return best
}

function symptom(configuration: Configuration, mutant: Translations, sound: Translations) {
  const [refusal] = refusedRoutes(configuration, mutant)
  if (refusal) return { shows: 'rerouted' as const, kind: 'the API server refuses it' }
  const [difference] = differences(configuration, mutant)
  if (difference) {
    const [own] = differences(configuration, sound)
    if (own) throw new Error(`the sources fail by themselves: ${JSON.stringify({ configuration, own })}`)
    return { shows: 'rerouted' as const, kind: kindOf(difference) }
  }
  const isTranslated = (translations: Translations, key: string) => (translations.get(key)?.companions.length ?? 0) > 0
  const [refused] = [...sound.keys()].filter(key => isTranslated(sound, key) && !isTranslated(mutant, key))
  if (!refused) return { shows: 'otherwise' as const, kind: 'another route, or other words' }
  const { warnings = [], denial } = mutant.get(refused) ?? {}
  const known = (sound.get(refused)?.warnings ?? []).map(({ code }) => code)
  const reasons = [...(denial?.reasons ?? []), ...warnings]
    .map(({ code }) => code)
    .filter(code => !known.includes(code))
  return { shows: 'refused' as const, kind: [...new Set(reasons)].join(' ') }
}

/** Where, and in which part of the answer the two worlds part. */
function kindOf({ at, before, after }: Difference): string {
  const place = at.replace(/,.*/, '')
  const [kindBefore, kindAfter] = [before, after].map(answer => fieldOf(answer, 'kind'))
  if (kindBefore !== kindAfter) return `${place}: ${kindBefore} becomes ${kindAfter}`
  const fields = Object.keys(Object(before)).filter(
    field => !isDeepStrictEqual(fieldOf(before, field), fieldOf(after, field)),
  )
  return `${place}: ${fields.join(', ')} of a ${kindBefore}`
}

function fieldOf(answer: unknown, field: string): unknown {
  return Object.entries(Object(answer)).find(([name]) => name === field)?.[1]
}

/** As many as it takes: most mutants show in the first hundred. */
function* sampled(): Generator<[number, Configuration]> {
  const arbitrary = configurations(features.split(','))
  for (let i = 0; i < runs; i += 50)
    for (const [j, configuration] of fc.sample(arbitrary, { seed: Number(seed) + i, numRuns: 50 }).entries())
      yield [i + j, configuration]
}

const { translateAll: sound } = await import(join(source, 'test/routing/configuration.ts'))
const verdict = verdictOf(sound, shows.find(each => each === wanted) ?? 'rerouted')
process.stdout.write(JSON.stringify(verdict))
