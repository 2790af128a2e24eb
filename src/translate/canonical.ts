// Equality and digests of plain data, independent of key order. The core may not use Node's crypto.

/** JSON with sorted keys and no `undefined`: equal data gives equal text. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`
}

export function isEqual(a: unknown, b: unknown): boolean {
  return a === b || canonicalJson(a) === canonicalJson(b)
}

/**
 * Whether `stored` says all that `wanted` does: the API server adds the defaults of a CRD to what it stores.
 * Lists have to be of one length, since a further item is more than a default.
 */
export function contains(stored: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true
  if (wanted === null || typeof wanted !== 'object') return stored === wanted
  if (stored === null || typeof stored !== 'object' || Array.isArray(stored) !== Array.isArray(wanted)) return false
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(stored) && stored.length === wanted.length && wanted.every((item, i) => contains(stored[i], item))
    )
  }
  return Object.entries(wanted).every(([key, field]) => contains((stored as Record<string, unknown>)[key], field))
}

/**
 * 16 hexadecimal digits that stand for a value (two FNV-1a runs of 32 bits with different seeds).
 * It recognises our own writing, it protects nothing: who forges it only misdescribes an object that is theirs.
 */
export function digest(value: unknown): string {
  const text = canonicalJson(value)
  return fnv1a(text, 0x811c9dc5) + fnv1a(text, 0x01000193)
}

function fnv1a(text: string, seed: number): string {
  let hash = seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}

/** Far more than any object needs, and few enough for every recursion over it. */
const depthLimit = 200

/** Whether the value is nested deeper than is read. The API server prunes by schema, but files and annotations hold anything. */
export function isTooDeep(value: unknown, levels = depthLimit): boolean {
  if (value === null || typeof value !== 'object') return false
  if (levels === 0) return true
  // No list of its values: every object that is admitted is walked to the end.
  for (const key in value) if (isTooDeep((value as Record<string, unknown>)[key], levels - 1)) return true
  return false
}

/** The value without fields that are null, which the API server and Istio read as not set; itself when there are none. */
export function withoutNulls<T>(value: T): T {
  return hasNullField(value) ? (cleaned(value) as T) : value
}

function hasNullField(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false
  const isList = Array.isArray(value)
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key]
    if (item === null ? !isList : hasNullField(item)) return true
  }
  return false
}

function cleaned(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(cleaned)
  const fields = Object.entries(value).filter(([, field]) => field !== null)
  return Object.fromEntries(fields.map(([key, field]) => [key, cleaned(field)]))
}
