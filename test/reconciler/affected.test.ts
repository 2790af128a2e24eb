// Incremental re-translation is sound: whatever a change alters is looked at again.
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { affectedBy } from '../../src/reconciler/affected.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { type Change, resources } from '../../src/reconciler/snapshot.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { kindKey } from '../../src/translate/snapshot.ts'
import { corpusDirectory, corpusSkipped, installation } from '../support/corpus.ts'
import { type Filling, fillings, settings, slots, starts, variations } from './generate-cluster.ts'
import { accepted, hasStatus, LiveModel } from './live-model.ts'

const runs = Number(process.env.SIDESTEP_RUNS ?? 8)
const seed = Number(process.env.SIDESTEP_SEED ?? 1)

/** By kind of what changes: how many sources are looked at, and how many of them for a reason. */
const precision = new Map<string, { changes: number; looked: number; altered: number; sources: number }>()

/** The translations as text: from one change to the next. */
class Watched {
  readonly model: LiveModel
  #texts: Map<string, string>

  constructor(model: LiveModel) {
    this.model = model
    this.#texts = textsOf(model)
  }

  /** @throws when a source is missed */
  check(change: Change | undefined): void {
    const object = change?.after ?? change?.before
    if (!change || !object) return
    const { inventory, cluster, settings } = this.model
    const { own, others } = affectedBy(change, inventory, cluster, settings)
    const looked = new Set([...own, ...others])
    const texts = textsOf(this.model)
    const altered = [...texts].filter(([key, text]) => this.#texts.has(key) && this.#texts.get(key) !== text)
    const missed = altered.find(([key]) => !looked.has(key))
    if (missed) {
      const [key, text] = missed
      const { before, after } = change
      throw new Error(
        [
          `a change of ${kindKey(object)} ${change.path} alters ${key}, which is not looked at`,
          ...[before, after, this.model.inventory.source(key)].map(each => JSON.stringify(each)),
          ...differenceOf(this.#texts.get(key) ?? '', text),
        ].join('\n'),
      )
    }
    const kind = `${change.before ? (change.after ? 'changed' : 'removed') : 'added'} ${kindKey(object)}`
    const counted = precision.get(kind) ?? { changes: 0, looked: 0, altered: 0, sources: 0 }
    precision.set(kind, {
      changes: counted.changes + 1,
      looked: counted.looked + [...looked].filter(key => texts.has(key)).length,
      altered: counted.altered + altered.length,
      sources: counted.sources + texts.size,
    })
    this.#texts = texts
  }
}

function textsOf(model: LiveModel): Map<string, string> {
  return new Map([...model.translations()].map(([key, translation]) => [key, JSON.stringify(translation)]))
}

/** Both from a little before where they part. */
function differenceOf(before: string, after: string): string[] {
  let i = 0
  while (before[i] === after[i]) i++
  return [before, after].map(text => `... ${text.slice(Math.max(0, i - 300), i + 300)}`)
}

/** Somebody fills a slot, sidestep makes a write that it has planned, or Istio reports on an object. */
type Step = Filling | { write: number } | { report: number }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fillings },
    { weight: 5, arbitrary: fc.record({ write: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ report: fc.nat() }) },
  ),
  { minLength: 20, maxLength: 60, size: 'max' },
)

function made(model: LiveModel, step: Step): Change | undefined {
  if ('slot' in step) {
    const variants = slots[step.slot] ?? []
    const object = variants[step.variant]
    const [first] = variants
    if (object) return model.put(object)
    return first && model.remove(pathOf(first))
  }
  if ('report' in step) {
    const all = [...model.objects.values()].filter(hasStatus)
    const object = all[step.report % all.length]
    return object && model.put(accepted(object))
  }
  const keys = model.inventory.keys()
  for (let i = 0; i < keys.length; i++) {
    const [operation] = model.operations(keys[(step.write + i) % keys.length] ?? '')
    if (operation) return model.write(operation)
  }
  return undefined
}

t.test('every source that a change of one object alters is looked at', t => {
  const property = fc.property(variations, starts, steps, (settings, start, steps) => {
    const model = new LiveModel(settings)
    for (const filling of start) made(model, filling)
    const watched = new Watched(model)
    for (const step of steps) watched.check(made(model, step))
  })
  const { failed, errorInstance, counterexamplePath } = fc.check(property, {
    numRuns: runs,
    seed,
    endOnFailure: true,
  })
  if (failed) t.comment(`SIDESTEP_SEED=${seed} path ${counterexamplePath}`)
  t.notOk(failed, errorInstance instanceof Error ? errorInstance.message : 'no source is missed')
  tellPrecision(t)
  t.end()
})

