// What a revert writes and what it waits for, read off what is stored; that the order opens nothing is shown in
// test/enforcement/revert.test.ts.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { recordOriginal, withField } from '../../src/translate/original.ts'
import { nextWrites, type RevertScope, reverted, revertPlan } from '../../src/translate/revert.ts'

const scope: RevertScope = { rootNamespace: 'istio-system' }

const team = object('v1', 'Namespace', 'team-a', { labels: { 'istio-injection': 'enabled' } })
const teamInAmbient = rewritten(team, {
  'istio-injection': undefined,
  'istio.io/dataplane-mode': 'ambient',
  'istio.io/use-waypoint': 'waypoint',
})
const policy = object('security.istio.io/v1', 'AuthorizationPolicy', 'posts', {
  spec: {
    action: 'DENY',
    selector: { matchLabels: { app: 'lab' } },
    rules: [{ to: [{ operation: { methods: ['POST'] } }] }],
  },
})
const service = { kind: 'Service', name: 'lab' }
const policyOnTargets = onTargets(policy, [service])
const guard = companion('security.istio.io/v1', 'AuthorizationPolicy', 'posts-guard', {
  spec: { action: 'DENY', selector: { matchLabels: { app: 'lab' } }, rules: [{}] },
})
const waypoint = companion('gateway.networking.k8s.io/v1', 'Gateway', 'waypoint', {
  spec: { gatewayClassName: 'istio-waypoint' },
})
const ingress = object('gateway.networking.k8s.io/v1', 'Gateway', 'ingress', {
  namespace: 'edge',
  spec: { gatewayClassName: 'istio' },
})
const route = companion('gateway.networking.k8s.io/v1', 'HTTPRoute', 'lab', {
  spec: { parentRefs: [{ name: 'ingress', namespace: 'edge' }] },
})
const parked = rewritten(object('networking.istio.io/v1', 'VirtualService', 'lab', {}), {
  'istio.io/rev': 'sidestep-parked',
})
const all = [teamInAmbient, policyOnTargets, guard, waypoint, ingress, route, parked]

t.test('nothing of sidestep, nothing to do', async t => {
  t.strictSame(revertPlan([team, policy, ingress, pod('lab-1')], scope), [])
})

t.test('policies stay at the waypoint until the last pod has its sidecar', async t => {
  const waiting = 'sidecars in team-a: restart Deployment lab, Pod lab-2'
  t.strictSame(written([...all, pod('lab-1', 'lab'), pod('lab-2'), pod('old', undefined, sidecar)]), [
    ['restore VirtualService lab', undefined],
    ['restore Namespace team-a', undefined],
    ['delete HTTPRoute lab', 'Gateway edge/ingress: send its clients to the old gateway, then delete it'],
    ['restore Namespace team-a', waiting],
    ['restore AuthorizationPolicy posts', waiting],
    ['delete AuthorizationPolicy posts-guard', waiting],
    ['restore Namespace team-a', waiting],
    ['delete Gateway waypoint', waiting],
  ])
})

t.test('step by step it comes to what was written', async t => {
  let objects = all.filter(each => each !== ingress)
  const labels: unknown[] = []
  for (
    let next = nextWrites(revertPlan(objects, scope));
    next.length > 0;
    next = nextWrites(revertPlan(objects, scope))
  ) {
    const [write] = next
    objects = objects.filter(
      each => each.kind !== write?.object.kind || each.metadata.name !== write.object.metadata.name,
    )
    if (write?.verb === 'restore') objects.push(write.object)
    if (write?.object.kind === 'Namespace') labels.push(write.object.metadata.labels)
  }
  const byKind = (one: KubernetesObject, other: KubernetesObject) => (one.kind < other.kind ? -1 : 1)
  t.strictSame(objects.toSorted(byKind), [policy, team, reverted(parked)])
  t.strictSame(labels, [
    { 'istio.io/dataplane-mode': 'ambient', 'istio.io/use-waypoint': 'waypoint', 'istio-injection': 'enabled' },
    { 'istio.io/dataplane-mode': 'ambient', 'istio-injection': 'enabled' },
    { 'istio-injection': 'enabled' },
  ])
})

