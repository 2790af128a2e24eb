// The text of one file -> Kubernetes objects with positions, and what is wrong with the rest. Files come from anywhere:
// nothing in them may crash, hang or reach anything but data, and one broken document hides no other.
import { Composer, type CST, type Document, isMap, Parser, parseDocument } from 'yaml'
import type { KubernetesObject } from '../apis/core.ts'
import { examine, type Flaw } from './examine.ts'
import { jsonIn } from './json.ts'
import { faultsOf, isList } from './objects.ts'
import { lineFinder, offsetOf, type Position, startOf } from './positions.ts'
import { inputSchema } from './schema.ts'

/** One object of the input. */
export interface Input {
  object: KubernetesObject
  /** The document as it was written, when it can be printed so. */
  text?: string
  /** Where a field stands, or its nearest ancestor. */
  positionOf: (field: string) => Position
  /** An integer that JavaScript rounds: the object can be printed as it was written only. */
  rounded?: Problem
}

/** A reason why the input cannot be read, in one line. */
export interface Problem extends Position {
  field?: string
  message: string
}

export interface Reading {
  inputs: Input[]
  problems: Problem[]
}

/** Far more than any object needs, and few enough for every recursion over it. */
const maxDepth = 500

/** A shared or merged map used more often than this makes an alias bomb. */
const maxAliasCount = 100

// yaml's own check for unique keys compares each key with each other; examine.ts does it in one pass.
const options = { schema: inputSchema, uniqueKeys: false, prettyErrors: false } as const

