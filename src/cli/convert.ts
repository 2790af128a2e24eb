// Input objects -> what is to be printed, in a stable order: each object followed by its companions.
import type { KubernetesObject } from '../apis/core.ts'
import { isEqual } from '../translate/canonical.ts'
import { isCompanion } from '../translate/companion.ts'
import { translate as translateObject } from '../translate/index.ts'
import type { Diagnostic } from '../translate/report.ts'
import type { Settings } from '../translate/settings.ts'
import { type ClusterSnapshot, snapshotOf } from '../translate/snapshot.ts'
import type { Translate, Translation } from '../translate/translation.ts'
import type { Input, Problem } from './documents.ts'
import { describe, identityOf } from './objects.ts'

/** One object of the output. */
export interface Printed {
  object: KubernetesObject
  /** Whether it is the input as it came, rewritten, or a companion of it. */
  role: 'unchanged' | 'rewritten' | 'companion'
  /** The input that it comes from. */
  input: Input
}

/** A diagnostic and the input that it is about. */
export interface Finding {
  diagnostic: Diagnostic
  input: Input
}

export interface Conversion {
  printed: Printed[]
  findings: Finding[]
  problems: Problem[]
}

export interface ConvertOptions {
  settings: Settings
  /** What else is in the cluster; an input of the same identity wins. */
  others?: readonly Input[]
  statuses?: ClusterSnapshot['statuses']
  translate?: Translate<KubernetesObject>
}

interface Result {
  input: Input
  translation: Translation
}

/**
 * Translates every input as if all of them, and the others, were in one cluster. A denied object is printed as it came,
 * so that a caller who goes on loses nothing.
 */
export function convert(
  inputs: readonly Input[],
  { settings, others = [], statuses = 'assumed', translate = translateObject }: ConvertOptions,
): Conversion {
  const objects = [...others, ...inputs].map(({ object }) => object)
  const cluster = snapshotOf(objects, statuses)
  const results = inputs.map((input): Result => {
    try {
      return { input, translation: translate(input.object, cluster, settings) }
    } catch (cause) {
      // translate() never throws; if it does, whoever has ten thousand objects must know which one it was.
      const { file, line } = input.positionOf('')
      throw new Error(`${describe(input.object)} in ${file}:${line}`, { cause })
    }
  })
  const { companions, identities, problems } = companionsOf(results)
  return {
    printed: results.flatMap(result => {
      const beside = companions.get(result.input) ?? []
      // What an earlier run printed as a companion and now is input comes once: fresh, and after its source.
      return identities.has(identityOf(result.input.object)) ? beside : [printedOf(result), ...beside]
    }),
    findings: results.flatMap(({ input, translation: { denial, warnings } }) =>
      [...(denial?.reasons ?? []), ...warnings].map(diagnostic => ({ diagnostic, input })),
    ),
    problems,
  }
}

function printedOf({ input, translation: { object, denial } }: Result): Printed {
  const isUnchanged = denial !== undefined || isEqual(object, input.object)
  return isUnchanged ? { object: input.object, role: 'unchanged', input } : { object, role: 'rewritten', input }
}

/**
 * The companions of each input. One that several sources want comes with the first; one whose place an object of
 * somebody else takes does not come at all, and translate() has said so to the source.
 */
function companionsOf(results: Result[]): {
  companions: Map<Input, Printed[]>
  identities: Set<string>
  problems: Problem[]
} {
  const inputs = results.map(({ input }) => input)
  const foreign = new Set(inputs.filter(({ object }) => !isCompanion(object)).map(({ object }) => identityOf(object)))
  const kept = new Map<string, Printed>()
  const companions = new Map<Input, Printed[]>(inputs.map(input => [input, []]))
  const problems: Problem[] = []
  for (const { input, translation } of results) {
    for (const object of translation.denial ? [] : translation.companions) {
      const identity = identityOf(object)
      const other = kept.get(identity)
      if (foreign.has(identity)) continue
      if (!other) {
        const companion: Printed = { object, role: 'companion', input }
        kept.set(identity, companion)
        companions.get(input)?.push(companion)
      } else if (!isEqual(other.object, object)) {
        // Whichever were printed, the other would be missing, and that may be a guard.
        const both = `${describe(other.input.object)} and ${describe(input.object)}`
        problems.push({
          ...input.positionOf(''),
          message: `${describe(object)} would differ for ${both}; report this bug`,
        })
      }
    }
  }
  return { companions, identities: new Set(kept.keys()), problems }
}
