// What was there before sidestep came is converted once it starts, on a real API server: bench/backfill.ts, in small.
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { pathOf } from '../../src/reconciler/paths.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { users } from '../control-plane/users.ts'
import { createAll, leftToDo, type Population, population, type Size, surroundings } from './backfill/population.ts'
import { Traffic } from './backfill/traffic.ts'
import { startWatchingIstiod } from './controllers/watching-istiod.ts'
import { Gate } from './gate.ts'
import { startSidestep } from './sidestep.ts'

t.test(
  'what was there before is converted, the oldest first, and each with the writes that its steps ask for',
  async t => {
    const controlPlane = await controlPlaneOrSkip(t)
    if (!controlPlane) return
    const before = await prepare(t, controlPlane, { virtualServices: 40, policies: 40, namespaces: 10 })
    const gate = new Gate(({ path }) => path.includes('/httproutes/'))
    gate.shut()
    const sidestep = await startSidestep(controlPlane, { through: api => gate.before(api) })
    t.teardown(() => sidestep.stop())

    // While sidestep is busy, somebody writes the one whose turn would come last.
    await until('every lane of the queue to be held', async () => gate.held === 8)
    const last = before.virtualServices.findLast(({ metadata }) => metadata.name?.endsWith('lab-1'))
    if (!last) throw new Error('there are no notebooks')
    const http = last.spec.http?.map(each => ({ ...each, timeout: '30s' }))
    const { body } = await controlPlane.demand('PATCH', pathOf(last), {
      body: { spec: { http } },
      contentType: 'application/merge-patch+json',
    })
    await until('sidestep to know', async () => {
      const { resourceVersion } = sidestep.live.objects.get(pathOf(last))?.metadata ?? {}
      return resourceVersion === body.metadata.resourceVersion
    })
    gate.open()
    await finished(controlPlane, before)
    await sidestep.reconciler.queue.idle()

    const applied = sidestep.writes
      .filter(write => write.includes('/httproutes/'))
      .map(write => write.split('/').at(-1))
    const routes = [...new Set(applied)]
    const rank = routes.indexOf(last.metadata.name)
    t.equal(rank, 8, 'what somebody writes meanwhile comes next')
    const ages = routes.toSpliced(rank, 1).map(name => (/lab-[23]$/.test(name ?? '') ? 'old' : 'young'))
    t.strictSame(ages, ages.toSorted(), 'the others come by their age')

    const forms = new Map<string, string[]>()
    for (const { write, made } of sidestep.changes) forms.set(write, [...(forms.get(write) ?? []), made])
    const beyond = [...forms].filter(([write, made]) => made.length > stepsOf(write)).map(each => each.join(': '))
    t.strictSame(beyond, [], 'nothing was written more often than its steps ask for')
    const undone = [...forms].filter(([, made]) => new Set(made).size < made.length).map(each => each.join(': '))
    t.strictSame(undone, [], 'and nothing went back to what sidestep had made of it before')
    sidestep.failures.none(t)
    await sidestep.stop()

    const again = await startSidestep(controlPlane)
    await again.reconciler.queue.idle()
    t.strictSame(again.writes, [], 'who looks at all of it once more writes nothing')
    await again.stop()
  },
)

t.test('an API server that has next to no room for sidestep is left alone for as long as it asks', async t => {
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  const before = await prepare(t, controlPlane, { virtualServices: 6, policies: 4, namespaces: 2 })
  const gate = new Gate(() => true)
  gate.shut()
  const traffic = new Traffic()
  const sidestep = await startSidestep(controlPlane, { through: api => gate.before(traffic.through(api)) })
  t.teardown(() => sidestep.stop())
  await leaveLittleRoom(controlPlane)
  gate.open()
  await finished(controlPlane, before)
  await sidestep.reconciler.queue.idle()
  t.ok(traffic.refusals.length > 0, `it was refused ${traffic.refusals.length} times`)
  t.ok(
    traffic.refusals.every(({ from, until }) => until >= from + 1000),
    'each time with the seconds to wait',
  )
  t.strictSame(traffic.untimely, [], 'and nothing was sent before they were over')
  sidestep.failures.none(t)
})

/**
 * Namespaces get their mode, then the label of the waypoint. What is looked at before the waypoint takes traffic has a step
 * before its last as well: policies name their callers anew, and go on targets after; guards stand shut, and open after.
 * Everything else is applied or parked once.
 */
function stepsOf(write: string): number {
  return /^PATCH \/api(s\/security.istio.io)?\/v1\/namespaces\/team-\d+($|\/authorizationpolicies\/)/.test(write)
    ? 2
    : 1
}

/** The younger VirtualServices are those that a list has first. */
async function prepare(t: Test, controlPlane: ControlPlane, size: Size): Promise<Population> {
  await controlPlane.grant('controller', 'cluster-admin')
  const before = population(size)
  await createAll(controlPlane, before.namespaces)
  await createAll(controlPlane, [...surroundings, ...before.services, ...before.policies])
  const half = before.virtualServices.length / 2
  await createAll(controlPlane, before.virtualServices.slice(half))
  // The API server knows ages to the second.
  await pause(1100)
  await createAll(controlPlane, before.virtualServices.slice(0, half))
  const istiod = await startWatchingIstiod(controlPlane)
  t.teardown(() => istiod.stop())
  return before
}

async function finished(controlPlane: ControlPlane, before: Population): Promise<void> {
  let left: string[] = []
  const isFinished = async () => {
    left = await leftToDo(controlPlane, before)
    return left.length === 0
  }
  await until('everything to be in ambient', isFinished).catch(error => {
    throw new Error(`left to do: ${left.join(', ')}`, { cause: error })
  })
}

/** API priority and fairness with one share of about 250 for sidestep, and no queue. */
async function leaveLittleRoom(controlPlane: ControlPlane): Promise<void> {
  const apiVersion = 'flowcontrol.apiserver.k8s.io/v1'
  const metadata = { name: 'little-room' }
  const { username } = users.sidestep
  const [, , namespace, name] = username.split(':')
  const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }
  await controlPlane.apply([
    {
      apiVersion,
      kind: 'PriorityLevelConfiguration',
      metadata,
      spec: {
        type: 'Limited',
        limited: {
          nominalConcurrencyShares: 1,
          lendablePercent: 0,
          borrowingLimitPercent: 0,
          limitResponse: { type: 'Reject' },
        },
      },
    },
    {
      apiVersion,
      kind: 'FlowSchema',
      metadata,
      spec: {
        matchingPrecedence: 100,
        priorityLevelConfiguration: metadata,
        rules: [
          {
            subjects: [{ kind: 'ServiceAccount', serviceAccount: { namespace, name } }],
            resourceRules: [{ ...everything, clusterScope: true, namespaces: ['*'] }],
          },
        ],
      },
    },
  ])
  const ask = () => controlPlane.request('GET', '/api/v1/namespaces', { user: 'sidestep' })
  await until('the limit to be in effect', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, ask))
    return answers.some(({ status }) => status === 429)
  })
}
