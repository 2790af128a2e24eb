// A Namespace over time: each step is what is stored after an admission, and what its owner then writes.
import fc from 'fast-check'
import t from 'tap'
import type { KubernetesObject, Namespace } from '../../../src/apis/core.ts'
import { canonicalJson } from '../../../src/translate/canonical.ts'
import { translate } from '../../../src/translate/index.ts'
import { profiles } from '../../../src/translate/profiles.ts'
import { snapshotOf } from '../../../src/translate/snapshot.ts'

type Labels = Record<string, string | undefined>

const profile = { 'app.kubernetes.io/part-of': 'kubeflow-profile' }
const injected = { ...profile, 'istio-injection': 'enabled' }
const captured = { ...profile, 'istio.io/dataplane-mode': 'ambient' }
const served = { ...captured, 'istio.io/use-waypoint': 'waypoint', 'istio.io/ingress-use-waypoint': 'true' }

const waypoint = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'waypoint', namespace: 'team-a' },
  spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  status: { addresses: [{ value: '10.0.0.9' }], conditions: [{ type: 'Programmed', status: 'True' }] },
} as KubernetesObject
const withSidecar = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web-0', namespace: 'team-a', annotations: { 'sidecar.istio.io/status': '{}' } },
} as KubernetesObject

/** A cluster with one Namespace, whose admissions are answered as the webhook does. */
function start(labels: Labels, pods: KubernetesObject[] = []) {
  let stored = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a', labels } } as Namespace
  const admit = (object: Namespace) => {
    const cluster = snapshotOf([waypoint, stored, ...pods], 'observed')
    const { object: admitted, warnings } = translate(object, cluster, profiles.kubeflow)
    stored = admitted
    return { labels: stored.metadata.labels, codes: warnings.map(({ code }) => code) }
  }
  const changed = (changes: Labels) => {
    const merged = Object.entries({ ...stored.metadata.labels, ...changes }).filter(([, value]) => value !== undefined)
    return { ...stored, metadata: { ...stored.metadata, labels: Object.fromEntries(merged) as Record<string, string> } }
  }
  return {
    /** `kubectl label`, or an empty patch. */
    label: (changes: Labels = {}) => admit(changed(changes)),
    /** A controller that writes the whole object again, and knows of no annotation. */
    put: (all: Record<string, string>) =>
      admit({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a', labels: all } }),
    restart: () => void pods.splice(0),
    run: (pod: KubernetesObject) => void pods.push(pod),
  }
}

t.test('from sidecars to the waypoint, without a moment in which nobody checks', async t => {
  const team = start(injected, [withSidecar])
  t.strictSame(team.label().labels, injected, 'new pods still get sidecars')
  const off = team.label({ 'istio-injection': undefined })
  t.strictSame(off.labels, captured, 'pods without a sidecar are captured as soon as there may be any')
  t.strictSame(off.codes, ['NS-SIDECARS-RUNNING'])
  t.strictSame(team.put(injected).labels, captured, 'a controller that writes injection again changes nothing')
  t.strictSame(team.label().labels, captured)
  team.restart()
  t.strictSame(team.label().labels, served, 'the waypoint comes when the last sidecar is gone')
  team.run(withSidecar)
  t.strictSame(team.label().labels, served, 'and stays when a pod turns up with one')
  t.strictSame(team.put(injected).labels, served)
})

t.test('the steps of the official guide, by hand', async t => {
  const team = start(injected, [withSidecar])
  const both = { ...injected, 'istio.io/dataplane-mode': 'ambient' }
  const step = team.label({ 'istio.io/dataplane-mode': 'ambient' })
  t.strictSame(step.labels, both, 'both labels stay while sidecars run')
  t.match(step.codes, ['NS-INJECTION-BOTH', 'NS-SIDECARS-RUNNING'])
  t.strictSame(team.label({ 'istio-injection': undefined }).labels, captured)
  team.restart()
  t.strictSame(team.label().labels, served)
})

t.test('out of ambient by label and back again', async t => {
  const team = start(injected)
  t.strictSame(team.label().labels, served)
  const out = team.label({ 'istio.io/dataplane-mode': 'none' })
  t.strictSame(out.labels, { ...injected, 'istio.io/dataplane-mode': 'none' }, 'what was taken off comes back')
  t.strictSame(out.codes, ['NS-DATAPLANE-MODE-NONE', 'NS-DATAPLANE-MODE-LEFT'])
  t.strictSame(team.label().codes, ['NS-DATAPLANE-MODE-NONE'], 'said once')
  team.run(withSidecar)
  t.strictSame(team.label({ 'istio.io/dataplane-mode': undefined }).labels, injected, 'back, with sidecars by now')
  team.restart()
  t.strictSame(team.label().labels, served)
})

t.test('sidestep switched off and on again', async t => {
  const team = start(injected)
  team.label()
  const off = { ...served, 'sidestep.dev/mode': 'off' }
  t.strictSame(team.label({ 'sidestep.dev/mode': 'off' }).labels, off, 'off leaves it as it is')
  t.strictSame(team.label({ 'sidestep.dev/mode': undefined }).labels, served)
  t.strictSame(
    team.label({ 'istio.io/dataplane-mode': 'none' }).labels?.['istio-injection'],
    'enabled',
    'nothing is lost',
  )
})

t.test('a Namespace that is being created is admitted by the labels that it will have', async t => {
  const selector = { matchLabels: { 'app.kubernetes.io/part-of': 'kubeflow-profile' } }
  const listener = {
    name: 'mesh',
    port: 15008,
    protocol: 'HBONE',
    allowedRoutes: { namespaces: { from: 'Selector', selector } },
  }
  const selecting = { ...waypoint, spec: { gatewayClassName: 'istio-waypoint', listeners: [listener] } }
  const created = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a', labels: injected } } as Namespace
  const { object } = translate(created, snapshotOf([selecting as KubernetesObject], 'observed'), profiles.kubeflow)
  t.strictSame(object.metadata.labels, served)
})

const values: Record<string, string[]> = {
  'app.kubernetes.io/part-of': ['kubeflow-profile'],
  'istio-injection': ['enabled', 'disabled'],
  'istio.io/rev': ['canary'],
  'istio.io/dataplane-mode': ['ambient', 'none'],
  'istio.io/use-waypoint': ['waypoint', 'none', 'other'],
  'istio.io/use-waypoint-namespace': ['team-a', 'mesh'],
  'istio.io/ingress-use-waypoint': ['true', 'false'],
}
const someLabels = fc.record(
  Object.fromEntries(Object.entries(values).map(([label, all]) => [label, fc.constantFrom(...all)])),
  { requiredKeys: [], noNullPrototype: true },
) as fc.Arbitrary<Record<string, string>>

t.test('whatever its labels, a Namespace that is stored is stored once', async () => {
  const others = fc.subarray([waypoint, withSidecar])
  fc.assert(
    fc.property(someLabels, someLabels, others, fc.boolean(), (labels, changed, others, isAssumed) => {
      let stored = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a', labels } } as Namespace
      const admit = (object: Namespace) =>
        translate(object, snapshotOf([...others, stored], isAssumed ? 'assumed' : 'observed'), profiles.kubeflow).object
      stored = admit(stored)
      // What its owner writes next meets what is stored: half of it may be ours.
      stored = admit({ ...stored, metadata: { ...stored.metadata, labels: { ...stored.metadata.labels, ...changed } } })
      const again = admit(stored)
      if (canonicalJson(again) !== canonicalJson(stored)) throw new Error(`${canonicalJson(again)}`)
    }),
    { numRuns: 3000 },
  )
})

t.test("with the owner's word a controller may go on writing injection, and nothing changes", async t => {
  const annotations = { 'sidestep.dev/cut-over': 'true' }
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a', labels: injected, annotations } }
  const admit = (object: Namespace, stored: KubernetesObject) =>
    translate(object, snapshotOf([waypoint, stored, withSidecar], 'observed'), profiles.kubeflow).object
  const first = admit(namespace as Namespace, namespace)
  t.strictSame(first.metadata.labels, captured, 'ambient at once, while sidecars run')
  const again = { ...first, metadata: { ...first.metadata, labels: { ...first.metadata.labels, ...injected } } }
  t.strictSame(admit(again, first), first, 'injection that is written again is taken off again')
  const { annotations: _, ...metadata } = namespace.metadata
  const without = { ...namespace, metadata } as Namespace
  t.strictSame(admit(without, first).metadata.labels, captured, 'what is cut over stays so without the annotation')
  t.strictSame(admit(without, without).metadata.labels, injected, 'and without it nothing is')
})