function tellPrecision(t: Test): void {
  for (const [kind, { changes, looked, altered, sources }] of [...precision].sort()) {
    const mean = (count: number) => (count / changes).toFixed(1)
    t.comment(`${kind}: of ${mean(sources)} sources ${mean(looked)} looked at, ${mean(altered)} altered (${changes})`)
  }
  precision.clear()
}

// What was missed once --------------------------------------------------------------------------------------------------

/** The variant of a slot. */
function of(kind: string, key: string, variant = 0): KubernetesObject {
  const [name, namespace] = key.split('/').reverse()
  const found = slots.find(
    ([first]) => first?.kind === kind && first.metadata.name === name && first.metadata.namespace === namespace,
  )
  const object = found?.[variant]
  if (!object) throw new Error(`no ${kind} ${key}`)
  return object
}

function labelled(object: KubernetesObject, labels: Record<string, string>): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...labels } } }
}

function withSpec(object: KubernetesObject, spec: object): KubernetesObject {
  return { ...object, spec } as KubernetesObject
}

const waypointOf = (namespace: string) => ({
  'istio.io/use-waypoint': 'w',
  'istio.io/use-waypoint-namespace': namespace,
})
const waypoint = withSpec(
  { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', metadata: { name: 'w', namespace: 'team-a' } },
  { gatewayClassName: 'istio-waypoint', listeners: [] },
)
const route = of('VirtualService', 'team-a/lab')
const leaf = withSpec(of('VirtualService', 'team-b/leaf'), { http: [] })
const tls = [{ match: [{ sniHosts: ['a'] }], route: [] }]
const userOfApart = labelled(of('Namespace', 'team-a'), { place: 'apart' })
const refusal = withSpec(of('AuthorizationPolicy', 'istio-system/all'), { action: 'DENY', rules: [{}] })
const guard = {
  ...of('AuthorizationPolicy', 'team-b/app'),
  metadata: {
    name: 'istio-system-all-guard',
    namespace: 'team-b',
    labels: { 'app.kubernetes.io/managed-by': 'sidestep' },
    annotations: { 'sidestep.dev/source': 'AuthorizationPolicy/istio-system/all' },
  },
}

const looked: [string, KubernetesObject[], KubernetesObject, string][] = [
  [
    'a waypoint at Services of others',
    [labelled(of('Service', 'team-b/app'), waypointOf('team-a'))],
    waypoint,
    'Service/team-b/app',
  ],
  [
    'the pod of a waypoint that the settings share',
    [userOfApart, of('AuthorizationPolicy', 'team-a/app')],
    of('Pod', 'apart/w'),
    'AuthorizationPolicy/team-a/app',
  ],
  [
    'a Namespace that takes the waypoint of another',
    [of('AuthorizationPolicy', 'team-a/all')],
    labelled(of('Namespace', 'team-b'), waypointOf('team-a')),
    'AuthorizationPolicy/team-a/all',
  ],
  [
    'what a policy of the root namespace comes to stand as',
    [refusal, of('AuthorizationPolicy', 'team-a/all')],
    guard,
    'AuthorizationPolicy/team-a/all',
  ],
  [
    'the labels of a Namespace whose Services others route to',
    [withSpec(route, { hosts: ['app.team-b.svc.cluster.local'], http: [{}] })],
    of('Namespace', 'team-b'),
    'VirtualService/team-a/lab',
  ],
  [
    'the labels of a Namespace by which listeners choose who routes beside others',
    [of('VirtualService', 'team-a/lab'), of('VirtualService', 'team-b/lab')],
    labelled(of('Namespace', 'team-b'), { admitted: 'yes' }),
    'VirtualService/team-a/lab',
  ],
  [
    'a policy that keeps only the old gateway out',
    [of('AuthorizationPolicy', 'team-a/all')],
    of('AuthorizationPolicy', 'kubeflow/app', 4),
    'AuthorizationPolicy/team-a/all',
  ],
  [
    'a ServiceEntry that a policy is attached to',
    [
      withSpec(of('AuthorizationPolicy', 'team-a/all'), {
        targetRefs: [{ group: 'networking.istio.io', kind: 'ServiceEntry', name: 'out' }],
      }),
    ],
    withSpec(
      { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name: 'out', namespace: 'team-a' } },
      { hosts: ['example.com'] },
    ),
    'AuthorizationPolicy/team-a/all',
  ],
  [
    'a delegate, at its roots',
    [withSpec(route, { hosts: ['*'], gateways: ['kubeflow/public'], http: [{ delegate: { name: 'leaf' } }] })],
    leaf,
    'VirtualService/team-a/lab',
  ],
  [
    'connections',
    [withSpec(route, { hosts: ['a'], gateways: ['kubeflow/public'], tls })],
    withSpec(of('VirtualService', 'kubeflow/lab'), { hosts: ['a'], gateways: ['kubeflow/public'], tls }),
    'VirtualService/team-a/lab',
  ],
  [
    'who is on the host, whatever the path',
    [withSpec(route, { hosts: ['app'], http: [{ match: [{ uri: { prefix: '/a' } }] }] })],
    withSpec(of('VirtualService', 'team-b/lab'), { hosts: ['*'], http: [{ match: [{ uri: { prefix: '/z' } }] }] }),
    'VirtualService/team-a/lab',
  ],
]

