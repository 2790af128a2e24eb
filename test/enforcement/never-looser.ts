// Ambient never allows what sidecars denied: at the end of a migration, and after every single write on the way. What it
// denies beyond that is announced. The files never-looser-*.test.ts each take a share of the runs.
//   SIDESTEP_SEED=1 npm run test:enforcement
//   SIDESTEP_WITHOUT=dryRun,directCallers,late leaves these out of the sets, to look past what is known.
//   SIDESTEP_FOCUS=refusals takes only ways that are rare and hard: generate-ways.ts.
//   SIDESTEP_PATH repeats one failure, as it was told; then nothing else runs. SIDESTEP_SHRINK=no tells the first as it is.
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { translate } from '../../src/translate/index.ts'
import { type Difference, looser, worldBefore } from './compare.ts'
import { describeDifference, describeObjects } from './describe.ts'
import { type EndState, endStateOf, type Source } from './end-state.ts'
import { type Case, cases } from './generate.ts'
import { type Way, ways } from './generate-ways.ts'
import type { Landscape } from './landscape.ts'
import { worldIn } from './live-cluster.ts'
import { lost } from './losses.ts'
import { decideInAmbient } from './model.ts'
import type { Request } from './request.ts'
import { requestsOf } from './requests.ts'
import { follow, type Outcome, openAtEnd } from './steps.ts'
import { keyOf, type World } from './world.ts'

const shares = 2

/** A share in CI, and a smaller one for people; `npm run test:enforcement` takes 20,000. */
export const runs = Number(process.env.SIDESTEP_RUNS ?? (process.env.CI ? 2000 : 100))
// The same every time, so that a change is told apart from luck; `npm run test:enforcement` looks further.
const asked = process.env.SIDESTEP_SEED ?? '1'
const firstSeed = asked === 'random' ? Date.now() % 2 ** 31 : Number(asked)

/** One share of the runs, with a seed of its own. */
export function neverLooser(share: number): void {
  t.setTimeout(0)
  let losing = 0
  t.test('at the end, ambient allows nothing that sidecars deny', async t => {
    assertHolds(t, `${share}/ends`, cases, given => {
      const end = ended(given)
      opensNothing(given, end)
      if (lossesOf(end).length > 0) losing += 1
    })
  })

  t.test('at the end, ambient denies what sidecars allow only as announced', async t => {
    // The same sets in the same order: only if one was seen to lose, the smallest is looked for.
    if (losing > 0 || process.env.SIDESTEP_PATH) assertHolds(t, `${share}/losses`, cases, given => losesNothing(given))
    t.equal(losing, 0, 'no set among those')
  })

  t.test('no write on the way opens what sidecars deny, and every way leads to the same end', async t => {
    let compared = 0
    const failed = assertHolds(t, `${share}/ways`, ways, way => {
      if (holdsOnTheWay(way)) compared += 1
    })
    // A property about nothing holds too.
    if (!failed) t.ok(compared > runs / shares / 2, `${compared} ways were followed to an end that can be compared`)
  })
}

export function opensNothing(given: Case, { end, before, requests } = ended(given)): void {
  const opened = looser([before], end.world, requests, given.landscape.settings)
  refute('ambient allows what sidecars deny', opened, given, end)
}

export function losesNothing(given: Case, ends = ended(given)): void {
  refute('ambient denies what sidecars allow', lossesOf(ends), given, ends.end)
}

interface Ends {
  end: EndState
  before: World
  requests: Request[]
}

function ended(given: Case): Ends {
  const end = endStateOf(given)
  const before = worldBefore(end.world, end.sources, given.landscape)
  return { end, before, requests: requestsOf(given.https, given.landscape) }
}

function lossesOf({ end, before, requests }: Ends): Difference[] {
  return lost(before, end.world, end, requests)
}

