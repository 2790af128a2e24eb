// A Namespace with sidecars and policies of every kind goes to ambient, pod by pod, while somebody asks at every stored
// moment whether anything gets through that sidecars would have denied: the model of test/enforcement, which knows nothing of
// sidestep. Once with one reconciler, and once with another one after each write.
import { once } from 'node:events'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { type ApiServer, connect } from '../../src/reconciler/api-server.ts'
import { type Address, pathOf } from '../../src/reconciler/paths.ts'
import { Reconciler } from '../../src/reconciler/reconciler.ts'
import { retrying } from '../../src/reconciler/retry.ts'
import { isCompanion } from '../../src/translate/companion.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { looser, worldBefore } from '../enforcement/compare.ts'
import { describeDifference } from '../enforcement/describe.ts'
import type { Source } from '../enforcement/end-state.ts'
import { type Landscape, newIngress, oldIngress } from '../enforcement/landscape.ts'
import { memoized } from '../enforcement/memoized.ts'
import type { HTTP, Request } from '../enforcement/request.ts'
import { redirectionAnnotation, sidecarAnnotation, worldOf } from '../enforcement/world.ts'
import { atRest, type Working } from './at-rest.ts'
import { reconcileCapture } from './controllers/istio-cni.ts'
import { deployGateways, reconcileBindings, reconcileGateways, reconcileHTTPRoutes } from './controllers/istiod.ts'
import { ownerPolicyOf } from './controllers/profile-controller.ts'
import { type Send, sendAs } from './controllers/send.ts'
import type { Failures } from './failures.ts'
import { History, type Moment } from './history.ts'
import { startSidestep } from './sidestep.ts'

const settings = profiles.kubeflow
const landscape: Landscape = { settings, ingressPort: 8080, ingress: 'both', services: [], waypoints: [] }

/** Who writes for sidestep: one reconciler, or each write by another one that has just started. */
type Mode = 'one reconciler' | 'another reconciler after each write'

for (const mode of ['one reconciler', 'another reconciler after each write'] as const)
  t.test(`a Namespace with sidecars goes to ambient: ${mode}`, async t => {
    const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
    if (!controlPlane) return
    const way = await begin(t, controlPlane, mode)
    await migrate(t, way)
    await arrived(t, way, mode)
    closed(t, way)
    way.failures.none(t)
  })

interface Way {
  controlPlane: ControlPlane
  sidestep: Working
  history: History
  send: Send
  failures: Failures
  /** How many reconcilers have been at work. */
  count(): number
}

async function begin(t: Test, controlPlane: ControlPlane, mode: Mode): Promise<Way> {
  await controlPlane.grant('controller', 'cluster-admin')
  await controlPlane.apply([...namespaces, ...sources, ...services, newGateway])
  for (const pod of pods) await run(controlPlane, pod)
  const history = new History()
  const through = (api: ApiServer) => history.listening(api)
  const rest = { controlPlane, history, send: sendAs(controlPlane, 'istiod') }
  if (mode === 'one reconciler') {
    const sidestep = await startSidestep(controlPlane, { settings, through })
    t.teardown(() => sidestep.stop())
    return { ...rest, sidestep, failures: sidestep.failures, count: () => 1 }
  }
  // This one only serves the webhook.
  const sidestep = await startSidestep(controlPlane, { settings, through: api => shut(history.listening(api)) })
  const { failures } = sidestep
  const generations = new Generations(controlPlane, sidestep.live, failures)
  t.teardown(async () => {
    await generations.stop()
    await sidestep.stop()
  })
  return {
    ...rest,
    sidestep: { live: sidestep.live, reconciler: { queue: generations } },
    failures,
    count: () => generations.count,
  }
}

/** Reads, and never answers what is written. */
function shut(api: ApiServer): ApiServer {
  return { ...api, send: (_, signal) => once(signal, 'abort').then(() => Promise.reject(signal.reason)) }
}

/** Reconcilers, each of which is stopped as soon as it has written something. */
class Generations {
  count = 0
  readonly #stopping = new AbortController()
  readonly #over: Promise<void>
  #current: { reconciler: Reconciler; over: Promise<unknown> } | undefined

  constructor(controlPlane: ControlPlane, live: Working['live'], failures: Failures) {
    const api = retrying(connect(controlPlane.kubeconfig('sidestep')))
    this.#over = this.#run(api, live, failures)
  }

