// What holds for every object, not only for those that somebody thought of.
import fc from 'fast-check'
import jsonpatch from 'fast-json-patch'
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { authorizationPolicyFates } from '../../src/translate/authorization-policy/fates.ts'
import { canonicalJson } from '../../src/translate/canonical.ts'
import { destinationRuleShape } from '../../src/translate/destination-rule/index.ts'
import { envoyFilterShape } from '../../src/translate/envoy-filter/index.ts'
import type { Table } from '../../src/translate/fate.ts'
import { gatewayFates } from '../../src/translate/gateway/fates.ts'
import { isExamined, translate } from '../../src/translate/index.ts'
import { peerAuthenticationFates } from '../../src/translate/peer-authentication/fates.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { proxyConfigFates } from '../../src/translate/proxy-config/fates.ts'
import { requestAuthenticationFates } from '../../src/translate/request-authentication/fates.ts'
import { serviceEntryShape } from '../../src/translate/service-entry/index.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { networkPolicySpec, read } from '../../src/translate/shapes.ts'
import { sidecarFates } from '../../src/translate/sidecar/fates.ts'
import { type ClusterSnapshot, snapshotOf } from '../../src/translate/snapshot.ts'
import { telemetryShape } from '../../src/translate/telemetry/index.ts'
import { virtualServiceFates } from '../../src/translate/virtual-service/fates.ts'
import { wasmPluginShape } from '../../src/translate/wasm-plugin/index.ts'
import { podShape } from '../../src/translate/workload/shape.ts'
import { workloadEntryShape } from '../../src/translate/workload-entry/index.ts'
import { garbage, peerAuthentications, servers, specOf, surroundings } from './arbitraries.ts'
import { readFixtures } from './fixtures.ts'

const numRuns = Number(process.env.SIDESTEP_RUNS ?? (process.env.CI ? 2000 : 300))
const seed = Number(process.env.SIDESTEP_SEED ?? 20261121)
t.comment(`seed ${seed}, ${numRuns} runs; SIDESTEP_SEED and SIDESTEP_RUNS change them`)

const kinds: [apiVersion: string, kind: string, fates: Table][] = [
  ['networking.istio.io/v1', 'VirtualService', virtualServiceFates],
  ['security.istio.io/v1', 'AuthorizationPolicy', authorizationPolicyFates],
  ['security.istio.io/v1', 'RequestAuthentication', requestAuthenticationFates],
  ['security.istio.io/v1', 'PeerAuthentication', peerAuthenticationFates],
  ['networking.istio.io/v1', 'Gateway', gatewayFates],
  ['networking.istio.io/v1beta1', 'ProxyConfig', proxyConfigFates],
  ['networking.istio.io/v1', 'Sidecar', sidecarFates],
  ['networking.istio.io/v1', 'DestinationRule', destinationRuleShape],
  ['networking.istio.io/v1alpha3', 'EnvoyFilter', envoyFilterShape],
  ['extensions.istio.io/v1alpha1', 'WasmPlugin', wasmPluginShape],
  ['extensions.istio.io/v1alpha1', 'TrafficExtension', wasmPluginShape],
  ['telemetry.istio.io/v1', 'Telemetry', telemetryShape],
  ['networking.istio.io/v1', 'ServiceEntry', serviceEntryShape],
  ['networking.istio.io/v1', 'WorkloadEntry', workloadEntryShape],
  ['networking.istio.io/v1', 'WorkloadGroup', workloadEntryShape],
  ['apps/v1', 'Deployment', read({ template: podShape })],
  ['networking.k8s.io/v1', 'NetworkPolicy', networkPolicySpec],
]

/** Kubeflow's, with a Kubernetes Gateway that sidestep keeps, so that Istio Gateways are translated too. */
const settings: Settings = {
  ...profiles.kubeflow,
  gateways: profiles.kubeflow.gateways.map(mapping => ({
    ...mapping,
    istioGateways: [...mapping.istioGateways, 'kubeflow/app', 'istio-system/app'],
    create: true,
  })),
}

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

const istioGateways: fc.Arbitrary<istio.Gateway> = servers.map(servers => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'Gateway',
  metadata: { name: 'app', namespace: 'kubeflow' },
  spec: { selector: { istio: 'ingressgateway' }, servers },
}))

const objects: fc.Arbitrary<KubernetesObject> = fc.oneof(
  namespaces,
  istioGateways,
  peerAuthentications,
  ...kinds.map(([apiVersion, kind, fates]) => objectOf(apiVersion, kind, fates)),
)

const snapshots = fc.constantFrom('observed' as const, 'assumed' as const)

