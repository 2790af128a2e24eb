// What convert says: objects on stdout, diagnostics and problems on stderr.
import { stringify } from 'yaml'
import type { KubernetesObject } from '../apis/core.ts'
import { isRecord } from '../translate/fate.ts'
import type { Conversion, Finding, Printed } from './convert.ts'
import type { Problem } from './documents.ts'
import { describe } from './objects.ts'
import type { Position } from './positions.ts'
import { outputSchema } from './schema.ts'

/** A stream of YAML documents. What is unchanged keeps the comments and the form in which it was written. */
export function toYaml(printed: readonly Printed[]): string {
  let yaml = ''
  for (const document of printed) {
    const text = asWritten(document) ?? headOf(document) + stringify(inOrder(document), options)
    yaml += yaml === '' || /^---(?=\s)/m.test(text) ? text : `---\n${text}`
  }
  return yaml
}

/** One List, as `kubectl get -o json` writes it, so that `.items[]` finds the objects however many there are. */
export function toJson(printed: readonly Printed[]): string {
  const list = { apiVersion: 'v1', kind: 'List', items: printed.map(inOrder) }
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** Integers that JavaScript rounds, in objects that cannot be printed as they were written. */
export function roundedIn(printed: readonly Printed[], output: 'yaml' | 'json'): Problem[] {
  const problems = printed
    .filter(document => document.role !== 'companion' && (output === 'json' || asWritten(document) === undefined))
    .flatMap(({ input }) => (input.rounded ? [input.rounded] : []))
  return [...new Set(problems)]
}

// No aliases: two equal parts of an object are still two parts. No folding, and lists as kubectl indents them.
const options = { schema: outputSchema, aliasDuplicateObjects: false, lineWidth: 0, indentSeq: false } as const

function asWritten({ role, input }: Printed): string | undefined {
  return role === 'unchanged' ? input.text : undefined
}

/** The comments above a rewritten document: its licence, and the `# Source:` line of a chart. */
function headOf({ role, input }: Printed): string {
  return (role === 'rewritten' && input.text?.match(/^(?:(?:---.*|[ \t]*(?:#.*)?)\r?\n)*/)?.[0]) || ''
}

/** Keys in the order of the input, and what is new behind them, so that a diff shows what changed and nothing else. */
function inOrder({ object, role, input }: Printed): unknown {
  return role === 'rewritten' ? inOrderOf(headed(object), headed(input.object)) : headed(object)
}

function headed({ apiVersion, kind, metadata, ...rest }: KubernetesObject): unknown {
  return { apiVersion, kind, metadata, ...rest }
}

function inOrderOf(value: unknown, model: unknown): unknown {
  if (Array.isArray(value)) return value.map((item, i) => inOrderOf(item, Array.isArray(model) ? model[i] : undefined))
  if (!isRecord(value) || !isRecord(model)) return value
  const known = Object.keys(model).filter(key => Object.hasOwn(value, key))
  const names = new Set([...known, ...Object.keys(value)])
  return Object.fromEntries([...names].map(name => [name, inOrderOf(value[name], model[name])]))
}

// Diagnostics ------------------------------------------------------------------------------------------------------

const colours = { denial: 31, error: 31, warning: 33, note: 36 }

/** `file:line:column: severity CODE kind ns/name field: message` */
export function findingLine({ diagnostic, input }: Finding, isColoured: boolean): string {
  const { code, severity, field, message } = diagnostic
  const subject = `${code} ${describe(input.object)}${field ? ` ${field}` : ''}`
  return line(input.positionOf(field), severity, ` ${subject}: ${message}`, isColoured)
}

/** `file:line:column: error field: message` */
export function problemLine({ field, message, ...position }: Problem, isColoured: boolean): string {
  return line(position, 'error', `${field ? ` ${field}` : ''}: ${message}`, isColoured)
}

function line(at: Position, severity: keyof typeof colours, rest: string, isColoured: boolean): string {
  const place = [at.file, at.line, at.column].filter(part => part !== undefined).join(':')
  const word = isColoured ? `\u001b[${colours[severity]}m${severity}\u001b[0m` : severity
  return `${inert(place)}: ${word}${inert(rest)}\n`
}

/**
 * Names come from files: a line break or an escape sequence in one must not write to the terminal, and marks that nobody
 * sees or that reorder text (CVE-2021-42574) must not make one name look like another.
 */
export function inert(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Bidi_Control}\u200b-\u200d\u2028\u2029\u2060-\u2064\ufeff]/gu,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** `12 objects, 5 rewritten, 7 companions, 3 warnings, 0 denials` */
export function summary({ printed, findings }: Conversion, objects: number, errors: number): string {
  const withSeverity = (severity: string) =>
    findings.filter(({ diagnostic }) => diagnostic.severity === severity).length
  const withRole = (role: string) => printed.filter(document => document.role === role).length
  const parts = [
    count(objects, 'object'),
    `${withRole('rewritten')} rewritten`,
    count(withRole('companion'), 'companion'),
    count(withSeverity('warning'), 'warning'),
    count(withSeverity('denial'), 'denial'),
  ]
  const outcome = errors > 0 ? `; ${count(errors, 'error')}, so nothing is printed` : ''
  return `${parts.join(', ')}${outcome}\n`
}

/** `1 object`, `2 objects`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

/** One JSON object a line, for machines: every finding, notes too. */
export function toJsonLines(findings: readonly Finding[]): string {
  const lines = findings.map(({ diagnostic: { code, severity, field, message }, input: { object, positionOf } }) => {
    const { namespace = '', name = '' } = object.metadata
    const { file, line } = positionOf(field)
    return `${JSON.stringify({ code, severity, kind: object.kind, namespace, name, field, file, line, message })}\n`
  })
  return lines.join('')
}
