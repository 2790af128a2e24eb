// The webhooks on a real API server, used as people use it: kubectl apply, diff and dry-run, and a denial that is read.
// sidestep judges with a snapshot in which everything is in place, so that objects are rewritten in their first admission.
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { originalAnnotation } from '../../src/translate/original.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { type Admission, startAdmission } from './admission.ts'

interface Case {
  resource: string
  /** What a person or a controller writes. */
  written: KubernetesObject & { spec?: unknown }
  /** What of it is stored: the fields that sidestep changes. */
  stored: (object: Stored) => unknown
  rewritten: unknown
  /** The same with something that ambient cannot do, and the line that says so. */
  refused: KubernetesObject
  refusal: RegExp
}

// biome-ignore lint/suspicious/noExplicitAny: objects of many kinds, read where a wrong field shows at once
type Stored = any

const route = { destination: { host: 'lab', port: { number: 80 } } }
const notebook = {
  apiVersion: 'networking.istio.io/v1alpha3',
  kind: 'VirtualService',
  metadata: { name: 'notebook', namespace: 'team-a' },
  spec: {
    hosts: ['*'],
    gateways: ['kubeflow/kubeflow-gateway'],
    http: [
      { match: [{ uri: { prefix: '/notebook/team-a/lab/' } }], rewrite: { uri: '/' }, route: [route], timeout: '300s' },
    ],
  },
}
const pipeline = {
  apiVersion: 'security.istio.io/v1beta1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'pipeline', namespace: 'kubeflow' },
  spec: {
    selector: { matchLabels: { app: 'ml-pipeline' } },
    rules: [
      { from: [{ source: { principals: ['cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account'] } }] },
      { when: [{ key: 'request.headers[kubeflow-userid]', notValues: ['*'] }] },
    ],
  },
}
const tokens = {
  apiVersion: 'security.istio.io/v1',
  kind: 'RequestAuthentication',
  metadata: { name: 'tokens', namespace: 'team-a' },
  spec: { jwtRules: [{ issuer: 'https://issuer.example.com' }] },
}
const plaintext = {
  apiVersion: 'security.istio.io/v1beta1',
  kind: 'PeerAuthentication',
  metadata: { name: 'webhook', namespace: 'kubeflow' },
  spec: {
    selector: { matchLabels: { app: 'webhook' } },
    mtls: { mode: 'STRICT' },
    portLevelMtls: { 8443: { mode: 'DISABLE' }, 9000: { mode: 'STRICT' } },
  },
}
const profile = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: 'team-b',
    labels: { 'app.kubernetes.io/part-of': 'kubeflow-profile', 'istio-injection': 'enabled' },
  },
}

const cases: Case[] = [
  {
    resource: 'virtualservices.networking.istio.io',
    written: notebook,
    stored: ({ metadata: { labels }, spec }) => [labels, spec],
    rewritten: [{ 'istio.io/rev': 'sidestep-parked' }, notebook.spec],
    refused: {
      ...notebook,
      metadata: { name: 'retrying', namespace: 'team-a' },
      spec: { ...notebook.spec, http: [{ ...notebook.spec.http[0], retries: { attempts: 3 } }] },
    } as KubernetesObject,
    refusal: /VS-RETRIES.*spec\.http\[0\]\.retries/,
  },
  {
    resource: 'authorizationpolicies.security.istio.io',
    written: pipeline,
    stored: ({ spec: { selector, targetRefs, rules } }) => [
      selector,
      targetRefs,
      rules[0].from[0].source.principals[1],
    ],
    rewritten: [
      undefined,
      [{ group: '', kind: 'Service', name: 'ml-pipeline' }],
      'cluster.local/ns/istio-system/sa/ambient-ingressgateway-istio',
    ],
    refused: {
      ...pipeline,
      metadata: { name: 'everywhere', namespace: 'kubeflow' },
      spec: { action: 'CUSTOM', provider: { name: 'oauth2-proxy' }, rules: [{}] },
    } as KubernetesObject,
    refusal: /AP-WAYPOINT-PARTIAL.*spec/,
  },
  {
    resource: 'requestauthentications.security.istio.io',
    written: tokens,
    stored: ({ spec: { targetRefs } }) => targetRefs,
    rewritten: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'waypoint' }],
    refused: {
      ...tokens,
      metadata: { name: 'partial', namespace: 'kubeflow' },
    } as KubernetesObject,
    refusal: /RA-WAYPOINT-PARTIAL.*spec/,
  },
  {
    resource: 'peerauthentications.security.istio.io',
    written: plaintext,
    stored: ({ spec: { mtls, portLevelMtls } }) => [mtls, portLevelMtls],
    rewritten: [{ mode: 'STRICT' }, { 8443: { mode: 'PERMISSIVE' }, 9000: { mode: 'STRICT' } }],
    refused: {
      ...plaintext,
      metadata: { name: 'default', namespace: 'kubeflow' },
      spec: { mtls: { mode: 'DISABLE' } },
    } as KubernetesObject,
    refusal: /PA-MODE-DISABLE.*spec\.mtls\.mode/,
  },
  {
    resource: 'namespaces',
    written: profile,
    stored: ({ metadata: { labels } }) => [
      labels['istio-injection'],
      labels['istio.io/dataplane-mode'],
      labels['istio.io/use-waypoint'],
    ],
    rewritten: [undefined, 'ambient', 'waypoint'],
    refused: {
      ...profile,
      metadata: { name: 'team-c', labels: { 'istio.io/dataplane-mode': 'sidecar' } },
    },
    refusal: /NS-DATAPLANE-MODE-UNKNOWN.*metadata\.labels\[istio\.io\/dataplane-mode\]/,
  },
]

