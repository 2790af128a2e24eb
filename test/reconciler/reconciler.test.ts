import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { ApiError, type ApiServer, type Call } from '../../src/reconciler/api-server.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { Reconciler } from '../../src/reconciler/reconciler.ts'
import { companionMetadata } from '../../src/translate/companion.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'
import type { Translate } from '../../src/translate/translation.ts'
import { FakeCluster } from './fake-cluster.ts'
import { VirtualTime } from './virtual-time.ts'

const seconds = 1000
const minutes = 60 * seconds

// The cluster ---------------------------------------------------------------------------------------------------------

type Content = Record<string, unknown>

function object(apiVersion: string, kind: string, key: string, content: Content = {}): KubernetesObject {
  const [name = '', namespace] = key.split('/').reverse()
  const { metadata = {}, ...rest } = content
  return { apiVersion, kind, metadata: { name, ...(namespace && { namespace }), ...(metadata as object) }, ...rest }
}

function namespace(name: string, labels: Record<string, string> = {}): KubernetesObject {
  return object('v1', 'Namespace', name, { metadata: { labels } })
}

const profile = { 'app.kubernetes.io/part-of': 'kubeflow-profile' }

const gateways = [
  object('gateway.networking.k8s.io/v1', 'Gateway', 'istio-system/ambient-ingressgateway', {
    spec: {
      gatewayClassName: 'istio',
      listeners: [{ name: 'http', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'All' } } }],
    },
  }),
  object('networking.istio.io/v1', 'Gateway', 'kubeflow/kubeflow-gateway', {
    spec: {
      selector: { istio: 'ingressgateway' },
      servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
    },
  }),
]

function service(key: string): KubernetesObject {
  return object('v1', 'Service', key, { spec: { selector: { app: 'lab' }, ports: [{ name: 'http', port: 80 }] } })
}

function virtualService(key: string, prefix = `/${key}/`, destination: Content = { host: 'lab' }): KubernetesObject {
  return object('networking.istio.io/v1', 'VirtualService', key, {
    spec: {
      hosts: ['*'],
      gateways: ['kubeflow/kubeflow-gateway'],
      http: [{ match: [{ uri: { prefix } }], route: [{ destination }] }],
    },
  })
}

const notebook = virtualService('legacy/lab')
const routing = [namespace('legacy'), ...gateways, service('legacy/lab'), notebook]
const notebookPath = pathOf(notebook)
const routePath = '/apis/gateway.networking.k8s.io/v1/namespaces/legacy/httproutes/lab'

