// The model sees an open door: translations that are spoilt by hand, each in one way, must come out looser.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import { looser, worldBefore } from './compare.ts'
import { endStateOf, type Source } from './end-state.ts'
import { at, landscapeOf, usual } from './landscape.ts'
import { lost } from './losses.ts'
import type { HTTP } from './request.ts'
import { requestsOf } from './requests.ts'
import { worldOf } from './world.ts'

const landscape = landscapeOf({ ...usual, ports: { 'team-a/api': [at(80, 8080), at(9090)] } })
const http: HTTP = { method: 'GET', host: 'host.example', path: '/a', headers: {}, externalAuthorizer: 'allows' }
const requests = requestsOf([http, { ...http, path: '/b' }], landscape)

const toA = { to: [{ operation: { paths: ['/a'] } }] }
const fromTeamB = { from: [{ source: { namespaces: ['team-b'] } }] }
const l7Allow = policy('team-a', 'notebook', { action: 'ALLOW', rules: [toA] })
const l4Allow = policy('kubeflow', 'ml-pipeline', { action: 'ALLOW', rules: [fromTeamB] })
const l7Deny = policy('team-a', 'notebook', { action: 'DENY', rules: [toA] })
const allowNothing = policy('istio-system', undefined, {})

t.test('a guard that is dropped leaves pod addresses open', async t => {
  const objects = translated([l7Allow])
  t.strictSame(opened(objects, [l7Allow]), [], 'closed before')
  const without = objects.filter(object => !(isPolicy(object) && object.spec.selector))
  t.match(opened(without, [l7Allow])[0], { to: { pod: 'team-a/notebook' }, http: { path: '/b' } })
})

t.test('a DENY by HTTP attributes that is left on its selector denies nothing', async t => {
  const [request] = opened([...translated([]), l7Deny], [l7Deny])
  t.match(request, { to: { pod: 'team-a/notebook' }, http: { path: '/a' } })
})

t.test('a guard admits everybody when the allow-nothing has no twin at the waypoints', async t => {
  const guard = policy('team-a', 'notebook', {
    rules: [{ from: [{ source: { principals: ['cluster.local/ns/team-a/sa/waypoint'] } }] }],
  })
  const objects = [...translated([allowNothing]), guard]
  t.strictSame(opened(objects, [allowNothing]), [], 'closed before')
  const without = objects.filter(object => !(isPolicy(object) && object.spec.targetRefs))
  t.match(opened(without, [allowNothing])[0], { to: { service: 'team-a/notebook' } })
})

t.test('an L4 ALLOW of an enrolled Service lets everybody in without its copy at the waypoint', async t => {
  const objects = translated([l4Allow])
  t.strictSame(opened(objects, [l4Allow]), [], 'closed before')
  const without = objects.filter(object => !(isPolicy(object) && object.spec.targetRefs))
  t.match(opened(without, [l4Allow])[0], { from: 'team-a/api-1', to: { service: 'kubeflow/ml-pipeline' } })
})

t.test('a policy that is moved before its namespace is enrolled holds nowhere', async t => {
  const objects = translated([l7Allow])
    .filter(object => !(isPolicy(object) && object.spec.selector))
    .map(object => (object.kind === 'Namespace' ? notEnrolled(object) : object))
  t.match(opened(objects, [l7Allow])[0], { to: { service: 'team-a/notebook' }, http: { path: '/b' } })
})

t.test('an L4 ALLOW that does not admit the waypoint cuts an enrolled Service off', async t => {
  const objects = [...translated([]), l4Allow]
  const world = worldOf(objects, landscape.settings)
  const end = { world, objects, sources: [l4Allow], warnings: [], refused: [] }
  const [difference] = lost(worldBefore(world, [l4Allow], landscape), world, end, requests)
  t.match(difference, { request: { from: 'team-b/notebook', to: { service: 'kubeflow/ml-pipeline' } } })
})

function policy(
  namespace: string,
  app: string | undefined,
  spec: istio.AuthorizationPolicySpec,
): istio.AuthorizationPolicy {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'policy', namespace },
    spec: { ...(app ? { selector: { matchLabels: { app } } } : {}), ...spec },
  }
}

function translated(policies: istio.AuthorizationPolicy[]): KubernetesObject[] {
  return endStateOf({ landscape, policies, requestAuthentications: [] }).objects
}

function opened(objects: KubernetesObject[], sources: Source[]) {
  const world = worldOf(objects, landscape.settings)
  const before = worldBefore(world, sources, landscape)
  return looser([before], world, requests, landscape.settings).map(({ request }) => request)
}

function isPolicy(object: KubernetesObject): object is istio.AuthorizationPolicy {
  return object.kind === 'AuthorizationPolicy'
}

function notEnrolled(namespace: KubernetesObject): KubernetesObject {
  const { 'istio.io/use-waypoint': _, ...labels } = namespace.metadata.labels ?? {}
  return { ...namespace, metadata: { ...namespace.metadata, labels } }
}
