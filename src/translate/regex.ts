// Istio's regexes are RE2: linear in time, without look-around and back-references. JavaScript's own are neither.
import { RE2JS } from 're2js'

const compiled = new Map<string, RE2JS | undefined>()
/** Instructions of all that are kept, of about 100 bytes each: thirty characters can be 20,000 of them. */
const compiledLimit = 200_000
/** What an expression costs beside its instructions, counted as some of them. */
const compiledOverhead = 20
let compiledSize = 0

/** The longest that any field of an HTTPRoute takes. */
const lengthLimit = 4096
/** `re2.max_program_size.error_level` in Istio's bootstrap (istio/istio tools/packaging/common/envoy_bootstrap.json). */
const instructionLimit = 32_768

/**
 * About how many instructions RE2 makes of an expression: `(ab){100}` is 200 of them. 0 for what is not even tried, since
 * the CRD or Envoy would refuse it.
 */
export function sizeOf(regex: string): number {
  if (regex.length > lengthLimit) return 0
  // The sizes of the groups that are open, and of what a repetition would repeat.
  const open = [0]
  let atom = 0
  const grow = (by: number) => open.push((open.pop() ?? 0) + by)
  for (const [token, least, most] of regex.matchAll(/\\.|\[(?:\\.|[^\]\\])*\]|\{(\d+)(?:,(\d*))?\}|./gsu)) {
    if (token === '(') open.push(0)
    else if (token === ')') {
      atom = open.length > 1 ? (open.pop() ?? 0) : 0
      grow(atom)
    } else if (least !== undefined) {
      const times = Math.max(Number(least), Number(most || 0), 1)
      grow(atom * (times - 1))
      atom *= times
    } else {
      atom = 1
      grow(1)
    }
  }
  const size = open.reduce((sum, size) => sum + size, 0)
  return size > instructionLimit ? 0 : Math.max(size, 1)
}

/** The compiled expression; undefined when RE2 refuses it, as Envoy then would, and with it the whole listener. */
function compile(regex: string): RE2JS | undefined {
  const size = sizeOf(regex)
  if (size === 0) return undefined
  if (compiled.has(regex)) return compiled.get(regex)
  let pattern: RE2JS | undefined
  try {
    pattern = RE2JS.compile(regex)
  } catch {
    pattern = undefined
  }
  compiledSize += size + compiledOverhead
  if (compiledSize > compiledLimit) {
    compiled.clear()
    compiledSize = size + compiledOverhead
  }
  compiled.set(regex, pattern)
  return pattern
}

/** Whether RE2 takes the expression. */
export function isRegex(regex: string): boolean {
  return compile(regex) !== undefined
}

/** Whether the expression matches the whole text, as Envoy asks; an expression that RE2 refuses matches nothing. */
export function matchesWhole(regex: string, text: string): boolean {
  return compile(regex)?.matches(text) ?? false
}

/** Text as an expression that matches just that text. */
export function quoted(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}

/** The text with which everything begins that the expression matches; empty where that is not plain to see. */
export function literalPrefix(regex: string): string {
  const body = regex.replace(/^\^/, '')
  if (body.includes('|') || body.startsWith('(?')) return ''
  let text = ''
  for (let i = 0; i < body.length; i++) {
    const character = body[i] ?? ''
    if (/[.[({^$)\]}]/.test(character)) return text
    // What may be absent, or come several times, is not sure to be there.
    if (/[*+?]/.test(character)) return text.slice(0, -1)
    if (character !== '\\') text += character
    else if (/[a-zA-Z0-9]/.test(body[i + 1] ?? 'a')) return text
    else text += body[++i] ?? ''
    if (body[i + 1] === '{') return text.slice(0, -1)
  }
  return text
}
