// The chart and the kustomize directories on a real API server: what it takes, what Pod Security says of the Pods, what an
// upgrade leaves alone, and which writes the webhooks hear of.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseAllDocuments } from 'yaml'
import { pathOf } from '../../src/reconciler/paths.ts'
import { localCertificate } from '../control-plane/certificate.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { type User, users } from '../control-plane/users.ts'
import { startWebhook, type TestWebhook } from '../control-plane/webhook.ts'
import { type Helm, helmOrSkip } from '../helm/helm.ts'
import { chart, kustomize, namespace, template } from './manifests.ts'

// biome-ignore lint/suspicious/noExplicitAny: objects of many kinds, read where a wrong field shows at once
type Rendered = any

const everything = {
  serviceMonitor: { enabled: true },
  rules: { enabled: true },
  dashboard: { enabled: true },
}

/** By name, whether Pod Security `restricted` lets the Pods run. */
const variants: Record<string, { values: object; isRestricted: boolean }> = {
  defaults: { values: {}, isRestricted: true },
  'one replica': { values: { replicas: 1 }, isRestricted: true },
  'cert-manager': { values: { certificates: { source: 'cert-manager' } }, isRestricted: true },
  'cert-manager with an issuer': {
    values: { certificates: { source: 'cert-manager', issuerRef: { name: 'ca', kind: 'ClusterIssuer' } } },
    isRestricted: true,
  },
  hostNetwork: { values: { hostNetwork: true, ports: { webhook: 10_250, ops: 10_251 } }, isRestricted: false },
  monitoring: { values: { monitoring: everything }, isRestricted: true },
  'failurePolicy Fail': { values: { webhooks: { validateFailurePolicy: 'Fail' } }, isRestricted: true },
  'all that can be said': {
    values: {
      autoscaling: { enabled: true },
      image: { digest: `sha256:${'0'.repeat(64)}`, pullSecrets: [{ name: 'registry' }] },
      tolerations: [{ operator: 'Exists' }],
      affinity: { podAntiAffinity: {} },
      podAnnotations: { a: 'b' },
      podLabels: { c: 'd' },
      networkPolicy: { metricsFrom: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }] },
    },
    isRestricted: true,
  },
}

t.test('the deployment on a real API server', async t => {
  const helm = await helmOrSkip(t)
  const controlPlane = helm && (await controlPlaneOrSkip(t))
  if (!controlPlane) return
  const base = await controlPlane.kubectl(['kustomize', join(kustomize, 'base')])
  t.equal(base.code, 0, base.stderr)
  await controlPlane.apply(await readFile(join(kustomize, 'base/namespace.yaml'), 'utf8'))

  for (const [name, { values, isRestricted }] of Object.entries(variants))
    await t.test(`with ${name}`, async t => taken(t, controlPlane, await rendered(helm, values), isRestricted))
  await t.test('Pod Security notices what it must not let pass', t => insecure(t, controlPlane, helm))
  for (const overlay of ['base', 'overlays/kubeflow', 'overlays/deploykf'])
    await t.test(`kustomize ${overlay}`, t => kustomized(t, controlPlane, overlay))
  await t.test('an upgrade takes neither the authority nor a caBundle away', t => upgraded(t, controlPlane, helm))
  await t.test('which writes the webhooks hear of', t => heard(t, controlPlane))
})

async function rendered(helm: Helm, values: object): Promise<Rendered[]> {
  return objectsIn(await template(helm, values))
}

function objectsIn(yaml: string): Rendered[] {
  return parseAllDocuments(yaml).map(document => document.toJS())
}