t.test('pods that get no sidecar are not waited for, and where nothing injects that is said', async t => {
  const marked = withField(pod('lab'), ['metadata', 'labels', 'sidecar.istio.io/inject'], 'false')
  t.notMatch(written([...all, marked]), [['', /sidecars/]])
  const bare = rewritten(object('v1', 'Namespace', 'team-a', {}), { 'istio.io/dataplane-mode': 'ambient' })
  t.match(written([bare, pod('lab')]), [
    [
      'restore Namespace team-a',
      /nothing injects them: label it istio-injection=enabled and restart Pod lab, or take it out/,
    ],
  ])
  const out = withField(bare, ['metadata', 'labels', 'istio.io/dataplane-mode'], 'none')
  const [[what, waitsFor] = []] = written([out])
  t.strictSame([what, waitsFor], ['restore Namespace team-a', undefined])
  t.strictSame(reverted(out).metadata.labels, { 'istio.io/dataplane-mode': 'none' }, 'and stays out')
})

t.test('policies that name the ingress wait for it, others do not', async t => {
  const rulesFor = (account: string) => [
    { from: [{ source: { principals: [`cluster.local/ns/edge/sa/${account}`] } }] },
  ]
  const original = object('security.istio.io/v1', 'AuthorizationPolicy', 'posts', { spec: { rules: rulesFor('old') } })
  const named = recordOriginal(original, {
    ...original,
    spec: { rules: rulesFor('ingress-istio') },
  } as KubernetesObject)
  const waiting = 'Gateway edge/ingress: send its clients to the old gateway, then delete it'
  t.match(written([named, ingress, route]), [
    ['delete HTTPRoute lab', waiting],
    ['restore AuthorizationPolicy posts', waiting],
  ])
  t.match(written([named, ingress]), [['restore AuthorizationPolicy posts', undefined]], 'no route leads through it')
  t.match(written([policyOnTargets, ingress, route]).at(-1), ['restore AuthorizationPolicy posts', undefined])
})

t.test('a policy of the ingress gets its twin before it goes back, and never in the place of another', async t => {
  const original = withField(policy, ['metadata', 'namespace'], 'edge')
  const stored = onTargets(original, [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'ingress' }])
  const steps = revertPlan([stored, ingress, route], scope)
  const [twin] = nextWrites(steps)
  t.match(twin, {
    verb: 'apply',
    object: { metadata: { name: 'posts-gateway', namespace: 'edge' }, spec: stored.spec },
  })
  t.strictSame(written([stored, ingress, route, ...(twin ? [twin.object] : [])]).slice(0, 1), [
    ['restore AuthorizationPolicy posts', undefined],
  ])
  const foreign = withField(original, ['metadata', 'name'], 'posts-gateway')
  const taken = 'AuthorizationPolicy edge/posts-gateway, which stands in the place of a twin: rename it'
  t.match(written([stored, ingress, foreign]), [
    ['apply AuthorizationPolicy posts-gateway', taken],
    ['restore AuthorizationPolicy posts', taken],
  ])
})

t.test('labels that sidestep applied to a Service are released, those of others are not', async t => {
  const labelled = (manager: string) => ({
    ...object('v1', 'Service', 'lab', { labels: { app: 'lab', 'istio.io/use-waypoint': 'waypoint' } }),
    metadata: {
      name: 'lab',
      namespace: 'team-a',
      labels: { app: 'lab', 'istio.io/use-waypoint': 'waypoint' },
      managedFields: [
        {
          manager,
          operation: 'Apply' as const,
          fieldsV1: { 'f:metadata': { 'f:labels': { 'f:istio.io/use-waypoint': {} } } },
        },
      ],
    },
  })
  const [write] = nextWrites(revertPlan([labelled('sidestep')], scope))
  t.match(write, { verb: 'release', object: { metadata: { labels: { app: 'lab' } } } })
  t.strictSame(revertPlan([labelled('helm')], scope), [])
})

t.test('policies of the root namespace wait for every Namespace, and others only for their own', async t => {
  const root = withField(policyOnTargets, ['metadata', 'namespace'], 'istio-system')
  const other = object('v1', 'Namespace', 'other', {})
  const inOther = withField(pod('far'), ['metadata', 'namespace'], 'other')
  const steps = written([root, policyOnTargets, other, inOther])
  t.match(steps, [
    ['restore AuthorizationPolicy posts', /^sidecars in other/],
    ['restore AuthorizationPolicy posts', undefined],
  ])
})

