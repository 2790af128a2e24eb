// The emulated controllers on a real API server: alone, each of them does what its original does (research/kubeflow.md,
// table a); with sidestep beside them, nothing that one of them writes is fought over.
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { type Address, pathOf } from '../../src/reconciler/paths.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { corpusDirectory, corpusSkipped, readCorpus } from '../support/corpus.ts'
import { allAtRest, isQuiet, lookAtAll } from './at-rest.ts'
import { reconcileCapture } from './controllers/istio-cni.ts'
import { reconcileIstiod } from './controllers/istiod.ts'
import type { Desired } from './controllers/keep.ts'
import { addContributor } from './controllers/kfam.ts'
import { reconcileInferenceService } from './controllers/kserve.ts'
import type { Ledger } from './controllers/ledger.ts'
import { reconcileKnativeIngress } from './controllers/net-istio.ts'
import { reconcileNotebook } from './controllers/notebook-controller.ts'
import { type Owner, standIn } from './controllers/owner.ts'
import { type ProfileController, reconcileProfile } from './controllers/profile-controller.ts'
import { reconcilePVCViewer } from './controllers/pvcviewer-controller.ts'
import { type Controller, runRounds } from './controllers/run.ts'
import { type Send, sendAs } from './controllers/send.ts'
import { reconcileTensorboard } from './controllers/tensorboard-controller.ts'
import { reconcileWorkloads } from './controllers/workloads.ts'
import { Gate } from './gate.ts'
import { installKubeflow } from './kubeflow.ts'
import { storedIn } from './peace/stored.ts'
import { compareStored, peaceTable } from './peace/table.ts'
import { type Sidestep, startSidestep } from './sidestep.ts'

const namespace = 'team-a'
const times = 5

/** Of the corpus, what no controller here writes. */
const notEmulated = ['Service ml-pipeline-ui-artifact', 'VirtualService ws-lab-x7k2p']

/** What is PUT at every reconcile, though nothing has changed. */
const alwaysPut = [
  'kserve: Service team-a/sklearn-iris',
  'notebook-controller: StatefulSet team-a/jupyter',
  'notebook-controller: StatefulSet team-a/rstudio',
  'pvcviewer-controller: Deployment team-a/pvcviewer-data',
  'pvcviewer-controller: Service team-a/pvcviewer-data',
  'pvcviewer-controller: VirtualService team-a/pvcviewer-data',
  'tensorboard-controller: Service team-a/board',
]

/** Who writes nothing but status and pods. */
const notOurs = ['istio-cni', 'istiod', 'statefulset-controller']

/** What table a says of a label and an annotation that somebody else sets. */
const foreignMetadata = {
  kept: [
    object('networking.istio.io/v1alpha3', 'VirtualService', 'notebook-team-a-jupyter'),
    object('networking.istio.io/v1alpha3', 'VirtualService', 'board'),
    object('networking.istio.io/v1alpha3', 'VirtualService', 'pvcviewer-data'),
    object('v1', 'Service', 'pvcviewer-data'),
    object('apps/v1', 'Deployment', 'pvcviewer-data'),
    object('gateway.networking.k8s.io/v1', 'HTTPRoute', 'sklearn-raw'),
    object('gateway.networking.k8s.io/v1', 'HTTPRoute', 'sklearn-raw-predictor'),
    object('v1', 'Service', 'sklearn-raw-predictor'),
    object('security.istio.io/v1beta1', 'AuthorizationPolicy', 'ns-owner-access-istio'),
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  ],
  wiped: [
    object('v1', 'Service', 'jupyter'),
    object('apps/v1', 'StatefulSet', 'jupyter'),
    object('v1', 'Service', 'board'),
    object('networking.istio.io/v1beta1', 'VirtualService', 'sklearn-iris'),
    object('v1', 'Service', 'sklearn-iris'),
    object('networking.istio.io/v1beta1', 'VirtualService', 'app-ingress'),
    object('networking.istio.io/v1beta1', 'VirtualService', 'app-mesh'),
  ],
}

