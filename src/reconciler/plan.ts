// What is to be written for one source, as data: translation and what is stored -> operations in the order of design.md
// section 5. Whoever carries them out takes the first and looks again, since each may change what the next one is.
import type { KubernetesObject } from '../apis/core.ts'
import { contains, isEqual } from '../translate/canonical.ts'
import type { Mode } from '../translate/mode.ts'
import type { Translation } from '../translate/translation.ts'
import { isOutdated } from './ownership.ts'
import { pathOf } from './paths.ts'

/**
 * `readmit`: the source is sent through admission again, where the webhook rewrites it into what it is to be (design.md
 * section 2, fact 1).
 * `label`: the waypoint's labels on a Service, the only source that passes no webhook. `apply` and `delete`: companions.
 */
export type Operation =
  | { kind: 'readmit'; object: KubernetesObject; into: KubernetesObject }
  | { kind: 'label'; object: KubernetesObject; labels: Record<string, string> }
  | { kind: 'apply'; object: KubernetesObject }
  | { kind: 'delete'; object: KubernetesObject }

export interface Observed {
  /** The source as it is stored. */
  source: KubernetesObject
  /** Whether admission has been seen to leave this version of it as it is. */
  isSettled: boolean
  /** What is stored at a path. */
  at(path: string): KubernetesObject | undefined
  /** The companions that name this source, by path. */
  companions: ReadonlyMap<string, KubernetesObject>
  /** Whether some other source wants the companion of this path, or something that is stored needs it. */
  isNeeded(path: string): boolean
}

/**
 * The operations that are left for a source. A refused source is left as it is, with all that stands beside it: what is
 * there guards it still. Companions that are not wanted go last.
 */
export function plan({ object, companions, denial }: Translation, mode: Mode, observed: Observed): Operation[] {
  if (denial || mode === 'off') return []
  const wanted = new Set(companions.map(pathOf))
  const missing = companions.filter(companion => !isInPlace(companion, observed.at(pathOf(companion))))
  const operations = [
    ...(observed.isSettled ? [] : rewriteOf(object, observed.source)),
    ...missing.map(each => ({ kind: 'apply', object: each }) as const),
  ]
  if (operations.length > 0) return operations
  return [...observed.companions]
    .filter(([path, { metadata }]) => !wanted.has(path) && !metadata.deletionTimestamp && !observed.isNeeded(path))
    .map(([, each]) => ({ kind: 'delete', object: each }))
}

function rewriteOf(wanted: KubernetesObject, stored: KubernetesObject): Operation[] {
  if (stored.kind === 'Service') {
    const before = stored.metadata.labels ?? {}
    const labels = Object.entries(wanted.metadata.labels ?? {}).filter(([name, value]) => before[name] !== value)
    return labels.length > 0 ? [{ kind: 'label', object: stored, labels: Object.fromEntries(labels) }] : []
  }
  return isEqual(contentOf(wanted), contentOf(stored)) ? [] : [{ kind: 'readmit', object: stored, into: wanted }]
}

/** What of an object is the user's and sidestep's to say. */
export function contentOf({ metadata: { labels = {}, annotations = {} }, ...object }: KubernetesObject) {
  return { labels, annotations, spec: (object as { spec?: unknown }).spec }
}

/**
 * Whether a companion is stored as it is wanted. The API server adds defaults to a spec and controllers add labels and
 * annotations of their own, so what is wanted only has to be among it; but what sidestep has applied before and does not
 * want any more, and fields of the spec that somebody else owns (`managedFields`, of which the snapshot keeps just those),
 * are none of its defaults.
 */
export function isInPlace(wanted: KubernetesObject, stored: KubernetesObject | undefined): boolean {
  if (!stored) return false
  const { labels, annotations, ownerReferences } = wanted.metadata
  return (
    contains(stored.metadata, { labels, annotations }) &&
    (ownerReferences ?? []).every(reference =>
      (stored.metadata.ownerReferences ?? []).some(each => each.uid === reference.uid),
    ) &&
    hasSpecOf(wanted, stored) &&
    !isOutdated(stored, wanted) &&
    (stored.metadata.managedFields ?? []).length === 0
  )
}

/**
 * Whether a spec is as it is wanted, but for defaults. The CRDs of policies have none, and theirs is the whole: managedFields
 * do not tell who gives himself out as sidestep, and a guard with one field more guards less.
 */
export function hasSpecOf(wanted: KubernetesObject, stored: KubernetesObject): boolean {
  return (isPolicy(wanted) ? isEqual : contains)(specOf(stored), specOf(wanted))
}

function isPolicy({ apiVersion }: KubernetesObject): boolean {
  return apiVersion.startsWith('security.istio.io/')
}

function specOf(object: KubernetesObject): unknown {
  return (object as { spec?: unknown }).spec
}
