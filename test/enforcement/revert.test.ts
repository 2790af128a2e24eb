// Taking sidestep back opens nothing: from the end state of arbitrary policies, whatever may be written next is written,
// owners restart their pods and administrators give the ingress back at any time they are asked to, and after each of that
// nothing is let through that sidecars denied. At the end everything is as its author wrote it.
//   SIDESTEP_SEED, SIDESTEP_RUNS and SIDESTEP_PATH as in never-looser.ts.
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type * as core from '../../src/apis/core.ts'
import { isEqual } from '../../src/translate/canonical.ts'
import { isCompanion } from '../../src/translate/companion.ts'
import { translate } from '../../src/translate/index.ts'
import { nextWrites, type RevertStep, type RevertWrite, revertPlan } from '../../src/translate/revert.ts'
import { type Difference, looser, worldBefore } from './compare.ts'
import { describeDifference, describeObjects } from './describe.ts'
import { type EndState, endStateOf, type Source } from './end-state.ts'
import { type Case, cases, policyOf } from './generate.ts'
import {
  ingressObjects,
  injected,
  type Landscape,
  landscapeOf,
  namespaces,
  newIngress,
  oldIngress,
  oldIngressPod,
  pods,
  usual,
} from './landscape.ts'
import {
  afterWrite,
  type Cluster,
  clusterOf,
  nextWrites as forwardWrites,
  idOf,
  istioWrites,
  sourceIds,
} from './live-cluster.ts'
import { type Plans, peopleWrites } from './people.ts'
import type { HTTP, Request } from './request.ts'
import { requestsOf } from './requests.ts'
import { possibleIn } from './steps.ts'
import { keyOf, type RunningPod, redirectionAnnotation, sidecarAnnotation, type World, worldOf } from './world.ts'

type Objects = ReadonlyMap<string, core.KubernetesObject>
/** The next writes of a revert, in their order; a test may spoil them. */
type Plan = typeof revertPlan

interface Move {
  what: string
  objects: Objects
}

const [ingressNamespace = '', ingressName = ''] = newIngress.split('/')
const routeOfIngress = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: {
    name: 'route',
    namespace: 'team-a',
    labels: { 'app.kubernetes.io/managed-by': 'sidestep' },
    annotations: { 'sidestep.dev/source': 'VirtualService/team-a/route' },
  },
  spec: { parentRefs: [{ kind: 'Gateway', name: ingressName, namespace: ingressNamespace }] },
}

t.setTimeout(0)

const runs = Number(process.env.SIDESTEP_RUNS ?? (process.env.CI ? 400 : 60))
const seed = Number(process.env.SIDESTEP_SEED ?? 1)

t.test('from the end no write of a revert opens what sidecars deny, and it leads to what was written', async t => {
  const choices = fc.array(fc.nat(), { minLength: 40, maxLength: 40 })
  check(
    t,
    'end',
    runs,
    fc.property(cases, choices, (given, choices) => holds(given, choices)),
  )
})

t.test('nor from anywhere on the way to ambient', async t => {
  const choices = fc.array(fc.nat(), { minLength: 80, maxLength: 80 })
  check(
    t,
    'way',
    Math.ceil(runs / 2),
    fc.property(cases, fc.nat({ max: 79 }), choices, (given, forward, choices) => holdsFrom(given, forward, choices)),
  )
})

function check<T>(t: Test, name: string, numRuns: number, property: fc.IPropertyWithHooks<T>): void {
  const [wanted, path = ''] = (process.env.SIDESTEP_PATH ?? '').split('/')
  if (wanted && wanted !== name) return
  const endOnFailure = process.env.SIDESTEP_SHRINK === 'no'
  const { failed, errorInstance, counterexamplePath } = fc.check(property, { numRuns, seed, path, endOnFailure })
  t.comment(`${numRuns} sets, SIDESTEP_SEED=${seed}${failed ? ` SIDESTEP_PATH=${name}/${counterexamplePath}` : ''}`)
  if (failed) t.comment(errorInstance instanceof Error ? errorInstance.message : errorInstance)
  t.notOk(failed, 'no counterexample')
}

// Orders that are wrong ----------------------------------------------------------------------------------------------

