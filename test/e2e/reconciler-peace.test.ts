// Nothing moves when nothing changes: every controller that writes what sidestep rewrites reconciles again and again, and
// sidestep beside them, and the API server stores nothing. `npm run test:peace` looks on for two minutes.
import t, { type Test } from 'tap'
import { pathOf } from '../../src/reconciler/paths.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { allAtRest, atRest } from './at-rest.ts'
import { reconcileCapture } from './controllers/istio-cni.ts'
import { reconcileIstiod } from './controllers/istiod.ts'
import { addContributor } from './controllers/kfam.ts'
import { reconcileInferenceService } from './controllers/kserve.ts'
import { reconcileKnativeIngress } from './controllers/net-istio.ts'
import { reconcileNotebook } from './controllers/notebook-controller.ts'
import { standIn } from './controllers/owner.ts'
import { type ProfileController, reconcileProfile } from './controllers/profile-controller.ts'
import { reconcilePVCViewer } from './controllers/pvcviewer-controller.ts'
import { type Controller, runControllers } from './controllers/run.ts'
import { sendAs } from './controllers/send.ts'
import { reconcileTensorboard } from './controllers/tensorboard-controller.ts'
import { reconcileWorkloads } from './controllers/workloads.ts'
import { installKubeflow } from './kubeflow.ts'
import { storedIn } from './peace/stored.ts'
import { compareStored, peaceTable } from './peace/table.ts'
import { type Sidestep, startSidestep } from './sidestep.ts'

const seconds = Number(process.env.SIDESTEP_PEACE_SECONDS ?? 20)
const everyMilliseconds = 1000

type Controllers = Record<string, Controller>

t.setTimeout((seconds + 900) * 1000)

t.test('nothing moves when nothing changes', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
  if (!controlPlane) return
  await installKubeflow(controlPlane)
  const sidestep = await startSidestep(controlPlane)
  t.teardown(() => sidestep.stop())
  const controllers = await populate(controlPlane)
  await allAtRest(controlPlane, sidestep, controllers)
  await t.test('all is served in ambient', t => served(t, controlPlane))
  await t.test(`nothing is written for ${seconds} s`, t => peaceful(t, controlPlane, sidestep, controllers))
  await t.test('and what somebody changes is noticed', t => disturbed(t, controlPlane, sidestep, controllers))
  sidestep.failures.none(t)
})

/** Two Profiles, one by each client of the profile-controller, and one of everything that is asked for in each. */
async function populate(controlPlane: ControlPlane): Promise<Controllers> {
  const send = sendAs(controlPlane, 'test')
  const controllers: Controllers = {}
  const add = (name: string, reconcile: Controller['reconcile']) => {
    const before = controllers[name]?.reconcile
    const both: Controller['reconcile'] = async send => {
      await before?.(send)
      await reconcile(send)
    }
    controllers[name] = { send: sendAs(controlPlane, name), reconcile: both }
  }
  for (const namespace of ['team-a', 'team-b']) {
    const profile = {
      name: namespace,
      owner: 'alice@example.com',
      standIn: await standIn(send, { kind: 'Profile', name: namespace }),
    }
    const controller: Omit<ProfileController, 'send'> =
      namespace === 'team-a'
        ? { policyFields: 'before targetRefs', meshLabels: 'at creation' }
        : { policyFields: 'with targetRefs', meshLabels: 'always' }
    add(`profile-controller ${controller.policyFields}`, send => reconcileProfile({ ...controller, send }, profile))
    await reconcileProfile({ ...controller, send: sendAs(controlPlane, 'profile-controller') }, profile)
    await addContributor(sendAs(controlPlane, 'kfam'), { namespace, user: 'bob@example.com' })
    const asked = async (kind: string, name: string) => ({
      namespace,
      name,
      owner: await standIn(send, { kind, namespace, name }),
    })
    const [jupyter, rstudio] = [await asked('Notebook', 'jupyter'), await asked('Notebook', 'rstudio')]
    const headers = { 'X-RStudio-Root-Path': `/notebook/${namespace}/rstudio/` }
    add('notebook-controller', async send => {
      await reconcileNotebook(send, jupyter)
      await reconcileNotebook(send, { ...rstudio, rewrite: '/', headers })
    })
    const board = await asked('Tensorboard', 'board')
    add('tensorboard-controller', send => reconcileTensorboard(send, board))
    const data = await asked('PVCViewer', 'data')
    add('pvcviewer-controller', send => reconcilePVCViewer(send, data))
    const [iris, raw] = [await asked('InferenceService', 'iris'), await asked('InferenceService', 'raw')]
    add('kserve', async send => {
      await reconcileInferenceService(send, { ...iris, mode: 'serverless' })
      await reconcileInferenceService(send, { ...raw, mode: 'raw' })
    })
    const app = await asked('Ingress', 'app')
    add('net-istio', send => reconcileKnativeIngress(send, app))
  }
  add('statefulset-controller', reconcileWorkloads)
  add('istiod', reconcileIstiod)
  add('istio-cni', reconcileCapture)
  return controllers
}

