import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import {
  auditOf,
  denied,
  entry,
  istioGateway,
  namespace,
  namespaceOf,
  pod,
  policy,
  programmed,
  service,
  virtualService,
} from './world.ts'

t.test('a namespace is blocked by a denial, warned about, or ready, and the whole is as bad as the worst', async t => {
  const good = namespace({}, 'team-b')
  const slash = virtualService('lab', [entry('/lab/')])
  const report = auditOf([istioGateway, namespace(), denied, good])
  t.match(namespaceOf(report), { verdict: 'blocked', counts: { denial: 1 } })
  t.equal(namespaceOf(report, 'team-b').verdict, 'ready')
  t.equal(report.verdict, 'blocked')
  t.equal(auditOf([istioGateway, namespace(), slash]).verdict, 'warnings')
  t.equal(auditOf([good]).verdict, 'ready')
  t.equal(auditOf([]).verdict, 'ready')
})

t.test('what was not read makes nobody ready', async t => {
  const unread = [{ resource: 'envoyfilters.networking.istio.io', reason: 'you may not list it' }]
  const report = auditOf([namespace({})], { unread })
  t.equal(report.verdict, 'warnings')
  t.strictSame(report.unread, unread)
  t.notOk('unread' in auditOf([namespace({})]))
})

t.test('only a cluster that was read whole says of a target that it is not there', async t => {
  const targetRefs = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'waypiont' }]
  const plugin = {
    apiVersion: 'extensions.istio.io/v1alpha1',
    kind: 'WasmPlugin',
    metadata: { name: 'opa', namespace: 'team-a' },
    spec: { targetRefs, phase: 'AUTHZ' },
  }
  const delegate = virtualService('root', [{ match: [{ uri: { prefix: '/a' } }], delegate: { name: 'leaf' } }])
  const codesOf = (options: object) => {
    const { findings } = namespaceOf(auditOf([istioGateway, namespace(), plugin, delegate], options))
    return findings.map(({ code }) => code).filter(code => /TARGET|DELEGATE/.test(code))
  }
  t.strictSame(codesOf({ isLive: true }), ['VS-DELEGATE-ABSENT', 'WP-TARGET-UNBOUND'])
  t.strictSame(codesOf({}), ['VS-DELEGATE-UNKNOWN'], 'files')
  const unread = [{ resource: 'gateways.gateway.networking.k8s.io', reason: 'you may not list it' }]
  t.strictSame(codesOf({ isLive: true, unread }), ['VS-DELEGATE-UNKNOWN'], 'a part of a cluster')
})

t.test('what no verdict of a single namespace shows is remarked', async t => {
  const filter = {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'EnvoyFilter',
    metadata: { name: 'limits', namespace: 'istio-system' },
    spec: { configPatches: [{ applyTo: 'HTTP_FILTER', match: { context: 'SIDECAR_INBOUND' } }] },
  }
  const { remarks, namespaces } = auditOf([namespace(), filter])
  t.match(remarks, [/^what is denied in istio-system \(EF-[A-Z-]+\) holds for every namespace/])
  t.equal(namespaces.find(({ name }) => name === 'team-a')?.verdict, 'ready')
  const { rootNamespace } = profiles.kubeflow
  const ofTeam = { ...filter, metadata: { ...filter.metadata, namespace: 'team-a' } }
  t.notOk('remarks' in auditOf([namespace(), ofTeam, namespace({}, rootNamespace)]), 'not of a namespace alone')

  const lab = virtualService('lab', [entry('/lab')])
  const ingress = { name: 'ambient-ingressgateway', namespace: 'istio-system' }
  t.match(auditOf([istioGateway, namespace(), lab]).remarks, [
    /^Gateway istio-system\/ambient-ingressgateway, which is to take the routes, is not in what was read/,
  ])
  const taker = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', metadata: ingress, spec: {} }
  t.notOk('remarks' in auditOf([istioGateway, namespace(), lab, taker]))

  const settings = { ...profiles.kubeflow, namespaces: [] }
  t.match(auditOf([namespace()], { settings }).remarks, [/no namespace becomes ambient, so nothing was asked/])
  t.notOk('remarks' in auditOf([namespace()]))
})

t.test('findings are sorted by severity, then by object, and carry their place', async t => {
  const lab = virtualService('alpha', [entry('/lab/')])
  const { findings } = namespaceOf(auditOf([istioGateway, namespace(), lab, denied]))
  t.strictSame(
    findings.map(({ severity, name }) => `${severity} ${name}`),
    ['denial faulty', 'warning alpha', 'note team-a'],
  )
  t.match(findings[0], {
    code: 'VS-FAULT',
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    namespace: 'team-a',
    field: 'spec.http[0].fault',
  })
})