/** All whose spec a controller brings back, and makes again when it is gone. */
const kept = [...foreignMetadata.kept, ...foreignMetadata.wiped].filter(({ kind }) => kind !== 'Namespace')

interface Cluster {
  controlPlane: ControlPlane
  send: Send
  profile: ProfileController
  owners: Record<'profile' | 'jupyter' | 'rstudio' | 'board' | 'data' | 'sklearnIris' | 'sklearnRaw' | 'app', Owner>
  controllers: Record<string, Controller>
}

t.test('emulated controllers', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
  if (!controlPlane) return
  const cluster = await begin(controlPlane)
  await t.test('alone', async t => {
    const corpus = corpusDirectory()
    await t.test('they create what the corpus holds', { skip: corpus ? false : corpusSkipped }, t =>
      created(t, cluster, corpus ?? ''),
    )
    await t.test('they store nothing when they reconcile again', t => unchanged(t, cluster, alwaysPut))
    await t.test('they keep or wipe what is foreign', t => foreign(t, cluster))
    await t.test('they overwrite a changed spec', t => overwritten(t, cluster))
    await t.test('the profile-controller sees targetRefs, or not', t => targeted(t, cluster))
    await t.test('a fight shows in the ledger', t => fought(t, cluster))
    await t.test('they make again what is deleted', t => deleted(t, cluster))
  })
  await t.test('with sidestep', async t => {
    // sidestep comes into a cluster that has all this already.
    const deletes = new Gate(({ method }) => method === 'DELETE')
    const sidestep = await startSidestep(controlPlane, { through: api => deletes.before(api) })
    t.teardown(() => sidestep.stop())
    await allAtRest(controlPlane, sidestep, cluster.controllers)
    await t.test('nothing is fought over', t => peaceful(t, cluster, sidestep))
    await t.test('what is deleted is made again, with its companions', t => deletedBeside(t, cluster, sidestep))
    await t.test('what is made for an owner goes with it', t => collected(t, cluster, sidestep, deletes))
    sidestep.failures.none(t)
  })
})

async function begin(controlPlane: ControlPlane): Promise<Cluster> {
  await installKubeflow(controlPlane)
  const send = sendAs(controlPlane, 'test')
  const as = (name: string) => sendAs(controlPlane, name)
  const profile: ProfileController = {
    send: as('profile-controller'),
    policyFields: 'before targetRefs',
    meshLabels: 'at creation',
  }
  const owner = { name: namespace, owner: 'alice@example.com' }
  const ofProfile = await standIn(send, { kind: 'Profile', name: namespace })
  await reconcileProfile(profile, { ...owner, standIn: ofProfile })
  const inNamespace = (kind: string, name: string) => standIn(send, { kind, namespace, name })
  const owners = {
    profile: ofProfile,
    jupyter: await inNamespace('Notebook', 'jupyter'),
    rstudio: await inNamespace('Notebook', 'rstudio'),
    board: await inNamespace('Tensorboard', 'board'),
    data: await inNamespace('PVCViewer', 'data'),
    sklearnIris: await inNamespace('InferenceService', 'sklearn-iris'),
    sklearnRaw: await inNamespace('InferenceService', 'sklearn-raw'),
    app: await inNamespace('Ingress', 'app'),
  }
  const rstudio = { rewrite: '/', headers: { 'X-RStudio-Root-Path': '/notebook/team-a/rstudio/' } }
  const controller = (name: string, reconcile: Controller['reconcile']) => ({ [name]: { send: as(name), reconcile } })
  const controllers = {
    ...controller('profile-controller', send =>
      reconcileProfile({ ...profile, send }, { ...owner, standIn: owners.profile }),
    ),
    ...controller('notebook-controller', async send => {
      await reconcileNotebook(send, { namespace, name: 'jupyter', owner: owners.jupyter })
      await reconcileNotebook(send, { namespace, name: 'rstudio', owner: owners.rstudio, ...rstudio })
    }),
    ...controller('tensorboard-controller', send =>
      reconcileTensorboard(send, { namespace, name: 'board', owner: owners.board }),
    ),
    ...controller('pvcviewer-controller', send =>
      reconcilePVCViewer(send, { namespace, name: 'data', owner: owners.data }),
    ),
    ...controller('kserve', async send => {
      const serverless = { namespace, name: 'sklearn-iris', owner: owners.sklearnIris, mode: 'serverless' } as const
      await reconcileInferenceService(send, serverless)
      const raw = { namespace, name: 'sklearn-raw', owner: owners.sklearnRaw, mode: 'raw' } as const
      await reconcileInferenceService(send, raw)
    }),
    ...controller('net-istio', send => reconcileKnativeIngress(send, { namespace, name: 'app', owner: owners.app })),
    ...controller('statefulset-controller', reconcileWorkloads),
    ...controller('istiod', reconcileIstiod),
    ...controller('istio-cni', reconcileCapture),
  }
  const cluster = { controlPlane, send, profile, owners, controllers }
  await addContributor(as('kfam'), { namespace, user: 'bob@example.com' })
  await quiet(cluster)
  return cluster
}