/** Somebody who may only read: it goes to the waypoint, with a guard at the pods. */
const policy = object('security.istio.io/v1', 'AuthorizationPolicy', 'team-a/readers', {
  spec: { action: 'ALLOW', rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
})

// The Reconciler on it -------------------------------------------------------------------------------------------------

interface Options {
  settings?: Settings
  translate?: Translate<KubernetesObject>
  prepare?: (cluster: FakeCluster) => void
}

async function start(t: Test, objects: KubernetesObject[], { settings, prepare, ...options }: Options = {}) {
  const time = new VirtualTime(t)
  const chosen = settings ?? profiles.kubeflow
  const cluster = new FakeCluster(chosen, objects)
  prepare?.(cluster)
  const told: string[] = []
  const loops: string[] = []
  const reconciler = new Reconciler({
    api: cluster as unknown as ApiServer,
    live: cluster.live,
    settings: chosen,
    translate: options.translate ?? translate,
    logger: pino({ level: 'silent' }),
    listener: {
      translated() {},
      wrote: (_, { kind, object }, result) => told.push(`${result}: ${kind} ${object.kind} ${object.metadata.name}`),
      looping: (_source, { kind, object }) => loops.push(`${kind} ${object.kind} ${object.metadata.name}`),
      gone() {},
    },
  })
  const stopping = new AbortController()
  let hasEnded = false
  const ran = reconciler.run(stopping.signal).then(() => {
    hasEnded = true
  })
  t.teardown(async () => {
    stopping.abort()
    await ran
  })
  await time.settle()
  return { time, cluster, told, loops, stopping, hasEnded: () => hasEnded }
}

function parked(cluster: FakeCluster, path = notebookPath): boolean {
  return cluster.at(path)?.metadata.labels?.['istio.io/rev'] === 'sidestep-parked'
}

// Order ---------------------------------------------------------------------------------------------------------------

t.test('applies a route, waits until it is accepted, and then parks its VirtualService by admission', async t => {
  const { time, cluster, told } = await start(t, routing, { prepare: cluster => void cluster.held.add('HTTPRoute') })
  await time.advance(9 * seconds)
  t.strictSame(told, ['done: apply HTTPRoute lab'], 'and nothing before the watch has brought the route')
  cluster.held.clear()
  cluster.deliver()
  await time.advance(seconds)
  t.strictSame(told, ['done: apply HTTPRoute lab', 'done: readmit VirtualService lab'])
  t.ok(parked(cluster))
  await time.advance(10 * minutes)
  t.equal(cluster.writes.length, 2, 'and that is all')
})

t.test('a watch that brings nothing holds a source up, but neither for ever nor others', async t => {
  const other = virtualService('legacy/other')
  const { time, cluster, told } = await start(t, [...routing, other], {
    prepare: cluster => void cluster.held.add('HTTPRoute'),
  })
  await time.advance(9 * seconds)
  t.strictSame(told.sort(), ['done: apply HTTPRoute lab', 'done: apply HTTPRoute other'])
  await time.advance(10 * minutes)
  t.ok(cluster.writes.length > 2 && cluster.writes.length < 60, `${cluster.writes.length} writes in ten minutes`)
  cluster.held.clear()
  cluster.deliver()
  await time.advance(5 * minutes)
  t.ok(parked(cluster))
})

t.test('nor is a source held up that had been put off before', async t => {
  let isBroken = true
  const { time, cluster, told } = await start(t, routing, {
    prepare: cluster => {
      cluster.before = ({ path }) => {
        if (isBroken && path === routePath) throw new ApiError(422, 'invalid')
      }
    },
  })
  // It has just been put off for four seconds.
  await time.advance(4 * seconds)
  isBroken = false
  cluster.held.add('HTTPRoute')
  cluster.put(virtualService('legacy/lab', '/other/'))
  await time.advance(seconds)
  t.equal(told.filter(line => line === 'done: apply HTTPRoute lab').length, 1)
  await time.advance(20 * seconds)
  t.ok(told.filter(line => line === 'done: apply HTTPRoute lab').length > 1, 'it is looked at all the same')
})

t.test('makes one write for a source at a time, each planned from what the one before has led to', async t => {
  const objects = [...gateways, namespace('istio-system'), namespace('team-a', profile), service('team-a/lab'), policy]
  const inFlight = new Map<string, number>()
  const { time, cluster, told } = await start(t, objects, {
    prepare: cluster => {
      cluster.before = async ({ method, path }) => {
        if (method === 'GET') return
        const source = path.includes('authorizationpolicies') ? 'policy' : path
        t.equal(inFlight.get(source) ?? 0, 0, `nothing else under way with ${path}`)
        inFlight.set(source, 1)
        await new Promise(resolve => setTimeout(resolve, 5))
        inFlight.set(source, 0)
      }
    },
  })
  await time.advance(minutes)
  const steps = [
    'readmit Namespace team-a',
    'apply Gateway waypoint',
    'apply AuthorizationPolicy readers-guard',
    'readmit AuthorizationPolicy readers',
    'apply AuthorizationPolicy readers-guard',
    'readmit Namespace team-a',
  ]
  t.strictSame(
    told,
    steps.map(step => `done: ${step}`),
    'captured, guarded, moved, opened, enrolled',
  )
  const stored = cluster.at(pathOf(policy)) as { spec?: { targetRefs?: unknown[] } }
  t.equal(stored.spec?.targetRefs?.length, 1)
  const count = cluster.writes.length
  await time.advance(10 * minutes)
  t.equal(cluster.writes.length, count, 'and then comes to rest')
})

// Admission -----------------------------------------------------------------------------------------------------------

t.test('without the webhook companions go on, and admission is asked ever more seldom until it is back', async t => {
  const { time, cluster, told } = await start(t, routing, {
    prepare: cluster => {
      cluster.hasWebhook = false
    },
  })
  await time.advance(10 * minutes)
  t.ok(cluster.at(routePath), 'the route stands')
  const tries = told.filter(line => line === 'fruitless: readmit VirtualService lab').length
  t.ok(tries > 5 && tries < 15, `${tries} tries in ten minutes`)
  cluster.put(virtualService('legacy/late'))
  await time.advance(seconds)
  t.ok(cluster.at(routePath.replace('/lab', '/late')), 'a new source is not held up')
  cluster.hasWebhook = true
  await time.advance(5 * minutes)
  t.ok(parked(cluster) && parked(cluster, notebookPath.replace('/lab', '/late')), 'nor is one forgotten')
})

t.test('nor does it pass for rewritten when only its status has been written in between', async t => {
  const { time, told } = await start(t, routing, {
    prepare: cluster => {
      cluster.hasWebhook = false
      // Of which the watch has not heard when the answer comes.
      cluster.before = ({ path }) => {
        const stored = cluster.at(notebookPath)
        if (path === notebookPath && stored) cluster.put({ ...stored, status: {} } as KubernetesObject)
      }
    },
  })
  await time.advance(minutes)
  const readmissions = told.filter(line => line.includes('readmit VirtualService'))
  t.ok(readmissions.length > 2)
  t.ok(readmissions.every(line => line.startsWith('fruitless')))
})

t.test('when the first source is rewritten again, all others that the webhook has missed follow at once', async t => {
  const { time, cluster } = await start(t, [...routing, virtualService('legacy/other')], {
    prepare: cluster => {
      cluster.hasWebhook = false
    },
  })
  // Later than both by so much that neither is due for minutes when the webhook is back.
  await time.advance(20 * minutes)
  cluster.hasWebhook = true
  t.notOk(parked(cluster))
  cluster.put(virtualService('legacy/new'))
  await time.advance(2 * seconds)
  const names = ['lab', 'other', 'new'].filter(name => parked(cluster, notebookPath.replace('/lab', `/${name}`)))
  t.strictSame(names, ['lab', 'other', 'new'])
})

t.test('what could not be written for want of its kind is written as soon as that is installed', async t => {
  let isInstalled = false
  const { time, cluster, told } = await start(t, routing, {
    prepare: cluster => {
      cluster.before = ({ path }) => {
        if (path === routePath && !isInstalled) throw new ApiError(404, 'the server could not find the resource')
      }
    },
  })
  await time.advance(20 * minutes)
  t.ok(told.length > 5 && told.every(line => line === 'failed: apply HTTPRoute lab'))
  isInstalled = true
  const crd = object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'httproutes.gateway.networking.k8s.io')
  cluster.put({ ...crd, spec: { group: 'gateway.networking.k8s.io', names: { kind: 'HTTPRoute' } } } as never)
  await time.advance(2 * seconds)
  t.ok(cluster.at(routePath))
})

