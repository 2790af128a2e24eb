import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { isInPlace, type Observed, type Operation, plan } from '../../src/reconciler/plan.ts'
import type { Translation } from '../../src/translate/translation.ts'

function object(kind: string, name: string, more: Record<string, unknown> = {}): KubernetesObject {
  const { metadata = {}, ...rest } = more
  const apiVersion = kind === 'Service' ? 'v1' : 'networking.istio.io/v1'
  return { apiVersion, kind, metadata: { name, namespace: 'a', ...(metadata as object) }, ...rest }
}

const source = object('VirtualService', 'lab', { spec: { hosts: ['*'] } })
const parked = object('VirtualService', 'lab', {
  metadata: { labels: { 'istio.io/rev': 'x' } },
  spec: { hosts: ['*'] },
})
const [one, two, old] = ['one', 'two', 'old'].map(name => object('Route', name, { spec: { name } })) as [
  KubernetesObject,
  KubernetesObject,
  KubernetesObject,
]

function translation(more: Partial<Translation> = {}): Translation {
  return { object: source, companions: [], warnings: [], ...more }
}

function observed(stored: KubernetesObject[] = [], more: Partial<Observed> = {}): Observed {
  const byPath = new Map(stored.map(each => [pathOf(each), each]))
  return { source, isSettled: false, at: path => byPath.get(path), companions: byPath, isNeeded: () => false, ...more }
}

const told = (operations: Operation[]) => operations.map(({ kind, object }) => `${kind} ${object.metadata.name}`)

t.test('rewrites, then applies in the order of the translation, and deletes when nothing else is left', async t => {
  const wanted = translation({ object: parked, companions: [two, one] })
  t.strictSame(told(plan(wanted, 'enforce', observed([old]))), ['readmit lab', 'apply two', 'apply one'])
  t.strictSame(told(plan(translation({ companions: [two, one] }), 'enforce', observed([old, two]))), ['apply one'])
  t.strictSame(told(plan(translation({ companions: [two, one] }), 'enforce', observed([old, one, two]))), [
    'delete old',
  ])
  t.strictSame(plan(translation({ companions: [one] }), 'enforce', observed([one])), [])
})

t.test('deletes nothing that somebody needs', async t => {
  const isNeeded = (path: string) => path === pathOf(old)
  t.strictSame(plan(translation(), 'enforce', observed([old], { isNeeded })), [])
})

t.test('plans nothing for what is refused or off, and the same for what is observed', async t => {
  const denial = { reasons: [] }
  const wanted = translation({ object: parked, companions: [one] })
  t.strictSame(plan({ ...wanted, denial }, 'enforce', observed([old])), [])
  t.strictSame(plan(wanted, 'off', observed([old])), [])
  t.strictSame(plan(wanted, 'observe', observed([old])), plan(wanted, 'enforce', observed([old])))
})

t.test('a source that admission leaves as it is is not sent there again, and its companions are kept', async t => {
  const wanted = translation({ object: parked, companions: [one] })
  t.strictSame(told(plan(wanted, 'enforce', observed([], { isSettled: true }))), ['apply one'])
})

t.test('content is labels, annotations and spec, and nothing else leads to admission', async t => {
  const stored = object('VirtualService', 'lab', {
    metadata: { resourceVersion: '7', uid: 'u' },
    spec: { hosts: ['*'] },
  })
  t.strictSame(plan(translation(), 'enforce', observed([], { source: stored })), [])
  const annotated = object('VirtualService', 'lab', { metadata: { annotations: { a: 'b' } }, spec: { hosts: ['*'] } })
  t.strictSame(told(plan(translation(), 'enforce', observed([], { source: annotated }))), ['readmit lab'])
})

t.test('a Service gets the labels that it lacks, and loses none', async t => {
  const service = object('Service', 'app', { metadata: { labels: { theirs: 'x', same: 'y' } } })
  const wanted = object('Service', 'app', { metadata: { labels: { same: 'y', 'istio.io/use-waypoint': 'w' } } })
  const operations = plan(translation({ object: wanted }), 'enforce', observed([], { source: service }))
  t.strictSame(operations, [{ kind: 'label', object: service, labels: { 'istio.io/use-waypoint': 'w' } }])
  const without = translation({ object: object('Service', 'app') })
  t.strictSame(plan(without, 'enforce', observed([], { source: service })), [])
})

t.test('a companion is in place with defaults and marks of others, but not with a spec of theirs', async t => {
  const owner = { apiVersion: 'v1', kind: 'Namespace', name: 'a', uid: 'u' }
  const wanted = object('Route', 'one', {
    metadata: { labels: { l: '1' }, annotations: { a: '1' }, ownerReferences: [owner] },
    spec: { rules: [{ name: 'x' }] },
  })
  const stored = (more: Record<string, unknown> = {}, spec: unknown = { rules: [{ name: 'x', weight: 1 }], more: 1 }) =>
    object('Route', 'one', {
      metadata: { labels: { l: '1', m: '2' }, annotations: { a: '1' }, ownerReferences: [owner], ...more },
      spec,
    })
  t.ok(isInPlace(wanted, stored()))
  for (const other of [
    undefined,
    stored({ labels: {} }),
    stored({ annotations: { a: '2' } }),
    stored({ ownerReferences: [{ ...owner, uid: 'v' }] }),
    stored({ managedFields: [{ manager: 'them' }] }),
    stored({}, { rules: [{ name: 'y' }] }),
    stored({}, { rules: [{ name: 'x' }, { name: 'z' }] }),
    stored({}, {}),
  ])
    t.notOk(isInPlace(wanted, other), JSON.stringify(other))
})

t.test('a policy is in place with just the spec that is wanted, whoever the manager of more is', async t => {
  const policy = (spec: object) => ({ ...object('Route', 'guard', { spec }), apiVersion: 'security.istio.io/v1' })
  const wanted = policy({ action: 'DENY', rules: [{}] })
  t.ok(isInPlace(wanted, policy({ rules: [{}], action: 'DENY' })))
  t.notOk(isInPlace(wanted, policy({ action: 'DENY', rules: [{}], selector: { matchLabels: { app: 'none' } } })))
})
