// JSON as machines write it, such as `kubectl get -o json`: read in a hundredth of the time that the YAML parser needs.
import { isRecord } from '../translate/fate.ts'

/** A value of JSON, in an array of its own; undefined for all that YAML would read otherwise, or find something wrong with. */
export function jsonIn(text: string, maxDepth: number): [value: unknown] | undefined {
  if (!/^\s*[{[]/.test(text)) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  let keys = 0
  /** Whether there is nothing below that needs another look. */
  const isPlain = (value: unknown, depth: number): boolean => {
    if (typeof value === 'number')
      // An integer that is rounded, and what has no form in JSON, are for YAML to tell.
      return (
        Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value)) && !Object.is(value, -0)
      )
    if (depth > maxDepth) return false
    if (Array.isArray(value)) return value.every(each => isPlain(each, depth + 1))
    if (!isRecord(value)) return true
    const inner = Object.values(value)
    keys += inner.length
    return inner.every(each => isPlain(each, depth + 1))
  }
  // JSON.parse takes the last of equal keys and says nothing; so they are counted.
  return isPlain(value, 1) && keys === keysIn(text) ? [value] : undefined
}

function keysIn(text: string): number {
  let count = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]+|\\.)*"\s*:?/g)) if (token.endsWith(':')) count++
  return count
}
