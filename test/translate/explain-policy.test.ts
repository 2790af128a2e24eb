// What holds for the explanation of every policy: it agrees with what translate() does.
import fc from 'fast-check'
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { authorizationPolicyFates } from '../../src/translate/authorization-policy/fates.ts'
import { canonicalJson } from '../../src/translate/canonical.ts'
import { explainPolicy } from '../../src/translate/explain-policy/index.ts'
import { translate } from '../../src/translate/index.ts'
import type { Policy } from '../../src/translate/policy/targets.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { requestAuthenticationFates } from '../../src/translate/request-authentication/fates.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { type ClusterSnapshot, snapshotOf } from '../../src/translate/snapshot.ts'
import { garbage, specOf, surroundings } from './arbitraries.ts'
import { readFixtures } from './fixtures.ts'

const numRuns = Number(process.env.SIDESTEP_RUNS ?? 500)
const seed = Number(process.env.SIDESTEP_SEED ?? 20261121)

/** Explains a policy, and throws where translate() would not agree. */
function check(object: Policy, cluster: ClusterSnapshot, settings: Settings) {
  const before = canonicalJson(object)
  const explanation = explainPolicy(object, cluster, settings)
  const { outcome, steps, companions, enforcement } = explanation
  const translation = translate(object, cluster, settings)
  const demand = (holds: boolean, what: string) => {
    if (!holds) throw new Error(`${what}: ${JSON.stringify(explanation)}`)
  }
  demand(canonicalJson(object) === before, 'the input is not changed')
  demand((outcome === 'denied') === (translation.denial !== undefined), 'denied when translate() denies')
  demand((outcome === 'unchanged') === (explanation.why !== undefined), 'what is left alone has a reason')
  demand(
    steps.every(({ what }) => !/ $|undefined/.test(what)),
    'every step says what it is',
  )
  demand(steps.filter(({ state }) => state === 'next').length <= 1, 'one step is the next')
  demand(
    // Nobody records what an AUDIT or a dry run asks for where no waypoint serves.
    outcome === 'translated' ||
      steps.every(({ state }) => state !== 'next') ||
      enforcement.end.length > 0 ||
      explanation.action === 'AUDIT' ||
      explanation.isDryRun,
    'steps lead to something',
  )
  if (outcome !== 'translated' || steps.length === 0) return explanation
  const isOver = steps.every(({ state }) => state === 'done' || state === 'unreported')
  // The singular targetRef is no step: the next admission writes it as a list.
  if (isOver && cluster.statuses === 'observed' && !object.spec?.targetRef) {
    demand(
      canonicalJson(translation.object.spec) === canonicalJson(object.spec),
      'after the last step nothing is written',
    )
    demand(
      companions.every(({ state }) => state === 'in place'),
      'and nothing is to be kept',
    )
  }
  return explanation
}

const metadata = fc.record({
  name: fc.constantFrom('app', 'policy'),
  namespace: fc.constantFrom('team-a', 'kubeflow', 'istio-system', 'legacy'),
})
const policies = fc.constantFrom(
  ['AuthorizationPolicy', authorizationPolicyFates] as const,
  ['RequestAuthentication', requestAuthenticationFates] as const,
)
const policy = policies.chain(([kind, fates]) =>
  fc.record({
    apiVersion: fc.constant('security.istio.io/v1'),
    kind: fc.constant(kind),
    metadata,
    spec: fc.oneof({ weight: 9, arbitrary: specOf(fates) }, garbage),
  }),
) as fc.Arbitrary<Policy>

t.test('any policy, in files and in a cluster', async () => {
  fc.assert(
    fc.property(policy, surroundings, fc.constantFrom('assumed', 'observed'), (object, others, statuses) => {
      check(object, snapshotOf([...others, object], statuses), profiles.kubeflow)
    }),
    { numRuns, seed },
  )
})

t.test('every fixture, as it comes and once all of it is stored', async t => {
  const states = new Set<string>()
  for (const { input, cluster, settings, name } of readFixtures()) {
    for (const object of input.filter(isPolicy)) {
      for (const statuses of ['assumed', 'observed'] as const) {
        const { steps, outcome } = check(object, { ...cluster, statuses }, settings)
        states.add(outcome)
        for (const { state } of steps) states.add(state)
        if (statuses === 'assumed' && !steps.some(({ what }) => what.endsWith(' alone')))
          t.notOk(
            steps.some(({ state }) => state === 'next'),
            `${name}: in the end state every step is done`,
          )
      }
    }
  }
  t.strictSame([...states].sort(), ['denied', 'done', 'later', 'next', 'translated', 'unchanged', 'unreported'])
})

function isPolicy(object: KubernetesObject): object is Policy {
  return object.kind === 'AuthorizationPolicy' || object.kind === 'RequestAuthentication'
}
