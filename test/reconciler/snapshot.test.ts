import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { connect } from '../../src/reconciler/api-server.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { type Change, resources, startLiveSnapshot } from '../../src/reconciler/snapshot.ts'
import type { Delays } from '../../src/reconciler/watch.ts'
import { byKey, noCapabilities } from '../../src/translate/snapshot.ts'
import { FakeApiServer } from './fake-api-server.ts'

const logger = pino({ level: 'silent' })
const delays = { first: 5, longest: 40, absent: 20 }

async function start(
  t: Test,
  prepare: (server: FakeApiServer) => void,
  syncMilliseconds = 5000,
  others: Partial<Delays> = {},
) {
  const server = new FakeApiServer()
  server.install(...resources.map(({ path }) => path))
  prepare(server)
  const { kubeconfig } = await server.start(t)
  const failures: string[] = []
  const live = startLiveSnapshot(connect(kubeconfig), {
    logger,
    delays: { ...delays, ...others },
    syncMilliseconds,
    onFailure: kind => failures.push(kind),
  })
  const changes: Change[] = []
  live.subscribe(change => changes.push(change))
  t.teardown(async () => {
    await live.stop()
    await server.stop()
  })
  return { server, live, changes, failures }
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 12_000 && !holds(); i++) await sleep(5)
  if (!holds()) throw new Error(`never: ${holds}`)
}

const crdsPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const podsPath = '/api/v1/pods'
const policiesPath = '/apis/security.istio.io/v1/authorizationpolicies'

const policy = (name: string, { labels, annotations, spec = {}, status, ...metadata }: Record<string, object> = {}) =>
  ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace: 'a', name, labels, annotations, ...metadata },
    spec,
    ...(status && { status }),
  }) as KubernetesObject

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'a', name: 'p', labels: { app: 'x' }, annotations: { 'sidecar.istio.io/status': '{}' } },
  spec: { serviceAccountName: 'sa', containers: [{ name: 'main', ports: [{ containerPort: 80 }] }] },
}

const crd = (timeouts: boolean) => {
  const properties = { rules: { items: { properties: { matches: {}, ...(timeouts && { timeouts: {} }) } } } }
  const schema = { openAPIV3Schema: { properties: { spec: { properties } } } }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'httproutes.gateway.networking.k8s.io' },
    spec: { versions: [{ name: 'v1', schema }] },
  }
}

t.test('holds every kind that translators read, as the cluster observes it', async t => {
  const { live } = await start(t, server => {
    for (const { apiVersion, kind, path } of resources)
      if (kind !== 'Pod' && kind !== 'CustomResourceDefinition')
        server.put(path, { apiVersion, kind, metadata: { name: 'x', ...(kind !== 'Namespace' && { namespace: 'a' }) } })
    server.put('/api/v1/pods', pod)
    server.put('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd(false))
  })
  t.equal(await live.synced, true)
  t.strictSame(live.missing(), [])
  const { statuses, isComplete, capabilities, namespaces, workloads, ...rest } = live.cluster
  const {
    routing: _,
    apiServerCalls: __,
    strangers: ___,
    networkPolicies,
    inferenceServiceConfigs,
    ...collections
  } = rest
  t.equal(networkPolicies.size + inferenceServiceConfigs.size, 0, 'known of files only')
  t.equal(statuses, 'observed')
  t.ok(isComplete, 'what is not here is not there')
  t.strictSame(capabilities, noCapabilities, 'a CRD without a single field can store nothing')
  t.ok(namespaces.has('x'))
  t.match(byKey(workloads, 'a/Pod/p') ?? workloads.get('a')?.get('Pod/p'), { serviceAccount: 'a/sa', state: 'sidecar' })
  for (const [name, collection] of Object.entries(collections)) t.ok(byKey<unknown>(collection, 'a/x'), name)
})

t.test('follows the cluster in the same snapshot', async t => {
  const { live, server } = await start(t, server => server.put('/api/v1/pods', pod))
  await live.synced
  await until(() => server.watchCount('/api/v1/pods') === 1)
  server.delete('/api/v1/pods', pod)
  await until(() => live.cluster.workloads.get('a')?.size === 0)
})

t.test('knows the Services that the API server calls, as long as it calls them', async t => {
  const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations'
  const calling = (...names: string[]) => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'hooks' },
    webhooks: names.map(name => ({ clientConfig: { service: { namespace: 'a', name } } })),
  })
  const { live, server } = await start(t, server => server.put(path, calling('x', 'y')))
  await live.synced
  const called = () => [...live.cluster.apiServerCalls.values()].flat().map(({ name, port }) => `${name}:${port}`)
  t.strictSame(called(), ['x:443', 'y:443'])
  await until(() => server.watchCount(path) === 1)
  server.put(path, calling('y'))
  await until(() => called().length === 1)
  t.strictSame(called(), ['y:443'])
  server.put(path, calling())
  await until(() => called().length === 0)
  server.put(path, calling('x'))
  await until(() => called().length === 1)
  server.delete(path, calling('x'))
  await until(() => called().length === 0)
})