/** Of kinds that the API server has; what belongs to cert-manager and the Prometheus operator it knows nothing of. */
async function taken(t: Test, controlPlane: ControlPlane, objects: Rendered[], isRestricted: boolean) {
  const known = objects.filter(({ apiVersion }) => !/^(cert-manager\.io|monitoring\.coreos\.com)\//.test(apiVersion))
  t.comment(`of others: ${objects.filter(each => !known.includes(each)).map(({ kind }) => kind)}`)
  const { code, stderr } = await dryRun(controlPlane, known)
  t.equal(code, 0, stderr)
  const pod = podOf(objects)
  const { code: podCode, stderr: reason } = await dryRun(controlPlane, [pod])
  if (isRestricted) t.equal(podCode, 0, reason)
  else t.match(reason, /violates PodSecurity "restricted:latest": host namespaces/)
}

async function insecure(t: Test, controlPlane: ControlPlane, helm: Helm) {
  const pod = podOf(await rendered(helm, {}))
  const { containers, securityContext } = pod.spec
  const [container] = containers
  const broken = {
    runAsUser: { securityContext: { ...securityContext, runAsNonRoot: false, runAsUser: 0 } },
    seccompProfile: { securityContext: { ...securityContext, seccompProfile: undefined } },
    capabilities: { containers: [{ ...container, securityContext: { allowPrivilegeEscalation: false } }] },
    allowPrivilegeEscalation: { containers: [{ ...container, securityContext: { capabilities: { drop: ['ALL'] } } }] },
  }
  for (const [field, spec] of Object.entries(broken)) {
    const { code, stderr } = await dryRun(controlPlane, [{ ...pod, spec: { ...pod.spec, ...spec } }])
    t.equal(code, 1, field)
    t.match(stderr, new RegExp(`violates PodSecurity "restricted:latest".*${field}`))
  }
}

async function kustomized(t: Test, controlPlane: ControlPlane, directory: string) {
  const { stdout, stderr, code } = await controlPlane.kubectl(['kustomize', join(kustomize, directory)])
  t.equal(code, 0, stderr)
  const objects = objectsIn(stdout)
  await taken(t, controlPlane, objects, true)
  const [, profile = 'generic'] = directory.split('/')
  const config = objects.find(({ kind }) => kind === 'ConfigMap')
  t.match(config.data['settings.yaml'], `profile: ${profile}`)
  t.match(config.metadata.name, /^sidestep-settings-[a-z0-9]{10}$/, 'other settings have another name')
  t.equal(podOf(objects).spec.volumes[0].configMap.name, config.metadata.name, 'the Pods mount these settings')
}

/** As the keeper of the certificate writes: with the rights of the chart, the Secret by PUT and caBundles by server-side apply. */
async function upgraded(t: Test, controlPlane: ControlPlane, helm: Helm) {
  const kubeconfig = controlPlane.kubeconfig()
  const release = async (...args: string[]) => {
    const { code, stderr } = await helm([...args, '--namespace', namespace], { kubeconfig })
    t.equal(code, 0, stderr)
  }
  const values = ['--set', 'replicas=3,webhooks.timeoutSeconds=5,settings.mode=observe']
  const ways: Record<string, { install: () => Promise<unknown>; upgrade: () => Promise<unknown> }> = {
    'helm, server-side': {
      install: () => release('install', 'sidestep', chart),
      upgrade: () => release('upgrade', 'sidestep', chart, ...values),
    },
    'helm, three-way merge': {
      install: () => release('install', 'sidestep', chart, '--server-side=false'),
      upgrade: () => release('upgrade', 'sidestep', chart, '--server-side=false', ...values),
    },
    'kubectl apply': {
      install: async () => controlPlane.apply(await template(helm)),
      upgrade: async () => controlPlane.apply(await template(helm, { webhooks: { timeoutSeconds: 5 } })),
    },
  }
  for (const [way, { install, upgrade }] of Object.entries(ways)) {
    await install()
    await fill(controlPlane)
    await upgrade()
    const { data } = await controlPlane.get('secret', 'sidestep-ca', namespace)
    t.strictSame(data, { 'tls.crt': btoa('authority'), 'tls.key': btoa('key') }, `${way}: the Secret`)
    for (const resource of configurations) {
      const { webhooks } = await controlPlane.get(resource, 'sidestep')
      t.equal(webhooks[0].timeoutSeconds, 5, 'upgraded')
      t.equal(webhooks[0].clientConfig.caBundle, caBundle, `${way}: ${resource}`)
    }
    if (way.startsWith('helm')) await release('uninstall', 'sidestep')
    else await controlPlane.kubectl(['delete', '--filename=-'], { stdin: await template(helm) })
  }
}

const configurations = ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']
/** The API server takes nothing that is no certificate. */
let caBundle = ''

async function fill(controlPlane: ControlPlane) {
  caBundle ||= btoa((await localCertificate()).cert)
  const as = { user: 'sidestep' as const }
  const path = `/api/v1/namespaces/${namespace}/secrets/sidestep-ca`
  const secret = await until('the rights to be in effect', async () => {
    const { status, body } = await controlPlane.request('GET', path, as)
    return status === 200 && body
  })
  const list = `/api/v1/namespaces/${namespace}/secrets`
  await controlPlane.demand('GET', `${list}?fieldSelector=metadata.name%3Dsidestep-ca`, as)
  const { status } = await controlPlane.request('GET', list, as)
  if (status !== 403) throw new Error('it may list every Secret of its namespace')
  const data = { 'tls.crt': btoa('authority'), 'tls.key': btoa('key') }
  await controlPlane.demand('PUT', path, { ...as, body: { ...secret, data } })
  for (const [kind, webhook] of [
    ['Mutating', 'mutate'],
    ['Validating', 'validate'],
  ] as const) {
    const body = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name: 'sidestep' },
      webhooks: [{ name: `${webhook}.sidestep.dev`, clientConfig: { caBundle } }],
    }
    const query = 'fieldManager=sidestep-certificates&force=true'
    const url = `/apis/${body.apiVersion}/${body.kind.toLowerCase()}s/sidestep?${query}`
    await controlPlane.demand('PATCH', url, { ...as, body, contentType: 'application/apply-patch+yaml' })
  }
}

