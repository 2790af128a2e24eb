import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { Inventory, sourcePathOf } from '../../src/reconciler/inventory.ts'
import { pathOf } from '../../src/reconciler/paths.ts'

function object(kind: string, name: string, metadata: Partial<KubernetesObject['metadata']> = {}): KubernetesObject {
  const apiVersion =
    kind === 'VirtualService'
      ? 'networking.istio.io/v1'
      : kind.endsWith('Route')
        ? 'gateway.networking.k8s.io/v1'
        : 'v1'
  return { apiVersion, kind, metadata: { name, ...(kind === 'Namespace' ? {} : { namespace: 'a' }), ...metadata } }
}

function companion(kind: string, name: string, source: string): KubernetesObject {
  const labels = { 'app.kubernetes.io/managed-by': 'sidestep' }
  return object(kind, name, { labels, annotations: { 'sidestep.dev/source': source } })
}

function inventoryOf(...objects: KubernetesObject[]): Inventory {
  const inventory = new Inventory()
  for (const after of objects) inventory.note({ path: pathOf(after), after })
  return inventory
}

t.test('knows sources by key, the oldest first, and those of each Namespace', async t => {
  const young = object('VirtualService', 'young', { creationTimestamp: '2025-01-01T00:00:00Z' })
  const old = object('VirtualService', 'old', { creationTimestamp: '2024-01-01T00:00:00Z' })
  const inventory = inventoryOf(young, old, object('Namespace', 'a'), object('Pod', 'no-source'))
  t.strictSame(inventory.keysByAge(), ['Namespace/a', 'VirtualService/a/old', 'VirtualService/a/young'])
  t.strictSame(inventory.keys().sort(), inventory.keysByAge())
  t.strictSame([...inventory.keysIn('a')].sort(), ['Namespace/a', 'VirtualService/a/old', 'VirtualService/a/young'])
  t.strictSame([...inventory.keysIn('b')], [])
  inventory.note({ path: pathOf(old), before: old })
  t.equal(inventory.source('VirtualService/a/old'), undefined)
  t.notOk([...inventory.keysIn('a')].includes('VirtualService/a/old'))
})

t.test('knows companions by the key of their source, which may be gone', async t => {
  const route = companion('HTTPRoute', 'lab', 'VirtualService/a/lab')
  const inventory = inventoryOf(
    object('VirtualService', 'lab'),
    route,
    companion('HTTPRoute', 'x', 'VirtualService/a/x'),
  )
  t.strictSame([...inventory.companionsOf('VirtualService/a/lab').keys()], [pathOf(route)])
  t.strictSame(inventory.orphaned(), ['VirtualService/a/x'])
  t.equal([...inventory.companions].length, 2)
  const moved = companion('HTTPRoute', 'lab', 'VirtualService/a/x')
  inventory.note({ path: pathOf(route), before: route, after: moved })
  t.equal(inventory.companionsOf('VirtualService/a/lab').size, 0)
  t.equal(inventory.companionsOf('VirtualService/a/x').size, 2)
})

t.test('an object that becomes a companion is a source no more, and the other way round', async t => {
  const service = object('Service', 'app')
  const kept = companion('Service', 'app', 'Service/a/whole')
  const inventory = inventoryOf(service)
  inventory.note({ path: pathOf(service), before: service, after: kept })
  t.strictSame([inventory.keys(), inventory.orphaned()], [[], ['Service/a/whole']])
  inventory.note({ path: pathOf(service), before: kept, after: service })
  t.strictSame([inventory.keys(), inventory.orphaned()], [['Service/a/app'], []])
})

t.test('a key says where its source would be, and an annotation that is no key says nothing', async t => {
  t.equal(sourcePathOf('Namespace/a'), '/api/v1/namespaces/a')
  t.equal(sourcePathOf('VirtualService/a/lab'), '/apis/networking.istio.io/v1/namespaces/a/virtualservices/lab')
  t.equal(sourcePathOf('AuthorizationPolicy/a/x'), '/apis/security.istio.io/v1/namespaces/a/authorizationpolicies/x')
  for (const key of ['', 'Namespace', 'Namespace/', 'Namespace/a/b', 'Secret/a/b', 'toString/a/b', '/a/b', 'Service/a'])
    t.equal(sourcePathOf(key), undefined, key)
  for (const key of ['Service/a/b/c', 'Service/a/..', 'Service/a/b?c', 'Service/a/../../secrets', 'Service/a/%2e%2e'])
    t.equal(sourcePathOf(key), undefined, key)
})

// istiod copies the marks with all that a Gateway has (pilot/pkg/config/kube/gateway/deploymentcontroller.go).
t.test('what istiod makes for a Gateway of ours is no companion', async t => {
  const { metadata, ...service } = companion('Service', 'waypoint', 'Namespace/a')
  const labels = { ...metadata.labels, 'gateway.networking.k8s.io/gateway-name': 'waypoint' }
  const pod = { ...object('Pod', 'waypoint-0'), metadata: { ...metadata, name: 'waypoint-0', labels } }
  const inventory = inventoryOf({ ...service, metadata: { ...metadata, labels } }, pod)
  t.equal([...inventory.companions].length, 0)
  t.strictSame(inventory.keys(), ['Service/a/waypoint'])
})