t.test('is the same for any order of the objects', async t => {
  const objects = [istioGateway, namespace(), service(), policy(), denied, virtualService('lab', [entry('/lab/')])]
  const forwards = JSON.stringify(auditOf(objects))
  t.equal(JSON.stringify(auditOf(objects.toReversed())), forwards)
})

t.test('counts each object once, in its namespace, and what belongs to none by itself', async t => {
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'a' } }
  const unplaced = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } }
  const report = auditOf([namespace(), service(), role, unplaced])
  t.strictSame(
    report.namespaces.map(({ name, objects }) => [name, objects]),
    [
      ['', 1],
      ['default', 1],
      ['team-a', 2],
    ],
  )
  t.equal(report.objects, 4)
})

t.test('tells of some namespaces only, and judges them by all that is there', async t => {
  const elsewhere = { ...denied, metadata: { name: 'faulty', namespace: 'team-b' } }
  const objects = [
    istioGateway,
    namespace(),
    namespace({}, 'team-b'),
    elsewhere,
    virtualService('lab', [entry('/lab')]),
  ]
  const report = auditOf(objects, { namespaces: ['team-a'] })
  t.strictSame(
    report.namespaces.map(({ name }) => name),
    ['team-a'],
  )
  t.equal(report.verdict, 'warnings', 'of a prefix, and not blocked as team-b is')
  t.match(report.counts, { companions: 2 }, 'the route, for which the Istio Gateway has to be known, and the waypoint')
})

t.test(
  'who carries the traffic now is read from pods, else from labels, and then from what the Namespace becomes',
  async t => {
    const of = (...objects: object[]) => Object.values(namespaceOf(auditOf(objects)).dataplane).join(' to ')
    const none = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a' } }
    t.equal(of(namespace(), pod('a', 'sidecar')), 'sidecar to ambient')
    t.equal(of(namespace(), pod('a', 'sidecar'), pod('b', 'plain')), 'mixed to ambient')
    t.equal(of(namespace()), 'sidecar to ambient', 'files have no pods')
    t.equal(of(namespace({ 'istio.io/dataplane-mode': 'ambient' })), 'ambient to ambient')
    t.equal(of(none), 'none to none')
    t.equal(of(service()), 'none to none', 'a Namespace that is not there')
  },
)

t.test('pods with sidecars are where everybody begins: the end is judged as if they had been restarted', async t => {
  const { verdict, changes, steps } = namespaceOf(auditOf([namespace(), service(), policy(), pod('a', 'sidecar')]))
  t.equal(verdict, 'warnings', 'of the policy')
  const own = changes.find(({ kind }) => kind === 'Namespace')
  t.match(own?.after, 'istio.io/use-waypoint: waypoint')
  t.ok(steps.some(({ title, isDone }) => title.includes('1 pods are restarted') && !isDone))
})

t.test('a change shows YAML before and after, without status and managedFields', async t => {
  const given = { ...policy(), status: { conditions: [] } }
  Object.assign(given.metadata, { managedFields: [{ manager: 'kubectl' }] })
  const { changes } = namespaceOf(auditOf([namespace(), service(), given]))
  const [guard, own] = changes
    .filter(({ kind }) => kind === 'AuthorizationPolicy')
    .toSorted((a, b) => (a.role < b.role ? -1 : 1))
  t.match(guard, { role: 'companion', name: 'owner-guard', namespace: 'team-a' })
  t.notOk(guard && 'before' in guard, 'it is new')
  t.match(own?.before, /^apiVersion: security.istio.io\/v1\nkind: AuthorizationPolicy\n/)
  t.match(own?.after, 'targetRefs:')
  t.notMatch(`${own?.before}${own?.after}`, /status|managedFields/)
  t.match(JSON.parse(JSON.stringify(own)), { before: own?.before, after: own?.after }, 'in JSON too')
})

t.test('what is in place already is no change, and its step is done', async t => {
  const objects = [namespace(), service(), policy(), istioGateway, virtualService('lab', [entry('/lab')])]
  const stored = [...objects, { ...kept(objects, 'HTTPRoute'), status: { parents: [] } }]
  const before = namespaceOf(auditOf(objects))
  const after = namespaceOf(auditOf(stored))
  t.equal(before.counts.companions - after.counts.companions, 1)
  t.notOk(after.changes.some(({ kind }) => kind === 'HTTPRoute'))
  t.equal(stepOf(after, 'Routes are accepted')?.isDone, false, 'nobody has accepted it')
  const route = kept(objects, 'HTTPRoute') as KubernetesObject & { spec: { parentRefs: object[] } }
  const parents = route.spec.parentRefs.map(parentRef => ({
    parentRef,
    conditions: [{ type: 'Accepted', status: 'True' }],
  }))
  const accepted = namespaceOf(auditOf([...objects, { ...route, status: { parents } }]))
  t.equal(stepOf(accepted, 'Routes are accepted')?.isDone, true)
  t.equal(stepOf(accepted, 'VirtualServices are parked')?.isDone, false)
})

