// Marks and records that somebody else has written. sidestep may write in every Namespace, so what a forger gets out of it may
// not be more than the forger could do alone: nothing is granted, parked, deleted or restored beyond the forged object.
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { Inventory } from '../../src/reconciler/inventory.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { plan } from '../../src/reconciler/plan.ts'
import { digest } from '../../src/translate/canonical.ts'
import { isCompanion } from '../../src/translate/companion.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { revertPlan } from '../../src/translate/revert.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'

const settings = profiles.kubeflow
const labels = { 'app.kubernetes.io/managed-by': 'sidestep' }

function marks(source: string) {
  return { labels, annotations: { 'sidestep.dev/source': source } }
}

function object(apiVersion: string, kind: string, metadata: object, spec: object = {}): KubernetesObject {
  return { apiVersion, kind, metadata: { name: 'forged', namespace: 'team-a', ...metadata }, spec } as KubernetesObject
}

const policy = (metadata: object, spec: object = {}) =>
  object('security.istio.io/v1', 'AuthorizationPolicy', metadata, spec)

/** A record that claims each of these fields for sidestep, with what stood there before. */
function record(claimed: Record<string, { was?: unknown; wrote?: unknown }>) {
  const entries = Object.entries(claimed).map(([path, { was, wrote }]) => [
    path,
    { ...(was !== undefined && { was }), ...(wrote !== undefined && { wrote: digest(wrote) }) },
  ])
  return { 'sidestep.dev/original': JSON.stringify(Object.fromEntries(entries)) }
}

t.test('a source of a kind that is never kept is judged whatever it is marked as', async t => {
  const cluster = snapshotOf([])
  const faulty = {
    hosts: ['*'],
    gateways: ['kubeflow/kubeflow-gateway'],
    http: [{ fault: { abort: { httpStatus: 503 } } }],
  }
  const kinds: [string, string, object][] = [
    ['networking.istio.io/v1', 'VirtualService', faulty],
    ['networking.istio.io/v1', 'Gateway', {}],
    ['security.istio.io/v1', 'PeerAuthentication', {}],
    ['v1', 'Namespace', {}],
    ['v1', 'Pod', {}],
  ]
  for (const [apiVersion, kind, spec] of kinds)
    t.notOk(isCompanion(object(apiVersion, kind, marks('Namespace/team-a'), spec)), kind)
  const marked = object('networking.istio.io/v1', 'VirtualService', marks('Namespace/team-a'), faulty)
  t.match(translate(marked, cluster, settings).denial?.reasons, [{ code: 'VS-FAULT' }])
  t.notOk(translate(object('v1', 'Pod', marks('x')), cluster, settings).denial)
})

t.test('a record of anything but the fields that are rewritten is not read', async t => {
  const own = { action: 'ALLOW', rules: [{}], selector: { matchLabels: { app: 'a' } } }
  const claims = {
    'metadata/name': { was: 'other', wrote: 'forged' },
    'metadata/namespace': { was: 'kube-system', wrote: 'team-a' },
    'metadata/finalizers': { was: ['x'] },
    'metadata/ownerReferences': { was: [{ uid: 'x' }] },
    'metadata/labels/app.kubernetes.io~1managed-by': { was: 'sidestep' },
    'metadata/labels/sidestep.dev~1mode': { was: 'off' },
    'spec/action': { was: 'DENY', wrote: 'ALLOW' },
    kind: { was: 'Secret', wrote: 'AuthorizationPolicy' },
    apiVersion: { was: 'v1', wrote: 'security.istio.io/v1' },
    '': { was: {} },
    spec: { was: { rules: [] }, wrote: own },
    constructor: { was: 1 },
  }
  const forged = policy({ annotations: record(claims) }, own)
  const { object: translated } = translate(forged, snapshotOf([]), settings)
  const { annotations: _, ...metadata } = translated.metadata
  t.strictSame(metadata, { name: 'forged', namespace: 'team-a' })
  t.strictSame([translated.apiVersion, translated.kind], [forged.apiVersion, forged.kind])
  t.strictSame((translated as { spec?: unknown }).spec, own)
  for (const { writes } of revertPlan([forged], { rootNamespace: 'istio-system' }))
    for (const { verb, object } of writes) {
      t.equal(verb, 'restore')
      t.strictSame([pathOf(object), (object as { spec?: unknown }).spec], [pathOf(forged), own])
    }
})

t.test('a record restores what its author could have written there, as if that had come', async t => {
  const rules = [{ from: [{ source: { namespaces: ['b'] } }] }]
  const open = [{}]
  const forged = policy({ annotations: record({ 'spec/rules': { was: open, wrote: rules } }) }, { rules })
  const written = policy({}, { rules: open })
  const cluster = snapshotOf([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a' } }])
  t.strictSame(translate(forged, cluster, settings), translate(written, cluster, settings))
})

t.test('what is no record is none', async t => {
  const spec = { rules: [{}] }
  const plain = translate(policy({}, spec), snapshotOf([]), settings)
  const deep = `{"spec/rules":{"was":${'['.repeat(300)}${']'.repeat(300)}}}`
  for (const text of ['', '{', 'null', '[]', '7', '{"__proto__":{"was":1}}', '{"spec/rules":7}', deep, '"x"']) {
    const annotations = { 'sidestep.dev/original': text }
    t.strictSame(translate(policy({ annotations }, spec), snapshotOf([]), settings), plain, text.slice(0, 40))
  }
})

/** What is to be written for a source beside which these stand. */
function planFor(t: Test, source: KubernetesObject, forged: KubernetesObject) {
  const inventory = new Inventory()
  for (const after of [source, forged]) inventory.note({ path: pathOf(after), after })
  const cluster = snapshotOf([source, forged])
  const translation = translate(source, cluster, settings)
  t.notOk(translation.denial)
  const companions = inventory.companionsOf('Namespace/team-a')
  return plan(translation, 'enforce', {
    source,
    isSettled: true,
    at: path => (path === pathOf(forged) ? forged : undefined),
    companions,
    isNeeded: () => false,
  })
}

t.test('who claims to be kept for a source loses what is claimed, and nothing else goes', async t => {
  const source: KubernetesObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a' } }
  const forged = object('gateway.networking.k8s.io/v1', 'HTTPRoute', marks('Namespace/team-a'))
  t.strictSame(planFor(t, source, forged), [{ kind: 'delete', object: forged }])
  const elsewhere = { ...forged, metadata: { ...forged.metadata, namespace: 'team-b' } }
  t.strictSame(planFor(t, source, elsewhere), [{ kind: 'delete', object: elsewhere }], 'itself, not its namesake')
  const pod = object('v1', 'Pod', marks('Namespace/team-a'))
  t.strictSame(planFor(t, source, pod), [], 'and a kind that is never kept is not touched')
})

t.test('a revert deletes nothing that sidestep could not have made', async t => {
  const forged = [
    object('v1', 'Pod', marks('Namespace/team-a')),
    object('security.istio.io/v1', 'PeerAuthentication', marks('Namespace/team-a')),
    object('networking.istio.io/v1', 'VirtualService', marks('Namespace/team-a')),
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-b', ...marks('Namespace/team-a') } },
    object('v1', 'Service', { ...marks('x'), labels: { ...labels, 'gateway.networking.k8s.io/gateway-name': 'w' } }),
  ]
  t.strictSame(revertPlan(forged, { rootNamespace: 'istio-system' }), [])
})
