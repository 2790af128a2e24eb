// Ambient never allows what sidecars denied: at the end of a migration, and after every single write on the way.
// SIDESTEP_RUNS is the number of sets, SIDESTEP_SEED repeats a run, SIDESTEP_PATH repeats one failure of it.
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type Difference, looser, lost, worldBefore } from './compare.ts'
import { describeDifference, describeObjects } from './describe.ts'
import { type EndState, endStateOf } from './end-state.ts'
import { type Case, cases } from './generate.ts'
import { worldIn } from './live-cluster.ts'
import { decideInAmbient } from './model.ts'
import { requestsOf } from './requests.ts'
import { follow } from './steps.ts'

const runs = Number(process.env.SIDESTEP_RUNS ?? 2000)
const seed = Number(process.env.SIDESTEP_SEED ?? Date.now() % 2 ** 31)

t.test('at the end, ambient allows what sidecars allowed and nothing more', async t => {
  assertHolds(t, cases, runs, given => {
    const end = endStateOf(given)
    const before = worldBefore(end.world, end.sources)
    const requests = requestsOf(given.https, given.landscape)
    refute('ambient allows what sidecars deny', looser(before, end.world, requests), given, end)
    refute('ambient denies what sidecars allow', lost(before, end.world, end.sources, requests), given, end)
  })
})

/** Where a live cluster starts, and what happens when several things can. */
interface Way {
  given: Case
  present: number
  ambient: string[]
  choices: number[]
}

const ways: fc.Arbitrary<Way> = fc.record({
  given: cases,
  present: fc.nat({ max: 8 }),
  ambient: fc.subarray(['team-a', 'team-b', 'kubeflow']),
  choices: fc.array(fc.nat({ max: 1_000_000 }), { maxLength: 100, size: 'max' }),
})

// One way costs as much as ten ends.
t.test('no write on the way opens what sidecars deny, and every way leads to the same end', async t => {
  assertHolds(t, ways, Math.ceil(runs / 10), ({ given, present, ambient, choices }) => {
    const { landscape, https } = given
    const end = endStateOf(given)
    const requests = requestsOf(https.slice(0, 1), landscape)
    const chosen = choices.values()
    const choose = (options: number) => (chosen.next().value ?? 0) % options
    const { cluster, writes, opened } = follow({ sources: end.sources, present, ambient, landscape }, requests, choose)
    const here = { ...end, objects: [...cluster.objects.values()] }
    refute(`opened by the last of:\n  ${writes.join('\n  ')}`, opened, given, here)
    const world = worldIn(cluster)
    const differs = requests
      .map(request => ({
        request,
        sidecars: decideInAmbient(end.world, request),
        ambient: decideInAmbient(world, request),
      }))
      .filter(({ sidecars, ambient }) => sidecars.allowed !== ambient.allowed)
    refute('the fixed point (ambient) differs from the assumed end (sidecars)', differs, given, here)
  })
})

/** Throws what the first difference is, between what was written and what is there now. */
function refute(
  verdict: string,
  [difference]: Difference[],
  { landscape }: Case,
  { sources, objects }: EndState,
): void {
  if (!difference) return
  const { ingress, settings } = landscape
  const written = `ingress ${ingress}, trust domain ${settings.trustDomain}\n${describeObjects(sources)}`
  throw new Error([verdict, describeDifference(difference), written, 'now:', describeObjects(objects)].join('\n'))
}

/** Like fc.assert, but the counterexample is told as YAML instead of in one line of JSON. */
function assertHolds<T>(t: Test, arbitrary: fc.Arbitrary<T>, numRuns: number, holds: (value: T) => void): void {
  const path = process.env.SIDESTEP_PATH ?? ''
  const { failed, errorInstance, counterexamplePath } = fc.check(fc.property(arbitrary, holds), { numRuns, seed, path })
  t.comment(`${numRuns} sets with SIDESTEP_SEED=${seed}${failed ? ` SIDESTEP_PATH=${counterexamplePath}` : ''}`)
  if (failed) t.comment(errorInstance instanceof Error ? errorInstance.message : errorInstance)
  t.notOk(failed, 'no counterexample')
}
