// The snapshot of a live cluster, made from the one before and a write, as the watches of sidestep would change theirs.
import type * as core from '../../src/apis/core.ts'
import { type ClusterSnapshot, type MutableSnapshot, putObject, removeObject } from '../../src/translate/snapshot.ts'

/** What was made of the earlier snapshot is not changed: maps that the write could reach are copied. */
export function snapshotAfter(
  before: ClusterSnapshot,
  puts: core.KubernetesObject[],
  deletes: core.KubernetesObject[],
): ClusterSnapshot {
  const touched = new Set([...puts, ...deletes].map(({ metadata }) => metadata.namespace ?? ''))
  const copies = Object.entries(before).map(([name, value]) => [
    name,
    value instanceof Map ? copy(value, touched) : value,
  ])
  const after = Object.fromEntries(copies) as MutableSnapshot
  for (const object of deletes) removeObject(after, object)
  for (const object of puts) putObject(after, object)
  return after
}

function copy(collection: Map<string, unknown>, touched: Set<string>): Map<string, unknown> {
  const entries = [...collection].map(([key, value]): [string, unknown] =>
    value instanceof Map && touched.has(key) ? [key, new Map(value)] : [key, value],
  )
  return new Map(entries)
}