/** Until a round of all of them stores nothing. */
function quiet(cluster: Cluster): Promise<true> {
  return until('the controllers to have nothing to do', async () => {
    return isQuiet((await runRounds(cluster.controllers, 1)).entries()) && true
  })
}

// Alone ------------------------------------------------------------------------------------------------------------

async function created(t: Test, { controlPlane }: Cluster, corpus: string) {
  const written = readCorpus(corpus).filter(({ file }) => file === 'dynamic-controllers.yaml')
  const known: string[] = []
  for (const { object } of written as { object: Desired }[]) {
    const { apiVersion, kind, metadata, spec } = object
    const name = `${kind} ${metadata.name}`
    const { status, body } = await controlPlane.request('GET', pathOf(object))
    if (status === 404) continue
    known.push(name)
    t.strictSame(body.metadata.labels, metadata.labels, `${name}: labels`)
    t.strictSame(body.metadata.annotations, metadata.annotations, `${name}: annotations`)
    const flags = ({ controller, blockOwnerDeletion }: { controller?: boolean; blockOwnerDeletion?: boolean }) => ({
      controller,
      blockOwnerDeletion,
    })
    const [its, theirs] = [body.metadata, metadata].map(({ ownerReferences = [] }) => ownerReferences.map(flags))
    t.strictSame(its, theirs, `${name}: one owner`)
    // The specs of Kubernetes' own kinds have more in them, by default.
    if (apiVersion.includes('istio')) t.strictSame(body.spec, spec, `${name}: spec`)
    else t.match(body.spec, spec ?? {}, `${name}: spec`)
  }
  const all = written.map(({ object: { kind, metadata } }) => `${kind} ${metadata.name}`)
  t.strictSame(
    all.filter(name => !known.includes(name)),
    notEmulated,
    'nothing of the corpus is missing, but what is not emulated',
  )
}

/** Prints what was sent and what is stored, and says that all of it is as before. */
function nothingStored(t: Test, ledger: Ledger, rows: ReturnType<typeof compareStored>): void {
  for (const line of `${ledger.table()}\n\n${peaceTable(rows)}`.split('\n')) t.comment(line)
  t.strictSame(rows.filter(({ outcome }) => outcome !== 'unchanged').map(nameOf), [], 'every version is what it was')
  t.strictSame(
    ledger.entries().filter(({ stored, refusals }) => stored > 0 || refusals.length > 0),
    [],
    'nothing that a controller sends is stored or refused',
  )
}

async function unchanged(t: Test, cluster: Cluster, expected: string[]) {
  const before = await storedIn(cluster.controlPlane, namespace)
  const ledger = await runRounds(cluster.controllers, times)
  const rows = compareStored(before, await storedIn(cluster.controlPlane, namespace))
  nothingStored(t, ledger, rows)
  const entries = ledger.entries()
  const puts = entries.filter(({ puts }) => puts > 0)
  t.strictSame(
    puts.map(({ controller, object }) => `${controller}: ${object}`),
    expected,
    'these are PUT',
  )
  t.ok(
    puts.every(({ puts }) => puts === times),
    'every time',
  )
}

