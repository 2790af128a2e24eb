// What has become of stored objects between two moments, in a table: for sources and their companions, peace is that every
// line says `unchanged`.
import type { KubernetesObject } from '../../../src/apis/core.ts'
import { pathOf } from '../../../src/reconciler/paths.ts'
import { columns } from './columns.ts'

/** `replaced`: deleted, and made again by the same name. */
export type Outcome = 'unchanged' | 'changed' | 'replaced' | 'new' | 'gone'

export interface Row {
  object: KubernetesObject
  outcome: Outcome
  before: KubernetesObject | undefined
  after: KubernetesObject | undefined
}

/** Row by row, by kind, namespace and name. */
export function compareStored(before: Iterable<KubernetesObject>, after: Iterable<KubernetesObject>): Row[] {
  const [were, are] = [before, after].map(objects => new Map([...objects].map(object => [pathOf(object), object])))
  const rows = [...new Set([...(were?.keys() ?? []), ...(are?.keys() ?? [])])].flatMap(path => {
    const [was, is] = [were?.get(path), are?.get(path)]
    const object = is ?? was
    return object ? [{ object, outcome: outcomeOf(was, is), before: was, after: is }] : []
  })
  const key = ({ object: { kind, metadata } }: Row) => [kind, metadata.namespace, metadata.name, 0].join(' ')
  return rows.sort((one, other) => (key(one) < key(other) ? -1 : 1))
}

function outcomeOf(before: KubernetesObject | undefined, after: KubernetesObject | undefined): Outcome {
  if (!before) return 'new'
  if (!after) return 'gone'
  if (before.metadata.uid !== after.metadata.uid) return 'replaced'
  return before.metadata.resourceVersion === after.metadata.resourceVersion ? 'unchanged' : 'changed'
}

export function peaceTable(rows: readonly Row[]): string {
  const head = ['kind', 'namespace', 'name', 'resourceVersion', '', 'generation', '', '']
  const lines = rows.map(({ object: { kind, metadata }, outcome, before, after }) => [
    kind,
    metadata.namespace ?? '-',
    metadata.name ?? '',
    before?.metadata.resourceVersion ?? '-',
    after?.metadata.resourceVersion ?? '-',
    String(before?.metadata.generation ?? '-'),
    String(after?.metadata.generation ?? '-'),
    outcome,
  ])
  return columns([head, ...lines])
}
