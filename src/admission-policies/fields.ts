// Fields that are denied by being there: the fate tables of the translators, as CEL.
import type { DiagnosticCode } from '../translate/diagnostics.ts'
import type { Shape, Table } from '../translate/fate.ts'
import { isSet, or } from './cel.ts'

/** By code, an expression that finds such a field; `value` is an expression for what the table describes. */
export function fieldsIn(table: Table, value: string): Map<DiagnosticCode, string> {
  const found = new Map<DiagnosticCode, string[]>()
  for (const { code, expression } of walk(table, value, 0)) found.set(code, [...(found.get(code) ?? []), expression])
  return new Map([...found].map(([code, expressions]) => [code, or(expressions)]))
}

interface Found {
  code: DiagnosticCode
  expression: string
}

/** Every list gets a variable of its own: `http.exists(v1, has(v1.fault) && …)`. */
function walk(shape: Shape, value: string, depth: number): Found[] {
  if (typeof shape === 'string') return []
  const variable = `v${depth}`
  const within = (inner: Shape, each: string, wrap: (expression: string) => string): Found[] =>
    walk(inner, each, depth + 1).map(({ code, expression }) => ({ code, expression: wrap(expression) }))
  if ('list' in shape) return within(shape.list, variable, inner => `${value}.exists(${variable}, ${inner})`)
  if ('map' in shape)
    return within(shape.map, `${value}[${variable}]`, inner => `${value}.exists(${variable}, ${inner})`)
  return Object.entries(shape.fields).flatMap(([name, [fate, inner]]) => {
    const field = `${value}.${name}`
    const own =
      fate === 'translated' || fate === 'harmless'
        ? []
        : [{ code: fate, expression: `has(${field}) && ${isSet(field, inner)}` }]
    return [...own, ...within(inner, field, expression => `has(${field}) && ${expression}`)]
  })
}
