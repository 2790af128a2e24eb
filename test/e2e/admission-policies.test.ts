// What `sidestep generate policies` prints, on a real API server: it denies what translate() denies for these codes, and
// nothing else of all fixtures; and it makes of a new Namespace what translate() makes of it.
import t, { type Test } from 'tap'
import { admissionPolicies } from '../../src/admission-policies/index.ts'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { collectionOf, pathOf } from '../../src/reconciler/paths.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { emptySnapshot, snapshotOf } from '../../src/translate/snapshot.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { readFixtures } from '../translate/fixtures.ts'

const settings = profiles.kubeflow
const kinds = ['VirtualService', 'AuthorizationPolicy', 'PeerAuthentication', 'Namespace']

t.test('what the API server does by itself', async t => {
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  for (const name of ['istio-system', 'kubeflow'])
    await controlPlane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  await install(controlPlane, settings)
  await t.test('denies what the webhook denies', t => denied(t, controlPlane))
  await t.test('lets be what was stored before', t => stored(t, controlPlane))
  await t.test('looks away where the mode says so', t => excepted(t, controlPlane))
  await t.test('captures new Namespaces as the webhook does', t => captured(t, controlPlane))
  await t.test('warns in mode observe, and changes nothing', t => observed(t, controlPlane))
})

async function install(controlPlane: ControlPlane, settings: Settings): Promise<void> {
  await controlPlane.apply(admissionPolicies(settings))
  await controlPlane.apply(versionOfNamespace)
  const anything = { ...configMap('default'), data: { version: 'none' } }
  await until('versions to be told', async () => (await create(controlPlane, anything)).status === 422)
  await until('the policies to be in effect', async () => {
    const { body } = await create(controlPlane, namespace('probe', { 'istio.io/dataplane-mode': 'probe' }))
    return settings.mode === 'observe' || /NS-DATAPLANE-MODE-UNKNOWN/.test(body.message)
  })
}

function create(controlPlane: ControlPlane, body: KubernetesObject) {
  return controlPlane.request('POST', `${collectionOf(body)}?dryRun=All`, { body })
}

function namespace(name: string, labels: Record<string, string> = {}): KubernetesObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

/** The codes that the policies know. */
function codesIn(settings: Settings): string[] {
  const text = JSON.stringify(admissionPolicies(settings))
  return [...new Set([...text.matchAll(/"message":"([A-Z-]+):/g)].map(([, code = '']) => code))]
}

async function denied(t: Test, controlPlane: ControlPlane) {
  const known = codesIn(settings)
  t.ok(known.length >= 6, known.join(', '))
  const counts = new Map(known.map(code => [code, 0]))
  let passed = 0
  for (const { name, input, cluster, settings: its } of readFixtures()) {
    // One installation has one set of settings.
    if (its !== settings) continue
    for (const object of input.filter(({ kind }) => kinds.includes(kind))) {
      const own = object.metadata.namespace
      const home = own && (cluster.namespaces.get(own) ?? namespace(own))
      if (home) await replaceNamespace(controlPlane, home)
      const { status, body } = await create(controlPlane, object)
      // The CRDs refuse some of these, and a few are no objects at all.
      if (status !== 201 && !(status === 403 && /ValidatingAdmissionPolicy/.test(body.message))) continue
      const found = status === 403 ? known.filter(code => body.message.includes(`${code}:`)) : []
      const judged = translate(object, snapshotOf([...(home ? [home] : [])]), its)
      const wanted = translate(object, cluster, its).denial?.reasons.map(({ code }) => code) ?? []
      const alone = judged.denial?.reasons.map(({ code }) => code) ?? []
      for (const code of found) {
        counts.set(code, (counts.get(code) ?? 0) + 1)
        if (!wanted.includes(code as never)) t.fail(`${name}: ${object.kind} ${object.metadata.name}: ${code} too much`)
      }
      // The API server prints the first of them alone.
      const missing =
        found.length === 0 && known.filter(code => wanted.includes(code as never) && alone.includes(code as never))
      if (missing && missing.length > 0) t.comment(`${name}: ${object.kind} ${object.metadata.name}: not ${missing}`)
      if (status === 201) passed++
    }
  }
  t.ok(passed > 300, `${passed} objects of fixtures pass`)
  // Of several reasons the API server tells the first, and fixtures have this one beside another.
  const { status, body } = await create(controlPlane, bySource)
  if (status === 403 && body.message.includes('VS-MATCH-SOURCE:')) counts.set('VS-MATCH-SOURCE', 1)
  for (const [code, count] of counts) t.ok(count > 0, `${code}: ${count} denied`)
}

async function replaceNamespace(controlPlane: ControlPlane, home: KubernetesObject): Promise<void> {
  const { name, labels = {} } = home.metadata
  const path = pathOf(namespace(name ?? ''))
  const { status, body } = await controlPlane.request('GET', path)
  const wanted = { ...labels, 'kubernetes.io/metadata.name': name }
  if (status === 404) await controlPlane.demand('POST', '/api/v1/namespaces', { body: namespace(name ?? '') })
  if (JSON.stringify(body.metadata?.labels) === JSON.stringify(wanted)) return
  const { body: found } = await controlPlane.demand('GET', path)
  const { body: stored } = await controlPlane.demand('PUT', path, {
    body: { ...found, metadata: { ...found.metadata, labels: wanted } },
  })
  const version = { ...configMap(name ?? ''), data: { version: stored.metadata.resourceVersion } }
  await until('admission to know the labels', async () => (await create(controlPlane, version)).status === 201)
}

function configMap(namespace: string): KubernetesObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'version', namespace } }
}

/**
 * Admission reads Namespaces from a watch of its own, which comes some time after the write. This lets a ConfigMap pass that
 * names the version which admission has.
 */
const versionOfNamespace = [
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'version-of-namespace' },
    spec: {
      matchConstraints: {
        resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], operations: ['CREATE'] }],
      },
      validations: [{ expression: 'object.data.version == namespaceObject.metadata.resourceVersion' }],
    },
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: 'version-of-namespace' },
    spec: { policyName: 'version-of-namespace', validationActions: ['Deny'] },
  },
]

