// Where requests go, before and after: the two orders, and what stays where it is.
import t from 'tap'
import { profiles } from '../../src/translate/profiles.ts'
import { auditOf, entry, istioGateway, namespace, service, virtualService } from './world.ts'

const rows = (list: { object: string; match: string; to: string }[] = []) =>
  list.map(({ object, match, to }) => `${object.replace('/team-a', '')} ${match} -> ${to}`)

t.test(
  'VirtualServices are asked in the order of their age, with catch-alls last; routes by how much they ask',
  async t => {
    const young = virtualService('young', [entry('/a')], { creationTimestamp: '2026-02-01T00:00:00Z' })
    const old = virtualService('old', [entry('/b/c'), entry('/b'), { route: entry('').route }, entry('/never')], {
      creationTimestamp: '2026-01-01T00:00:00Z',
    })
    const { hosts } = auditOf([istioGateway, namespace(), young, old])
    t.strictSame(
      hosts.map(({ host }) => host),
      ['*'],
    )
    t.strictSame(rows(hosts[0]?.before), [
      'VirtualService/old /b/c (prefix) -> lab.team-a:80',
      'VirtualService/old /b (prefix) -> lab.team-a:80',
      'VirtualService/young /a (prefix) -> lab.team-a:80',
      'VirtualService/old / (prefix) -> lab.team-a:80',
    ])
    t.strictSame(rows(hosts[0]?.after), [
      'HTTPRoute/old /b/c (prefix) -> lab.team-a:80',
      'HTTPRoute/old /b (prefix) -> lab.team-a:80',
      'HTTPRoute/young /a (prefix) -> lab.team-a:80',
      'HTTPRoute/old / (prefix) -> lab.team-a:80',
    ])
  },
)

t.test('says what is asked and what is answered, in the same words for both', async t => {
  const settings = { ...profiles.kubeflow, referenceGrants: 'create' as const }
  const header = { headers: { 'x-canary': { exact: 'yes' } }, method: { exact: 'GET' }, uri: { exact: '/one' } }
  const redirect = { uri: '/else', authority: 'example.com', redirectCode: 307 }
  const two = [
    { destination: { host: 'lab', port: { number: 80 } }, weight: 90 },
    { destination: { host: 'new.team-b.svc.cluster.local', port: { number: 80 } }, weight: 10 },
  ]
  const given = virtualService('lab', [
    { match: [{ uri: { exact: '/gone' } }], redirect },
    { match: [header], route: two },
    { ...entry('/lab/'), rewrite: { uri: '/' } },
  ])
  const [{ before, after } = { before: [], after: [] }] = auditOf([istioGateway, namespace(), given], {
    settings,
  }).hosts
  t.strictSame(rows(before), [
    'VirtualService/lab /gone (exact) -> redirects (307) to example.com/else',
    'VirtualService/lab GET /one (exact) with x-canary: yes -> lab.team-a:80 (90), new.team-b:80 (10)',
    'VirtualService/lab /lab/ (prefix) -> lab.team-a:80; path becomes /',
  ])
  t.strictSame(rows(after), [
    'HTTPRoute/lab /gone (exact) -> redirects (307) to example.com/else',
    'HTTPRoute/lab GET /one (exact) with x-canary: yes -> lab.team-a:80 (90), new.team-b:80 (10)',
    'HTTPRoute/lab /lab (prefix) -> lab.team-a:80; path becomes /',
  ])
})

t.test('what is refused is served by nobody afterwards', async t => {
  const faulty = virtualService('lab', [entry('/lab', { fault: { abort: { httpStatus: 500 } } })])
  const [host] = auditOf([istioGateway, namespace(), faulty]).hosts
  t.equal(host?.before.length, 1)
  t.strictSame(host?.after, [])
})

t.test('at a gateway that the settings do not map everything stays', async t => {
  const given = virtualService('lab', [entry('/lab')])
  const elsewhere = { ...given, spec: { ...given.spec, hosts: ['lab.example'], gateways: ['team-a/own'] } }
  const [host] = auditOf([namespace(), elsewhere]).hosts
  t.equal(host?.host, 'lab.example')
  t.equal(host?.before.length, 1)
  t.strictSame(host?.after, host?.before)
})

t.test('one host at several gateways is told apart by them, and routes of somebody else are shown as well', async t => {
  const foreign = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'theirs', namespace: 'team-a' },
    spec: { parentRefs: [{ name: 'own' }], rules: [{ backendRefs: [{ name: 'lab', port: 80 }] }] },
  }
  const { hosts } = auditOf([istioGateway, namespace(), virtualService('lab', [entry('/lab')]), foreign])
  t.strictSame(
    hosts.map(({ host, before, after }) => [host, before.length, after.length]),
    [
      ['* at istio-system/ambient-ingressgateway', 1, 1],
      ['* at team-a/own', 0, 1],
    ],
  )
})

t.test('in the mesh a host is the full name of its Service, where a waypoint serves it', async t => {
  const given = virtualService('lab', [entry('/lab')])
  const inMesh = { ...given, spec: { hosts: ['lab'], http: given.spec.http } }
  const { hosts } = auditOf([namespace({ 'istio.io/ingress-use-waypoint': 'false' }), service(), inMesh])
  t.match(hosts, [
    {
      host: 'lab.team-a.svc.cluster.local',
      before: [{ object: 'VirtualService/team-a/lab' }],
      after: [{ object: 'HTTPRoute/team-a/lab' }],
    },
  ])
  t.strictSame(auditOf([service(), inMesh]).hosts, [], 'no waypoint')
})
