// Who owns which fields of a companion, as the API server keeps account of it (managedFields).
import type { KubernetesObject, ManagedFieldsEntry } from '../apis/core.ts'
import { digest } from '../translate/canonical.ts'

/** The field manager of everything that sidestep writes. */
export const fieldManager = 'sidestep'

/**
 * On a companion, the digest of the spec that was applied last. Beside the defaults of the API server nothing else tells
 * what is not wanted any more: lists are owned as a whole, so that managedFields does not say what is in them.
 */
export const appliedAnnotation = 'sidestep.dev/applied'

/** A companion as it is applied. */
export function marked(companion: KubernetesObject): KubernetesObject {
  const annotations = { ...companion.metadata.annotations, [appliedAnnotation]: digestOfSpec(companion) }
  return { ...companion, metadata: { ...companion.metadata, annotations } }
}

/** Whether another spec was applied last. Of what somebody else has made after a file of ours nobody knows. */
export function isOutdated({ metadata }: KubernetesObject, wanted: KubernetesObject): boolean {
  const applied = metadata.annotations?.[appliedAnnotation]
  return applied !== undefined && applied !== digestOfSpec(wanted)
}

function digestOfSpec(object: KubernetesObject): string {
  return digest((object as { spec?: unknown }).spec)
}

/**
 * Who owns fields of the spec that sidestep does not own too, without the fields. Server-side apply
 * takes over what it sets itself, but leaves alone what others have added. Status is everybody's but ours.
 */
export function editorsOf({ metadata }: KubernetesObject): ManagedFieldsEntry[] {
  const entries = (metadata.managedFields ?? []).filter(({ subresource }) => subresource === undefined)
  const own = new Set(entries.filter(isOurs).flatMap(({ fieldsV1 }) => leavesOf(specIn(fieldsV1))))
  return entries
    .filter(entry => !isOurs(entry) && leavesOf(specIn(entry.fieldsV1)).some(leaf => !own.has(leaf)))
    .map(({ manager, operation }) => ({ ...(manager && { manager }), ...(operation && { operation }) }))
}

function isOurs({ manager }: ManagedFieldsEntry): boolean {
  return manager === fieldManager
}

function specIn(fields: unknown): unknown {
  return (fields as { 'f:spec'?: unknown } | undefined)?.['f:spec']
}

/** The paths of what holds nothing more; `.` only says that the map itself is owned. */
function leavesOf(fields: unknown, path = ''): string[] {
  if (fields === undefined) return []
  const inner = Object.entries(fields as object).filter(([name]) => name !== '.')
  return inner.length === 0 ? [path] : inner.flatMap(([name, each]) => leavesOf(each, `${path}/${name}`))
}
