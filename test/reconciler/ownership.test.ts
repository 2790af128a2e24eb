import t from 'tap'
import type { KubernetesObject, ManagedFieldsEntry } from '../../src/apis/core.ts'
import { editorsOf } from '../../src/reconciler/ownership.ts'
import { trim } from '../../src/reconciler/snapshot.ts'

function ownedBy(...managedFields: ManagedFieldsEntry[]): KubernetesObject {
  const labels = { 'app.kubernetes.io/managed-by': 'sidestep' }
  const annotations = { 'sidestep.dev/source': 'VirtualService/a/b', other: 'x' }
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', labels, annotations, managedFields } }
}

const ours: ManagedFieldsEntry = {
  manager: 'sidestep',
  operation: 'Apply',
  fieldsV1: { 'f:spec': { 'f:rules': {}, 'f:listeners': { 'k:{"name":"mesh"}': { '.': {}, 'f:port': {} } } } },
}

function theirs(fieldsV1: Record<string, unknown>, subresource?: string): ManagedFieldsEntry {
  return { manager: 'them', operation: 'Update', fieldsV1, ...(subresource ? { subresource } : {}) }
}

t.test('an editor is who owns fields of the spec that sidestep does not own too', async t => {
  const spec = (fields: object) => ({ 'f:spec': fields })
  const told = [{ manager: 'them', operation: 'Update' }]
  for (const [fields, editors] of [
    [spec({ 'f:hostnames': {} }), told],
    [spec({ 'f:listeners': { 'k:{"name":"mesh"}': { 'f:protocol': {} } } }), told],
    [spec({ 'f:listeners': { 'k:{"name":"more"}': { '.': {} } } }), told],
    [spec({ 'f:rules': {} }), []],
    [spec({ '.': {}, 'f:listeners': { '.': {}, 'k:{"name":"mesh"}': { '.': {}, 'f:port': {} } } }), []],
    [{ 'f:metadata': { 'f:labels': { 'f:a': {} } } }, []],
    [{ 'f:status': { 'f:parents': {} } }, []],
  ] as const)
    t.strictSame(editorsOf(ownedBy(ours, theirs(fields))), editors, JSON.stringify(fields))
  t.strictSame(editorsOf(ownedBy(ours, theirs(spec({ 'f:hostnames': {} }), 'status'))), [], 'status is not ours')
  t.strictSame(editorsOf({ ...ownedBy(), metadata: { name: 'a' } }), [])
})

t.test('the snapshot keeps the editors of companions, and of nothing else', async t => {
  const edited = ownedBy(ours, theirs({ 'f:spec': { 'f:hostnames': {} } }))
  t.strictSame(trim(edited).metadata.managedFields, [{ manager: 'them', operation: 'Update' }])
  t.notOk('managedFields' in trim(ownedBy(ours)).metadata)
  t.notOk('managedFields' in trim({ ...edited, metadata: { ...edited.metadata, labels: {} } }).metadata)
})