t.test(
  'a source that only looks as if admission would change it is asked about once, until it or what is wanted changes',
  async t => {
    // As with what managedFields tell, of which the snapshot keeps nothing.
    const labelled: Translate<KubernetesObject> = (source, { namespaces }) => {
      const isLater = namespaces.get('legacy')?.metadata.labels?.later === 'yes'
      const isMeant = (source.metadata.managedFields !== undefined && !isLater) || source.kind !== 'VirtualService'
      const labels = { ...source.metadata.labels, wanted: isLater ? 'later' : 'yes' }
      const object = isMeant ? source : { ...source, metadata: { ...source.metadata, labels } }
      return { object, companions: [], warnings: [] } as unknown as ReturnType<typeof labelled>
    }
    const owned = { ...notebook, metadata: { ...notebook.metadata, managedFields: [{ manager: 'kubectl' }] } }
    const { time, cluster, told } = await start(t, [namespace('legacy'), owned], {
      translate: labelled as Translate<KubernetesObject>,
      prepare: cluster => {
        cluster.translate = labelled as Translate<KubernetesObject>
      },
    })
    await time.advance(10 * minutes)
    t.equal(cluster.writes.length, 1)
    t.strictSame(told, [], 'which is no news to anybody')
    cluster.put({ ...owned, metadata: { ...owned.metadata, labels: { other: 'yes' } } })
    await time.advance(10 * minutes)
    t.equal(cluster.writes.length, 2)
    cluster.put(namespace('legacy', { later: 'yes' }))
    await time.advance(minutes)
    t.equal(cluster.at(notebookPath)?.metadata.labels?.wanted, 'later')
  },
)