const http: HTTP = { method: 'GET', host: 'host.example', path: '/a', headers: {}, externalAuthorizer: 'allows' }
const toA = [{ to: [{ operation: { paths: ['/a'] } }] }]
const toB = [{ to: [{ operation: { paths: ['/b'] } }] }]
const notebook = { namespace: 'team-a', selector: { app: 'notebook' } }
const ingress = { namespace: 'istio-system', selector: { app: 'istio-ingressgateway' } }
const fromOldIngress = [
  { from: [{ source: { principals: ['cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account'] } }] },
]
const deny = policyOf({ place: notebook, spec: { action: 'DENY', rules: toA } }, 'policy-1')
const allow = policyOf({ place: notebook, spec: { action: 'ALLOW', rules: toB } }, 'policy-1')
const atIngress = policyOf({ place: ingress, spec: { action: 'DENY', rules: toA } }, 'policy-1')
const ofIngress = policyOf({ place: notebook, spec: { action: 'DENY', rules: fromOldIngress } }, 'policy-1')

const given: Case = { landscape: landscapeOf(usual), policies: [], requestAuthentications: [], https: [http] }
const moved: Case = { ...given, landscape: landscapeOf({ ...usual, ingress: 'new' }) }
const anyOrder = Array.from({ length: 6 }, (_, i) =>
  Array.from({ length: 40 }, (_, j) => (i * 7919 + j * 104729) % 997),
)

/** The plan without these words in what it waits for, or without the steps whose writes the filter leaves out. */
const impatient =
  (words: RegExp): Plan =>
  (...args) =>
    revertPlan(...args).map(step => ({
      ...step,
      writes: step.writes.map(write => (words.test(write.waitsFor ?? '') ? { ...write, waitsFor: undefined } : write)),
    }))
const moving =
  (what: RegExp): Plan =>
  (...args) => {
    const steps = revertPlan(...args)
    const isFirst = (step: RevertStep) => step.writes.length > 0 && what.test(step.what)
    return [...steps.filter(isFirst), ...steps.filter(step => !isFirst(step))]
  }

t.test('what the order is good for', async t => {
  const wrong: [string, Case, Plan][] = [
    [
      'a Namespace leaves ambient before its pods have sidecars',
      { ...given, policies: [deny] },
      impatient(/^sidecars in/),
    ],
    ['a policy leaves the waypoint that still serves', { ...given, policies: [allow] }, moving(/^policies go back/)],
    ['a guard goes before its policy is back', { ...given, policies: [deny] }, moving(/^guards and twins/)],
    [
      'a policy leaves the ingress without its twin',
      { ...moved, policies: [atIngress] },
      moving(/^the policies of the ingress go/),
    ],
    ['the twin goes while routes lead through the Gateway', { ...moved, policies: [atIngress] }, impatient(/^Gateway/)],
    [
      'callers lose the name that they have while it serves',
      { ...moved, policies: [ofIngress] },
      impatient(/^Gateway/),
    ],
  ]
  for (const [name, set, plan] of wrong) {
    t.doesNotThrow(() => anyOrder.map(choices => holds(set, choices)), name)
    t.throws(() => anyOrder.map(choices => holds(set, choices, plan)), /opened|allowed/, `not so: ${name}`)
  }
})

// One way ------------------------------------------------------------------------------------------------------------

/** Follows one way from the end state; throws when a move opens something, or the end is not what was written. */
function holds(given: Case, choices: number[], plan: Plan = revertPlan): void {
  const { landscape, https } = given
  const end = endStateOf(given, injecting as typeof translate)
  const requests = requestsOf(https.slice(0, 1), landscape)
  const objects = goBack(
    { objects: storedAs(end.objects, landscape), end, landscape, requests },
    choices.values(),
    plan,
  )
  isAsWritten(objects, [...namespaces.map(injectingNamespace), ...landscape.services, ...end.sources])
}

/** The same from sidecars and so many moves of everybody towards ambient. What is open by then is nobody's here. */
function holdsFrom(given: Case, forward: number, choices: number[]): void {
  const end = endStateOf(given, injecting as typeof translate)
  const landscape: Landscape = { ...given.landscape, ingress: 'both' }
  const requests = requestsOf(given.https.slice(0, 1), landscape)
  const chosen = choices.values()
  const cluster = forwarded(given.landscape, end.sources, forward, chosen)
  const objects = goBack(
    { objects: storedAs([...cluster.objects.values()], landscape), end, landscape, requests },
    chosen,
  )
  isAsWritten(objects, end.sources)
}