const bySource = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'by-source', namespace: 'kubeflow' },
  spec: {
    hosts: ['*'],
    gateways: ['kubeflow/kubeflow-gateway'],
    tcp: [
      {
        match: [{ sourceLabels: { app: 'web' } }],
        route: [{ destination: { host: 'ml-pipeline', port: { number: 80 } } }],
      },
    ],
  },
}

const faulty = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'faulty', namespace: 'kubeflow' },
  spec: {
    hosts: ['*'],
    gateways: ['kubeflow-gateway'],
    http: [
      {
        fault: { abort: { httpStatus: 503, percentage: { value: 1 } } },
        route: [{ destination: { host: 'ml-pipeline', port: { number: 80 } } }],
      },
    ],
  },
}

async function stored(t: Test, controlPlane: ControlPlane) {
  const { spec } = faulty
  t.equal((await create(controlPlane, faulty)).status, 403)
  await controlPlane.demand('POST', collectionOf(faulty), {
    body: { ...faulty, spec: { ...spec, gateways: ['mesh'] } },
  })
  const update = (object: object) =>
    controlPlane.request('PATCH', pathOf(faulty), { body: object, contentType: 'application/merge-patch+json' })
  const { status, body } = await update({
    metadata: { labels: { more: 'x' } },
    spec: { gateways: ['kubeflow-gateway'] },
  })
  t.equal(status, 200, 'a fault that was there before stays')
  t.equal(body.metadata.labels.more, 'x')
  const without = spec.http.map(({ fault: _, ...rest }) => rest)
  t.equal((await update({ spec: { http: without } })).status, 200)
  t.match(
    await update({ spec }),
    { status: 403, body: { message: /VS-FAULT: .* remove fault/ } },
    'one that is new does not',
  )
  await controlPlane.demand('DELETE', pathOf(faulty))
}

async function excepted(t: Test, controlPlane: ControlPlane) {
  const inMode = (mode: string) => replaceNamespace(controlPlane, namespace('kubeflow', { 'sidestep.dev/mode': mode }))
  for (const mode of ['off', 'observe']) {
    await inMode(mode)
    t.equal((await create(controlPlane, faulty)).status, 201, mode)
  }
  await inMode('enforce')
  t.equal((await create(controlPlane, faulty)).status, 403, 'enforce')
  const at = (gateway: string) => ({ ...faulty, spec: { ...faulty.spec, gateways: [gateway] } })
  const others = ['kubeflow/other-gateway', 'mesh', 'knative-serving/knative-ingress-gateway']
  for (const gateway of others) t.equal((await create(controlPlane, at(gateway))).status, 201, gateway)
}

/** Every way in which a Namespace may come to be, with labels that matter. */
const newcomers = [
  {},
  { 'istio-injection': 'enabled' },
  { 'istio-injection': 'disabled' },
  { 'istio.io/dataplane-mode': 'none' },
  { 'istio.io/dataplane-mode': 'ambient' },
  { 'istio.io/rev': 'canary' },
  { 'sidestep.dev/mode': 'observe', 'istio-injection': 'enabled' },
].flatMap(
  labels => [labels, { ...labels, 'app.kubernetes.io/part-of': 'kubeflow-profile' }] as Record<string, string>[],
)

async function captured(t: Test, controlPlane: ControlPlane) {
  for (const labels of newcomers) {
    const wanted = namespace('newcomer', labels)
    const { status, body } = await create(controlPlane, wanted)
    t.equal(status, 201)
    const { 'kubernetes.io/metadata.name': _, ...stored } = body.metadata.labels
    const { object } = translate(wanted, emptySnapshot('observed'), settings)
    const isLeft = 'istio.io/rev' in labels || 'sidestep.dev/mode' in labels
    t.strictSame(stored, isLeft ? labels : (object.metadata.labels ?? {}), JSON.stringify(labels))
  }
}

async function observed(t: Test, controlPlane: ControlPlane) {
  for (const policy of admissionPolicies(settings)) await controlPlane.demand('DELETE', pathOf(policy))
  await install(controlPlane, { ...settings, mode: 'observe' })
  // What was in effect before goes in its own time.
  const warns = async () => {
    const stdin = JSON.stringify(faulty)
    const { code, stderr } = await controlPlane.kubectl(['create', '--dry-run=server', '--filename=-'], { stdin })
    return code === 0 && /Warning: .*VS-FAULT/.test(stderr)
  }
  await t.resolves(until('a warning in place of a denial', warns))
  const newcomer = namespace('newcomer', { 'app.kubernetes.io/part-of': 'kubeflow-profile' })
  const isLeft = async () => !(await create(controlPlane, newcomer)).body.metadata.labels['istio.io/dataplane-mode']
  await t.resolves(until('a new Namespace to be left alone', isLeft))
}
