// Istio's regexes are RE2: linear in time, without look-around and back-references. JavaScript's own are neither.
import { RE2JS } from 're2js'

const compiled = new Map<string, RE2JS | undefined>()
const compiledLimit = 10_000

/** The compiled expression; undefined when RE2 refuses it, as Envoy then would, and with it the whole listener. */
function compile(regex: string): RE2JS | undefined {
  if (compiled.has(regex)) return compiled.get(regex)
  let pattern: RE2JS | undefined
  try {
    pattern = RE2JS.compile(regex)
  } catch {
    pattern = undefined
  }
  if (compiled.size >= compiledLimit) compiled.clear()
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
