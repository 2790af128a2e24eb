import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { connect } from '../../src/reconciler/api-server.ts'
import { resources, startLiveSnapshot } from '../../src/reconciler/snapshot.ts'
import { byKey, noCapabilities } from '../../src/translate/snapshot.ts'
import { FakeApiServer } from './fake-api-server.ts'

const logger = pino({ level: 'silent' })
const delays = { first: 5, longest: 40, absent: 20 }

async function start(t: Test, prepare: (server: FakeApiServer) => void, syncMilliseconds = 5000) {
  const server = new FakeApiServer()
  server.install(...resources.map(({ path }) => path))
  prepare(server)
  const { kubeconfig } = await server.start(t)
  const live = startLiveSnapshot(connect(kubeconfig), { logger, delays, syncMilliseconds })
  t.teardown(async () => {
    await live.stop()
    await server.stop()
  })
  return { server, live }
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await sleep(5)
  if (!holds()) throw new Error(`never: ${holds}`)
}

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
  const { statuses, capabilities, namespaces, workloads, routing: _, apiServerCalls: __, ...collections } = live.cluster
  t.equal(statuses, 'observed')
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

t.test('asks only for Pods that run, and for the one CRD', async t => {
  const { live, server } = await start(t, () => {})
  await live.synced
  t.match(decodeURIComponent(server.requestsFor('/api/v1/pods', 'list')[0] ?? ''), 'status.phase!=Succeeded')
  const [request = ''] = server.requestsFor('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', 'list')
  t.match(decodeURIComponent(request), 'metadata.name=httproutes.gateway.networking.k8s.io')
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
  await live.stop()
})