async function foreign(t: Test, cluster: Cluster) {
  const { kept, wiped } = foreignMetadata
  const mark = { 'example.com/foreign': 'yes' }
  for (const each of [...kept, ...wiped]) await merge(cluster, each, { metadata: { labels: mark, annotations: mark } })
  const ledger = await runRounds(cluster.controllers, times)
  for (const each of [...kept, ...wiped]) {
    const { labels, annotations } = (await stored(cluster, each)).metadata
    const isKept = [labels, annotations].map(map => map?.['example.com/foreign'] === 'yes')
    t.strictSame(isKept, kept.includes(each) ? [true, true] : [false, false], `${each.kind} ${each.metadata.name}`)
  }
  const stores = ledger.entries().filter(({ stored }) => stored > 0)
  t.equal(stores.length, wiped.length, 'what is wiped is stored')
  t.ok(
    stores.every(({ stored }) => stored === 1),
    'once',
  )

  const own = { 'app.kubernetes.io/part-of': 'other', 'pipelines.kubeflow.org/enabled': null }
  const itself = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }
  await merge(cluster, itself, { metadata: { labels: own } })
  await runRounds(cluster.controllers, 1)
  const { labels } = (await stored(cluster, itself)).metadata
  t.match(labels, { 'app.kubernetes.io/part-of': 'other', 'pipelines.kubeflow.org/enabled': 'true' })
  await merge(cluster, itself, { metadata: { labels: { 'app.kubernetes.io/part-of': 'kubeflow-profile' } } })
}

async function overwritten(t: Test, cluster: Cluster) {
  const changes: Record<string, (spec: Desired['spec']) => object> = {
    VirtualService: () => ({ hosts: ['changed.example.com'] }),
    Service: ({ type }) => (type === 'ExternalName' ? { externalName: 'changed.local' } : { selector: { more: 'x' } }),
    StatefulSet: () => ({ replicas: 3 }),
    Deployment: () => ({ strategy: { type: 'Recreate' }, template: { spec: { serviceAccountName: 'changed' } } }),
    HTTPRoute: () => ({ hostnames: ['changed.example.com'] }),
    AuthorizationPolicy: () => ({ rules: [] }),
  }
  const before = await Promise.all(kept.map(each => stored(cluster, each)))
  for (const { kind, apiVersion, metadata, spec } of before) {
    const each = { apiVersion, kind, metadata }
    await merge(cluster, each, { spec: changes[kind]?.(spec) ?? {} })
    t.notSame((await stored(cluster, each)).spec, spec, `${kind} ${metadata.name} is changed`)
  }
  const ledger = await runRounds(cluster.controllers, times)
  for (const was of before)
    t.strictSame((await stored(cluster, was)).spec, was.spec, `${was.kind} ${was.metadata.name}`)
  const ours = ledger.entries().filter(({ controller, stored }) => stored > 0 && !notOurs.includes(controller))
  t.equal(ours.length, kept.length, 'each of them is stored')
  t.ok(
    ours.every(({ stored }) => stored === 1),
    'once',
  )
  for (const name of ['sklearn-raw', 'sklearn-raw-predictor']) {
    const route = object('gateway.networking.k8s.io/v1', 'HTTPRoute', name)
    const { labels } = (await stored(cluster, route)).metadata
    t.notOk(labels?.['example.com/foreign'], 'KServe PUTs its HTTPRoute as it wants it, without what it found')
  }
  await quiet(cluster)
}

