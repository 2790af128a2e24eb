// The life of a profile namespace on a real API server: the controllers of Kubeflow write as they always do, people apply
// their YAML, and sidestep moves it all to ambient. At every moment nothing is open that was not, and when nothing changes,
// nothing is written.
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { type Address, pathOf } from '../../src/reconciler/paths.ts'
import { isCompanion } from '../../src/translate/companion.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { corpusDirectory, corpusSkipped, readCorpus } from '../support/corpus.ts'
import { atRest, lookAtAll } from './at-rest.ts'
import { reconcileGateways } from './controllers/istiod.ts'
import { addContributor, contributorPolicyOf, removeContributor } from './controllers/kfam.ts'
import {
  namespaceOf,
  ownerPolicyOf,
  type ProfileController,
  reconcileNamespace,
  reconcilePolicy,
  reconcileProfile,
} from './controllers/profile-controller.ts'
import { type Send, sendAs } from './controllers/send.ts'
import { Place } from './dry-run.ts'
import { Gate } from './gate.ts'
import { History } from './history.ts'
import { installKubeflow } from './kubeflow.ts'
import { openingsIn, stagesOf } from './openings.ts'
import { type Sidestep, startSidestep } from './sidestep.ts'

const profile = { name: 'team-a', owner: 'alice@example.com' }
const contributor = { namespace: 'team-a', user: 'bob@example.com' }
const inWaypoint = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'waypoint' }

/** Until its policy is written: Services do not pass the webhook, and lead to their pods at once. */
const known = [
  'by-hand-jupyter: waypoints do not ask it for Service jupyter-api',
  'by-hand-rstudio: waypoints do not ask it for Service rstudio-api',
]

interface Life {
  controlPlane: ControlPlane
  place: Place
  sidestep: Sidestep
  history: History
  /** Before what sidestep deletes. */
  deletes: Gate
  /** Until sidestep has nothing to do. */
  rest(): Promise<void>
  /** Each version of the profile-controller that is about. */
  controllers: { before: ProfileController; since: ProfileController; withMeshMode: ProfileController }
  kfam: Send
  istiod: Send
}

t.test(
  'the emulated controllers write what Kubeflow writes',
  { skip: corpusDirectory() ? false : corpusSkipped },
  async t => {
    const written = readCorpus(corpusDirectory() ?? '').map(({ object }) => object as Policy)
    for (const object of [namespaceOf(profile), ownerPolicyOf(profile), contributorPolicyOf(contributor)] as Policy[]) {
      const { apiVersion, metadata, spec } = object
      const same = written.find(other => pathOf(other) === pathOf(object))
      t.match(same, { apiVersion, metadata }, `${object.kind} ${metadata.name}`)
      t.strictSame(same?.spec, spec)
    }
  },
)

t.test('the life of a profile namespace', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
  if (!controlPlane) return
  const life = await begin(t, controlPlane)
  await t.test('its Namespace is created', t => created(t, life))
  await t.test("its owner's policy is created", t => owned(t, life))
  await t.test('a contributor comes and goes', t => shared(t, life))
  await t.test("the controller changes the owner's policy", t => changed(t, life))
  for (const serverSide of [false, true])
    await t.test(`a selector is dropped, ${serverSide ? 'server' : 'client'} side`, t => dropped(t, life, serverSide))
  t.strictSame(openingsIn(life.history, 'team-a'), known, 'no door was open at any other moment')
  await t.test('a policy comes to need no waypoint', t => simplified(t, life))
  await t.test('everybody reconciles, and nothing is written', t => unchanged(t, life))
  await t.test('it is deleted', t => deleted(t, life))
  life.sidestep.failures.none(t)
})

async function begin(t: Test, controlPlane: ControlPlane): Promise<Life> {
  // The ingress has moved already, so that the callers in policies change their names.
  await installKubeflow(controlPlane)
  const history = new History()
  const deletes = new Gate(({ method }) => method === 'DELETE')
  const sidestep = await startSidestep(controlPlane, { through: api => deletes.before(history.listening(api)) })
  t.teardown(() => sidestep.stop())
  const before: ProfileController = {
    send: sendAs(controlPlane, 'profile-controller'),
    policyFields: 'before targetRefs',
    meshLabels: 'at creation',
  }
  const life = {
    controlPlane,
    place: new Place(controlPlane, profile.name),
    sidestep,
    history,
    deletes,
    rest: () => atRest(controlPlane, sidestep),
    controllers: {
      before,
      since: { ...before, policyFields: 'with targetRefs' },
      withMeshMode: { ...before, policyFields: 'with targetRefs', meshLabels: 'always' },
    } as const,
    kfam: sendAs(controlPlane, 'kfam'),
    istiod: sendAs(controlPlane, 'istiod'),
  }
  await life.rest()
  await reconcileGateways(life.istiod)
  await life.rest()
  return life
}

