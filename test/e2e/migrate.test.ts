// A team goes from sidecars to ambient and back on a real API server, by `sidestep migrate` alone: at each gate it can be
// interrupted and goes on, nothing is open at any moment, and what comes back is what was there.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { connect } from '../../src/reconciler/api-server.ts'
import { preflight } from '../../src/reconciler/migrate-preflight.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { readAll } from '../../src/reconciler/read-all.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { sidestep as run } from '../cli/memory.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { History } from './history.ts'
import { ingress } from './kubeflow.ts'
import { installAmbient, originals, sidecars, startWorld, written } from './migrate/world.ts'
import { openingsIn } from './openings.ts'
import { startSidestep } from './sidestep.ts'

const observing: Settings = { ...profiles.kubeflow, mode: 'observe' }

t.test('a team goes to ambient and back', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { controllers: 'workloads' })
  if (!controlPlane) return
  await controlPlane.apply(readFileSync('deploy/migrate/clusterrole.yaml', 'utf8'))
  for (const role of ['sidestep-migrate', 'sidestep-migrate-restart']) await controlPlane.grant('alice', role)
  await startWorld(t, controlPlane)
  const before = await stored(controlPlane)

  await t.test('it is refused while something is missing', t => isRefused(t, controlPlane))
  await installAmbient(controlPlane)
  const history = new History()
  const running = await startSidestep(controlPlane, {
    settings: observing,
    through: api => history.listening(api),
  })
  t.teardown(() => running.stop())
  await t.test('without --yes it says what there is to do', t => isPlanned(t, controlPlane))
  await t.test('a namespace that is blocked is left alone', t => isBlocked(t, controlPlane))
  await t.test('it is refused where sidestep decides otherwise', t => isOtherwise(t, controlPlane))
  const api = connect(controlPlane.kubeconfig('alice'))
  const early = await readAll(api, AbortSignal.timeout(60_000))
  await t.test('it goes as far as it is told to', t => isPrepared(t, controlPlane))
  await t.test('it can be interrupted', t => isInterrupted(t, controlPlane))
  await t.test('it goes on to the end', t => isMigrated(t, controlPlane))
  await t.test('what has gone on since it read is no other decision', async t => {
    const { signal } = new AbortController()
    // As if the last pods had been restarted, and the waypoint's labels stored, just then.
    const { body } = await controlPlane.demand('GET', '/api/v1/namespaces/team-a')
    for (const label of ['istio.io/use-waypoint', 'istio.io/ingress-use-waypoint']) delete body.metadata.labels[label]
    const objects = early.objects.map(each => (pathOf(each) === pathOf(body) ? body : each))
    t.strictSame((await preflight(api, ['team-a'], { ...early, objects }, observing, signal)).problems, [])
  })
  t.strictSame(openingsIn(history, 'team-a'), [], 'no door was open at any moment')
  running.failures.none(t)
  await t.test('it goes back', t => isBack(t, controlPlane, before))
})

async function isRefused(t: Test, controlPlane: ControlPlane): Promise<void> {
  const { code, stderr } = await migrate(controlPlane, 'team-a', 'nobody', 'default')
  t.equal(code, 2)
  for (const problem of [
    /Namespace nobody does not exist/,
    /no rule of the settings makes Namespace default ambient/,
    /GatewayClass istio-waypoint is not there/,
    /no DaemonSet has the label app=ztunnel/,
    /nobody holds a Lease named sidestep/,
    /no webhook of sidestep judges Namespace team-a/,
  ])
    t.match(stderr, problem)
}

async function isPlanned(t: Test, controlPlane: ControlPlane): Promise<void> {
  const writtenBefore = await written(controlPlane)
  const { code, stdout, stderr } = await migrate(controlPlane, 'team-a')
  t.comment(stdout)
  t.equal(stderr, '')
  t.equal(code, 0)
  t.match(stdout, 'kubectl -n team-a rollout restart deployment/lab')
  t.match(stdout, 'kubectl -n team-a rollout restart statefulset/notebook')
  t.match(stdout, /Nothing has been changed; --yes carries it out.\n$/)
  t.strictSame(await written(controlPlane), writtenBefore)
  t.ok('/api/v1/namespaces/team-a' in writtenBefore)
}

async function isPrepared(t: Test, controlPlane: ControlPlane): Promise<void> {
  t.match(await migrate(controlPlane, 'team-a', '--yes', '--until', 'prepare'), { code: 0, stderr: '' })
  const { labels } = (await controlPlane.demand('GET', '/api/v1/namespaces/team-a')).body.metadata
  t.match(labels, { 'istio-injection': 'enabled', 'sidestep.dev/mode': 'enforce' })
  t.equal(await sidecars(controlPlane), 3)
}

/** Each of these ends at the first gate that is not open yet, and what it has written stays. */
async function isInterrupted(t: Test, controlPlane: ControlPlane): Promise<void> {
  const ended: string[] = []
  for (const line of ['capture …', 'restart …', 'restarts Deployment lab', 'restarts StatefulSet notebook']) {
    const interruption = new AbortController()
    const { code, stderr } = await run(arguments_(controlPlane, 'team-a', '--yes', '--restart'), {
      env,
      signal: interruption.signal,
      onOutput: text => text === `team-a: ${line}\n` && interruption.abort(),
    })
    if (code === 130) t.equal(stderr, 'interrupted; run it again to go on\n')
    ended.push(`${line} ${code}`)
  }
  t.strictSame(ended, [
    'capture … 130',
    'restart … 130',
    'restarts Deployment lab 130',
    'restarts StatefulSet notebook 130',
  ])
}