t.test('nor is a source forgotten that need not be rewritten just when admission looks at it', async t => {
  const labelled = ((source, { namespaces }) => {
    const isMeant = namespaces.get('legacy')?.metadata.labels?.on === 'yes' && source.kind === 'VirtualService'
    const labels = { ...source.metadata.labels, wanted: 'yes' }
    const object = isMeant ? { ...source, metadata: { ...source.metadata, labels } } : source
    return { object, companions: [], warnings: [] }
  }) as Translate<KubernetesObject>
  let isFirst = true
  const { time, cluster } = await start(t, [namespace('legacy', { on: 'yes' }), notebook], {
    translate: labelled,
    prepare: cluster => {
      cluster.translate = labelled
      cluster.before = () => {
        if (isFirst) cluster.put(namespace('legacy'))
        cluster.deliver()
        isFirst = false
      }
    },
  })
  await time.advance(minutes)
  t.strictSame(cluster.writes.length, 1)
  t.notOk(cluster.at(notebookPath)?.metadata.labels?.wanted)
  cluster.put(namespace('legacy', { on: 'yes' }))
  await time.advance(minutes)
  t.equal(cluster.at(notebookPath)?.metadata.labels?.wanted, 'yes')
})

// Deletes -------------------------------------------------------------------------------------------------------------

/** A companion that nobody wants. */
function leftOver(source: KubernetesObject, kind: 'HTTPRoute' | 'Service', name: string, spec: Content = {}) {
  const apiVersion = kind === 'Service' ? 'v1' : 'gateway.networking.k8s.io/v1'
  return { apiVersion, kind, metadata: companionMetadata(source, name), spec } as KubernetesObject
}

const deletes = ({ writes }: FakeCluster) => writes.filter(line => line.startsWith('DELETE'))

t.test('deletes nothing before every source has been looked at once, and then what nobody wants', async t => {
  const slow = virtualService('legacy/slow')
  let go = () => {}
  const held = new Promise<void>(resolve => {
    go = resolve
  })
  const old = leftOver(notebook, 'HTTPRoute', 'lab-old')
  const orphan = leftOver(virtualService('legacy/gone'), 'HTTPRoute', 'gone')
  const { time, cluster } = await start(t, [...routing, slow, old, orphan], {
    prepare: cluster => {
      cluster.before = ({ path }) => (path.includes('slow') ? held : undefined)
    },
  })
  await time.advance(5 * minutes)
  t.strictSame(deletes(cluster), [])
  go()
  await time.advance(minutes)
  t.strictSame(deletes(cluster).sort(), [`DELETE ${pathOf(orphan)}`, `DELETE ${pathOf(old)}`].sort())
  t.ok(cluster.at(routePath) && cluster.at(notebookPath))
})

t.test('keeps a Service as long as a route that stands sends requests to it', async t => {
  const subset = leftOver(notebook, 'Service', 'lab-v1', { ports: [{ port: 80 }] })
  const route = leftOver(virtualService('legacy/denied'), 'HTTPRoute', 'denied', {
    rules: [{ backendRefs: [{ name: 'lab-v1', port: 80 }] }],
  })
  // A delegate is left as it is, and its route stands as long as it is refused.
  const denied = virtualService('legacy/denied', '/x', { host: 'lab', subset: 'v1' })
  const { time, cluster } = await start(t, [...routing, denied, subset, route])
  await time.advance(minutes)
  t.ok(cluster.at(pathOf(subset)), 'it is served')
  cluster.remove(pathOf(denied))
  await time.advance(minutes)
  t.notOk(cluster.at(pathOf(route)), 'the route goes with its source')
  t.notOk(cluster.at(pathOf(subset)), 'and then the Service')
})