// 1 ----------------------------------------------------------------------------------------------------------------

async function created(t: Test, life: Life) {
  const { controllers, history, istiod, place, rest } = life
  const create = (send: Send) => reconcileNamespace({ ...controllers.before, send }, profile)
  await place.triedAndDone(t, 'creating it', controllers.before.send, create)
  await rest()
  t.strictSame(enrolments(history), ['ambient'], 'ambient from its first moment')
  const waypoint = await stored(life, waypointOf(profile.name))
  t.match(
    waypoint.metadata.ownerReferences,
    [{ kind: 'Namespace', name: 'team-a' }],
    'its waypoint is there, and does not serve it yet',
  )
  t.strictSame(await place.triedAndDone(t, 'programming the waypoint', istiod, reconcileGateways), ['waypoint'])
  await rest()
  t.strictSame(enrolments(history), ['ambient', 'ambient waypoint true'], 'but does once it is programmed')
}

/** What the labels of the Namespace have said, in their order. */
function enrolments(history: History): string[] {
  const names = ['istio-injection', 'istio.io/dataplane-mode', 'istio.io/use-waypoint', 'istio.io/ingress-use-waypoint']
  const said: string[] = []
  for (const moment of history.moments()) {
    const namespace = moment.get(pathOf(namespaceOf(profile)))
    const line = namespace && names.flatMap(name => namespace.metadata.labels?.[name] ?? []).join(' ')
    if (line !== undefined && line !== said.at(-1)) said.push(line)
  }
  return said
}

// 2 ----------------------------------------------------------------------------------------------------------------

async function owned(t: Test, life: Life) {
  const { controllers, history, place, rest } = life
  const policy = ownerPolicyOf(profile)
  const create = (send: Send) => reconcilePolicy({ ...controllers.before, send }, profile)
  await place.triedAndDone(t, 'creating it', controllers.before.send, create)
  await rest()
  t.strictSame(stagesOf(history, atV1(policy)), [
    'namespace, no guard',
    'namespace, all pods shut',
    'Gateway waypoint, all pods shut',
    'Gateway waypoint, all pods open to the waypoint',
  ])
  const { spec } = await stored(life, policy)
  const admitted = spec.rules?.[0]?.from?.[0]?.source?.principals
  t.equal(admitted?.[0], 'cluster.local/ns/istio-system/sa/ambient-ingressgateway-istio', 'it admits the new ingress')
}

// 3 ----------------------------------------------------------------------------------------------------------------

async function shared(t: Test, life: Life) {
  const { controlPlane, deletes, history, kfam, place, rest } = life
  const policy = contributorPolicyOf(contributor)
  await place.triedAndDone(t, 'adding the contributor', kfam, send => addContributor(send, contributor))
  await rest()
  t.strictSame(
    stagesOf(history, atV1(policy)),
    ['Gateway waypoint, no guard', 'Gateway waypoint, all pods open to the waypoint'],
    "on the waypoint at once, since the owner's guard shuts the pods",
  )
  // The garbage collector alone takes its guard away.
  deletes.shut()
  await place.triedAndDone(t, 'removing the contributor', kfam, send => removeContributor(send, contributor))
  const guard = guardOf(policy)
  await until(
    'the guard to be collected',
    async () => (await controlPlane.request('GET', pathOf(guard))).status === 404,
  )
  deletes.open()
  await rest()
  t.notOk(history.now.has(atV1(guard)), 'and nobody makes it again')
}

// 4 ----------------------------------------------------------------------------------------------------------------