/** Follows a way. Where sidestep refuses at the end what is in the cluster by then, nothing can be said of that end. */
export function holdsOnTheWay({ given, choices, ...way }: Way): boolean {
  const { landscape, https } = given
  const assumed = endStateOf(given)
  const requests = requestsOf(https.slice(0, 1), landscape)
  const chosen = choices.values()
  const choose = (options: number) => (chosen.next().value ?? 0) % options
  const outcome = follow({ ...way, landscape, translate, sources: assumed.sources }, requests, choose)
  const here = { sources: outcome.sources, objects: [...outcome.cluster.objects.values()] }
  refute(`opened by the last of:\n  ${outcome.writes.join('\n  ')}`, outcome.opened, given, here)
  refute(`denied by a sidecar at rest, after:\n  ${outcome.writes.join('\n  ')}`, outcome.lost, given, here)
  const end = isAsGiven(outcome, assumed, landscape) ? assumed : endReached(outcome, landscape)
  if (end !== assumed && end.refused.length > 0) return false
  const all = `after all of:\n  ${outcome.writes.join('\n  ')}\n`
  refute(`${all}this is still open`, openAtEnd(outcome, landscape, requests), given, here)
  const world = worldIn(outcome.cluster)
  const differs = requests
    .filter(({ to }) => !('service' in to) || world.services.has(to.service))
    .map(request => ({
      request,
      sidecars: decideInAmbient(end.world, request),
      ambient: decideInAmbient(world, request),
    }))
    .filter(({ sidecars, ambient }) => sidecars.allowed !== ambient.allowed)
  refute(`${all}the fixed point (ambient) differs from the assumed end (sidecars)`, differs, given, here)
  return true
}

function isAsGiven({ cluster, sources }: Outcome, assumed: EndState, { services }: Landscape): boolean {
  const isThere = services.every(service => cluster.objects.has(`Service ${keyOf(service)}`))
  return isThere && sources.length === assumed.sources.length && sources.every(it => assumed.sources.includes(it))
}

/** The assumed end state of what people have written by the end. */
function endReached({ cluster, sources }: Outcome, landscape: Landscape): EndState {
  return endStateOf({
    landscape: { ...landscape, services: landscape.services.filter(it => cluster.objects.has(`Service ${keyOf(it)}`)) },
    policies: sources.filter(source => source.kind === 'AuthorizationPolicy'),
    requestAuthentications: sources.filter(source => source.kind === 'RequestAuthentication'),
  })
}

/** Throws what the first difference is, between what was written and what is there now. */
function refute(
  verdict: string,
  [difference]: Difference[],
  { landscape }: Case,
  { sources, objects }: Pick<EndState, 'objects'> & { sources: Source[] },
): void {
  if (!difference) return
  const { ingress, ingressPort, settings } = landscape
  const facts = `ingress ${ingress} ${ingressPort}, trust domain ${settings.trustDomain}`
  const rules = JSON.stringify(settings.namespaces.map(({ waypoint }) => waypoint))
  const written = `${facts}\n${rules}\n${describeObjects(sources)}`
  throw new Error([verdict, describeDifference(difference), written, 'now:', describeObjects(objects)].join('\n'))
}

/** Like fc.assert, but the counterexample is told as YAML instead of in one line of JSON. Returns whether there is one. */
function assertHolds<T>(t: Test, name: string, arbitrary: fc.Arbitrary<T>, holds: (value: T) => void): boolean {
  const [share = 1] = name.split('/').map(Number)
  const numRuns = Math.ceil(runs / shares)
  const seed = firstSeed + share * 1_000_003
  const wanted = process.env.SIDESTEP_PATH
  if (wanted && !wanted.startsWith(`${name}/`)) return true
  const path = wanted?.slice(name.length + 1) ?? ''
  const property = fc.property(arbitrary, holds)
  const { failed, errorInstance, counterexamplePath } = fc.check(property, {
    numRuns,
    seed,
    path,
    endOnFailure: process.env.SIDESTEP_SHRINK === 'no',
  })
  const repeat = failed ? ` SIDESTEP_PATH=${name}/${counterexamplePath}` : ''
  t.comment(`${numRuns} sets with SIDESTEP_SEED=${firstSeed}${repeat}`)
  if (failed) t.comment(errorInstance instanceof Error ? errorInstance.message : errorInstance)
  t.notOk(failed, 'no counterexample')
  return failed
}