t.test('asks only for Pods that run, and for few CRDs at a time', async t => {
  const { live, server } = await start(t, () => {})
  await live.synced
  t.match(decodeURIComponent(server.requestsFor(podsPath, 'list')[0] ?? ''), 'status.phase!=Succeeded')
  t.strictSame(server.requestsFor(crdsPath, 'list'), [`${crdsPath}?limit=20`])
})

t.test('tells of changes, and of nothing that nobody reads', async t => {
  const { live, server, changes } = await start(t, server => {
    server.put(podsPath, { ...pod, status: { phase: 'Pending' } } as KubernetesObject)
    server.put(policiesPath, policy('one'))
  })
  await live.synced
  await until(() => server.watchCount(podsPath) === 1 && server.watchCount(policiesPath) === 1)
  t.strictSame(changes.map(outline).sort(), ['+ a/one', '+ a/p'])
  changes.length = 0

  const annotations = { ...pod.metadata.annotations, 'example.com/heartbeat': '1' }
  server.put(podsPath, {
    ...pod,
    metadata: { ...pod.metadata, annotations, managedFields: [{ manager: 'kubelet' }], generation: 2 },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  } as KubernetesObject)
  const version = server.version
  const path = '/api/v1/namespaces/a/pods/p'
  await until(() => live.objects.get(path)?.metadata.resourceVersion === version)
  t.strictSame(changes, [], 'a Pod that has started')

  server.put(policiesPath, policy('one', { annotations: { 'example.com/heartbeat': '1' } }))
  await until(() => live.objects.get(pathOf(policy('one')))?.metadata.resourceVersion === server.version)
  t.equal(byKey(live.cluster.authorizationPolicies, 'a/one')?.metadata.resourceVersion, server.version)
  t.strictSame(changes, [])

  const status = { conditions: [{ type: 'WaypointAccepted', status: 'True' }] }
  server.put(policiesPath, policy('one', { status }))
  await until(() => changes.length === 1)
  t.match(changes[0], { path: pathOf(policy('one')), before: { spec: {} }, after: { status } }, 'conditions are read')
  t.notOk(changes[0]?.before && 'status' in changes[0].before, 'what was before stays as it was')

  server.delete(policiesPath, policy('one'))
  await until(() => changes.length === 2)
  t.match(changes.map(outline), ['~ a/one', '- a/one'])
})