/** All objects in a text of YAML or JSON. Empty documents are passed over and Lists expanded. */
export function readText(file: string, source: string): Reading {
  // kubectl ends every line before it parses, which matters to a block scalar at the end of a file.
  const text = source.endsWith('\n') ? source : `${source}\n`
  const positionAt = lineFinder(file, text)
  const control = text.search(controlCharacter)
  if (control >= 0) {
    const message = 'is a control character, so this is no YAML; check that it is the right file'
    return { inputs: [], problems: [{ ...positionAt(control), message }] }
  }
  const readings = partsOf(text).map(([start, end]) =>
    readPart(text.slice(start, end), offset => positionAt(start + offset)),
  )
  return { inputs: readings.flatMap(({ inputs }) => inputs), problems: readings.flatMap(({ problems }) => problems) }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point, YAML takes tabs and line breaks only.
const controlCharacter = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/

/**
 * The documents of a text, as [start, end]. It is cut before it is parsed, so that an open quote or bracket cannot swallow
 * the documents after it: YAML lets no scalar hold a line that begins with `---` or `...`. Comments and directives
 * before a `---` belong to what follows.
 */
function partsOf(text: string): [start: number, end: number][] {
  const parts: [number, number][] = []
  let start = 0
  for (const { index, 0: line, 1: marker } of text.matchAll(/(?<=^|\n)(---|\.\.\.)(?=[ \t\r\n]).*\n/g)) {
    const end = marker === '...' ? index + line.length : index
    if (marker === '---' && /^(?:[ \t\r]*(?:[#%].*)?\n)*$/.test(text.slice(start, end))) continue
    parts.push([start, end])
    start = end
  }
  parts.push([start, text.length])
  return parts.flatMap(([start, end]) =>
    jsonTextsOf(text.slice(start, end)).map(([from, to]): [number, number] => [start + from, start + to]),
  )
}

/** JSON texts may follow each other without `---`, as jq writes them. `}` and `{` on two lines are never one document. */
function jsonTextsOf(part: string): [start: number, end: number][] {
  if (!/^\s*\{/.test(part)) return [[0, part.length]]
  const starts = [0, ...[...part.matchAll(/\}[ \t]*\r?\n(?=\{)/g)].map(({ index, 0: gap }) => index + gap.length)]
  return starts.map((start, i) => [start, starts[i + 1] ?? part.length])
}

function readPart(text: string, positionAt: (offset: number) => Position): Reading {
  const json = jsonIn(text, maxDepth)
  if (json) {
    let document: Document | undefined
    const positionOf = (field: string) => {
      document ??= parseDocument(text, options)
      return positionAt(offsetOf(field, document))
    }
    return readValue(json[0], '', { positionOf })
  }
  const tokens = [...new Parser().parse(text)]
  if (tokens.some(isTooDeep)) {
    const message = `is nested more than ${maxDepth} levels deep; no Kubernetes object is`
    return { inputs: [], problems: [{ ...positionAt(0), message }] }
  }
  const [document] = new Composer(options).compose(tokens, true, text.length)
  if (!document) return { inputs: [], problems: [] }
  const [error] = [...document.errors, ...document.warnings]
  if (error) {
    // One mistake makes the parser complain in many places: the first is the one to correct.
    const message = `is no YAML: ${error.message}; correct it here${text.includes('{{') ? ', or render the template' : ''}`
    return { inputs: [], problems: [{ ...positionAt(error.pos[0]), message }] }
  }
  const place = ({ node, message }: Flaw): Problem => ({ ...positionAt(startOf(node) ?? 0), message })
  const { flaws, rounded } = examine(document.contents)
  if (flaws.length > 0) return { inputs: [], problems: flaws.map(place) }

  let value: unknown
  try {
    value = document.toJS({ maxAliasCount })
  } catch (error) {
    const message = `has aliases that do not expand: ${error instanceof Error ? error.message : error}; write them out`
    return { inputs: [], problems: [{ ...positionAt(startOf(document.contents) ?? 0), message }] }
  }
  return readValue(value, '', {
    positionOf: field => positionAt(offsetOf(field, document)),
    ...(isPrintable(document, text) ? { text } : {}),
    ...(rounded ? { rounded: place(rounded) } : {}),
  })
}

/** The objects of a value at a path inside its document: one, or those of a List. */
function readValue(value: unknown, path: string, origin: Omit<Input, 'object'>): Reading {
  if (value === null || value === undefined) return { inputs: [], problems: [] }
  const { positionOf, rounded } = origin
  if (isList(value)) {
    const items = value.items ?? []
    if (!Array.isArray(items)) {
      const field = `${path}items`
      return { inputs: [], problems: [{ ...positionOf(field), field, message: 'is no list; make it one of objects' }] }
    }
    const shared = { positionOf, ...(rounded ? { rounded } : {}) }
    const readings = items.map((item, i) => readValue(item, `${path}items[${i}].`, shared))
    return { inputs: readings.flatMap(({ inputs }) => inputs), problems: readings.flatMap(({ problems }) => problems) }
  }
  const problems = faultsOf(value).map(({ field, message }) => {
    const whole = field ? path + field : path.slice(0, -1)
    return { ...positionOf(whole), ...(whole ? { field: whole } : {}), message }
  })
  if (problems.length > 0) return { inputs: [], problems }
  const object = value as KubernetesObject
  return { inputs: [{ ...origin, object, positionOf: field => positionOf(path + field) }], problems: [] }
}

/**
 * Whether a document's text may be printed as it is between others. JSON may not: kubectl takes a stream that begins
 * with `{` for JSON as a whole. Directives, end markers and content beside `---` would need their surroundings.
 */
function isPrintable({ contents }: Document, text: string): boolean {
  const marker = /^---.*$/m.exec(text)?.[0] ?? '---'
  return isMap(contents) && !contents.flow && /^---\s*(?:#.*)?$/.test(marker) && !/^(?:%|\.\.\.)|\ufeff/m.test(text)
}

/** Checked on the tokens, without recursion: the parser's own recursion would end the process. */
function isTooDeep(root: CST.Token): boolean {
  const open: [token: CST.Token | null | undefined, depth: number][] = [[root, 0]]
  for (let next = open.pop(); next; next = open.pop()) {
    const [token, depth] = next
    if (depth > maxDepth) return true
    if (token?.type === 'document') open.push([token.value, depth])
    if (token && 'items' in token)
      for (const { key, value } of token.items) open.push([key, depth + 1], [value, depth + 1])
  }
  return false
}
