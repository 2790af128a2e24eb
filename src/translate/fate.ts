// What becomes of every field of every kind: one table per API type says its fate and its shape, and one walk
// over an object reports what the tables do not translate. "Nothing is lost in silence" is this file.
import type { DiagnosticCode, PlainCode } from './diagnostics.ts'
import type { Report } from './report.ts'

/** `translated`: a piece of the translator reads it. `harmless`: without it nothing changes. Else the code to report. */
export type Fate = 'translated' | 'harmless' | PlainCode

/** The JSON type that the CRD demands; `any` is for parts that are passed through unread. */
export type Shape = 'string' | 'integer' | 'number' | 'boolean' | 'any' | Table | { list: Shape } | { map: Shape }

/** One API type: every field with its fate and its shape. */
export interface Table {
  fields: Record<string, [Fate, Shape]>
}

/** A table that the compiler holds against the API type: a field added there fails here until its fate is decided. */
export function table<T>(fields: { [K in keyof Required<T>]: [Fate, Shape] }): Table {
  return { fields }
}

export const listOf = (shape: Shape): Shape => ({ list: shape })
export const mapOf = (shape: Shape): Shape => ({ map: shape })

/** The codes for input that the API server would refuse or prune. Without `unknown`, other fields are none of our business. */
export interface ShapeCodes {
  unknown?: Extract<DiagnosticCode, `${string}-FIELD-UNKNOWN`>
  type: Extract<DiagnosticCode, `${string}-FIELD-TYPE`>
}

/**
 * Walks a value along its shape and reports each field that is set and not translated, unknown, or of another type.
 * `null`, `{}` and `[]` mean "not set", as the API server and Istio read them.
 * @param field where the value stands, as in the user's YAML, for example `spec.http[0]`
 * @returns whether every value had the type that the shape demands, so that typed code may read it
 */
export function inspect(value: unknown, shape: Shape, field: string, codes: ShapeCodes, report: Report): boolean {
  if (shape === 'any') return true
  if (typeof shape === 'string') return isOfType(value, shape) || mistyped(shape, field, codes, report)
  if ('list' in shape) {
    if (!Array.isArray(value)) return mistyped('list', field, codes, report)
    return every(value.entries(), ([i, item]) => inspect(item, shape.list, `${field}[${i}]`, codes, report))
  }
  if (!isRecord(value)) return mistyped('map', field, codes, report)
  if ('map' in shape)
    return every(Object.entries(value), ([key, item]) => inspect(item, shape.map, `${field}[${key}]`, codes, report))
  return every(Object.entries(value), ([name, item]) => {
    if (item === null || item === undefined) return true
    const here = field ? `${field}.${name}` : name
    const entry = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined
    if (!entry) {
      if (codes.unknown) report(codes.unknown, here)
      return true
    }
    const [fate, fieldShape] = entry
    const typed = inspect(item, fieldShape, here, codes, report)
    if (typed && fate !== 'translated' && fate !== 'harmless' && isSet(item)) report(fate, here)
    return typed
  })
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `0` is set; `false`, `''`, `{}` and `[]` are what these fields are when nobody sets them. */
function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (isRecord(value)) return Object.keys(value).length > 0
  return value !== null && value !== undefined && value !== false && value !== ''
}

function isOfType(value: unknown, type: 'string' | 'integer' | 'number' | 'boolean'): boolean {
  if (type === 'integer') return Number.isSafeInteger(value)
  if (type === 'number') return typeof value === 'number' && Number.isFinite(value)
  return typeof value === type
}

function mistyped(wanted: string, field: string, codes: ShapeCodes, report: Report): false {
  report(codes.type, field, { wanted })
  return false
}

/** Like Array.every, but goes on after a failure, so that all problems are reported at once. */
function every<T>(items: Iterable<T>, holds: (item: T) => boolean): boolean {
  let all = true
  for (const item of items) all = holds(item) && all
  return all
}