t.test('after another list, tells of what has changed and what has gone, and of nothing else', async t => {
  const names = Array.from({ length: 20 }, (_, i) => `p${i}`)
  const { live, server, changes } = await start(t, server => {
    for (const name of names) server.put(policiesPath, policy(name, { spec: { action: 'DENY' } }))
  })
  await live.synced
  await until(() => server.watchCount(policiesPath) === 1)
  changes.length = 0
  server.delete(policiesPath, policy('p3'), { silently: true })
  server.put(policiesPath, policy('p4', { spec: { action: 'ALLOW' } }), { silently: true })
  server.put(policiesPath, policy('p5', { spec: { action: 'DENY' } }), { silently: true })
  server.put(policiesPath, policy('new'), { silently: true })
  server.send(policiesPath, { type: 'ERROR', object: { code: 410 } })
  await until(() => server.requestsFor(policiesPath, 'list').length === 2 && server.watchCount(policiesPath) === 1)
  t.strictSame(changes.map(outline).sort(), ['+ a/new', '- a/p3', '~ a/p4'])
  t.strictSame(
    changes.find(change => outline(change) === '~ a/p4'),
    {
      path: pathOf(policy('p4')),
      before: {
        ...policy('p4'),
        spec: { action: 'DENY' },
        metadata: { name: 'p4', namespace: 'a', resourceVersion: '105' },
      },
      after: {
        ...policy('p4'),
        spec: { action: 'ALLOW' },
        metadata: { name: 'p4', namespace: 'a', resourceVersion: '122' },
      },
    },
  )
  t.equal(live.objects.get(pathOf(policy('p5')))?.metadata.resourceVersion, '123', 'but every version is known')
})

t.test('a listener that fails keeps neither the others nor the snapshot from the change', async t => {
  const { live, server, changes } = await start(t, () => {})
  await live.synced
  await until(() => server.watchCount(policiesPath) === 1)
  const stop = live.subscribe(() => {
    throw new Error('no')
  })
  const after: Change[] = []
  live.subscribe(change => after.push(change))
  server.put(policiesPath, policy('one'))
  await until(() => after.length === 1)
  t.equal(changes.length, 1)
  t.ok(byKey(live.cluster.authorizationPolicies, 'a/one'))
  stop()
})

t.test('a kind is followed as soon as its CRD is installed', async t => {
  const path = '/apis/gateway.networking.k8s.io/v1/httproutes'
  const slow = { first: 60_000, absent: 60_000 }
  const { live, server } = await start(t, server => server.uninstall(path), 5000, slow)
  t.equal(await live.synced, true)
  await until(() => server.watchCount(crdsPath) === 1)
  server.install(path)
  server.put(path, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { namespace: 'a', name: 'r' },
  })
  server.put(crdsPath, crd(true))
  await until(() => byKey(live.cluster.httpRoutes, 'a/r') !== undefined)
  t.equal(server.requestsFor(path, 'list').length, 2)
  t.equal(live.cluster.capabilities.httpRoute.timeouts, true)
})

t.test('a kind is empty when its CRD is uninstalled', async t => {
  const path = '/apis/gateway.networking.k8s.io/v1/httproutes'
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { namespace: 'a', name: 'r' },
  }
  const { live, server, changes } = await start(t, server => {
    server.put(crdsPath, crd(true))
    server.put(path, route)
  })
  await live.synced
  await until(() => server.watchCount(path) === 1 && server.watchCount(crdsPath) === 1)
  t.equal(live.cluster.capabilities.httpRoute.timeouts, true)
  server.delete(crdsPath, crd(true))
  server.uninstall(path)
  await until(() => byKey(live.cluster.httpRoutes, 'a/r') === undefined)
  t.equal(live.cluster.capabilities.httpRoute.timeouts, false)
  t.ok(changes.map(outline).includes('- a/r'))
})

t.test('tells of lists and watches that failed, but not of kinds that are not installed', async t => {
  const { live, failures } = await start(t, server => {
    server.uninstall(policiesPath)
    server.fail(podsPath, 500, 'hang up', 410)
  })
  await live.synced
  t.strictSame(failures, ['Pod', 'Pod'])
})

t.test('a kind that may not be watched is missing, and all others go on', async t => {
  const { live, server } = await start(t, server => {
    server.forbid(policiesPath, 'watch')
    server.put(policiesPath, policy('one'))
  })
  t.equal(await live.synced, true, 'it could be read')
  await until(() => live.missing().length === 1)
  t.strictSame(live.missing(), ['AuthorizationPolicy (security.istio.io/v1)'])
  await until(() => server.watchCount(podsPath) === 1)
  server.put(podsPath, pod)
  await until(() => live.cluster.workloads.get('a')?.size === 1)
  server.allow(policiesPath, 'watch')
  await until(() => server.watchCount(policiesPath) === 1)
  server.put(policiesPath, policy('two'))
  await until(() => live.missing().length === 0)
})