async function served(t: Test, controlPlane: ControlPlane) {
  for (const namespace of ['team-a', 'team-b']) {
    const { metadata } = await controlPlane.get('namespace', namespace)
    t.match(metadata.labels, { 'istio.io/dataplane-mode': 'ambient', 'istio.io/use-waypoint': 'waypoint' }, namespace)
    for (const name of [`notebook-${namespace}-jupyter`, `notebook-${namespace}-rstudio`, 'board', 'pvcviewer-data']) {
      const { metadata } = await controlPlane.get('virtualservices.networking.istio.io', name, namespace)
      t.match(metadata.labels, { 'istio.io/rev': 'sidestep-parked' }, `${name} is parked`)
    }
    const { spec } = await controlPlane.get(
      'authorizationpolicies.security.istio.io',
      'ns-owner-access-istio',
      namespace,
    )
    t.match(spec.targetRefs, [{ kind: 'Gateway', name: 'waypoint' }], "its owner's policy is on the waypoint")
  }
}

const namespaces = ['team-a', 'team-b', 'kubeflow', 'kserve', 'istio-system']

async function peaceful(t: Test, controlPlane: ControlPlane, sidestep: Sidestep, controllers: Controllers) {
  const before = await storedIn(controlPlane, ...namespaces)
  const { length } = sidestep.writes
  const stopping = new AbortController()
  const { ledger, rounds, stopped } = runControllers(controllers, { everyMilliseconds }, stopping.signal)
  const since = performance.now()
  let count = 0
  while (performance.now() - since < seconds * 1000) {
    await rounds(1)
    count++
  }
  stopping.abort()
  await stopped
  await atRest(controlPlane, sidestep)
  const rows = compareStored(before, await storedIn(controlPlane, ...namespaces))
  const text = `${ledger.table()}\n\n${peaceTable(rows)}`
  for (const line of text.split('\n')) t.comment(line)
  t.comment(`${count} rounds, ${sidestep.writes.length - length} writes by sidestep`)
  t.ok(rows.length > 80, `${rows.length} objects`)
  t.strictSame(
    rows.filter(({ outcome }) => outcome !== 'unchanged').map(({ object }) => pathOf(object)),
    [],
    'every resourceVersion is what it was',
  )
  t.ok(
    rows.every(({ before, after }) => before?.metadata.generation === after?.metadata.generation),
    'and every generation',
  )
  t.strictSame(sidestep.writes.slice(length), [], 'sidestep writes nothing')
  const entries = ledger.entries()
  t.strictSame(
    entries.filter(({ stored, refusals }) => stored > 0 || refusals.length > 0),
    [],
    'nothing that a controller sends is stored or refused',
  )
  const tireless = entries.filter(({ puts }) => puts >= count).map(({ controller }) => controller)
  for (const name of ['profile-controller before targetRefs', 'profile-controller with targetRefs', 'kserve'])
    t.ok(tireless.includes(name), `though ${name} writes every time`)
}

/** Else the test above would be of something that sleeps. */
async function disturbed(t: Test, controlPlane: ControlPlane, sidestep: Sidestep, controllers: Controllers) {
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { namespace: 'team-a', name: 'board' },
  }
  const before = await storedIn(controlPlane, ...namespaces)
  const { length } = sidestep.writes
  await controlPlane.demand('DELETE', pathOf(route))
  await allAtRest(controlPlane, sidestep, controllers)
  const rows = compareStored(before, await storedIn(controlPlane, ...namespaces))
  t.strictSame(
    rows.filter(({ outcome }) => outcome === 'replaced').map(({ object }) => pathOf(object)),
    [pathOf(route)],
    'what is deleted is made again',
  )
  t.ok(sidestep.writes.length > length, 'by sidestep')
}