async function targeted(t: Test, cluster: Cluster) {
  const policy = object('security.istio.io/v1beta1', 'AuthorizationPolicy', 'ns-owner-access-istio')
  const targetRefs = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'waypoint' }]
  const profile = { name: namespace, owner: 'alice@example.com' }
  await merge(cluster, policy, { spec: { targetRefs } })
  t.strictSame(await reconcileProfile(cluster.profile, profile), [], 'the old client does not see them')
  const since = { ...cluster.profile, policyFields: 'with targetRefs' } as const
  t.strictSame(await reconcileProfile(since, profile), ['update AuthorizationPolicy'], 'the new one does')
  t.notOk((await stored(cluster, policy)).spec.targetRefs, 'and they are gone')
  await merge(cluster, policy, { spec: { targetRefs, rules: [] } })
  t.strictSame(await reconcileProfile(cluster.profile, profile), ['update AuthorizationPolicy'])
  t.notOk((await stored(cluster, policy)).spec.targetRefs, 'what the old client PUTs does not have them either')

  const labels = { 'pipelines.kubeflow.org/enabled': '', 'example.com/more': 'yes' }
  const relabelling = { ...cluster.profile, moreLabels: labels }
  t.strictSame(await reconcileProfile(relabelling, profile), ['update Namespace'])
  const { metadata } = await stored(cluster, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  t.equal(metadata.labels?.['example.com/more'], 'yes', 'namespace-labels.yaml adds labels')
  t.notOk(metadata.labels?.['pipelines.kubeflow.org/enabled'], 'and takes those away that are empty there')
  await quiet(cluster)
}

/** What sidestep must never do: keep a label on a Service that its controller compares. */
async function fought(t: Test, cluster: Cluster) {
  const service = object('v1', 'Service', 'jupyter')
  const labeller: Controller = {
    send: sendAs(cluster.controlPlane, 'labeller'),
    async reconcile(send) {
      const { metadata } = (await send('GET', pathOf(service))).body
      if (metadata.labels?.fought) return
      await send('PATCH', pathOf(service), { metadata: { labels: { fought: 'over' } } })
    },
  }
  const { 'notebook-controller': notebooks } = cluster.controllers
  if (!notebooks) throw new Error('no notebook-controller')
  const sides = { labeller, 'notebook-controller': notebooks }
  const entries = (await runRounds(sides, times)).entries()
  const fighters = entries
    .filter(({ stored }) => stored > 1)
    .map(({ controller, object }) => `${controller}: ${object}`)
  t.strictSame(fighters, ['labeller: Service team-a/jupyter', 'notebook-controller: Service team-a/jupyter'])
  await quiet(cluster)
}

async function deleted(t: Test, cluster: Cluster) {
  const before = await Promise.all(kept.map(each => stored(cluster, each)))
  for (const each of kept) await cluster.controlPlane.demand('DELETE', pathOf(each))
  await quiet(cluster)
  for (const was of before) {
    const is = await stored(cluster, was)
    t.not(is.metadata.uid, was.metadata.uid, `${was.kind} ${was.metadata.name}`)
  }
}

// With sidestep ----------------------------------------------------------------------------------------------------

async function peaceful(t: Test, cluster: Cluster, sidestep: Sidestep) {
  const before = await storedIn(cluster.controlPlane, namespace, 'kubeflow', 'istio-system')
  const { length } = sidestep.writes
  const looking = async () => {
    for (let i = 0; i < times; i++) await lookAtAll(cluster.controlPlane, sidestep)
  }
  const [ledger] = await Promise.all([runRounds(cluster.controllers, times), looking()])
  const rows = compareStored(before, await storedIn(cluster.controlPlane, namespace, 'kubeflow', 'istio-system'))
  nothingStored(t, ledger, rows)
  t.strictSame(sidestep.writes.slice(length), [], 'and sidestep finds nothing to write')
  const entries = ledger.entries()
  t.strictSame(
    entries.filter(({ puts }) => puts > 0).map(({ controller, object }) => `${controller}: ${object}`),
    // The principals of its callers are rewritten, which every version of the controller sees.
    [...alwaysPut, 'profile-controller: AuthorizationPolicy team-a/ns-owner-access-istio'].sort(),
    'one PUT more than without sidestep',
  )

  const labelsOf = async (name: string) =>
    (await stored(cluster, object('networking.istio.io/v1', 'VirtualService', name))).metadata.labels
  for (const name of ['notebook-team-a-jupyter', 'notebook-team-a-rstudio', 'board', 'pvcviewer-data'])
    t.match(await labelsOf(name), { 'istio.io/rev': 'sidestep-parked' }, `${name} is parked, its HTTPRoute serves`)
  t.strictSame(await labelsOf('sklearn-iris'), undefined, "KServe's is left alone")
  for (const name of ['app-ingress', 'app-mesh'])
    t.notOk((await labelsOf(name))?.['istio.io/rev'], "and so are Knative's")
  const policy = await stored(cluster, object('security.istio.io/v1', 'AuthorizationPolicy', 'ns-owner-access-istio'))
  t.match(policy.spec.targetRefs, [{ kind: 'Gateway', name: 'waypoint' }], "the owner's policy is on the waypoint")
  const pod = await stored(cluster, object('v1', 'Pod', 'jupyter-0'))
  t.match(pod.metadata.annotations, { 'ambient.istio.io/redirection': 'enabled' }, 'and the notebook is captured')
}