/** With the webhook configurations as deployed, but for their address. */
async function heard(t: Test, controlPlane: ControlPlane) {
  await controlPlane.apply(await readFile(join(kustomize, 'base/rbac.yaml'), 'utf8'))
  await controlPlane.grant('alice', 'cluster-admin')
  for (const name of ['team-a', 'istio-system', 'team-off'])
    await controlPlane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  const webhook = await startWebhook(() => [])
  t.teardown(() => webhook.close())
  await controlPlane.registerWebhooks(webhook)
  const writes = new Writes(controlPlane, webhook)
  const marks = {
    labels: { 'app.kubernetes.io/managed-by': 'sidestep' },
    annotations: { 'sidestep.dev/source': 'AuthorizationPolicy/team-a/source' },
  }

  await t.test('what a person writes is', async t => {
    t.equal(await writes.apply('alice', policy('source')), 1)
    t.equal(await writes.apply('alice', policy('bypass', marks)), 1, 'also with the marks of a companion')
    t.equal(await writes.apply('alice', policy('root', { namespace: 'istio-system' })), 1, 'also in the root namespace')
    t.equal(
      await writes.apply('alice', policy('bare', { labels: { 'sidestep.dev/mode': 'off' } })),
      1,
      'by no own label',
    )
    t.equal(await writes.apply('alice', namespaceOf('team-b', {})), 1)
  })
  await t.test('so is what a person writes in an older version, in the one that the rules name', async t => {
    for (const version of ['v1alpha3', 'v1beta1', 'v1']) {
      t.equal(await writes.apply('alice', virtualService(version)), 1, version)
      t.equal(webhook.requests.at(-1)?.kind.version, 'v1')
    }
  })
  await t.test('so is what sidestep sends through admission again', async t => {
    t.equal(await writes.readmit('sidestep', policy('source')), 1)
    t.equal(await writes.readmit('sidestep', policy('bare')), 1)
    await writes.apply('alice', policy('labelled', { labels: marks.labels }))
    t.equal(await writes.readmit('sidestep', policy('labelled')), 1, 'also with the label, without the annotation')
    t.equal(await writes.readmit('sidestep', namespaceOf('team-a', {})), 1)
  })
  await t.test('what sidestep keeps is not', async t => {
    t.equal(await writes.apply('sidestep', policy('source-guard', marks)), 0)
    t.equal(await writes.apply('sidestep', policy('source-guard', marks)), 0)
    t.equal(await writes.apply('alice', policy('source-guard', { ...marks, labels: { ...marks.labels, a: 'b' } })), 1)
  })
  await t.test('what is in sidestep’s own namespace and in kube-system is not', async t => {
    for (const namespace of ['sidestep-system', 'kube-system'])
      t.equal(await writes.apply('alice', policy('own', { namespace })), 0)
    t.equal(await writes.apply('alice', namespaceOf('kube-system', { team: 'x' })), 0)
  })
  await t.test('what is in a Namespace with mode off is not, nor that Namespace', async t => {
    t.equal(await writes.apply('alice', namespaceOf('team-off', { 'sidestep.dev/mode': 'off' })), 0, 'the way out')
    const off = policy('free', { namespace: 'team-off' })
    await until('the API server to know of the label', async () => (await writes.apply('alice', off)) === 0)
    t.equal(await writes.apply('alice', namespaceOf('team-off', { 'sidestep.dev/mode': 'enforce' })), 1, 'the way back')
    await until('the API server to know of the label', async () => (await writes.apply('alice', off)) === 1)
  })
  await t.test('the finalizers of what goes are not', async t => {
    const held = policy('held', { finalizers: ['sidestep.dev/test'] })
    t.equal(await writes.apply('alice', held), 1)
    t.equal(await writes.send('alice', 'DELETE', held), 0)
    t.equal(await writes.send('alice', 'PATCH', held, { metadata: { finalizers: null } }), 0)
  })
  await t.test('what it has no rule for is not', async t => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'team-a' } }
    t.equal(await writes.apply('alice', { ...service, spec: { ports: [{ port: 80 }] } }), 0)
    t.equal(await writes.send('alice', 'PATCH', virtualService('v1'), { status: {} }, '/status'), 0)
  })
  await t.test('what nobody answers goes through, and the API server counts it', async t => {
    await webhook.close()
    t.equal(await writes.apply('alice', policy('unjudged')), 0)
    const { body } = await controlPlane.demand('GET', '/metrics', { accept: 'text/plain' })
    for (const name of ['mutate.sidestep.dev', 'validate.sidestep.dev'])
      t.match(body, new RegExp(`^apiserver_admission_webhook_fail_open_count\\{name="${name}",.*\\} [1-9]`, 'm'))
  })
}

