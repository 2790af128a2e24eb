// What holds for every object, not only for those that somebody thought of.
import fc from 'fast-check'
import jsonpatch from 'fast-json-patch'
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { authorizationPolicyFates } from '../../src/translate/authorization-policy/fates.ts'
import { canonicalJson } from '../../src/translate/canonical.ts'
import type { Table } from '../../src/translate/fate.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { requestAuthenticationFates } from '../../src/translate/request-authentication/fates.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import { virtualServiceFates } from '../../src/translate/virtual-service/fates.ts'
import { garbage, specOf, surroundings } from './arbitraries.ts'
import { readFixtures } from './fixtures.ts'

const numRuns = Number(process.env.SIDESTEP_RUNS ?? 2000)
const seed = Number(process.env.SIDESTEP_SEED ?? 20261121)
t.comment(`seed ${seed}, ${numRuns} runs; SIDESTEP_SEED and SIDESTEP_RUNS change them`)

const kinds: [apiVersion: string, kind: string, fates: Table][] = [
  ['networking.istio.io/v1', 'VirtualService', virtualServiceFates],
  ['security.istio.io/v1', 'AuthorizationPolicy', authorizationPolicyFates],
  ['security.istio.io/v1', 'RequestAuthentication', requestAuthenticationFates],
]

const metadata = fc.record({
  name: fc.constantFrom('app', 'policy'),
  namespace: fc.constantFrom('team-a', 'kubeflow', 'istio-system', 'legacy'),
})

/** Objects of a kind with any of their fields set, to values that mean something often enough. */
function objectOf(apiVersion: string, kind: string, fates: Table): fc.Arbitrary<KubernetesObject> {
  return fc.record({ apiVersion: fc.constant(apiVersion), kind: fc.constant(kind), metadata, spec: specOf(fates) })
}

const namespaces = fc.record({
  apiVersion: fc.constant('v1'),
  kind: fc.constant('Namespace'),
  metadata: fc.record({
    name: fc.constantFrom('team-a', 'kubeflow', 'istio-system', 'legacy'),
    labels: fc.dictionary(
      fc.constantFrom(
        'istio-injection',
        'istio.io/rev',
        'istio.io/dataplane-mode',
        'istio.io/use-waypoint',
        'app.kubernetes.io/part-of',
      ),
      fc.constantFrom('enabled', 'disabled', 'ambient', 'none', 'waypoint', 'kubeflow-profile'),
    ),
  }),
})

const objects: fc.Arbitrary<KubernetesObject> = fc.oneof(
  namespaces,
  ...kinds.map(([apiVersion, kind, fates]) => objectOf(apiVersion, kind, fates)),
)

const snapshots = fc.constantFrom('observed' as const, 'assumed' as const)

t.test('translating twice equals once, and equal input gives equal output', async () => {
  fc.assert(
    fc.property(objects, surroundings, snapshots, (object, others, statuses) => {
      const cluster = snapshotOf([...others, object], statuses)
      const once = translate(object, cluster, profiles.kubeflow)
      const again = translate(structuredClone(object), snapshotOf([...others, object], statuses), profiles.kubeflow)
      if (canonicalJson(again) !== canonicalJson(once)) throw new Error('equal input, other output')
      // The second time it comes from storage, as the API server stored it the first time.
      const stored = JSON.parse(JSON.stringify(once.object))
      const twice = translate(stored, snapshotOf([...others, stored], statuses), profiles.kubeflow)
      if (canonicalJson(twice) !== canonicalJson(once))
        throw new Error(`${canonicalJson(once)}\n${canonicalJson(twice)}`)
    }),
    { numRuns, seed },
  )
})

t.test('a fixture translated twice equals once', async t => {
  for (const { name, input, cluster, settings } of readFixtures()) {
    for (const object of input) {
      const once = translate(object, cluster, settings)
      const twice = translate(once.object, cluster, settings)
      t.equal(canonicalJson(twice.object), canonicalJson(once.object), name)
      t.equal(canonicalJson(twice.companions), canonicalJson(once.companions), name)
    }
  }
})

t.test('the patch applied to the input gives the object', async () => {
  fc.assert(
    fc.property(objects, surroundings, (object, others) => {
      const { object: wanted } = translate(object, snapshotOf([...others, object]), profiles.kubeflow)
      const patch = jsonpatch.compare(object, wanted)
      const { newDocument } = jsonpatch.applyPatch(structuredClone(object), patch, true, false)
      if (canonicalJson(newDocument) !== canonicalJson(wanted)) throw new Error(JSON.stringify(patch))
    }),
    { numRuns, seed },
  )
})

t.test('the arguments are never changed', async () => {
  fc.assert(
    fc.property(objects, surroundings, (object, others) => {
      const before = canonicalJson([object, others])
      translate(object, snapshotOf([...others, object]), profiles.kubeflow)
      if (canonicalJson([object, others]) !== before) throw new Error('changed')
    }),
    { numRuns, seed },
  )
})

t.test('no object whatever makes it throw', async () => {
  const anything = fc.oneof(
    ...kinds.map(([apiVersion, kind]) =>
      garbage.map(spec => ({ apiVersion, kind, metadata: { name: 'x', namespace: 'team-a' }, spec })),
    ),
    fc.record({
      apiVersion: fc.constant('v1'),
      kind: fc.constant('Namespace'),
      metadata: fc.record({ name: fc.constant('team-a'), labels: garbage, annotations: garbage }),
    }),
    fc.record({
      apiVersion: fc.constant('security.istio.io/v1'),
      kind: fc.constant('AuthorizationPolicy'),
      metadata: fc.record({
        name: garbage,
        namespace: garbage,
        labels: garbage,
        annotations: garbage,
        ownerReferences: garbage,
        managedFields: garbage,
      }),
      spec: specOf(authorizationPolicyFates),
    }),
    fc.record({
      apiVersion: fc.constant('networking.istio.io/v1'),
      kind: fc.constant('VirtualService'),
      metadata: fc.record({
        name: garbage,
        namespace: garbage,
        labels: garbage,
        annotations: garbage,
        ownerReferences: garbage,
      }),
      spec: specOf(virtualServiceFates),
    }),
  ) as fc.Arbitrary<KubernetesObject>
  fc.assert(
    fc.property(anything, garbage, (object, neighbour) => {
      const others = [
        { apiVersion: 'v1', kind: 'Service', metadata: { name: 'app', namespace: 'team-a' }, spec: neighbour },
      ]
      translate(object, snapshotOf([...others, object]), profiles.kubeflow)
    }),
    { numRuns, seed },
  )
})
