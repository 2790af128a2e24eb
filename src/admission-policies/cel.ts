// Pieces of CEL, the language of the API server's own admission policies, as text.
import type { Shape } from '../translate/fate.ts'

/** A string, list or map literal; what JSON writes CEL reads. */
export function literal(value: unknown): string {
  return JSON.stringify(value)
}

/** Whether a map of labels, which may be missing as a whole, has what a selector asks for. */
export function hasLabels(metadata: string, labels: Record<string, string>): string {
  return and(Object.entries(labels).map(([name, value]) => `${label(metadata, name)} == ${literal(value)}`))
}

/** The value of a label, or `''` where there is none. */
export function label(metadata: string, name: string): string {
  return `(has(${metadata}.labels) && ${literal(name)} in ${metadata}.labels ? ${metadata}.labels[${literal(name)}] : "")`
}

export function and(terms: string[]): string {
  return terms.length === 0 ? 'true' : terms.map(term => `(${term})`).join(' && ')
}

export function or(terms: string[]): string {
  return terms.length === 0 ? 'false' : terms.map(term => `(${term})`).join(' || ')
}

/**
 * Whether a value says anything, as fate.ts has it: `0` is set; `false`, `''`, `{}` and `[]` are what nobody sets.
 * @param value an expression for a field that is there
 */
export function isSet(value: string, shape: Shape): string {
  if (shape === 'boolean') return value
  if (shape === 'integer' || shape === 'number') return 'true'
  return shape === 'string' ? `${value} != ""` : `size(${value}) > 0`
}