t.test('translating twice equals once, and equal input gives equal output', async () => {
  fc.assert(
    fc.property(objects, surroundings, snapshots, (object, others, statuses) => {
      const cluster = snapshotOf([...others, object], statuses)
      const once = translate(object, cluster, settings)
      const again = translate(structuredClone(object), snapshotOf([...others, object], statuses), settings)
      if (canonicalJson(again) !== canonicalJson(once)) throw new Error('equal input, other output')
      // The second time it comes from storage, as the API server stored it the first time.
      const stored = JSON.parse(JSON.stringify(once.object))
      const twice = translate(stored, snapshotOf([...others, stored], statuses), settings)
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

t.test('what refuses is on targets in its first admission, and waits for its guard once it is stored', async t => {
  for (const name of ['step-deny-lost', 'step-custom-lost']) {
    const fixture = readFixtures().find(each => each.name === `authorization-policy/${name}`)
    const [policy] = fixture?.input ?? []
    if (!fixture || !policy) throw new Error(name)
    const isOnTargets = (cluster: ClusterSnapshot) =>
      'targetRefs' in (translate(policy, cluster, settings).object as istio.AuthorizationPolicy).spec
    t.ok(isOnTargets({ ...fixture.cluster, authorizationPolicies: new Map() }), `${name}, new`)
    t.notOk(isOnTargets(fixture.cluster), `${name}, stored`)
  }
})

t.test('the patch applied to the input gives the object', async () => {
  fc.assert(
    fc.property(objects, surroundings, (object, others) => {
      const { object: wanted } = translate(object, snapshotOf([...others, object]), settings)
      const patch = jsonpatch.compare(object, wanted)
      const { newDocument } = jsonpatch.applyPatch(structuredClone(object), patch, true, false)
      if (canonicalJson(newDocument) !== canonicalJson(wanted)) throw new Error(JSON.stringify(patch))
    }),
    { numRuns, seed },
  )
})

t.test('an Istio Gateway is never changed or refused, and becomes all of its listeners or none', async t => {
  let kept = 0
  fc.assert(
    fc.property(istioGateways, surroundings, (object, others) => {
      const { object: stored, companions, denial } = translate(object, snapshotOf([...others, object]), settings)
      if (stored !== object || denial) throw new Error('changed or refused')
      const servers = object.spec.servers ?? []
      const reordered = { ...object, spec: { ...object.spec, servers: servers.toReversed() } }
      const again = translate(reordered, snapshotOf(others), settings)
      if (canonicalJson(again.companions) !== canonicalJson(companions)) throw new Error('the order of servers matters')
      if (companions.length === 0) return
      kept++
      const [{ spec }] = companions as [gateway.Gateway]
      for (const { port, hosts = [], tls } of servers) {
        for (const host of hosts) {
          const name = host.split('/').at(-1)?.toLowerCase()
          const listener = spec.listeners.find(
            ({ port: number, hostname = '*', protocol }) =>
              number === port?.number && (hostname === name || protocol === 'TCP'),
          )
          if (!listener) throw new Error(`no listener for ${host}`)
          // An open door: the server asks for client certificates, and the listener does not.
          const mode = listener.tls?.options?.['gateway.istio.io/tls-terminate-mode']
          if (tls?.mode === 'MUTUAL' && mode !== 'MUTUAL') throw new Error(`${host} asks for no certificate`)
        }
      }
    }),
    { numRuns, seed },
  )
  t.ok(kept > numRuns / 20, `${kept} Gateways are kept`)
})

t.test('the arguments are never changed', async () => {
  fc.assert(
    fc.property(objects, surroundings, (object, others) => {
      const before = canonicalJson([object, others])
      translate(object, snapshotOf([...others, object]), settings)
      if (canonicalJson([object, others]) !== before) throw new Error('changed')
    }),
    { numRuns, seed },
  )
})

t.test('no object whatever makes it throw', async () => {
  const anything = fc.oneof(
    ...kinds.map(([apiVersion, kind]) =>
      garbage.map(spec => ({ apiVersion, kind, metadata: { name: 'app', namespace: 'kubeflow' }, spec })),
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
      translate(object, snapshotOf([...others, object]), settings)
    }),
    { numRuns, seed },
  )
})

t.test('what is only examined stays as it is, with its findings and nothing beside it', async t => {
  const examined = fc.oneof(
    ...kinds
      .filter(([apiVersion, kind]) => isExamined({ apiVersion, kind, metadata: {} }))
      .map(([apiVersion, kind, fates]) => objectOf(apiVersion, kind, fates)),
  )
  const codes = new Set<string>()
  fc.assert(
    fc.property(examined, surroundings, snapshots, (object, others, statuses) => {
      const { companions, warnings, denial, ...result } = translate(
        object,
        snapshotOf([...others, object], statuses),
        settings,
      )
      for (const { code } of [...warnings, ...(denial?.reasons ?? [])]) codes.add(code)
      return result.object === object && companions.length === 0
    }),
    { numRuns, seed },
  )
  t.ok(codes.size > 10, [...codes].sort().join())
})
