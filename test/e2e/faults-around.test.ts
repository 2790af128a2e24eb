// Faults around sidestep: kinds are not installed, its webhook is not reached, a right is missing. What can go on goes on, it is
// said once and clearly, and everything is caught up. And sidestep in two processes, one for each part, comes to the same end.
import t, { type Test } from 'tap'
import { pathOf } from '../../src/reconciler/paths.ts'
import { resources } from '../../src/reconciler/snapshot.ts'
import { isCompanion } from '../../src/translate/companion.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { isLease } from './faults/api-proxy.ts'
import type { Replica } from './faults/replica.ts'
import { deployedRights, World } from './faults/world.ts'
import { ingress } from './kubeflow.ts'
import { storedIn } from './peace/stored.ts'

t.test('faults around sidestep', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
  if (!controlPlane) return
  const world = await World.begin(t, controlPlane)
  world.runIstio(t)
  await t.test('begun before Istio and Gateway API are installed', t => early(t, world))
  for (const team of ['team-split', 'team-forbidden']) await world.addTeam(team)
  const [admission, reconciler] = await Promise.all([
    world.replica('admission', { isCommand: true, part: 'admission' }),
    world.replica('reconciler', { isCommand: true, part: 'reconciler' }),
  ])
  await t.test('one process for each part', async t => {
    await world.migrate('team-split')
    await world.settled(t, ['team-split'])
    t.strictSame(
      world.journal.filter(({ by }) => by === 'admission'),
      [],
      'the webhook writes nothing, not even a Lease',
    )
    t.ok(world.journal.some(({ by, path }) => by === 'reconciler' && isLease(path)))
    t.equal(await admission.metric('sidestep_reconciler_leader'), undefined)
    t.equal(reconciler.said(/^admission$/).length, 0, 'the reconciler judges no admission')
    t.ok(admission.said(/^admission$/).length > 0)
  })
  await t.test('the webhook is not reached', t => unreached(t, world, reconciler))
  await t.test('a right is missing', t => forbidden(t, world, reconciler))
})

async function early(t: Test, world: World) {
  const { controlPlane } = world
  const istio = await uninstalled(controlPlane, 'security.istio.io')
  const gatewayApi = await uninstalled(controlPlane, 'gateway.networking.k8s.io')
  const whole = await world.replica('whole', { isCommand: true })
  const missing = [...istio, ...gatewayApi]
    .map(({ spec }) => spec.names.kind)
    .filter(kind => resources.some(each => each.kind === kind))
  // Its log comes by another way than its answer that it is ready.
  const said = () => whole.said(/^kind is not installed/)
  await until('it to have said what is not installed', async () => said().length >= missing.length)
  const kinds = said().map(({ kind }) => kind)
  t.strictSame(kinds.sort(), missing.sort(), 'it is ready, and has said of each kind once that it is not installed')
  t.ok(missing.length >= 9)

  await install(controlPlane, istio)
  await world.addTeam('team-whole')
  await world.migrate('team-whole')
  const of = (path: RegExp) => whole.writes.filter(write => path.test(write.path))
  // The next try would come eight seconds later.
  await until('the waypoint to be tried five times', async () => of(/gateways\/waypoint/).length >= 5)
  t.ok(of(/gateways\/waypoint/).every(({ status = 404 }) => status === 404))
  t.ok(of(/gateways\/waypoint/).length < 8)
  const installing = performance.now()
  await install(controlPlane, gatewayApi)
  await controlPlane.apply(ingress)
  const isProgrammed = async () =>
    /"Programmed"/.test(JSON.stringify((await controlPlane.request('GET', pathOf(ingress))).body.status))
  // Callers change their names with it.
  await until('the ingress to be programmed', isProgrammed)
  await world.settled(t, ['team-whole'])
  const first = of(/gateways\/waypoint/).find(({ status = 404 }) => status < 300)
  t.comment(`the first companion came ${Math.round((first?.came ?? 0) - installing)} ms after the first CRD`)
  t.equal(whole.said(/^kind is not installed/).length, kinds.length, 'and says nothing of it again')
  t.equal(await whole.terminate(), 0)
}

interface Crd {
  apiVersion: string
  kind: string
  metadata: { name: string; labels?: object; annotations?: object }
  spec: { group: string; names: { kind: string; plural: string } }
}

const crdsPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

/** Takes the CRDs of a group away, with all their objects. Returns them. */
async function uninstalled(controlPlane: ControlPlane, group: string): Promise<Crd[]> {
  const { items } = (await controlPlane.demand('GET', crdsPath)).body as { items: Crd[] }
  const crds = items.filter(({ spec }) => spec.group === group)
  for (const { metadata } of crds) await controlPlane.demand('DELETE', `${crdsPath}/${metadata.name}`)
  await until(`nothing of ${group} to be served`, async () => !(await isServed(controlPlane, group)))
  return crds.map(({ metadata: { name, labels, annotations }, spec }) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name, ...(labels && { labels }), ...(annotations && { annotations }) },
    spec,
  }))
}

async function install(controlPlane: ControlPlane, crds: Crd[]): Promise<void> {
  await Promise.all(crds.map(body => controlPlane.demand('POST', crdsPath, { body })))
  const isThere = async ({ spec: { group, names } }: Crd) =>
    (await controlPlane.request('GET', `/apis/${group}/v1/${names.plural}`)).status === 200
  const stable = crds.filter(({ spec }) =>
    resources.some(({ path }) => path.startsWith(`/apis/${spec.group}/v1/${spec.names.plural}`)),
  )
  await until('the CRDs to be served', async () => (await Promise.all(stable.map(isThere))).every(Boolean))
}