  async #run(api: ApiServer, live: Working['live'], failures: Failures): Promise<void> {
    const logger = pino({ level: 'silent' })
    while (!this.#stopping.signal.aborted) {
      const own = new AbortController()
      const mortal: ApiServer = {
        ...api,
        async send(call, signal) {
          if (own.signal.aborted) throw own.signal.reason
          const answer = await api.send(call, signal)
          if (call.method !== 'GET') own.abort()
          return answer
        },
      }
      const reconciler = new Reconciler({ api: mortal, live, settings, translate, listener: failures.listener, logger })
      const over = reconciler.run(AbortSignal.any([own.signal, this.#stopping.signal]))
      this.#current = { reconciler, over }
      this.count++
      await over
    }
  }

  /** Until there is a reconciler that has nothing to do. */
  async idle(): Promise<void> {
    for (;;) {
      const current = this.#current
      await Promise.race([current?.reconciler.queue.idle(), current?.over.then(() => this.#next(current))])
      if (current === this.#current) return
    }
  }

  async #next(old: object): Promise<void> {
    while (this.#current === old && !this.#stopping.signal.aborted) await new Promise(resolve => setImmediate(resolve))
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#over
  }
}

// The way ----------------------------------------------------------------------------------------------------------

async function migrate(t: Test, way: Way) {
  const { controlPlane, sidestep, send } = way
  const rest = () => atRest(controlPlane, sidestep)
  await rest()
  t.notOk(await ambient(way), 'as long as sidecars are injected, nothing is cut over')
  await istiodFor(send, newIngress)
  await rest()
  const body = { metadata: { labels: { 'istio-injection': null } } }
  const contentType = 'application/merge-patch+json'
  await controlPlane.demand('PATCH', '/api/v1/namespaces/team-a', { body, contentType })
  t.ok(await ambient(way), 'without injection it is ambient in the same moment')
  for (const pod of pods.filter(({ metadata }) => metadata.namespace === 'team-a')) {
    await controlPlane.demand('DELETE', pathOf(pod))
    await run(controlPlane, withoutSidecar(pod))
    await done(reconcileCapture, send)
    await rest()
  }
  t.notOk(await enrolled(way), 'no waypoint serves it before there is one')
  // One after the other, as istiod does it.
  await istiodFor(send, 'team-a/waypoint')
  for (const reconcile of [reconcileGateways, reconcileHTTPRoutes, reconcileBindings]) await done(reconcile, send)
  await rest()
  await done(reconcileBindings, send)
  await rest()
  await controlPlane.demand('DELETE', pathOf(oldIngressPod))
  await rest()
}

/** Again and again, as long as sidestep writes the same objects. */
function done(reconcile: (send: Send) => Promise<unknown>, send: Send): Promise<unknown> {
  return until('istiod to be done', async () => {
    await reconcile(send)
    return true
  })
}

/** Deploys and programs one Gateway, and none that is not asked for. */
async function istiodFor(send: Send, key: string): Promise<void> {
  const only: Send = async (method, path, body) => {
    const answer = await send(method, path, body)
    if (method !== 'GET' || !path.endsWith('/gateways')) return answer
    const items = (answer.body.items as KubernetesObject[]).filter(
      ({ metadata }) => `${metadata.namespace}/${metadata.name}` === key,
    )
    return { ...answer, body: { ...answer.body, items } }
  }
  await done(deployGateways, only)
  await done(reconcileGateways, only)
}

async function arrived(t: Test, way: Way, mode: Mode) {
  const { controlPlane, count, sidestep } = way
  const { cluster, objects } = sidestep.live
  const namespace = objects.get('/api/v1/namespaces/team-a')
  const warnings = namespace ? translate(namespace, cluster, settings).warnings : []
  for (const { code, message } of warnings) t.comment(`${code} ${message}`)
  t.ok(await enrolled(way), 'the waypoint serves it')
  for (const name of ['ns-owner-access-istio', 'deny-http', 'custom']) {
    const { spec } = (await controlPlane.demand('GET', pathOf(policyOf('team-a', name)))).body
    t.ok(spec.targetRefs?.length > 0, `${name} is on targets`)
  }
  t.ok(mode === 'one reconciler' || count() > 10, `${count()} reconcilers`)
}

async function labels({ controlPlane }: Way): Promise<Record<string, string>> {
  return (await controlPlane.demand('GET', '/api/v1/namespaces/team-a')).body.metadata.labels
}

async function ambient(way: Way): Promise<boolean> {
  return (await labels(way))['istio.io/dataplane-mode'] === 'ambient'
}

async function enrolled(way: Way): Promise<boolean> {
  return (await labels(way))['istio.io/use-waypoint'] === 'waypoint'
}

// What gets through -------------------------------------------------------------------------------------------------

function closed(t: Test, { history }: Way) {
  const openings = new Map<string, number>()
  let count = 0
  let last: KubernetesObject[] = []
  for (const moment of history.moments()) {
    count++
    last = modelled(moment)
    for (const opening of openIn(last)) if (!openings.has(opening)) openings.set(opening, count)
  }
  for (const [opening, at] of openings) t.comment(`moment ${at}: ${opening.split('\n').join(' | ')}`)
  t.equal(openings.size, 0, `nothing was open at any of ${count} moments`)
  t.ok(count > 40, 'of which there are many')
  const without = (isLeftOut: (object: KubernetesObject) => boolean) =>
    openIn(last.filter(object => !isLeftOut(object))).length
  t.ok(without(({ metadata }) => metadata.name?.endsWith('-guard') === true) > 0, 'without guards it would be')
  t.ok(without(object => isCompanion(object) && object.kind !== 'Gateway') > 0, 'and without companions')
  t.ok(without(({ metadata }) => metadata.name?.startsWith('deny-http') === true) > 0, 'and without a policy')
}

const kinds = ['Namespace', 'Service', 'Pod', 'Gateway', 'AuthorizationPolicy', 'RequestAuthentication']

/** What decides about requests. A pod that is about to be captured does not run yet: istio-cni comes first. */
function modelled(moment: Moment): KubernetesObject[] {
  const isAmbient = (name = '') =>
    moment.get(`/api/v1/namespaces/${name}`)?.metadata.labels?.['istio.io/dataplane-mode'] === 'ambient'
  const decisive = [...moment.values()].filter(object => {
    const { kind, apiVersion, metadata, spec } = object as KubernetesObject & {
      spec?: { containers?: { name: string }[] }
    }
    if (!kinds.includes(kind) || (kind === 'Gateway' && apiVersion.startsWith('networking.istio.io'))) return false
    if (kind !== 'Pod' || spec?.containers?.[0]?.name === 'istio-proxy') return true
    const { annotations = {} } = metadata
    const isCaptured = annotations[redirectionAnnotation] === 'enabled' || annotations[sidecarAnnotation] !== undefined
    return isCaptured || !isAmbient(metadata.namespace)
  })
  return decisive.map(object => (object.kind === 'Pod' ? withAddress(object) : object))
}

/** No kubelet gives pods one here. */
const withAddress = memoized((pod: KubernetesObject) => {
  const podIP = addressOf(pathOf(pod))
  return { ...pod, status: { podIP } }
})

const addresses: string[] = []

function addressOf(path: string): string {
  if (!addresses.includes(path)) addresses.push(path)
  return `10.1.0.${addresses.indexOf(path) + 1}`
}

function openIn(objects: KubernetesObject[]): string[] {
  const world = worldOf(objects, settings)
  const possible = requests.filter(
    ({ from, to }) =>
      world.pods.has(from) && world.pods.has(to.pod) && (!('service' in to) || world.services.has(to.service)),
  )
  const before = worldBefore(world, sources as Source[], landscape)
  return looser([before], world, possible, settings).map(describeDifference)
}

// The cluster ------------------------------------------------------------------------------------------------------

const profileLabels = { 'app.kubernetes.io/part-of': 'kubeflow-profile', 'istio-injection': 'enabled' }

const namespaces = [
  namespace('istio-system', {}),
  namespace('team-a', profileLabels),
  namespace('team-b', profileLabels),
  namespace('outside', {}),
]

const newGateway = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { namespace: 'istio-system', name: 'ambient-ingressgateway' },
  spec: { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
}

const oldIngressPod = pod(oldIngress, 'istio-ingressgateway-service-account', 8080, {
  app: 'istio-ingressgateway',
  istio: 'ingressgateway',
})
oldIngressPod.spec.containers[0] = { name: 'istio-proxy', image: 'proxy', ports: [{ containerPort: 8080 }] }
oldIngressPod.metadata.annotations = {}

const pods = [
  oldIngressPod,
  pod('team-a/jupyter-0', 'default-editor', 8888, { app: 'jupyter' }),
  pod('team-a/api-0', 'api', 8080, { app: 'api' }),
  pod('team-b/jupyter-0', 'default-editor', 8888, { app: 'jupyter' }),
  { ...withoutSidecar(pod('outside/machine', 'default', 8080, { app: 'machine' })) },
]

const services = [service('jupyter', 8888), service('api', 8080)]

const ofIngress = { selector: { matchLabels: { app: 'istio-ingressgateway' } } }
const ofJupyter = { selector: { matchLabels: { app: 'jupyter' } } }
const ofApi = { selector: { matchLabels: { app: 'api' } } }
const jwtRules = [{ issuer: 'https://issuer.example.com', jwksUri: 'https://issuer.example.com/keys' }]
const teamB = 'cluster.local/ns/team-b/sa/default-editor'

const sources = [
  { ...policyOf('istio-system', 'nothing'), spec: {} },
  { ...policyOf('istio-system', 'tokens', 'RequestAuthentication'), spec: { ...ofIngress, jwtRules } },
  { ...policyOf('istio-system', 'allow'), spec: { ...ofIngress, rules: [{}] } },
  {
    ...policyOf('istio-system', 'deny'),
    spec: {
      ...ofIngress,
      action: 'DENY',
      rules: [{ from: [{ source: { notRequestPrincipals: ['*'] } }], to: [{ operation: { paths: ['/token'] } }] }],
    },
  },
  { ...ownerPolicyOf({ name: 'team-a', owner: 'alice@example.com' }), apiVersion: 'security.istio.io/v1' },
  {
    ...policyOf('team-a', 'allow-caller'),
    spec: {
      ...ofApi,
      rules: [{ from: [{ source: { principals: [teamB] } }], to: [{ operation: { ports: ['8080'] } }] }],
    },
  },
  {
    ...policyOf('team-a', 'deny-http'),
    spec: { ...ofJupyter, action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin'] } }] }] },
  },
  {
    ...policyOf('team-a', 'deny-namespace'),
    spec: {
      ...ofJupyter,
      action: 'DENY',
      rules: [{ from: [{ source: { namespaces: ['team-b'] } }] }],
    },
  },
  {
    ...policyOf('team-a', 'custom'),
    spec: {
      ...ofApi,
      action: 'CUSTOM',
      provider: { name: 'oauth2-proxy' },
      rules: [{ to: [{ operation: { paths: ['/asked'] } }] }],
    },
  },
  { ...policyOf('team-a', 'tokens', 'RequestAuthentication'), spec: { ...ofJupyter, jwtRules } },
]

const callers = ['team-a/jupyter-0', 'team-a/api-0', 'team-b/jupyter-0', 'outside/machine']
const destinations = [
  { service: 'team-a/jupyter', pod: 'team-a/jupyter-0', port: 80 },
  { service: 'team-a/api', pod: 'team-a/api-0', port: 80 },
  { pod: 'team-a/jupyter-0', port: 8888 },
  { pod: 'team-a/api-0', port: 8080 },
]
const alice = { 'kubeflow-userid': 'alice@example.com' }
const token = { issuer: 'https://issuer.example.com', subject: 'alice', claims: {} }
const https: HTTP[] = [
  ...['/', '/admin', '/asked', '/token', '/healthz'].flatMap(path => [http(path), { ...http(path), headers: alice }]),
  { ...http('/token'), token, headers: alice },
]
const requests: Request[] = [
  ...callers.flatMap(from => destinations.map(to => ({ from, to }))),
  ...[oldIngress, newIngress].flatMap(from => destinations.slice(0, 2).map(to => ({ from, to }))),
].flatMap(({ from, to }) => https.map(http => ({ from, to, http })))

function http(path: string): HTTP {
  return { method: 'GET', host: 'example.com', path, headers: {}, externalAuthorizer: 'denies' }
}

function namespace(name: string, labels: Record<string, string>) {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

function policyOf(namespace: string, name: string, kind = 'AuthorizationPolicy'): Address {
  return { apiVersion: 'security.istio.io/v1', kind, metadata: { namespace, name } }
}

function service(app: string, targetPort: number) {
  const ports = [{ name: 'http', port: 80, targetPort }]
  const metadata = { name: app, namespace: 'team-a' }
  return { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: { app }, ports } }
}

/** With a sidecar. */
function pod(key: string, serviceAccountName: string, containerPort: number, labels: Record<string, string>) {
  const [namespace = '', name = ''] = key.split('/')
  const annotations: Record<string, string> = { [sidecarAnnotation]: '{}' }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels, annotations },
    spec: { serviceAccountName, containers: [{ name: 'app', image: 'app', ports: [{ containerPort }] }] },
  }
}

type Pod = ReturnType<typeof pod>

function withoutSidecar(pod: Pod): Pod {
  return { ...pod, metadata: { ...pod.metadata, annotations: {} } }
}

async function run(controlPlane: ControlPlane, pod: Pod): Promise<void> {
  const { namespace } = pod.metadata
  await controlPlane.demand('POST', `/api/v1/namespaces/${namespace}/pods`, { body: pod })
}
