// Faults of sidestep as processes on a real API server: killed, stopped, robbed of the Lease, deceived about the time and cut
// off, in the middle of migrations. After each, nothing is lost and nothing is doubled.
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { isCompanion } from '../../src/translate/companion.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { isLease } from './faults/api-proxy.ts'
import { type Replica, times } from './faults/replica.ts'
import { World } from './faults/world.ts'
import { storedIn } from './peace/stored.ts'

const leasePath = '/apis/coordination.k8s.io/v1/namespaces/sidestep-system/leases/sidestep'
const teams = ['undisturbed', 'killed-1', 'killed-2', 'terminated', 'robbed', 'cut-off'].map(name => `team-${name}`)
/** The time in which every candidate looks at the Lease, and some more for a slow machine. */
const oneLook = 2 * times.retry + 2500

t.test('faults of the leader', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
  if (!controlPlane) return
  const world = await World.begin(t, controlPlane)
  world.runIstio(t)
  const imported = fileURLToPath(new URL('faults/clock.js', import.meta.url))
  const start = (...names: string[]) => Promise.all(names.map(name => world.replica(name, { imported })))
  for (const team of teams) await world.addTeam(team)
  const replicas = await start('one', 'two', 'three', 'four')
  await t.test('undisturbed, and late in hearing what it has written', t => undisturbed(t, world, replicas))
  await t.test('killed, again and again', t => killed(t, world, replicas))
  replicas.push(...(await start('five', 'six')))
  await t.test('stopped by SIGTERM', t => terminated(t, world, replicas))
  await t.test('while clocks jump', t => jumping(t, world, replicas))
  await t.test('robbed of the Lease', t => robbed(t, world, replicas))
  await t.test('while the API server restarts', t => cutOff(t, world, replicas))
})

async function undisturbed(t: Test, world: World, replicas: Replica[]) {
  const one = await leaderOf(replicas)
  one.proxy.lagMilliseconds = 300
  await world.migrate('team-undisturbed')
  await world.settled(t, ['team-undisturbed'])
  one.proxy.lagMilliseconds = 0
  const stored = await storedIn(world.controlPlane, 'team-undisturbed')
  const companions = stored.filter(isCompanion).map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  t.strictSame(companions.sort(), [
    'AuthorizationPolicy ns-owner-access-istio-guard',
    'AuthorizationPolicy user-bob-example-com-clusterrole-edit-guard',
    'Gateway waypoint',
    'HTTPRoute notebook-team-undisturbed-jupyter',
    'HTTPRoute notebook-team-undisturbed-rstudio',
  ])
}

/** Of two teams at once, so that there is always more than one write on its way. */
async function killed(t: Test, world: World, replicas: Replica[]) {
  await leaderOf(replicas)
  const over = killInTurn(t, replicas, [
    { number: 1, when: 'after' },
    { number: 3, when: 'before' },
    { number: 6, when: 'after' },
  ])
  await Promise.all(['team-killed-1', 'team-killed-2'].map(team => world.migrate(team)))
  await over
  await world.settled(t, ['team-killed-1', 'team-killed-2'])
}

/** Whoever leads is killed at a write, and then whoever leads next at one of its own. */
async function killInTurn(t: Test, replicas: Replica[], [kill, ...others]: Kill[]): Promise<void> {
  for (const replica of replicas) replica.proxy.hooks = {}
  if (!kill) return
  const { number, when } = kill
  let rest = Promise.resolve()
  const killings = replicas.map(replica =>
    replica.atWrite(number, when, async ({ path }) => {
      t.comment(`${replica.name} is killed at its write ${number}, ${when} it is stored: ${path}`)
      replicas.splice(replicas.indexOf(replica), 1)
      // Now already, for the next leader begins when it will.
      rest = killInTurn(t, replicas, others)
      await replica.kill()
      return 'drop'
    }),
  )
  await Promise.race(killings)
  await rest
}

interface Kill {
  number: number
  when: 'before' | 'after'
}