t.test('the webhooks on a real API server', async t => {
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  for (const namespace of ['team-a', 'kubeflow'])
    await controlPlane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  const admission = await startAdmission()
  t.teardown(() => admission.close())
  await controlPlane.registerWebhooks(admission)

  for (const each of cases) await t.test(each.written.kind, t => lifeOf(t, controlPlane, admission, each))
  await t.test('a selector that its user has dropped', t => droppedSelector(t, controlPlane))
  await t.test('targetRefs that their user takes over', t => adoptedTargets(t, controlPlane))
  await t.test('a mode that its user takes over', t => adoptedMode(t, controlPlane, admission))
  await t.test('the same object in every version of its API', t => versions(t, controlPlane))
  await t.test('metadata of a refused object can still be changed', t => ratchet(t, controlPlane, admission))
})

async function lifeOf(
  t: Test,
  controlPlane: ControlPlane,
  admission: Admission,
  { resource, written, stored, rewritten, refused, refusal }: Case,
) {
  const { name = '', namespace } = written.metadata
  const yaml = JSON.stringify(written)
  const inNamespace = namespace ? ['--namespace', namespace] : []

  const dryRun = await controlPlane.kubectl(['apply', '--dry-run=server', '-o', 'yaml', '-f', '-'], { stdin: yaml })
  t.strictSame(stored(parse(dryRun.stdout)), rewritten, '--dry-run=server shows the rewrite')
  const absent = await controlPlane.kubectl(['get', resource, name, ...inNamespace])
  t.match(absent.stderr, /NotFound/, 'and stores nothing')

  await controlPlane.apply(yaml)
  const created = await controlPlane.get(resource, name, namespace)
  t.strictSame(stored(created), rewritten, 'kubectl apply stores the rewrite')
  t.ok(created.metadata.annotations[originalAnnotation], 'and what it was before')

  await controlPlane.apply(yaml)
  t.strictSame(version(await controlPlane.get(resource, name, namespace)), version(created), 'applied again: no write')
  const diff = await controlPlane.kubectl(['diff', '-f', '-'], { stdin: yaml })
  t.strictSame([diff.code, diff.stdout], [0, ''], 'kubectl diff is empty')
  await readmit(controlPlane, resource, name, namespace)
  t.strictSame(version(await controlPlane.get(resource, name, namespace)), version(created), 'an empty patch: no write')

  const other = { ...written, metadata: { ...written.metadata, name: `${name}-applied` } }
  await controlPlane.apply(other, { serverSide: true })
  const applied = await controlPlane.get(resource, `${name}-applied`, namespace)
  t.strictSame(stored(applied), rewritten, 'kubectl apply --server-side stores the rewrite')
  await controlPlane.apply(other, { serverSide: true })
  const again = await controlPlane.get(resource, `${name}-applied`, namespace)
  t.strictSame(version(again), version(applied), 'applied again on the server side: no write')

  const denied = await controlPlane.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(refused) })
  t.equal(denied.code, 1, 'what ambient cannot do is refused')
  t.match(denied.stderr, refusal, 'with the code and the field')
  t.comment(denied.stderr.trim())
  admission.put(created)
}