async function isServed(controlPlane: ControlPlane, group: string): Promise<boolean> {
  const ofGroup = resources.filter(({ path }) => path.startsWith(`/apis/${group}/`))
  const answers = await Promise.all(ofGroup.map(({ path }) => controlPlane.request('GET', path)))
  return answers.some(({ status }) => status !== 404)
}

async function unreached(t: Test, world: World, reconciler: Replica) {
  const { controlPlane } = world
  await world.front.close()
  const from = reconciler.writes.length
  await world.addTeam('team-down', { isOff: false })
  const sources = (await storedIn(controlPlane, 'team-down')).filter(({ kind }) =>
    /Virtual|Policy|Namespace/.test(kind),
  )
  t.ok(sources.length >= 5)
  t.notMatch(JSON.stringify(sources), /sidestep/, 'what is written is stored as it is written')
  const lines = () => reconciler.said(/admission left the object as it is/)
  await until('the reconciler to notice', async () => lines().length > 0)
  await pause(6000)
  const patches = () => {
    const counts = new Map<string, number>()
    for (const { path } of reconciler.writes.slice(from)) counts.set(path, (counts.get(path) ?? 0) + 1)
    return counts
  }
  // At once, and after 0.5, 1, 2, 4 … seconds, and whenever its surroundings change. Without a delay there would be hundreds.
  const most = Math.max(...patches().values())
  t.ok(most >= 2 && most <= 20, `it has tried again, but no object more often than ${most} times`)
  t.equal(lines().filter(({ level }) => level >= 40).length, 1, 'it says once what is the matter')
  t.ok(((await reconciler.metric('sidestep_reconciler_writes_total', 'result="unchanged"')) ?? 0) > 0, 'and counts it')

  await validationFails(controlPlane, 'Fail')
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'probe', namespace: 'team-down' },
  }
  const dryRun = () =>
    controlPlane.kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: JSON.stringify(policy) })
  await until('validation to be needed', async () => /failed calling webhook/.test((await dryRun()).stderr))
  const before = reconciler.writes.length
  await pause(5000)
  const tried = reconciler.writes.length - before
  t.ok(tried <= 20 * sources.length, `what Fail refuses is tried ${tried} times in five seconds`)
  await validationFails(controlPlane, 'Ignore')

  await world.front.open()
  const since = performance.now()
  await world.settled(t, ['team-down'], { since })
  t.comment(`caught up after ${Math.round(performance.now() - since)} ms`)
}

async function validationFails(controlPlane: ControlPlane, failurePolicy: string) {
  const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sidestep'
  const body = [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: failurePolicy }]
  await controlPlane.demand('PATCH', path, { body, contentType: 'application/json-patch+json' })
}

async function forbidden(t: Test, world: World, reconciler: Replica) {
  const { controlPlane } = world
  const since = performance.now()
  const rights = await deployedRights()
  const all =
    'resources: [gateways, httproutes, tlsroutes, tcproutes, grpcroutes, referencegrants]\n    verbs: [create, patch'
  t.equal(rights.split(all).length, 2)
  const some = `resources: [httproutes]
    verbs: [create, update, delete]
  - apiGroups: [gateway.networking.k8s.io]
    resources: [gateways, tlsroutes, tcproutes, grpcroutes, referencegrants]\n    verbs: [create, patch`
  await controlPlane.apply(rights.replace(all, some))
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { namespace: 'team-whole', name: 'x' },
  }
  const isAllowed = async () => {
    const options = { user: 'sidestep', body: {}, contentType: 'application/merge-patch+json' } as const
    return (await controlPlane.request('PATCH', pathOf(route), options)).status !== 403
  }
  await until('the right to be gone', async () => !(await isAllowed()))
  const from = reconciler.writes.length
  await world.migrate('team-forbidden')
  const isElsewhereDone = async () => {
    const stored = await storedIn(controlPlane, 'team-forbidden')
    const policies = stored.filter(object => object.kind === 'AuthorizationPolicy' && !isCompanion(object))
    const namespace = stored.find(({ kind }) => kind === 'Namespace')
    return (
      policies.every(policy => JSON.stringify(policy).includes('targetRefs')) &&
      namespace?.metadata.labels?.['istio.io/use-waypoint'] === 'waypoint'
    )
  }
  await t.resolves(until('everything else to be done', isElsewhereDone), 'Namespace and policies are converted')
  await pause(3000)
  const stored = await storedIn(controlPlane, 'team-forbidden')
  const { length } = stored.filter(
    ({ metadata, kind }) => kind === 'VirtualService' && metadata.labels?.['istio.io/rev'],
  )
  t.equal(length, 0, 'no VirtualService is parked without its routes')
  const attempts = reconciler.writes.slice(from).filter(({ path }) => path.includes('/httproutes/'))
  t.ok(attempts.every(({ status }) => status === 403))
  // Two routes, as above.
  t.ok(attempts.length >= 4 && attempts.length <= 40, `it has tried ${attempts.length} times`)
  const lines = reconciler.said(/may not patch httproutes/).filter(({ level }) => level >= 40)
  t.equal(lines.length, 1, 'the log says once, as an error, what it may not')
  const { items } = (await controlPlane.demand('GET', '/api/v1/namespaces/team-forbidden/events')).body
  const events = items.filter(({ reason }: { reason: string }) => reason === 'Forbidden')
  t.equal(events.length, 1, 'and so does an Event')
  t.match(events[0]?.message, /may not patch httproutes/)

  await controlPlane.apply(rights)
  await until('the right to be back', isAllowed)
  await world.settled(t, ['team-forbidden'], { since })
}

function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}