async function isBlocked(t: Test, controlPlane: ControlPlane): Promise<void> {
  const fault = { abort: { httpStatus: 500, percentage: { value: 1 } } }
  const route = [{ destination: { host: 'lab' } }]
  const faulty = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'faulty', namespace: 'team-a' },
    spec: { hosts: ['faulty.example.com'], gateways: ['kubeflow/kubeflow-gateway'], http: [{ fault, route }] },
  }
  await controlPlane.apply(faulty)
  const { code, stdout, stderr } = await migrate(controlPlane, 'team-a', '--yes')
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(
    stderr,
    /^error: team-a is blocked:\n {2}VS-FAULT VirtualService team-a\/faulty .*\nSee sidestep explain VS-FAULT\.\n$/,
  )
  const { labels } = (await controlPlane.demand('GET', '/api/v1/namespaces/team-a')).body.metadata
  t.notOk(labels['sidestep.dev/mode'], 'nothing is written')
  await controlPlane.demand('DELETE', pathOf(faulty))
}

/** With other settings than the sidestep that runs, the Namespace would become something else. */
async function isOtherwise(t: Test, controlPlane: ControlPlane): Promise<void> {
  const file = join(t.testdir(), 'settings.yaml')
  await controlPlane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-b' } })
  writeFileSync(
    file,
    `profile: generic\nmode: observe\nnamespaces: [{ names: [team-b, taem-c], dataplaneMode: ambient }]\n`,
  )
  const { code, stderr } = await migrate(controlPlane, 'team-b', '--settings', file)
  t.equal(code, 2)
  t.match(
    stderr,
    /decides otherwise about Namespace team-b: it writes no labels, these settings istio.io\/dataplane-mode=ambient/,
  )
  t.match(stderr, 'warning: the setting namespaces[0].names names Namespace taem-c, which is not in what was read\n')
}

async function isMigrated(t: Test, controlPlane: ControlPlane): Promise<void> {
  const outcome = await migrate(controlPlane, 'team-a', '--yes', '--restart')
  t.comment(outcome.stdout)
  t.match(outcome, { code: 0, stderr: '', stdout: /team-a is in ambient( already)?\.\n$/ })
  t.equal(await sidecars(controlPlane), 0)
  for (const path of ['deployments/lab', 'statefulsets/notebook']) {
    const { generation } = (await controlPlane.demand('GET', `/apis/apps/v1/namespaces/team-a/${path}`)).body.metadata
    t.equal(generation, 2, `${path} was restarted once, though the command was interrupted meanwhile`)
  }
  const { metadata } = (await controlPlane.demand('GET', '/api/v1/namespaces/team-a')).body
  t.match(metadata.labels, { 'istio.io/dataplane-mode': 'ambient', 'istio.io/use-waypoint': 'waypoint' })
  t.notOk(metadata.labels['istio-injection'])
  const writtenBefore = await written(controlPlane)
  t.match(await migrate(controlPlane, 'team-a', '--yes', '--restart'), { stdout: /team-a is in ambient already/ })
  t.strictSame(await written(controlPlane), writtenBefore)
  const audit = await run(['audit', '--kubeconfig', controlPlane.kubeconfig(), '-n', 'team-a'])
  t.equal(audit.code, 0)
  t.notMatch(audit.stdout, /denial {3}|warning {2}ST-/)
}

async function isBack(t: Test, controlPlane: ControlPlane, before: KubernetesObject[]): Promise<void> {
  // A person sends the clients to the old gateway while it waits.
  const moved = until('the sidecars to be back', async () => (await sidecars(controlPlane)) === 3).then(() =>
    controlPlane.demand('DELETE', pathOf(ingress)),
  )
  const args = ['--revert', '--restart', '--yes', '--interval', '0.1', '--timeout', '60']
  const outcome = await run(['migrate', 'team-a', '--kubeconfig', controlPlane.kubeconfig(), ...args])
  await moved
  t.comment(outcome.stdout)
  t.match(outcome, { code: 0, stderr: '', stdout: /everything is as its author wrote it/ })
  t.equal(await sidecars(controlPlane), 3)
  const after = await stored(controlPlane)
  const [namespace] = after
  t.equal(namespace?.metadata.labels?.['sidestep.dev/mode'], 'off')
  delete namespace?.metadata.labels?.['sidestep.dev/mode']
  t.strictSame(after, before)
}

// The cluster ------------------------------------------------------------------------------------------------------

function migrate(controlPlane: ControlPlane, ...args: string[]) {
  return run(arguments_(controlPlane, ...args), { env })
}

function arguments_(controlPlane: ControlPlane, ...args: string[]): string[] {
  return ['migrate', '--kubeconfig', controlPlane.kubeconfig('alice'), '--interval', '0.1', '--timeout', '60', ...args]
}

/** Only what migrate turns on is rewritten at all. */
const env = { SIDESTEP_MODE: 'observe' }

/** Without what the API server counts and istiod says. */
async function stored(controlPlane: ControlPlane): Promise<KubernetesObject[]> {
  const objects: KubernetesObject[] = []
  for (const original of originals) {
    const { body } = await controlPlane.demand('GET', pathOf(original))
    const { status: _, ...object } = body
    for (const field of ['managedFields', 'resourceVersion', 'generation']) delete object.metadata[field]
    objects.push(object)
  }
  return objects
}