async function terminated(t: Test, world: World, replicas: Replica[]) {
  const leader = await leaderOf(replicas)
  // The write is on its way and long in coming; who leads next must not be overtaken by it.
  const stopping = leader.atWrite(3, 'before', async () => {
    leader.signal('SIGTERM')
    await new Promise(resolve => setTimeout(resolve, 500))
  })
  await world.migrate('team-terminated')
  await stopping
  t.strictSame(await leader.exited, [0, null], 'it ends with 0')
  replicas.splice(replicas.indexOf(leader), 1)
  const next = await leaderOf(replicas)
  const release = world.journal.filter(({ path, by }) => isLease(path) && by === leader.name).at(-1)
  t.equal(release?.answer.spec.holderIdentity, '', 'and the Lease is released')
  const late = leader.writes.filter(({ answered = Number.POSITIVE_INFINITY }) => answered > (release?.came ?? 0))
  t.strictSame(
    late.map(({ path }) => path),
    [],
    'after everything that was on its way has arrived',
  )
  const taken = world.journal.find(
    ({ path, by, came }) => isLease(path) && by === next.name && came > (release?.came ?? 0),
  )
  const gap = (taken?.came ?? 0) - (release?.came ?? 0)
  t.ok(gap > 0 && gap < times.lease, `the next one leads ${Math.round(gap)} ms later, and does not wait for its end`)
  await world.settled(t, ['team-terminated'])
}

async function jumping(t: Test, world: World, replicas: Replica[]) {
  const leader = await leaderOf(replicas)
  const transitions = async () => (await world.controlPlane.demand('GET', leasePath)).body.spec.leaseTransitions
  const before = [await transitions(), world.work.length]
  const renewals = () => world.journal.filter(({ path, status }) => isLease(path) && status === 200)
  for (const hours of [1, -1]) {
    for (const replica of replicas) replica.signal('SIGWINCH')
    const enough = renewals().length + 4
    // All others have looked at the Lease at least once until then.
    await until('the Lease to be renewed some times', async () => renewals().length >= enough)
    const { renewTime } = renewals().at(-1)?.answer.spec ?? {}
    const minutes = (Date.parse(renewTime) - Date.now()) / 60_000
    t.ok(Math.abs(minutes - hours * 60) < 1, `it renews by a clock that is ${Math.round(minutes)} minutes ahead`)
  }
  t.ok(await leader.isLeading())
  t.strictSame([await transitions(), world.work.length], before, 'nobody else leads, and nothing is written')
}

async function robbed(t: Test, world: World, replicas: Replica[]) {
  const { controlPlane } = world
  const leader = await leaderOf(replicas)
  let theft = 0
  const stealing = leader.atWrite(3, 'after', async () => {
    const body = { spec: { holderIdentity: 'thief' } }
    const contentType = 'application/merge-patch+json'
    const { body: answer } = await controlPlane.demand('PATCH', leasePath, { body, contentType })
    theft = performance.now()
    // From the time on when the leader has to have seen it.
    const heard = theft + oneLook
    world.journal.push({
      by: 'thief',
      method: 'PATCH',
      path: leasePath,
      came: theft,
      answered: heard,
      status: 200,
      answer,
    })
  })
  await world.migrate('team-robbed')
  await stealing
  const isNext = ({ path, by, came }: { path: string; by: string; came: number }) =>
    isLease(path) && by !== 'thief' && came > theft + oneLook
  const next = await until('another leader', async () => world.journal.find(isNext))
  t.ok(next.came - theft > times.lease, `after ${Math.round(next.came - theft)} ms, for the thief has its time`)
  t.equal(leader.said(/^no longer the leader: somebody else wrote/).length, 1, 'it says so')
  await world.settled(t, ['team-robbed'])
}

async function cutOff(t: Test, world: World, replicas: Replica[]) {
  const leader = await leaderOf(replicas)
  let restarted: Promise<void> | undefined
  await Promise.all([
    leader.atWrite(3, 'after', async () => {
      restarted = world.controlPlane.restartApiServer()
    }),
    world.migrate('team-cut-off'),
  ])
  await restarted
  await world.settled(t, ['team-cut-off'], { areBehind: true })
  t.ok(
    replicas.every(({ isRunning }) => isRunning),
    'nobody has ended',
  )
}

function leaderOf(replicas: readonly Replica[]): Promise<Replica> {
  return until('a replica to lead', async () => {
    const leading = await Promise.all(replicas.map(replica => replica.isLeading()))
    return replicas.find((_, i) => leading[i])
  })
}
