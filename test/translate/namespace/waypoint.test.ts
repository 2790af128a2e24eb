// Which waypoint serves, who it is, and who else uses it: what policies ask before they move.
import t from 'tap'
import type { KubernetesObject, Service } from '../../../src/apis/core.ts'
import { profiles } from '../../../src/translate/profiles.ts'
import type { Settings } from '../../../src/translate/settings.ts'
import { snapshotOf } from '../../../src/translate/snapshot.ts'
import { isShared, namespaceWaypoint, serviceWaypoint, waypointAt } from '../../../src/translate/waypoint.ts'

const generic: Settings = profiles.generic

function named(kind: string, name: string, namespace?: string, labels?: object): KubernetesObject {
  return { apiVersion: 'v1', kind, metadata: { name, namespace, labels } } as KubernetesObject
}

function waypointGateway(namespace: string, allowed: object = {}, annotations: object = {}): KubernetesObject {
  const listener = { name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { namespaces: allowed } }
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'waypoint', namespace, annotations },
    spec: { gatewayClassName: 'istio-waypoint', listeners: [listener] },
    status: { addresses: [{ value: '10.0.0.9' }], conditions: [{ type: 'Programmed', status: 'True' }] },
  } as KubernetesObject
}

function pod(name: string, serviceAccountName: string, gateway = 'waypoint'): KubernetesObject {
  const labels = { 'gateway.networking.k8s.io/gateway-name': gateway }
  const metadata = { name, namespace: 'team-a', labels }
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { serviceAccountName } } as KubernetesObject
}

const uses = (namespace: string) => ({
  'istio.io/use-waypoint': 'waypoint',
  'istio.io/use-waypoint-namespace': namespace,
})

t.test('the service account of a waypoint is that of its pods', async t => {
  const accountOf = (...objects: KubernetesObject[]) =>
    waypointAt('team-a', 'waypoint', snapshotOf(objects, 'observed')).serviceAccount
  t.equal(accountOf(), 'team-a/waypoint', 'called like the Gateway')
  const gateway = waypointGateway('team-a', {}, { 'gateway.istio.io/service-account': 'checker' })
  t.equal(accountOf(gateway), 'team-a/checker', 'or as its annotation says')
  t.equal(accountOf(waypointGateway('team-a', {}, { 'gateway.istio.io/name-override': 'x' })), 'team-a/waypoint')
  t.equal(accountOf(gateway, pod('a', 'real'), pod('b', 'other', 'ingress')), 'team-a/real', 'the pods know better')
  t.equal(
    accountOf(gateway, pod('a', 'before'), pod('b', 'checker')),
    'team-a/checker',
    'the new one, while it changes',
  )
})

t.test('a waypoint is programmed for the namespaces that it admits', async t => {
  const admitting = (allowed: object, statuses: 'observed' | 'assumed' = 'observed') => {
    const shop = named('Namespace', 'shop', undefined, { ...uses('team-a'), tier: 'web' })
    const cluster = snapshotOf([named('Namespace', 'team-a'), shop, waypointGateway('team-a', allowed)], statuses)
    return ['team-a', 'shop'].map(user => waypointAt('team-a', 'waypoint', cluster, user, generic).isProgrammed)
  }
  for (const statuses of ['observed', 'assumed'] as const) {
    t.strictSame(admitting({}, statuses), [true, false])
    t.strictSame(admitting({ from: 'Same' }, statuses), [true, false])
    t.strictSame(admitting({ from: 'All' }, statuses), [true, true])
    t.strictSame(admitting({ from: 'Selector' }, statuses), [false, false], 'no selector selects nothing')
    t.strictSame(admitting({ from: 'Selector', selector: {} }, statuses), [true, true], 'an empty one everything')
    const selector = (operator: string, values?: string[], key = 'tier') => ({
      from: 'Selector',
      selector: { matchExpressions: [{ key, operator, values }] },
    })
    t.strictSame(admitting(selector('In', ['web']), statuses), [false, true])
    t.strictSame(admitting(selector('NotIn', ['web']), statuses), [true, false])
    t.strictSame(admitting(selector('Exists'), statuses), [false, true])
    t.strictSame(admitting(selector('DoesNotExist'), statuses), [true, false])
    t.strictSame(admitting(selector('In', ['team-a'], 'kubernetes.io/metadata.name'), statuses), [true, false])
  }
})

t.test('labels name the waypoint, the object before its Namespace', async t => {
  const service = (labels?: object) => named('Service', 'web', 'shop', labels) as Service
  const cluster = snapshotOf([
    named('Namespace', 'shop', undefined, uses('mesh')),
    waypointGateway('mesh', { from: 'All' }),
  ])
  const nameOf = (labels?: object) => {
    const waypoint = serviceWaypoint(service(labels), cluster, generic)
    return waypoint && `${waypoint.namespace}/${waypoint.name}`
  }
  t.equal(nameOf(), 'mesh/waypoint')
  t.equal(nameOf({ 'istio.io/use-waypoint': 'own' }), 'shop/own')
  t.equal(nameOf({ 'istio.io/use-waypoint': 'none' }), undefined)
  t.equal(nameOf({ 'istio.io/use-waypoint': '' }), undefined, 'an empty name leads nowhere')
  t.ok(namespaceWaypoint('shop', cluster, generic)?.isProgrammed)
})

t.test('a waypoint is shared when others use it, or will', async t => {
  const shared = (objects: KubernetesObject[], namespaces: Settings['namespaces'] = []) => {
    const settings = { ...generic, namespaces }
    const cluster = snapshotOf([named('Namespace', 'mesh'), ...objects], 'observed')
    return isShared(waypointAt('mesh', 'waypoint', cluster), 'mesh', cluster, settings)
  }
  const other = named('Namespace', 'shop', undefined, uses('mesh'))
  const rule = (names: string[]): Settings['namespaces'][number] => ({
    names,
    dataplaneMode: 'ambient',
    waypoint: {
      name: 'waypoint',
      namespace: 'mesh',
      create: false,
      services: 'all',
      ingressUseWaypoint: false,
      directCallers: [],
    },
  })
  t.notOk(shared([]))
  t.ok(shared([other]), 'a Namespace names it')
  t.ok(shared([named('Namespace', 'shop'), named('Service', 'web', 'shop', uses('mesh'))]), 'a Service names it')
  t.notOk(shared([other, waypointGateway('mesh')]), 'whoever is not admitted does not use it')
  t.ok(shared([other, waypointGateway('mesh', { from: 'All' })]))
  t.ok(shared([], [rule(['shop'])]), 'a rule names it for a Namespace that is not there yet')
  t.notOk(shared([], [rule(['mesh'])]), 'the rule of its own Namespace')
})

t.test('pods that istio-cni never captures', async t => {
  const optedOut = (labels: object, spec: object) => {
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop', labels }, spec }
    return snapshotOf([object as KubernetesObject])
      .workloads.get('shop')
      ?.get('Pod/web')?.isOptedOut
  }
  t.equal(optedOut({ 'istio.io/dataplane-mode': 'none' }, {}), true)
  t.equal(optedOut({}, { hostNetwork: true }), true)
  t.equal(optedOut({ 'istio.io/dataplane-mode': 'ambient' }, { hostNetwork: false }), false)
})