interface Start {
  objects: core.KubernetesObject[]
  end: EndState
  landscape: Landscape
  requests: Request[]
}

function goBack(start: Start, chosen: Iterator<number>, plan: Plan = revertPlan): Objects {
  const { end, landscape, requests } = start
  const scope = { rootNamespace: landscape.settings.rootNamespace }
  let objects: Objects = new Map(start.objects.map(object => [idOf(object), object]))
  const open = new Set(openIn(objects, end, landscape, requests).map(({ request }) => request))
  const done: string[] = []
  for (;;) {
    const steps = plan(objects.values(), scope)
    const ready = nextWrites(steps).map(write => () => afterRevert(objects, write))
    const moves = [...ready, ...peopleMoves(objects, steps, landscape)]
    const move = moves[(chosen.next().value ?? 0) % Math.max(moves.length, 1)]?.()
    if (!move) {
      if (steps.length > 0) throw new Error(`it stops at ${JSON.stringify(steps[0], undefined, 1)}`)
      return objects
    }
    done.push(move.what)
    objects = move.objects
    const opened = openIn(objects, end, landscape, requests).filter(({ request }) => !open.has(request))
    if (opened.length > 0) refute(`opened by the last of:\n  ${done.join('\n  ')}`, opened, end, objects)
    if (done.length > 400) throw new Error(`no end: ${done.slice(-12).join(', ')}`)
  }
}

/** Pods with sidecars, all policies as written, and then whatever everybody writes on the way to ambient. */
function forwarded(landscape: Landscape, sources: Source[], moves: number, chosen: Iterator<number>): Cluster {
  const { settings, services, waypoints, ingress } = landscape
  const start = [
    ...namespaces.map(injectingNamespace),
    ...services,
    ...waypoints,
    ...ingressObjects({ ...landscape, ingress: 'old' }),
    ...pods.map(pod => (injects(pod.metadata.namespace) ? injected(pod) : pod)),
    ...sources,
  ]
  const plans: Plans = { creates: [], changes: [], services: [], ingress, sidecars: [] }
  let cluster = clusterOf(settings, translate, start)
  for (let i = 0; i < moves * 2; i++) {
    const writers = [
      ...sourceIds(cluster).map(id => () => forwardWrites(cluster, id)),
      () => istioWrites(cluster),
      ...peopleWrites(cluster, plans),
    ]
    const first = (chosen.next().value ?? i * 7919) % writers.length
    const [write] = [...writers.slice(first), ...writers.slice(0, first)]
      .map(writer => writer()[0])
      .filter(each => each !== undefined)
    if (!write) return cluster
    cluster = afterWrite(cluster, write)
  }
  return cluster
}

function openIn(objects: Objects, { sources }: EndState, landscape: Landscape, requests: Request[]) {
  const world = worldIn(objects, landscape)
  return looser([worldBefore(world, sources, landscape)], world, possibleIn(world, requests), landscape.settings)
}

function worldIn(objects: Objects, { settings }: Landscape): World {
  return worldOf(
    [...objects.values()].filter(({ kind }) => kind !== 'HTTPRoute'),
    settings,
  )
}

function refute(verdict: string, [difference]: Difference[], { sources }: EndState, objects: Objects): void {
  const told = difference ? describeDifference(difference) : ''
  throw new Error([verdict, told, describeObjects(sources), 'now:', describeObjects(objects.values())].join('\n'))
}

function isAsWritten(objects: Objects, written: core.KubernetesObject[]): void {
  const companions = [...objects.values()].filter(isCompanion)
  if (companions.length > 0) throw new Error(`left over: ${companions.map(idOf).join(', ')}`)
  const other = written.find(object => !isEqual(objects.get(idOf(object)), object))
  if (other) throw new Error(`not as written: ${JSON.stringify([other, objects.get(idOf(other))], undefined, 1)}`)
}

// The cluster --------------------------------------------------------------------------------------------------------