t.test('the steps come in the order in which nothing opens, each with what it writes', async t => {
  const deny = {
    ...policy('no-posts'),
    spec: { action: 'DENY', rules: [{ to: [{ operation: { methods: ['POST'] } }] }] },
  }
  const objects = [istioGateway, namespace(), service(), policy(), deny, virtualService('lab', [entry('/lab')])]
  const { steps, waypoint } = namespaceOf(auditOf(objects))
  t.equal(waypoint, 'team-a/waypoint')
  t.strictSame(
    steps.map(({ title, objects, isDone }) => [title, objects.join(' '), isDone]),
    [
      ['The waypoint runs', 'Gateway/team-a/waypoint', false],
      ['Guards refuse what ztunnel cannot read', 'AuthorizationPolicy/team-a/no-posts-guard', false],
      ['Pods are captured by ambient', 'Namespace/team-a', false],
      ['Guards and twins stand beside the policies', 'AuthorizationPolicy/team-a/owner-guard', false],
      [
        'Policies are enforced where ambient reads them',
        'AuthorizationPolicy/team-a/no-posts AuthorizationPolicy/team-a/owner',
        false,
      ],
      ['Guards let the waypoint through to the pods', 'AuthorizationPolicy/team-a/owner-guard', false],
      ['Traffic goes through the waypoint', 'Namespace/team-a', false],
      ['Routes are accepted', 'HTTPRoute/team-a/lab', false],
      ['VirtualServices are parked', 'VirtualService/team-a/lab', false],
    ],
  )
  const end = atEnd(objects)
  const done = namespaceOf(auditOf(end))
  t.strictSame(
    done.steps.filter(({ isDone }) => !isDone),
    [],
    'and all are done at the end',
  )
  t.equal(done.steps.length, steps.length)
  t.strictSame(done.changes, [], 'where nothing is left to change')
  t.equal(stepOf(namespaceOf(auditOf([...end, pod('old', 'sidecar')])), 'Pods are captured')?.isDone, false)
})

t.test("istiod's word counts for what is in ambient already", async t => {
  const conditions = [{ type: 'istio.io/WaypointBound', status: 'False', reason: 'AttachmentDenied', message: 'no' }]
  const bound = { ...service(), status: { conditions } }
  const { findings } = namespaceOf(auditOf([namespace({ 'istio.io/dataplane-mode': 'ambient' }), bound]))
  t.match(
    findings.find(({ code }) => code === 'ST-WAYPOINT-UNBOUND'),
    { kind: 'Service', name: 'lab', message: /AttachmentDenied: no/ },
  )
})

t.test('a namespace that sidestep keeps away from is not judged', async t => {
  const report = auditOf([namespace({ 'sidestep.dev/mode': 'off' }), denied, istioGateway])
  t.match(namespaceOf(report), { verdict: 'ready', changes: [], steps: [] })
})

t.test('a live cluster without CRDs of Gateway API can store no routes that need them', async t => {
  const timed = virtualService('lab', [entry('/lab', { timeout: '5s' })])
  const codes = (isLive: boolean) =>
    namespaceOf(auditOf([istioGateway, namespace(), timed], { isLive })).findings.map(({ code }) => code)
  t.notOk(codes(false).includes('VS-TIMEOUT-CRD'))
  t.ok(codes(true).includes('VS-TIMEOUT-CRD'))
})

t.test('progress goes from none to all', async t => {
  const shown: number[][] = []
  auditOf([namespace(), service()], { onProgress: (...at) => shown.push(at) })
  t.strictSame(shown, [
    [0, 2],
    [1, 2],
    [2, 2],
  ])
})

/** A companion of some objects, as sidestep would keep it. */
function kept(objects: object[], kind: string): KubernetesObject {
  const found = atEnd(objects).find(object => object.kind === kind)
  if (!found) throw new Error(`no ${kind} is kept`)
  return found
}

/** The cluster when all of it is done: gateways run, and routes are accepted. */
function atEnd(objects: object[]): KubernetesObject[] {
  const all = objects as KubernetesObject[]
  const cluster = snapshotOf(all)
  return all.flatMap(object => {
    const { object: end, companions } = translate(object, cluster, profiles.kubeflow)
    return [end, ...companions].map(each => {
      const { parentRefs = [] } = (each as KubernetesObject & { spec?: { parentRefs?: object[] } }).spec ?? {}
      const parents = parentRefs.map(parentRef => ({ parentRef, conditions: [{ type: 'Accepted', status: 'True' }] }))
      if (each.kind === 'HTTPRoute') return { ...each, status: { parents } }
      return each.kind === 'Gateway' && each !== object ? { ...each, status: programmed } : each
    })
  })
}

function stepOf({ steps }: ReturnType<typeof namespaceOf>, title: string) {
  return steps.find(each => each.title.startsWith(title))
}
