// A rewrite in place must be undone before it is done again: the object that arrives may be the user's, may be what
// sidestep stored, or a mixture, since every applier merges its own fields into ours (design.md section 2, facts 3 and 4).
// The annotation keeps, per field, what stood there and a digest of what was written; a field that still has that digest
// is ours and goes back, every other field is the user's word. This makes every translation a fixed point.
import type { KubernetesObject } from '../apis/core.ts'
import { canonicalJson, digest, isEqual } from './canonical.ts'
import { isRecord } from './fate.ts'

export const originalAnnotation = 'sidestep.dev/original'
const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'

/** The fields that some translator rewrites in place. Anything else is never touched, and never restored. */
const rewritable: readonly (readonly string[])[] = [
  ['spec', 'selector'],
  ['spec', 'targetRef'],
  ['spec', 'targetRefs'],
  ['spec', 'rules'],
  ['metadata', 'labels', 'istio-injection'],
  ['metadata', 'labels', 'istio.io/rev'],
  ['metadata', 'labels', 'istio.io/dataplane-mode'],
  ['metadata', 'labels', 'istio.io/use-waypoint'],
  ['metadata', 'labels', 'istio.io/use-waypoint-namespace'],
  ['metadata', 'labels', 'istio.io/ingress-use-waypoint'],
]

/** One rewritten field: what stood there (absent: nothing) and the digest of what was written (absent: removed). */
interface Rewritten {
  was?: unknown
  wrote?: string
}

/**
 * The object as its user means it: the annotation is gone, and each field that still is what sidestep wrote is what it was.
 * A field that the user has since given up (fact 4) stays away.
 */
export function restoreOriginal<K extends KubernetesObject>(object: K): K {
  const rewrites = readRewrites(object)
  let original: K = withField(object, ['metadata', 'annotations', originalAnnotation], undefined)
  for (const path of rewritable) {
    const rewritten = rewrites[pathKey(path)]
    if (!rewritten) continue
    const now = fieldAt(object, path)
    const isOurs = now === undefined ? rewritten.wrote === undefined : rewritten.wrote === digest(now)
    if (!isOurs) continue
    const was = now === undefined && isGivenUp(object, path) ? undefined : rewritten.was
    original = withField(original, path, was)
  }
  return original
}

/** The rewritten object with the annotation that says how to undo it; without one when nothing was rewritten. */
export function recordOriginal<K extends KubernetesObject>(original: K, rewritten: K): K {
  const rewrites: Record<string, Rewritten> = {}
  for (const path of rewritable) {
    const was = fieldAt(original, path)
    const now = fieldAt(rewritten, path)
    if (isEqual(was, now)) continue
    rewrites[pathKey(path)] = {
      ...(was === undefined ? {} : { was }),
      ...(now === undefined ? {} : { wrote: digest(now) }),
    }
  }
  const isRewritten = Object.keys(rewrites).length > 0
  return withField(
    rewritten,
    ['metadata', 'annotations', originalAnnotation],
    isRewritten ? canonicalJson(rewrites) : undefined,
  )
}

/** A copy with one field set, or removed when the value is undefined; maps that this empties are removed as well. */
export function withField<T>(object: T, [name, ...rest]: readonly string[], value: unknown): T {
  if (name === undefined) return value as T
  const fields: Record<string, unknown> = isRecord(object) ? object : {}
  const before = Object.hasOwn(fields, name) ? fields[name] : undefined
  const after = rest.length === 0 ? value : withField(before, rest, value)
  if (after === before) return object
  const { [name]: _, ...others } = fields
  if (after === undefined) return (Object.keys(others).length === 0 && !isRootLike(fields) ? undefined : others) as T
  return { ...fields, [name]: after } as T
}

/** `spec: {}` and `metadata` are kept even when they become empty; labels and annotations are not. */
function isRootLike(fields: Record<string, unknown>): boolean {
  return 'apiVersion' in fields || 'kind' in fields
}

function readRewrites(object: KubernetesObject): Record<string, Rewritten> {
  const annotation = object.metadata.annotations?.[originalAnnotation]
  if (typeof annotation !== 'string') return {}
  try {
    const rewrites: unknown = JSON.parse(annotation)
    if (!isRecord(rewrites)) return {}
    return Object.fromEntries(Object.entries(rewrites).filter(([, value]) => isRecord(value)) as [string, Rewritten][])
  } catch {
    return {} // Somebody has written it by hand: then nothing in the object counts as ours.
  }
}

export function fieldAt(object: unknown, path: readonly string[]): unknown {
  let here = object
  for (const name of path) here = isRecord(here) && Object.hasOwn(here, name) ? here[name] : undefined
  return here ?? undefined
}

/**
 * Whether the user once set a field that sidestep removed, and no longer does. Admission removes it from the object, not
 * from the record of who set it: kubectl's last-applied annotation, and managedFields for everybody else.
 */
function isGivenUp(object: KubernetesObject, path: readonly string[]): boolean {
  const lastApplied = object.metadata.annotations?.[lastAppliedAnnotation]
  if (typeof lastApplied === 'string') {
    try {
      return fieldAt(JSON.parse(lastApplied), path) === undefined
    } catch {
      return false
    }
  }
  const managers = object.metadata.managedFields
  if (!Array.isArray(managers) || managers.length === 0) return false
  const key = path.map(name => `f:${name}`)
  return !managers.some(manager => fieldAt(manager?.fieldsV1, key) !== undefined)
}

function pathKey(path: readonly string[]): string {
  return path.join('/')
}