t.test('but not for a route that somebody has marked as of nobody', async t => {
  const subset = leftOver(notebook, 'Service', 'lab-v1', { ports: [{ port: 80 }] })
  const rules = [{ backendRefs: [{ name: 'lab-v1', namespace: subset.metadata.namespace, port: 80 }] }]
  const forged = leftOver(notebook, 'HTTPRoute', 'forged', { rules })
  forged.metadata = { ...forged.metadata, annotations: { 'sidestep.dev/source': 'nobody' } }
  const { time, cluster } = await start(t, [...routing, subset, forged])
  await time.advance(minutes)
  t.notOk(cluster.at(pathOf(subset)))
  t.ok(cluster.at(pathOf(forged)), 'which is theirs to delete')
})

t.test('asks for a source that is gone before its companions are deleted', async t => {
  const { time, cluster } = await start(t, routing)
  await time.advance(seconds)
  const stored = cluster.at(notebookPath)
  // The watch is mistaken.
  cluster.model.remove(notebookPath)
  const event = { path: notebookPath, before: stored as KubernetesObject }
  for (const listener of cluster.listeners) listener(event)
  await time.advance(minutes)
  t.ok(cluster.reads.includes(`GET ${notebookPath}`))
  t.strictSame(deletes(cluster), [])
  cluster.remove(notebookPath)
  await time.advance(minutes)
  t.strictSame(deletes(cluster), [`DELETE ${routePath}`])
})

t.test('a companion that two sources want goes with the second', async t => {
  const settings: Settings = { ...profiles.kubeflow, subsets: 'services' }
  const destination = { host: 'lab', subset: 'v1' }
  const [one, two] = ['one', 'two'].map(name => virtualService(`legacy/${name}`, `/${name}/`, destination))
  const rule = object('networking.istio.io/v1', 'DestinationRule', 'legacy/lab', {
    spec: { host: 'lab', subsets: [{ name: 'v1', labels: { version: 'v1' } }] },
  })
  const subsetPath = '/api/v1/namespaces/legacy/services/lab-v1'
  const { time, cluster } = await start(t, [...routing, rule, one as KubernetesObject, two as KubernetesObject], {
    settings,
  })
  await time.advance(minutes)
  t.ok(cluster.at(subsetPath))
  for (const path of [one, two].map(each => pathOf(each as KubernetesObject))) {
    t.ok(cluster.at(subsetPath), 'it is there as long as one is')
    cluster.remove(path)
    await time.advance(minutes)
  }
  t.notOk(cluster.at(subsetPath))
  t.strictSame(
    cluster.all().filter(({ metadata }) => metadata.annotations?.['sidestep.dev/source']?.includes('one')),
    [],
  )
})

t.test('nor does one stay whose route never came to be', async t => {
  const settings: Settings = { ...profiles.kubeflow, subsets: 'services' }
  const one = virtualService('legacy/one', '/one/', { host: 'lab', subset: 'v1' })
  const rule = object('networking.istio.io/v1', 'DestinationRule', 'legacy/lab', {
    spec: { host: 'lab', subsets: [{ name: 'v1', labels: { version: 'v1' } }] },
  })
  const subsetPath = '/api/v1/namespaces/legacy/services/lab-v1'
  const { time, cluster } = await start(t, [...routing, rule, one], {
    settings,
    prepare: cluster => {
      cluster.before = ({ path }) => {
        if (path.endsWith('/httproutes/one')) throw new ApiError(422, 'invalid')
      }
    },
  })
  await time.advance(minutes)
  t.ok(cluster.at(subsetPath))
  cluster.remove(pathOf(one))
  await time.advance(minutes)
  t.notOk(cluster.at(subsetPath))
})

// What is left alone --------------------------------------------------------------------------------------------------

t.test('a source that comes to be refused keeps what stands beside it', async t => {
  const { time, cluster } = await start(t, routing)
  await time.advance(seconds)
  const count = cluster.writes.length
  const stored = cluster.at(notebookPath) as KubernetesObject & { spec: Content }
  const [http] = stored.spec.http as Content[]
  const refused = { ...http, rewrite: { uriRegexRewrite: { match: 'a', rewrite: 'b' } } }
  t.ok(
    translate(
      { ...stored, spec: { ...stored.spec, http: [refused] } } as KubernetesObject,
      cluster.live.cluster,
      profiles.kubeflow,
    ).denial,
  )
  cluster.put({ ...stored, spec: { ...stored.spec, http: [refused] } } as KubernetesObject)
  await time.advance(10 * minutes)
  t.equal(cluster.writes.length, count)
  t.ok(cluster.at(routePath))
})