/** Facts 3 and 4 of the design: what its user has dropped is not brought back by us, and our targetRefs follow. */
async function droppedSelector(t: Test, controlPlane: ControlPlane) {
  const resource = 'authorizationpolicies.security.istio.io'
  const rules = [{ when: [{ key: 'request.headers[x-user]', values: ['ada'] }] }]
  for (const serverSide of [false, true]) {
    const metadata = { name: `dropping-${serverSide ? 'server' : 'client'}`, namespace: 'team-a' }
    const write = (spec: object) => controlPlane.apply({ ...pipeline, metadata, spec }, { serverSide })
    const targets = async () => {
      const { spec } = await controlPlane.get(resource, metadata.name, metadata.namespace)
      t.notOk(spec.selector, 'targetRefs stand without a selector')
      return spec.targetRefs.map((ref: { kind: string; name: string }) => `${ref.kind}/${ref.name}`)
    }
    await write({ selector: { matchLabels: { app: 'web' } }, rules })
    t.strictSame(await targets(), ['Service/web'], 'with a selector, on its Service')
    await write({ rules })
    t.strictSame(await targets(), ['Gateway/waypoint'], 'without it, on the waypoint of the namespace')
    await readmit(controlPlane, resource, metadata.name, metadata.namespace)
    t.strictSame(await targets(), ['Gateway/waypoint'], 'and there it stays when it is admitted again')
    await write({ selector: { matchLabels: { app: 'web' } }, rules })
    t.strictSame(await targets(), ['Service/web'], 'with it again, on the Service again')
  }
}

/** Two everyday edits that must not be taken for a dropped selector, which would widen the policy to its namespace. */
async function adoptedTargets(t: Test, controlPlane: ControlPlane) {
  const resource = 'authorizationpolicies.security.istio.io'
  const rules = [{ when: [{ key: 'request.headers[x-user]', values: ['ada'] }] }]
  const selector = { matchLabels: { app: 'web' } }
  const targetRefs = [{ group: '', kind: 'Service', name: 'web' }]
  const targets = async (name: string) => (await controlPlane.get(resource, name, 'team-a')).spec.targetRefs
  for (const serverSide of [false, true]) {
    const metadata = { name: `adopting-${serverSide ? 'server' : 'client'}`, namespace: 'team-a' }
    const write = (spec: object) => controlPlane.apply({ ...pipeline, metadata, spec }, { serverSide })
    await write({ selector, rules })
    await write({ targetRefs, rules })
    t.strictSame(await targets(metadata.name), targetRefs, 'targetRefs that its user has taken over stay')
  }
  const metadata = { name: 'created', namespace: 'team-a' }
  const created = JSON.stringify({ ...pipeline, metadata, spec: { selector, rules } })
  t.equal((await controlPlane.kubectl(['create', '-f', '-'], { stdin: created })).code, 0)
  await controlPlane.apply({
    apiVersion: pipeline.apiVersion,
    kind: pipeline.kind,
    metadata: { ...metadata, labels: { team: 'a' } },
  })
  t.strictSame(
    await targets('created'),
    targetRefs,
    'an apply of labels only does not give up the selector of its creator',
  )
}

/** An inherited STRICT goes when it is inherited no more, unless the user has since said STRICT too: that would open the pods. */
async function adoptedMode(t: Test, controlPlane: ControlPlane, admission: Admission) {
  const resource = 'peerauthentications.security.istio.io'
  const { apiVersion, kind } = plaintext
  const above = (mode: string) =>
    admission.put({
      apiVersion,
      kind,
      metadata: { name: 'default', namespace: 'team-a' },
      spec: { mtls: { mode } },
    } as KubernetesObject)
  const spec = { selector: { matchLabels: { app: 'web' } }, portLevelMtls: { 8443: { mode: 'DISABLE' } } }
  for (const serverSide of [false, true]) {
    const side = serverSide ? 'server' : 'client'
    const write = (name: string, mtls?: object) =>
      controlPlane.apply(
        { apiVersion, kind, metadata: { name, namespace: 'team-a' }, spec: { ...spec, ...(mtls && { mtls }) } },
        { serverSide },
      )
    const stored = async (name: string) => {
      const { spec } = await controlPlane.get(resource, name, 'team-a')
      return [spec.mtls?.mode, spec.portLevelMtls[8443].mode]
    }
    above('STRICT')
    for (const name of [`inheriting-${side}`, `adopting-${side}`]) {
      await write(name)
      t.strictSame(await stored(name), ['STRICT', 'PERMISSIVE'], `${name}: the inherited mode is written out`)
      const before = version(await controlPlane.get(resource, name, 'team-a'))
      await write(name)
      await readmit(controlPlane, resource, name, 'team-a')
      t.strictSame(
        version(await controlPlane.get(resource, name, 'team-a')),
        before,
        `${name}: and stays without a write`,
      )
    }
    await write(`adopting-${side}`, { mode: 'STRICT' })
    above('PERMISSIVE')
    for (const name of [`inheriting-${side}`, `adopting-${side}`]) await readmit(controlPlane, resource, name, 'team-a')
    t.strictSame(await stored(`inheriting-${side}`), [undefined, 'PERMISSIVE'], 'inherited no more, it goes')
    t.strictSame(await stored(`adopting-${side}`), ['STRICT', 'PERMISSIVE'], 'its user says STRICT, so it stays')
    await write(`adopting-${side}`)
    await readmit(controlPlane, resource, `adopting-${side}`, 'team-a')
    t.strictSame(await stored(`adopting-${side}`), [undefined, 'PERMISSIVE'], 'its user gives it up, and it goes')
  }
}

