// A configuration and what went wrong with it, as a person wants to read it.
import { stringify } from 'yaml'
import type { Translation } from '../../src/translate/translation.ts'
import type { Difference } from './comparison.ts'
import type { Configuration } from './configuration.ts'

export function explain(
  { virtualServices, ...surroundings }: Configuration,
  translations: ReadonlyMap<string, Translation>,
  difference?: Difference,
): string {
  const yaml = (value: unknown) => stringify(value, { aliasDuplicateObjects: false })
  const diagnostics = [...translations].map(([key, { companions, warnings, denial }]) => {
    const said = [...warnings, ...(denial?.reasons ?? [])].map(
      ({ code, field, message }) => `${code} ${field}: ${message}`,
    )
    return [`${key} is ${companions.length > 0 ? 'translated' : 'refused'}`, ...said].join('\n  ')
  })
  const kept = [...translations.values()].flatMap(({ companions }) =>
    companions.map(({ kind, metadata, ...companion }) =>
      yaml({
        [kind]: `${metadata.namespace}/${metadata.name}`,
        spec: 'spec' in companion ? companion.spec : undefined,
      }),
    ),
  )
  return [
    yaml(surroundings),
    ...virtualServices.map(({ metadata, spec }) => yaml({ metadata, spec })),
    `${diagnostics.join('\n')}\n`,
    ...kept,
    ...(difference ? [yaml(withoutEmpty(difference))] : []),
  ].join('---\n')
}

/** Answers are mostly header operations that do nothing. */
function withoutEmpty(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, field) =>
    typeof field === 'object' && field !== null && Object.keys(field).length === 0 ? undefined : field,
  )
}
