// A rewrite in place must be undone before it is done again: the object that arrives may be the user's, may be what
// sidestep stored, or a mixture, since every applier merges its own fields into ours (design.md section 2, facts 3 and 4).
// The annotation keeps, per field, what stood there and a digest of what was written; a field that still has that digest
// is ours and goes back, every other field is the user's word. This makes every translation a fixed point.
import type { KubernetesObject, ManagedFieldsEntry } from '../apis/core.ts'
import { canonicalJson, digest, isEqual, isTooDeep } from './canonical.ts'
import { isRecord } from './fate.ts'

export const originalAnnotation = 'sidestep.dev/original'
const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'

type Path = readonly string[]

/** Where a policy applies: one decision in three fields, of which the CRD takes one. */
const selector: Path = ['spec', 'selector']
const targetRef: Path = ['spec', 'targetRef']
const targetRefs: Path = ['spec', 'targetRefs']

/** The mode of a PeerAuthentication, which is written where none is. */
const mtls: Path = ['spec', 'mtls']

/** The other fields that some translator rewrites in place. Anything else is never touched, and never restored. */
const single: readonly Path[] = [
  ['spec', 'rules'],
  mtls,
  ['spec', 'portLevelMtls'],
  ['metadata', 'labels', 'istio-injection'],
  ['metadata', 'labels', 'istio.io/rev'],
  ['metadata', 'labels', 'istio.io/dataplane-mode'],
  ['metadata', 'labels', 'istio.io/use-waypoint'],
  ['metadata', 'labels', 'istio.io/use-waypoint-namespace'],
  ['metadata', 'labels', 'istio.io/ingress-use-waypoint'],
]
const rewritable = [selector, targetRef, targetRefs, ...single]

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
  const bare: K = withField(object, ['metadata', 'annotations', originalAnnotation], undefined)
  // Most objects were never rewritten; a target may be ours even then.
  if (Object.keys(rewrites).length === 0) return restoreTarget(bare, object, rewrites)
  return single.reduce(
    (original, path) => {
      const rewritten = rewrites[pathKey(path)]
      if (!rewritten || !isOurs(object, path, rewritten) || isAdopted(object, path, rewritten)) return original
      const isGivenUp = fieldAt(object, path) === undefined && !isMeant(object, path)
      return withField(original, path, isGivenUp ? undefined : rewritten.was)
    },
    restoreTarget(bare, object, rewrites),
  )
}

/**
 * selector and targetRefs judged together (measured: test/e2e/managed-fields.test.ts, docs/decisions/0002-selector.md):
 * a selector that arrives is the user's, and our targetRefs beside it go; targetRefs that are not ours, or that the user
 * has made theirs, are the user's word; otherwise the selector comes back, unless the user has given it up.
 */
function restoreTarget<K extends KubernetesObject>(original: K, object: K, rewrites: Record<string, Rewritten>): K {
  const rewritten = rewrites[pathKey(targetRefs)]
  const refs = fieldAt(object, targetRefs)
  const areOurs = rewritten !== undefined && isOurs(object, targetRefs, rewritten)
  if (fieldAt(object, selector) !== undefined) {
    // Without the annotation, targetRefs that nobody has set can only have been ours.
    const areNobodys = refs !== undefined && hasManagers(object) && !isClaimed(object, targetRefs)
    return areOurs || areNobodys ? withField(original, targetRefs, undefined) : original
  }
  if (refs !== undefined && (!areOurs || isClaimed(object, targetRefs))) return original
  const restored = [targetRef, targetRefs].reduce((target, path) => {
    const was = rewrites[pathKey(path)]
    return was ? withField(target, path, was.was) : target
  }, original)
  const removed = rewrites[pathKey(selector)]
  return removed && isMeant(object, selector) ? withField(restored, selector, removed.was) : restored
}

/** Whether a field is still what sidestep made of it. */
function isOurs(object: KubernetesObject, path: Path, { wrote }: Rewritten): boolean {
  const now = fieldAt(object, path)
  return now === undefined ? wrote === undefined : wrote === digest(now)
}

/**
 * Whether the user has since written the very mode that sidestep added. Taking it away with ours would leave the pods to
 * the mode above, which may be a looser one.
 */
function isAdopted(object: KubernetesObject, path: Path, { was }: Rewritten): boolean {
  return path === mtls && was === undefined && isClaimed(object, path)
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
export function withField<T>(object: T, [name, ...rest]: Path, value: unknown): T {
  if (name === undefined) return value as T
  const fields: Record<string, unknown> = isRecord(object) ? object : {}
  const before = Object.hasOwn(fields, name) ? fields[name] : undefined
  const after = rest.length === 0 ? value : withField(before, rest, value)
  if (after === before) return object
  // Only what is written by hand has nothing else there, and every object has metadata.
  if (after === undefined && name === 'metadata' && isRootLike(fields)) return { ...fields, metadata: {} } as T
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
    if (!isRecord(rewrites) || isTooDeep(rewrites)) return {}
    return Object.fromEntries(Object.entries(rewrites).filter(([, value]) => isRecord(value)) as [string, Rewritten][])
  } catch {
    return {} // Somebody has written it by hand: then nothing in the object counts as ours.
  }
}

export function fieldAt(object: unknown, path: Path): unknown {
  let here = object
  for (const name of path) here = isRecord(here) && Object.hasOwn(here, name) ? here[name] : undefined
  return here ?? undefined
}

/** Whether a field that sidestep removed is one that the user still sets, as far as anybody has written that down. */
function isMeant(object: KubernetesObject, path: Path): boolean {
  const isRecorded = hasManagers(object) || lastApplied(object) !== undefined
  return !isRecorded || isClaimed(object, path)
}

/**
 * Whether somebody sets a field. managedFields are computed before admission, so whoever sets what we remove stays its
 * owner; only `kubectl apply` cannot give up there what is not there, and says in its own annotation what it applied.
 */
function isClaimed(object: KubernetesObject, path: Path): boolean {
  if (fieldAt(lastApplied(object), path) !== undefined) return true
  const key = path.map(name => `f:${name}`)
  const annotation = ['f:metadata', 'f:annotations', `f:${lastAppliedAnnotation}`]
  return managersOf(object).some(
    ({ fieldsV1 }) => fieldAt(fieldsV1, key) !== undefined && fieldAt(fieldsV1, annotation) === undefined,
  )
}

function hasManagers(object: KubernetesObject): boolean {
  return managersOf(object).length > 0
}

function managersOf({ metadata: { managedFields } }: KubernetesObject): ManagedFieldsEntry[] {
  return Array.isArray(managedFields) ? managedFields.filter(isRecord) : []
}

function lastApplied({ metadata: { annotations } }: KubernetesObject): unknown {
  const text = annotations?.[lastAppliedAnnotation]
  if (typeof text !== 'string') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function pathKey(path: Path): string {
  return path.join('/')
}