for (const [what, objects] of Object.entries({
  'a Namespace whose mode is off': [namespace('legacy', { 'sidestep.dev/mode': 'off' })],
  'a Namespace that is only observed': [namespace('legacy', { 'sidestep.dev/mode': 'observe' })],
  'a Namespace that is going': [
    object('v1', 'Namespace', 'legacy', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }),
  ],
  'a source that is going': [
    { ...notebook, metadata: { ...notebook.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } },
  ],
}))
  t.test(`writes nothing for ${what}`, async t => {
    const others = routing.filter(each => !objects.some(other => pathOf(other) === pathOf(each)))
    const { time, cluster } = await start(t, [...others, ...objects, leftOver(notebook, 'HTTPRoute', 'lab-old')])
    await time.advance(10 * minutes)
    t.strictSame(cluster.writes, [])
  })

t.test('writes nothing where all is only observed', async t => {
  const settings: Settings = { ...profiles.kubeflow, mode: 'observe' }
  const { time, cluster } = await start(t, [...routing, leftOver(notebook, 'HTTPRoute', 'lab-old')], { settings })
  await time.advance(10 * minutes)
  t.strictSame(cluster.writes, [])
})

t.test('takes nothing over that somebody else makes at the same moment', async t => {
  const theirs = object('gateway.networking.k8s.io/v1', 'HTTPRoute', 'legacy/lab', {
    spec: { rules: [{ name: 'theirs' }] },
  })
  const { time, cluster, told } = await start(t, routing, {
    prepare: cluster => {
      cluster.held.add('HTTPRoute')
      cluster.before = ({ path, method }) => {
        if (path === routePath && method === 'PATCH' && !cluster.at(path)) cluster.put(theirs, 'them')
      }
    },
  })
  await time.advance(seconds)
  t.equal(told[0], 'conflict: apply HTTPRoute lab')
  cluster.held.clear()
  cluster.deliver()
  await time.advance(10 * minutes)
  t.strictSame((cluster.at(routePath) as { spec?: unknown }).spec, (theirs as { spec?: unknown }).spec)
  t.notOk(parked(cluster))
})

// Errors --------------------------------------------------------------------------------------------------------------

/** The messages are those of a real API server. */
const errors: [string, () => Error, string][] = [
  ['a conflict', () => new ApiError(409, 'conflict'), 'conflict'],
  [
    'meeting another object of the name',
    () =>
      new ApiError(422, 'x is invalid: metadata.uid: Invalid value: "u": field is immutable', { reason: 'Invalid' }),
    'conflict',
  ],
  ['its Namespace is gone', () => new ApiError(404, 'namespaces "x" not found', { reason: 'NotFound' }), 'gone'],
  [
    'its Namespace is going',
    () =>
      new ApiError(403, 'unable to create new content in namespace x because it is being terminated', {
        reason: 'Forbidden',
      }),
    'gone',
  ],
  ['no right to', () => new ApiError(403, 'forbidden', { reason: 'Forbidden' }), 'forbidden'],
  ['a refusal', () => new ApiError(422, 'invalid'), 'refused'],
  ['a fault', () => new ApiError(500, 'internal'), 'failed'],
  ['no answer', () => new Error('socket hang up'), 'failed'],
]

for (const [what, error, result] of errors)
  t.test(`tries again after ${what}, ever more seldom`, async t => {
    let isBroken = true
    const { time, cluster, told } = await start(t, routing, {
      prepare: cluster => {
        cluster.before = ({ path }) => {
          if (isBroken && path === routePath) throw error()
        }
      },
    })
    await time.advance(10 * minutes)
    t.ok(told.every(line => line === `${result}: apply HTTPRoute lab`))
    t.ok(told.length > 5 && told.length < 15, `${told.length} tries in ten minutes`)
    isBroken = false
    await time.advance(5 * minutes)
    t.ok(parked(cluster))
  })