t.test('a guard for ztunnel alone comes to hold at sidecars, before there are any', async t => {
  const rules = [{ from: [{ source: { namespaces: ['a'], requestPrincipals: ['sidestep.invalid/nobody'] } }] }]
  const ofPosts = { 'sidestep.dev/source': 'AuthorizationPolicy/team-a/posts' }
  const staged = withField(withField(guard, ['spec', 'rules'], rules), ['metadata', 'annotations'], ofPosts)
  const steps = revertPlan([teamInAmbient, policyOnTargets, staged], scope)
  const [write, ...others] = nextWrites(steps)
  t.match(write, { verb: 'apply', object: { spec: { rules: [{ from: [{ source: { namespaces: ['a'] } }] }] } } })
  t.notMatch(JSON.stringify(write), /nobody/)
  t.strictSame(others, [])
  t.match(
    nextWrites(revertPlan([teamInAmbient, policy, staged], scope)),
    [{ verb: 'restore' }],
    'not so beside its policy',
  )
})

t.test('a waypoint waits for whoever it serves', async t => {
  const other = rewritten(object('v1', 'Namespace', 'other', {}), {
    'istio.io/use-waypoint': 'waypoint',
    'istio.io/use-waypoint-namespace': 'team-a',
  })
  const inOther = withField(pod('far'), ['metadata', 'namespace'], 'other')
  t.match(written([waypoint, other, inOther]).at(-1), ['delete Gateway waypoint', /^sidecars in other/])
  t.match(written([waypoint, other]).at(-1), ['delete Gateway waypoint', undefined])
  t.match(written([waypoint, other], { ...scope, namespaces: ['team-a'] }), [
    ['delete Gateway waypoint', /^Namespace other, which is not named/],
  ])
})

t.test('only the namespaces that are named', async t => {
  const other = rewritten(object('v1', 'Namespace', 'other', {}), { 'istio.io/use-waypoint': 'waypoint' })
  t.strictSame(written([...all, other], { ...scope, namespaces: ['other'] }), [
    ['restore Namespace other', undefined],
    ['restore Namespace other', undefined],
  ])
  const root = withField(policyOnTargets, ['metadata', 'namespace'], 'istio-system')
  t.match(written([root, other], { ...scope, namespaces: ['istio-system'] }), [
    ['restore AuthorizationPolicy posts', 'Namespace other, which is not named with --namespace: revert it as well'],
  ])
})

// Objects ----------------------------------------------------------------------------------------------------------

function written(objects: KubernetesObject[], its = scope): [string, string | undefined][] {
  const writes = revertPlan(objects, its).flatMap(step => step.writes)
  return writes.map(({ verb, object, waitsFor }) => [`${verb} ${object.kind} ${object.metadata.name}`, waitsFor])
}

function object(
  apiVersion: string,
  kind: string,
  name: string,
  { namespace = 'team-a', labels, spec }: { namespace?: string; labels?: object; spec?: object },
) {
  const place = kind === 'Namespace' ? {} : { namespace }
  return {
    apiVersion,
    kind,
    metadata: { name, ...place, ...(labels && { labels }) },
    ...(spec && { spec }),
  } as KubernetesObject
}

function companion(apiVersion: string, kind: string, name: string, parts: { spec: object }): KubernetesObject {
  const bare = object(apiVersion, kind, name, parts)
  const labels = { 'app.kubernetes.io/managed-by': 'sidestep' }
  return { ...bare, metadata: { ...bare.metadata, labels, annotations: { 'sidestep.dev/source': 'of/the/test' } } }
}

function rewritten(original: KubernetesObject, labels: Record<string, string | undefined>): KubernetesObject {
  const after = Object.entries(labels).reduce(
    (each, [label, value]) => withField(each, ['metadata', 'labels', label], value),
    original,
  )
  return recordOriginal(original, after)
}

function onTargets(original: KubernetesObject, targetRefs: object[]): KubernetesObject & { spec: object } {
  const moved = withField(withField(original, ['spec', 'targetRefs'], targetRefs), ['spec', 'selector'], undefined)
  return recordOriginal(original, moved) as KubernetesObject & { spec: object }
}

const sidecar = { 'sidecar.istio.io/status': '{}' }

function pod(name: string, deployment?: string, annotations: object = { 'ambient.istio.io/redirection': 'enabled' }) {
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${deployment}-5d`, uid: '1' }
  const metadata = {
    name,
    namespace: 'team-a',
    labels: { 'pod-template-hash': '5d' },
    annotations,
    ...(deployment && { ownerReferences: [owner] }),
  }
  return { apiVersion: 'v1', kind: 'Pod', metadata } as KubernetesObject
}