t.test('knows how far the watches have come', async t => {
  const { live, server } = await start(t, server => server.put(policiesPath, policy('one')))
  await live.synced
  await until(() => server.watchCount(policiesPath) === 1)
  const path = pathOf(policy('one'))
  t.ok(live.knows(path, '101'))
  t.ok(live.knows(path, '99'), 'a later version is known')
  t.notOk(live.knows(path, '102'))
  t.notOk(live.knows(path, '1000'), 'compared as numbers')
  server.delete(policiesPath, policy('one'))
  await until(() => live.knows(path, '102'))
  t.notOk(live.objects.has(path), 'also of what is gone')
  t.throws(() => live.knows('/apis/coordination.k8s.io/v1/namespaces/a/leases/x', '1'), { message: /nothing follows/ })
  t.ok(live.knows('/api/v1/namespaces/a', '1'), 'a Namespace is in no namespace')
  t.ok(live.knows('/api/v1/namespaces/a/services/x', '1'))
})

t.test('keeps neither managedFields nor annotations that no translator reads', async t => {
  const path = '/apis/networking.istio.io/v1/virtualservices'
  const annotations = {
    'kubectl.kubernetes.io/last-applied-configuration': 'huge',
    'sidestep.dev/original': '{}',
    'gateway.istio.io/service-account': 'x',
    'sidecar.istio.io/status-port': '1',
  }
  const { live } = await start(t, server => {
    const metadata = {
      namespace: 'a',
      name: 'x',
      labels: { l: 'm' },
      annotations,
      managedFields: [{ manager: 'kubectl' }],
    }
    server.put(path, { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata })
    server.put(path, {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { namespace: 'a', name: 'y' },
    })
  })
  await live.synced
  t.strictSame(byKey(live.cluster.virtualServices, 'a/x')?.metadata, {
    namespace: 'a',
    name: 'x',
    labels: { l: 'm' },
    resourceVersion: '101',
    annotations: { 'sidestep.dev/original': '{}', 'gateway.istio.io/service-account': 'x' },
  })
  t.notOk('annotations' in (byKey(live.cluster.virtualServices, 'a/y')?.metadata ?? {}))
})

t.test('is synced without the kinds that are not installed', async t => {
  const { live } = await start(t, server => server.uninstall('/apis/gateway.networking.k8s.io/v1/httproutes'))
  t.equal(await live.synced, true)
})

t.test('does not wait for ever for a kind that it may not read, and names it', async t => {
  const { live, server } = await start(t, server => server.fail('/api/v1/pods', ...Array(1000).fill(403)), 100)
  t.equal(await live.synced, false)
  await until(() => live.missing().length === 1)
  t.strictSame(live.missing(), ['Pod (v1)'])
  server.fail('/api/v1/pods')
  await until(() => live.missing().length === 0)
})

t.test('stops before it is synced', async t => {
  const { live } = await start(t, server => server.fail('/api/v1/pods', ...Array(1000).fill(500)))
  await live.stop()
  t.equal(await live.synced, false)
})

t.test('a cluster that cannot be reached is no reason to fall over', async t => {
  const server = new FakeApiServer()
  const { kubeconfig } = await server.start(t)
  await server.stop()
  const live = startLiveSnapshot(connect(kubeconfig), { logger, delays, syncMilliseconds: 50 })
  t.equal(await live.synced, false)
  t.equal(live.missing().length, resources.length)
  t.notOk(live.cluster.isComplete, 'nobody may say of anything that it is not there')
  await live.stop()
})

/** `+ a/x` for what is new, `~ a/x` for what has changed, `- a/x` for what is gone. */
function outline({ before, after }: Change): string {
  const { namespace, name } = (after ?? before)?.metadata ?? {}
  return `${before ? (after ? '~' : '-') : '+'} ${namespace}/${name}`
}