async function deletedBeside(t: Test, cluster: Cluster, sidestep: Sidestep) {
  const gone = kept.filter(({ kind }) => ['VirtualService', 'AuthorizationPolicy', 'Service'].includes(kind))
  const before = await storedIn(cluster.controlPlane, namespace)
  for (const each of gone) await cluster.controlPlane.demand('DELETE', pathOf(each))
  await allAtRest(cluster.controlPlane, sidestep, cluster.controllers)
  const rows = compareStored(before, await storedIn(cluster.controlPlane, namespace))
  t.strictSame(
    rows.filter(({ outcome }) => outcome === 'new' || outcome === 'gone').map(nameOf),
    [],
    'all is there again',
  )
  const replaced = rows.filter(({ outcome }) => outcome === 'replaced').map(nameOf)
  for (const { kind, metadata } of gone) t.ok(replaced.includes(`${kind} ${metadata.name}`), `${kind} ${metadata.name}`)
  t.ok(replaced.includes('HTTPRoute notebook-team-a-jupyter'), 'with the route beside it')
}

async function collected(t: Test, cluster: Cluster, sidestep: Sidestep, deletes: Gate) {
  const { controlPlane, owners } = cluster
  const names = async () => (await storedIn(controlPlane, namespace)).map(object => nameOf({ object }))
  const its = (await names()).filter(name => /jupyter|board|pvcviewer|sklearn/.test(name))
  t.ok(its.length > 20, `${its.length} objects`)
  // The garbage collector alone takes it away.
  deletes.shut()
  for (const { path } of [owners.jupyter, owners.board, owners.data, owners.sklearnIris, owners.sklearnRaw])
    await controlPlane.demand('DELETE', path)
  await until('what was made for them to be gone', async () => {
    await runRounds(cluster.controllers, 1)
    return !(await names()).some(name => its.includes(name))
  })
  deletes.open()
  await allAtRest(cluster.controlPlane, sidestep, cluster.controllers)
  t.strictSame(
    (await names()).filter(name => its.includes(name)),
    [],
    'nobody makes it again',
  )
  t.ok((await names()).includes('VirtualService notebook-team-a-rstudio'), 'what is of another owner stays')

  await controlPlane.demand('DELETE', owners.profile.path)
  const itself = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }
  const isGone = async () => {
    await runRounds(cluster.controllers, 1)
    return (await controlPlane.request('GET', pathOf(itself))).status === 404
  }
  await t.resolves(until('the Namespace to be gone', isGone), 'and with the Profile everything goes')
}

// ------------------------------------------------------------------------------------------------------------------

function object(apiVersion: string, kind: string, name: string): Address {
  return { apiVersion, kind, metadata: { namespace, name } }
}

function nameOf({ object: { kind, metadata } }: { object: KubernetesObject }): string {
  return `${kind} ${metadata.name}`
}

async function stored({ controlPlane }: Cluster, object: Address): Promise<Desired> {
  return (await controlPlane.demand('GET', pathOf(object))).body
}

async function merge({ controlPlane }: Cluster, object: Address, body: object): Promise<void> {
  await controlPlane.demand('PATCH', pathOf(object), { body, contentType: 'application/merge-patch+json' })
}