/** Writes, each of which gives how often /mutate was called for it. */
class Writes {
  readonly #controlPlane: ControlPlane
  readonly #webhook: TestWebhook

  constructor(controlPlane: ControlPlane, webhook: TestWebhook) {
    this.#controlPlane = controlPlane
    this.#webhook = webhook
  }

  apply(user: User, object: Rendered): Promise<number> {
    const query = '?fieldManager=test&force=true'
    return this.send(user, 'PATCH', object, object, query, 'application/apply-patch+yaml')
  }

  readmit(user: User, object: Rendered): Promise<number> {
    return this.send(user, 'PATCH', object, {})
  }

  async send(user: User, method: string, object: Rendered, body?: object, rest = '', contentType = mergePatch) {
    const before = this.#webhook.requests.length
    await this.#controlPlane.demand(method, `${pathOf(object)}${rest}`, { user, contentType, ...(body && { body }) })
    const calls = this.#webhook.requests.slice(before)
    if (calls.some(({ userInfo }) => userInfo?.username !== users[user].username)) throw new Error('of somebody else')
    return calls.length
  }
}

const mergePatch = 'application/merge-patch+json'

function policy(name: string, metadata: object = {}) {
  const spec = { rules: [{ from: [{ source: { namespaces: ['a'] } }] }] }
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace: 'team-a', name, ...metadata },
    spec,
  }
}

function virtualService(version: string) {
  const spec = { hosts: ['a.example.com'], http: [{ route: [{ destination: { host: 'a' } }] }] }
  return {
    apiVersion: `networking.istio.io/${version}`,
    kind: 'VirtualService',
    metadata: { namespace: 'team-a', name: version },
    spec,
  }
}

function namespaceOf(name: string, labels: Record<string, string>) {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

/** A Pod as the Deployment would make it. */
function podOf(objects: Rendered[]): Rendered {
  const { metadata, spec } = objects.find(({ kind }) => kind === 'Deployment').spec.template
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: 'sidestep', namespace }, spec }
}

function dryRun(controlPlane: ControlPlane, objects: Rendered[]) {
  const list = { apiVersion: 'v1', kind: 'List', items: objects }
  return controlPlane.kubectl(['apply', '--dry-run=server', '--filename=-'], { stdin: JSON.stringify(list) })
}