async function versions(t: Test, controlPlane: ControlPlane) {
  for (const version of ['v1', 'v1beta1', 'v1alpha3']) {
    const metadata = { name: `as-${version}`, namespace: 'team-a' }
    const {
      http: [entry],
    } = notebook.spec
    const http = [{ ...entry, match: [{ uri: { prefix: `/${version}/` } }] }]
    await controlPlane.apply({
      ...notebook,
      apiVersion: `networking.istio.io/${version}`,
      metadata,
      spec: { ...notebook.spec, http },
    })
    const {
      metadata: { labels },
    } = await controlPlane.get('virtualservices.networking.istio.io', metadata.name, 'team-a')
    t.equal(labels['istio.io/rev'], 'sidestep-parked', version)
  }
}

/** An object that was stored before sidestep came, and that it would refuse: it can be labelled no more, but must be deletable. */
async function ratchet(t: Test, controlPlane: ControlPlane, admission: Admission) {
  await controlPlane.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'before', labels: { 'sidestep.dev/mode': 'off' } },
  })
  admission.put({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'before', labels: { 'sidestep.dev/mode': 'off' } },
  })
  const {
    http: [entry],
  } = notebook.spec
  const old = {
    ...notebook,
    metadata: { name: 'old', namespace: 'before' },
    spec: { ...notebook.spec, http: [{ ...entry, retries: { attempts: 3 } }] },
  }
  await controlPlane.apply(old)
  await controlPlane.kubectl(['label', 'namespace', 'before', 'sidestep.dev/mode-'])
  admission.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'before' } })
  const another = JSON.stringify({ ...old, metadata: { ...old.metadata, name: 'another' } })
  const asks = async () =>
    (await controlPlane.kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: another })).code === 1
  await until('the API server to know that the label is gone', asks)
  const patch = (patch: object) =>
    controlPlane.kubectl([
      'patch',
      'virtualservice',
      'old',
      '-n',
      'before',
      '--type=merge',
      '-p',
      JSON.stringify(patch),
    ])
  t.equal((await patch({ metadata: { finalizers: ['example.com/wait'] } })).code, 0, 'a finalizer can be set')
  t.equal((await patch({ metadata: { finalizers: null } })).code, 0, 'and taken off')
  t.match(
    (await patch({ spec: { http: [{ ...entry, fault: { abort: { httpStatus: 500, percentage: { value: 1 } } } }] } }))
      .stderr,
    /VS-FAULT/,
    'a new reason is refused',
  )
  t.equal(
    (await controlPlane.kubectl(['delete', 'virtualservice', 'old', '-n', 'before'])).code,
    0,
    'it can be deleted',
  )
}

/** The empty patch by which the reconciler sends stored objects through admission again. */
async function readmit(controlPlane: ControlPlane, resource: string, name: string, namespace: string | undefined) {
  const where = namespace ? ['--namespace', namespace] : []
  const { code, stderr } = await controlPlane.kubectl(['patch', resource, name, ...where, '--type=merge', '-p', '{}'])
  if (code !== 0) throw new Error(stderr)
}

function version({ metadata: { resourceVersion, generation } }: Stored): unknown[] {
  return [resourceVersion, generation]
}