async function changed(t: Test, life: Life) {
  const { controllers, history, place, rest } = life
  for (const controller of [controllers.before, controllers.since]) {
    const caller = controller === controllers.before ? 'knative-serving' : 'monitoring'
    const rule = { from: [{ source: { namespaces: [caller] } }] }
    controller.moreRules = [rule]
    const change = (send: Send) => reconcilePolicy({ ...controller, send }, profile)
    const stages = stagesOf(history, atV1(ownerPolicyOf(profile)))
    await place.triedAndDone(t, `a rule by a controller ${controller.policyFields}`, controller.send, change)
    await rest()
    const { spec } = await stored(life, ownerPolicyOf(profile))
    t.strictSame([spec.targetRefs, spec.rules?.at(-1)], [[inWaypoint], rule], 'is on the waypoint')
    t.strictSame(stagesOf(history, atV1(ownerPolicyOf(profile))), stages, 'which it has never left')
    const { spec: its } = await stored(life, guardOf(ownerPolicyOf(profile)))
    t.ok(
      its.rules?.some(each => isDeepStrictEqual(each, rule)),
      'and its guard follows',
    )
  }
}

// 5 ----------------------------------------------------------------------------------------------------------------

/** An ALLOW and a DENY of a person, on one notebook and then, without its selector, on all of the Namespace. */
async function dropped(t: Test, life: Life, serverSide: boolean) {
  const { controlPlane, history, place, rest } = life
  const notebook = serverSide ? 'rstudio' : 'jupyter'
  await controlPlane.apply([serviceOf(notebook), podOf(notebook)])
  await rest()
  const metadata = { name: `by-hand-${notebook}`, namespace: 'team-a' }
  const policy = { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata }
  const selector = { matchLabels: { 'notebook-name': notebook } }
  // On its selector ztunnel does not see tokens, and refuses all that comes from there: that is what must not be lost.
  const from = [{ source: { namespaces: ['kubeflow'], notRequestPrincipals: ['*'] } }]
  const to = [{ operation: { paths: [`/notebook/team-a/${notebook}/api`] } }]
  const spec = serverSide ? { action: 'DENY', rules: [{ from }] } : { rules: [{ to }] }

  const apply = ['apply', ...(serverSide ? ['--server-side'] : []), '--filename=-']
  await place.triedAndRun(t, apply, { ...policy, spec: { selector, ...spec } })
  await rest()
  await controlPlane.apply(serviceOf(`${notebook}-api`, notebook))
  await rest()
  const without = { ...policy, spec }
  await place.triedAndRun(t, apply, without)
  await rest()
  t.strictSame(
    stagesOf(history, pathOf(policy)),
    serverSide
      ? [
          'selector, no guard',
          'selector, selected pods denied',
          'Service rstudio, selected pods denied',
          'Service rstudio and Service rstudio-api, selected pods denied',
          'Service rstudio and Service rstudio-api, all pods denied',
          'Gateway waypoint, all pods denied',
        ]
      : [
          // The owner's guard shuts all pods, so that nothing here waits for one of its own.
          'Service jupyter, no guard',
          'Service jupyter, selected pods open to the waypoint',
          'Service jupyter and Service jupyter-api, selected pods open to the waypoint',
          'Gateway waypoint, selected pods open to the waypoint',
          'Gateway waypoint, all pods open to the waypoint',
        ],
    'in this order',
  )
  const diff = ['diff', ...(serverSide ? ['--server-side'] : []), '--filename=-']
  t.equal((await controlPlane.kubectl(diff, { stdin: JSON.stringify(without) })).code, 0, 'kubectl diff is empty')
}