t.test('waits as long as the API server asks for', async t => {
  let isBusy = true
  const { time, told } = await start(t, routing, {
    prepare: cluster => {
      cluster.before = ({ path }) => {
        if (isBusy && path === routePath) throw new ApiError(429, 'busy', { retryAfterSeconds: 100 })
      }
    },
  })
  await time.advance(99 * seconds)
  t.strictSame(told, ['failed: apply HTTPRoute lab'])
  isBusy = false
  await time.advance(2 * seconds)
  t.equal(told[1], 'done: apply HTTPRoute lab')
})

t.test('an error with one companion does not hold the others up', async t => {
  const { time, cluster } = await start(t, [...routing, virtualService('legacy/other')], {
    prepare: cluster => {
      cluster.before = ({ path }) => {
        if (path === routePath) throw new ApiError(422, 'invalid')
      }
    },
  })
  await time.advance(seconds)
  t.ok(parked(cluster, notebookPath.replace('/lab', '/other')))
})

// Loops ---------------------------------------------------------------------------------------------------------------

t.test('who undoes a companion again and again is answered ever more seldom, and told of once', async t => {
  const { time, cluster, loops } = await start(t, routing)
  await time.advance(seconds)
  const undo = () => {
    const stored = cluster.at(routePath) as KubernetesObject & { spec: Content }
    if (stored && !('useDefaultGateways' in stored.spec))
      cluster.put(
        { ...stored, spec: { ...stored.spec, rules: [], useDefaultGateways: 'None' } } as KubernetesObject,
        'them',
      )
  }
  const before = cluster.writes.length
  for (let second = 0; second < 600; second++) {
    undo()
    await time.advance(seconds)
  }
  const writes = cluster.writes.length - before
  t.ok(writes > 10 && writes < 60, `${writes} writes in ten minutes`)
  const kinds = ['apply HTTPRoute lab', 'readmit VirtualService lab', 'readmit VirtualService lab']
  t.strictSame(loops.sort(), kinds, 'the route, and that it is unparked and parked')
  await time.advance(20 * minutes)
  t.notOk('useDefaultGateways' in ((cluster.at(routePath) as { spec?: Content }).spec ?? {}), 'it is mended in the end')
  for (let second = 0; second < 60; second++) {
    undo()
    await time.advance(seconds)
  }
  t.equal(loops.length, 6, 'the next time is another one')
})

t.test('so is who undoes a rewrite', async t => {
  const { time, cluster, loops } = await start(t, routing)
  await time.advance(seconds)
  const before = cluster.writes.length
  for (let second = 0; second < 600; second++) {
    if (parked(cluster)) cluster.put(notebook, 'them')
    await time.advance(seconds)
  }
  const writes = cluster.writes.length - before
  t.ok(writes > 10 && writes < 40, `${writes} writes in ten minutes`)
  t.strictSame(loops, ['readmit VirtualService lab'])
})

t.test('what others add to the spec of a companion goes again', async t => {
  const { time, cluster } = await start(t, routing)
  await time.advance(seconds)
  const stored = cluster.at(routePath) as KubernetesObject & { spec: Content }
  cluster.put({ ...stored, spec: { ...stored.spec, useDefaultGateways: 'All' } } as KubernetesObject, 'them')
  await time.advance(seconds)
  t.notOk('useDefaultGateways' in ((cluster.at(routePath) as { spec?: Content }).spec ?? {}))
})

// The end -------------------------------------------------------------------------------------------------------------

t.test('ends in the middle of a write, and leaves nothing behind', async t => {
  const calls: Call[] = []
  const { time, told, stopping, hasEnded } = await start(t, routing, {
    prepare: cluster => {
      cluster.before = (call, signal) => {
        calls.push(call)
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      }
    },
  })
  await time.advance(seconds)
  t.equal(calls.length, 1)
  t.notOk(hasEnded())
  stopping.abort()
  await time.settle()
  t.ok(hasEnded())
  t.equal(time.waiting, 0, 'no timers')
  t.strictSame(told, [], 'nor a word of it')
})