/** Namespaces of the mesh were made for sidecars. */
function injectingNamespace(object: core.Namespace): core.Namespace {
  if (!injects(object.metadata.name)) return object
  return {
    ...object,
    metadata: { ...object.metadata, labels: { ...object.metadata.labels, 'istio-injection': 'enabled' } },
  }
}

function injects(namespace = ''): boolean {
  return ['team-a', 'team-b', 'kubeflow'].includes(namespace)
}

function injecting(...[object, cluster, settings]: Parameters<typeof translate>) {
  return translate(
    object.kind === 'Namespace' ? injectingNamespace(object as core.Namespace) : object,
    cluster,
    settings,
  )
}

/** A cluster as the API server has it: a Service says who wrote its labels, and routes lead to the ingress. */
function storedAs(objects: core.KubernetesObject[], { services }: Landscape): core.KubernetesObject[] {
  const written = new Set<core.KubernetesObject>(services)
  const stored = objects.map(object => {
    if (object.kind !== 'Service' || written.has(object)) return object
    const added = Object.keys(object.metadata.labels ?? {}).map(label => [`f:${label}`, {}])
    const fieldsV1 = { 'f:metadata': { 'f:labels': Object.fromEntries(added) } }
    return {
      ...object,
      metadata: { ...object.metadata, managedFields: [{ manager: 'sidestep', operation: 'Apply' as const, fieldsV1 }] },
    }
  })
  const isServing = stored.some(object => idOf(object) === `Gateway ${newIngress}`)
  return isServing ? [...stored, routeOfIngress as core.KubernetesObject] : stored
}

function afterRevert(objects: Objects, { verb, object }: RevertWrite): Move {
  const after = new Map(objects)
  const id = idOf(object)
  if (verb === 'delete') after.delete(id)
  else if (verb === 'release') after.set(id, withoutManagers(object))
  else after.set(id, object)
  // The pods of a Gateway go with it.
  if (verb === 'delete' && object.kind === 'Gateway') after.delete(`Pod ${keyOf(object)}`)
  return { what: `${verb} ${id}`, objects: after }
}

function withoutManagers({ metadata: { managedFields: _, ...metadata }, ...rest }: core.KubernetesObject) {
  return { ...rest, metadata }
}

/** Owners restart pods where sidecars are injected, and whoever made the ingress Gateway deletes it when asked. */
function peopleMoves(objects: Objects, steps: RevertStep[], { ingressPort }: Landscape): (() => Move)[] {
  const running = [...objects.values()].filter((object): object is RunningPod => object.kind === 'Pod')
  const bare = running.filter(({ metadata: { annotations = {}, namespace } }) => {
    const labels = objects.get(`Namespace /${namespace}`)?.metadata.labels
    return (
      annotations[redirectionAnnotation] !== undefined &&
      annotations[sidecarAnnotation] === undefined &&
      labels?.['istio-injection'] === 'enabled'
    )
  })
  const restarts = bare.map(pod => () => ({
    what: `owner restarts ${keyOf(pod)}`,
    objects: new Map(objects).set(idOf(pod), injected(pod)),
  }))
  const waiting = steps.flatMap(({ writes }) => writes.map(({ waitsFor = '' }) => waitsFor))
  // An administrator has taken injection off, and that was no word of sidestep's.
  const labelled = [...objects.values()]
    // They read what it waits for when it has done what it can.
    .filter(({ kind }) => kind === 'Namespace' && nextWrites(steps).length === 0)
    .filter(({ metadata: { name } }) => waiting.some(each => each.startsWith(`sidecars in ${name}, where nothing`)))
    .map(object => () => ({
      what: `administrator labels ${idOf(object)}`,
      objects: new Map(objects).set(idOf(object), injectingNamespace(object as core.Namespace)),
    }))
  const isAsked = waiting.some(each => each.startsWith(`Gateway ${newIngress}`))
  const isEarly = steps.some(({ what }) => what.startsWith('the policies of the ingress'))
  if (!isAsked || isEarly) return [...restarts, ...labelled]
  const back = () => {
    const after = new Map(objects).set(`Pod ${oldIngress}`, oldIngressPod(ingressPort))
    after.delete(`Pod ${newIngress}`)
    after.delete(`Gateway ${newIngress}`)
    return { what: 'administrator gives the ingress back', objects: after }
  }
  return [...restarts, ...labelled, back]
}
