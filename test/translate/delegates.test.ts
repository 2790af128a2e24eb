// What Istio's merge of root and delegate does to fields whose outcome shows in no fixture, because HTTPRoute has no form
// for them or another piece decides about them later.
import t from 'tap'
import type * as istio from '../../src/apis/istio.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { createReport } from '../../src/translate/report.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import { httpEntries } from '../../src/translate/virtual-service/delegates.ts'

const delegate = { name: 'leaf', namespace: 'team-b' }
const route = [{ destination: { host: 'app' } }]

/** The entries of a root in team-a whose one entry delegates to one of team-b. */
function entries(root: istio.HTTPRoute, ...leaves: istio.HTTPRoute[]) {
  const of = (name: string, namespace: string, spec: istio.VirtualServiceSpec): istio.VirtualService => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name, namespace },
    spec,
  })
  const report = createReport({ severities: {} })
  const cluster = snapshotOf([of('leaf', 'team-b', { http: leaves })])
  const http = [{ ...root, delegate }]
  return httpEntries(of('root', 'team-a', { hosts: ['*'], http }), cluster, profiles.kubeflow, report) ?? []
}

/** The matches of the merged entry; undefined when Istio drops it. */
function matches(root: istio.HTTPMatchRequest[], leaf: istio.HTTPMatchRequest[]) {
  return entries({ match: root }, { match: leaf, route })[0]?.http.match
}

t.test('what a delegate does not say comes from the root, but never route, redirect or delegate', async t => {
  const [entry] = entries(
    {
      name: 'root',
      retries: { attempts: 1 },
      fault: { abort: { httpStatus: 500 } },
      corsPolicy: {},
      rewrite: { uri: '/' },
    },
    { name: 'leaf', route, retries: {}, rewrite: { authority: 'x' } },
  )
  t.strictSame(entry, {
    http: {
      name: 'root-leaf',
      retries: {},
      fault: { abort: { httpStatus: 500 } },
      corsPolicy: {},
      rewrite: { authority: 'x' },
      route,
      match: [],
    },
    field: 'spec.http[0].delegate.http[0]',
    namespace: 'team-b',
  })
})

t.test('a mirror that comes from the root stays in its namespace, a delegate has its own', async t => {
  const root = {
    mirror: { host: 'copy' },
    mirrors: [{ destination: { host: 'copy.x' } }, { destination: { host: 'b' } }],
  }
  const [inherited, own] = entries(root, { route, mirrors: [] }, { route, mirror: { host: 'copy' } })
  t.strictSame(inherited?.http.mirror, { host: 'copy.team-a.svc.cluster.local' })
  t.strictSame(inherited?.http.mirrors, [
    { destination: { host: 'copy.x' } },
    { destination: { host: 'b.team-a.svc.cluster.local' } },
  ])
  t.strictSame(own?.http.mirror, { host: 'copy.team-b.svc.cluster.local' })
})

t.test('the two spellings of mirrorPercent are one field', async t => {
  const [entry] = entries({ mirrorPercent: 5 }, { route, mirror_percent: 10 })
  t.equal(entry?.http.mirrorPercent, undefined)
  t.equal(entry?.http.mirror_percent, 10)
})

t.test('matches are multiplied, with the fields of both', async t => {
  t.strictSame(
    matches(
      [
        { name: 'a', port: 80, sourceLabels: { a: '1' } },
        { uri: { prefix: '/x' }, statPrefix: 's' },
      ],
      [{ name: 'b', uri: { exact: '/x/y' }, port: 0, sourceLabels: { b: '2' } }],
    ),
    [
      { name: 'a-b', port: 80, sourceLabels: { a: '1', b: '2' }, uri: { exact: '/x/y' } },
      { name: 'b', uri: { exact: '/x/y' }, statPrefix: 's', sourceLabels: { b: '2' } },
    ],
  )
})

t.test('gateways are compared by namespace and name', async t => {
  t.strictSame(matches([{ gateways: ['team-b/gw', 'mesh'] }], [{ gateways: ['gw'] }]), [{ gateways: ['team-b/gw'] }])
  t.equal(matches([{ gateways: ['gw'] }], [{ gateways: ['gw'] }]), undefined)
  t.strictSame(matches([{ gateways: ['gw'] }], [{}]), [{ gateways: ['team-a/gw'] }])
})

for (const [name, root, leaf, isKept] of [
  ['the same exact text', { uri: { exact: '/a' } }, { uri: { exact: '/a' } }, true],
  ['a prefix below an exact text', { uri: { exact: '/a' } }, { uri: { prefix: '/a' } }, false],
  ['an exact text below a prefix', { uri: { prefix: '/a' } }, { uri: { exact: '/ab' } }, true],
  ['a shorter prefix', { uri: { prefix: '/ab' } }, { uri: { prefix: '/a' } }, false],
  ['the same regex', { uri: { regex: '/a' } }, { uri: { regex: '/a' } }, false],
  ['presence twice', { headers: { x: {} } }, { headers: { x: {} } }, false],
  ['headers of different names', { headers: { x: { regex: 'a' } } }, { headers: { y: { regex: 'b' } } }, true],
  ['a name that every object has', { headers: { x: { exact: 'a' } } }, { headers: { toString: { exact: 'b' } } }, true],
  ['another port', { port: 80 }, { port: 443 }, false],
  ['no source namespace where the root has one', { sourceNamespace: 'a' }, {}, false],
  ['a source namespace where the root has none', {}, { sourceNamespace: 'a' }, true],
  ['another value of a source label', { sourceLabels: { a: '1' } }, { sourceLabels: { a: '2' } }, false],
  ['another ignoreUriCase', {}, { ignoreUriCase: true }, false],
  ['ignoreUriCase that is false', {}, { ignoreUriCase: false }, true],
] as [string, istio.HTTPMatchRequest, istio.HTTPMatchRequest, boolean][]) {
  t.test(`${isKept ? 'keeps' : 'drops'} ${name}`, async t => {
    t.equal(matches([root], [leaf]) !== undefined, isKept)
  })
}

t.test('one match without a partner takes the entry with it', async t => {
  t.equal(matches([{ uri: { prefix: '/a' } }], [{ uri: { prefix: '/a/b' } }, { uri: { prefix: '/b' } }]), undefined)
})