for (const [what, objects, changed, key] of looked)
  t.test(`a change is seen of ${what}`, t => {
    const model = new LiveModel(settings, objects)
    for (const change of [model.put(changed), model.remove(pathOf(changed))]) {
      const { own, others } = affectedBy(change as Change, model.inventory, model.cluster, settings)
      t.ok([...own, ...others].includes(key))
    }
    t.end()
  })

t.test('status that nobody reads is no reason to look at anything', t => {
  const neighbour = of('VirtualService', 'kubeflow/lab')
  const model = new LiveModel(settings, [of('Namespace', 'team-a'), route, neighbour, of('Service', 'team-a/app')])
  const gateway = of('Gateway', 'istio-system/ingress', 1) as KubernetesObject & { status: object }
  const changes: [KubernetesObject, KubernetesObject][] = [
    [
      of('Pod', 'istio-system/old'),
      { ...of('Pod', 'istio-system/old'), status: { phase: 'Running' } } as KubernetesObject,
    ],
    [gateway, { ...gateway, status: { ...gateway.status, listeners: [{ attachedRoutes: 7 }] } } as KubernetesObject],
    [route, labelled(route, { 'istio.io/rev': 'sidestep-parked' })],
  ]
  for (const [before, after] of changes) {
    model.put(before)
    const { others } = affectedBy(model.put(after), model.inventory, model.cluster, settings)
    t.strictSame([...others], [], before.kind)
  }
  t.end()
})

// A real installation ---------------------------------------------------------------------------------------------------

const directory = corpusDirectory()

t.test('nor is one missed in a Kubeflow installation', { skip: directory ? false : corpusSkipped }, t => {
  const objects = directory ? installation(directory).map(({ object }) => running(object)) : []
  const model = new LiveModel(profiles.kubeflow, objects)
  settle(model)
  const watched = new Watched(model)
  const isWatched = (object: KubernetesObject) =>
    resources.some(({ apiVersion, kind }) => kindKey(object) === kindKey({ apiVersion, kind, metadata: {} }))
  const all = [...model.objects.values()].filter(isWatched)
  // Each of them in a long run, and in an ordinary one every so many.
  const stride = Math.ceil(all.length / (2 * runs))
  for (const object of all.filter((_, i) => i % stride === seed % stride)) {
    watched.check(model.remove(pathOf(object)))
    watched.check(model.put(object))
  }
  t.ok(model.inventory.keys().length > 100, `${model.inventory.keys().length} sources`)
  tellPrecision(t)
  t.end()
})

/** A workload as its Pod. */
function running(object: KubernetesObject): KubernetesObject {
  const { template } = (object as { spec?: { template?: KubernetesObject } }).spec ?? {}
  if (!template?.metadata) return object
  const { name = '', namespace = '' } = object.metadata
  return { ...template, apiVersion: 'v1', kind: 'Pod', metadata: { ...template.metadata, name, namespace } }
}

/** Lets sidestep and Istio write until nothing is left to write. */
function settle(model: LiveModel): void {
  for (let isChanged = true; isChanged; ) {
    isChanged = false
    for (const key of model.inventory.keys()) {
      const [operation] = model.operations(key)
      const change = operation && model.write(operation)
      if (change) isChanged = true
      if (change?.after && hasStatus(change.after)) model.put(accepted(change.after))
    }
  }
}
