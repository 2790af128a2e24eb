// A waypoint that admits its own Namespace alone is not looked for in all others; every other one is.
import t from 'tap'
import type { KubernetesObject, Namespace } from '../../src/apis/core.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { emptySnapshot, putObject, removeObject, snapshotOf } from '../../src/translate/snapshot.ts'
import { isShared, waypointAt, waypointClass } from '../../src/translate/waypoint.ts'

const hbone = { name: 'mesh', port: 15008, protocol: 'HBONE' }
const from = (from: string, more: object = {}) => ({ ...hbone, allowedRoutes: { namespaces: { from, ...more } } })
const another = { name: 'http', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'All' } } }
const companion = {
  labels: { 'app.kubernetes.io/managed-by': 'sidestep' },
  annotations: { 'sidestep.dev/source': 'Namespace/team-a' },
}

const user = namespace('team-b', { 'istio.io/use-waypoint': 'waypoint', 'istio.io/use-waypoint-namespace': 'team-a' })

for (const { what, gateway, expected } of [
  { what: 'admits its own by default', gateway: { listeners: [hbone] }, expected: false },
  { what: 'admits its own', gateway: { listeners: [from('Same')] }, expected: false },
  { what: 'admits its own, and others elsewhere', gateway: { listeners: [from('Same'), another] }, expected: false },
  { what: 'admits everybody', gateway: { listeners: [from('All')] }, expected: true },
  {
    what: 'admits by a label that it has',
    gateway: {
      listeners: [from('Selector', { selector: { matchLabels: { 'kubernetes.io/metadata.name': 'team-b' } } })],
    },
    expected: true,
  },
  {
    what: 'admits by a label that it lacks',
    gateway: { listeners: [from('Selector', { selector: { matchLabels: { of: 'team-c' } } })] },
    expected: false,
  },
  { what: 'is of another class', gateway: { listeners: [hbone], gatewayClassName: 'istio' }, expected: true },
  { what: 'has no listener for it', gateway: { listeners: [] }, expected: true },
  {
    what: 'is to admit its own, and not as it stands',
    gateway: { ...companion, listeners: [from('All')] },
    expected: false,
  },
  {
    what: 'is to admit its own, and can serve no Services',
    gateway: { ...companion, labels: { ...companion.labels, 'istio.io/waypoint-for': 'workload' }, listeners: [hbone] },
    expected: true,
  },
  { what: 'is not there yet', gateway: undefined, expected: true },
])
  t.test(`a waypoint is shared with who names it, when it ${what}: ${expected}`, async t => {
    const cluster = snapshotOf([namespace('team-a'), user, ...(gateway ? [waypoint(gateway)] : [])], 'observed')
    const here = waypointAt('team-a', 'waypoint', cluster)
    t.equal(isShared(here, 'team-a', cluster, profiles.generic), expected)
    const alone = snapshotOf(
      [namespace('team-a'), namespace('team-b'), ...(gateway ? [waypoint(gateway)] : [])],
      'observed',
    )
    t.equal(isShared(here, 'team-a', alone, profiles.generic), false, 'and with nobody who does not')
  })

t.test('who names it comes and goes: by a Namespace, by a Service, and in a cluster made of another', async t => {
  const cluster = emptySnapshot('observed')
  const here = { ...waypointAt('team-a', 'waypoint', cluster) }
  const isSharedNow = (each = cluster) => isShared(here, 'team-a', each, profiles.generic)
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...user.metadata, name: 'web', namespace: 'team-b' },
  }
  const unnamed = namespace('team-b')
  for (const each of [namespace('team-a'), unnamed]) putObject(cluster, each)
  t.equal(isSharedNow(), false)
  t.equal(isSharedNow({ ...cluster, namespaces: new Map(cluster.namespaces).set('team-b', user as Namespace) }), true)
  for (const each of [user, service]) {
    putObject(cluster, each)
    putObject(cluster, each)
    t.equal(isSharedNow(), true, each.kind)
    removeObject(cluster, each)
    putObject(cluster, unnamed)
    t.equal(isSharedNow(), false, `${each.kind} is gone`)
  }
  putObject(cluster, user)
  putObject(cluster, unnamed)
  t.equal(isSharedNow(), false, 'the label is gone')
})

function namespace(name: string, labels: Record<string, string> = {}): KubernetesObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

function waypoint({ labels, annotations, gatewayClassName = waypointClass, listeners }: Gateway): KubernetesObject {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { namespace: 'team-a', name: 'waypoint', ...(labels && { labels }), ...(annotations && { annotations }) },
    spec: { gatewayClassName, listeners },
  } as KubernetesObject
}

interface Gateway {
  labels?: Record<string, string>
  annotations?: Record<string, string>
  gatewayClassName?: string
  listeners: object[]
}