/** The policies of before, now with what ztunnel can check alone: they go back to where it reads them. */
async function simplified(t: Test, { controlPlane, history, rest }: Life) {
  const policy = { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy' }
  const rules = [{ from: [{ source: { namespaces: ['kubeflow'] } }] }]
  const stages = (name: string) => stagesOf(history, pathOf({ ...policy, metadata: { name, namespace: 'team-a' } }))
  for (const [name, action] of [
    ['by-hand-jupyter', 'ALLOW'],
    ['by-hand-rstudio', 'DENY'],
  ] as const) {
    const metadata = { name, namespace: 'team-a' }
    await controlPlane.apply({ ...policy, metadata, spec: { action, rules } }, { serverSide: action === 'DENY' })
    await rest()
    t.ok(history.now.has(`${pathOf({ ...policy, metadata })}-waypoint`), 'a twin is what the waypoint asks now')
  }
  t.equal(stages('by-hand-jupyter').at(-1), 'namespace, all pods open to the waypoint', 'an ALLOW keeps its guard')
  t.equal(stages('by-hand-rstudio').at(-1), 'namespace, no guard', 'what is not wanted any more goes')
  t.strictSame(openingsIn(history, 'team-a'), known, 'the waypoint asks them all the while')
}

// 6 ----------------------------------------------------------------------------------------------------------------

async function unchanged(t: Test, life: Life) {
  const { controlPlane, controllers, sidestep, istiod, place, rest } = life
  const { moreRules = [] } = controllers.since
  for (const controller of Object.values(controllers)) controller.moreRules = moreRules
  await rest()
  const before = await place.versions()
  const { length } = sidestep.writes
  const writes: Record<string, number> = {}
  const reconcile = async ([name, controller]: [string, ProfileController]) => {
    for (const write of await reconcileProfile(controller, profile))
      writes[`${name}: ${write}`] = (writes[`${name}: ${write}`] ?? 0) + 1
  }
  for (let i = 0; i < 20; i++) {
    await Promise.all([...Object.entries(controllers).map(reconcile), reconcileGateways(istiod)])
    await lookAtAll(controlPlane, sidestep)
  }
  await rest()
  t.strictSame(sidestep.writes.slice(length), [], 'sidestep finds nothing to write')
  t.strictSame(await place.versions(), before, 'every resourceVersion and generation is what it was')
  t.ok(before.length > 10, `${before.length} objects`)
  t.strictSame(
    writes,
    {
      'before: update AuthorizationPolicy': 20,
      'since: update AuthorizationPolicy': 20,
      'withMeshMode: update Namespace': 20,
      'withMeshMode: update AuthorizationPolicy': 20,
    },
    'though each of them wrote every time',
  )
}

// 7 ----------------------------------------------------------------------------------------------------------------

async function deleted(t: Test, life: Life) {
  const { controlPlane, history, place, rest } = life
  const kept = [...history.now.values()].filter(isCompanion)
  t.ok(kept.length >= 4, `sidestep keeps ${kept.length} objects in it`)
  t.strictSame(
    kept.filter(({ metadata }) => 'finalizers' in metadata),
    [],
    'none of them with a finalizer',
  )
  // Somebody else's finalizer holds the empty Namespace, so that there is time to put back what has gone.
  await setFinalizers(life, ['example.com/wait'])
  await place.triedAndRun(t, ['delete', 'namespace', 'team-a', '--wait=false'])
  await until('all that was in it to be gone', async () => (await place.versions()).length === 1)
  await rest()
  t.match(await place.versions(), [/namespaces\/team-a/], 'nothing is made again')
  await setFinalizers(life, null)
  const isGone = async () => (await controlPlane.request('GET', pathOf(namespaceOf(profile)))).status === 404
  await t.resolves(until('the Namespace to be gone', isGone), 'and then it is gone')
  await rest()
  t.strictSame(
    [...history.now.keys()].filter(path => path.includes('team-a')),
    [],
    'for sidestep as well',
  )
}

// ------------------------------------------------------------------------------------------------------------------

interface Policy extends KubernetesObject {
  spec: {
    selector?: object
    targetRefs?: object[]
    rules?: { from?: { source?: { principals?: string[] } }[] }[]
  }
}

async function setFinalizers({ controlPlane }: Life, finalizers: string[] | null): Promise<void> {
  const contentType = 'application/merge-patch+json'
  await controlPlane.demand('PATCH', pathOf(namespaceOf(profile)), { body: { metadata: { finalizers } }, contentType })
}

async function stored({ controlPlane }: Life, object: Address): Promise<Policy> {
  return (await controlPlane.demand('GET', pathOf(object))).body
}

/** The path of a policy in the version that the watches read. */
function atV1(policy: Address): string {
  return pathOf({ ...policy, apiVersion: 'security.istio.io/v1' })
}

function guardOf(policy: Address): Address {
  return { ...policy, metadata: { ...policy.metadata, name: `${policy.metadata.name}-guard` } }
}

function waypointOf(namespace: string): Address {
  return { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', metadata: { name: 'waypoint', namespace } }
}

/** The Service that the notebook-controller makes, or another one for the same pods. */
function serviceOf(name: string, notebook = name) {
  const ports = [{ name: `http-${name}`, port: 80, targetPort: 8888, protocol: 'TCP' }]
  const spec = { type: 'ClusterIP', selector: { statefulset: notebook }, ports }
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'team-a' }, spec }
}

/** Its pod, as istio-cni marks one that it has captured. */
function podOf(notebook: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${notebook}-0`,
      namespace: 'team-a',
      labels: { app: notebook, 'notebook-name': notebook, statefulset: notebook },
      annotations: { 'ambient.istio.io/redirection': 'enabled' },
    },
    spec: {
      containers: [{ name: notebook, image: 'notebook', ports: [{ name: 'notebook-port', containerPort: 8888 }] }],
    },
  }
}
