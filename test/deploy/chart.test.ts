// The chart and what is made of it, without a cluster; cluster.test.ts shows it to a real API server.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseAllDocuments } from 'yaml'
import { run } from '../../src/cli/main.ts'
import { resources } from '../../src/reconciler/snapshot.ts'
import { loadSettings } from '../../src/settings.ts'
import { companionMetadata, gatewayNameLabel } from '../../src/translate/companion.ts'
import { isExamined, isTranslated } from '../../src/translate/index.ts'
import { type Helm, helmOrSkip } from '../helm/helm.ts'
import { memory } from '../support/memory.ts'
import { baseFiles, chart, chartFiles, kustomize, namespace, template } from './manifests.ts'

// biome-ignore lint/suspicious/noExplicitAny: objects of many kinds, read where a wrong field shows at once
type Rendered = any

/** What is examined, in the version that the webhook is shown. */
const examined = [
  ['networking.istio.io/v1', 'DestinationRule', 'destinationrules'],
  ['networking.istio.io/v1', 'ServiceEntry', 'serviceentries'],
  ['networking.istio.io/v1', 'Sidecar', 'sidecars'],
  ['networking.istio.io/v1', 'WorkloadEntry', 'workloadentries'],
  ['networking.istio.io/v1', 'WorkloadGroup', 'workloadgroups'],
  ['networking.istio.io/v1alpha3', 'EnvoyFilter', 'envoyfilters'],
  ['networking.istio.io/v1beta1', 'ProxyConfig', 'proxyconfigs'],
  ['extensions.istio.io/v1alpha1', 'TrafficExtension', 'trafficextensions'],
  ['extensions.istio.io/v1alpha1', 'WasmPlugin', 'wasmplugins'],
  ['telemetry.istio.io/v1', 'Telemetry', 'telemetries'],
] as const

const root = join(import.meta.dirname, '../..')

t.test('the chart', async t => {
  const helm = await helmOrSkip(t)
  if (!helm) return
  await t.test('helm lint has nothing to say', async t => {
    const { stdout, code } = await helm(['lint', chart, '--strict', '--namespace', namespace])
    t.equal(code, 0, stdout)
    t.match(stdout, /1 chart\(s\) linted, 0 chart\(s\) failed/)
  })
  await t.test('deploy/kustomize/base is what it renders', async t => {
    const files = await baseFiles(helm)
    const names = [...files.keys()].map(path => path.slice(join(kustomize, 'base/').length)).sort()
    t.strictSame(readdirSync(join(kustomize, 'base')).sort(), names)
    for (const [path, content] of files) t.equal(content, readFileSync(path, 'utf8'), `${path}: npm run manifests`)
  })
  await t.test('values that it does not know or cannot use are refused, with their names', t => refusals(t, helm))
  await t.test('every setting that the process takes, and no other', async t => {
    const settings = { profile: 'kubeflow', mode: 'observe', severities: { 'VS-*': 'denial' } }
    const config = objectOf(await objects(helm, { settings }), 'ConfigMap')
    const file = join(t.testdir(config.data), 'settings.yaml')
    t.equal(loadSettings({ file, env: {} }).mode, 'observe')
  })
  await t.test('three quarters of the memory limit are the heap', async t => {
    for (const [memory, heap] of [
      ['1Gi', 768],
      ['512Mi', 384],
      ['2Gi', 1536],
    ]) {
      const { env } = containerOf(await objects(helm, { resources: { limits: { memory } } }))
      t.strictSame(env, [{ name: 'NODE_OPTIONS', value: `--max-old-space-size=${heap}` }])
    }
  })
  await t.test('changed settings change the Pods, which read them once', async t => {
    const annotation = async (values: object) => podOf(await objects(helm, values)).metadata.annotations
    t.notMatch(await annotation({}), await annotation({ settings: { mode: 'observe' } }))
  })
  await t.test('companions are protected unless somebody does not want that', async t => {
    const protecting = async (values: object) => {
      const found = await objects(helm, values)
      const asked = objectOf(found, 'ClusterRole').rules.some(
        ({ apiGroups }: Rendered) => apiGroups[0] === 'sidestep.dev',
      )
      return [asked, ...found.map(({ kind }) => kind).filter(kind => /AdmissionPolicy/.test(kind))]
    }
    const [policy, binding] = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding']
    t.strictSame(await protecting({}), [true, policy, binding])
    t.strictSame(await protecting({ companions: { protected: false } }), [false])
  })
  await t.test('every flag of the container is one of sidestep serve', async t => {
    const { io, stdout } = memory()
    await run(['serve', '--help'], io)
    const flags = async (values: object) =>
      (containerOf(await objects(helm, values)).args as string[]).slice(1).map(flag => flag.split('=')[0] ?? '')
    for (const source of ['own', 'cert-manager'])
      for (const flag of await flags({ certificates: { source } }))
        t.match(stdout(), new RegExp(`^ +${flag} `, 'm'), `${flag}, with certificates.source ${source}`)
  })
})

t.test('what a program writes into the chart is up to date', async t => {
  for (const [path, content] of chartFiles()) t.equal(content, readFileSync(path, 'utf8'), `${path}: npm run manifests`)
})

t.test('the chart is of the version of the package', async t => {
  const { version, appVersion } = read(join(chart, 'Chart.yaml'))[0]
  const { version: released } = JSON.parse(source('package.json'))
  t.strictSame([version, appVersion], [released, released])
})

t.test('the manifests', async t => {
  const base = readdirSync(join(kustomize, 'base')).flatMap(file => read(join(kustomize, 'base', file)))
  const pod = podOf(base)

  t.test('no right is a wildcard, and what is secret or registered is named', async t => {
    const rules = base.filter(({ kind }) => /Role$/.test(kind)).flatMap(({ rules }) => rules)
    t.ok(rules.length > 10)
    for (const rule of rules) {
      t.notMatch(JSON.stringify(rule), /\*/)
      const isRead = rule.verbs.every((verb: string) => ['get', 'list', 'watch'].includes(verb))
      if (rule.resources.includes('secrets')) t.strictSame(rule.resourceNames, ['sidestep-ca'])
      if (!isRead && rule.apiGroups.includes('admissionregistration.k8s.io'))
        t.strictSame(rule.resourceNames, ['sidestep'])
    }
  })
  t.test('it may read in all namespaces what the snapshot holds, and nothing else', async t => {
    const { rules } = objectOf(base, 'ClusterRole')
    const granted = rules
      .filter(({ verbs }: Rendered) => verbs.includes('list'))
      .flatMap(({ apiGroups, resources }: Rendered) => resources.map((each: string) => `${apiGroups[0]}/${each}`))
    t.strictSame(
      granted.toSorted(),
      resources.map(({ path }) => path.replace(/^\/apis?\/(?:([^/]+)\/)?[^/]+\/([^/]+)$/, '$1/$2')).toSorted(),
    )
  })
  t.test('the webhooks judge what is translated, but Services, and one of them what is examined', async t => {
    const translated = resources.filter(each => isTranslated({ ...each, metadata: {} }) && each.kind !== 'Service')
    for (const [apiVersion, kind] of examined) t.ok(isExamined({ apiVersion, kind, metadata: {} }), kind)
    const paths = examined.map(([apiVersion, , plural]) => `/apis/${apiVersion}/${plural}`)
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']) {
      const [webhook, ...others] = objectOf(base, kind).webhooks
      t.strictSame(others, [])
      const judged = webhook.rules.flatMap(({ apiGroups, apiVersions, resources }: Rendered) =>
        resources.map((each: string) => `${apiGroups[0] ? `/apis/${apiGroups[0]}` : '/api'}/${apiVersions[0]}/${each}`),
      )
      const wanted = [...translated.map(({ path }) => path), ...(kind.startsWith('Validating') ? paths : [])]
      t.strictSame(judged.toSorted(), wanted.toSorted())
      t.notOk('caBundle' in webhook.clientConfig)
      t.ok(webhook.matchConditions.length <= 64)
    }
  })
  t.test('every kind that sidestep makes is protected, by the marks that it gives', async t => {
    const { rules } = objectOf(base, 'ClusterRole')
    const made = rules.filter(
      ({ verbs, apiGroups }: Rendered) => verbs.includes('create') && apiGroups[0] !== 'sidestep.dev',
    )
    const policy = objectOf(base, 'ValidatingAdmissionPolicy').spec
    const namesOf = (rules: Rendered[]) =>
      rules.flatMap(({ apiGroups, resources }) => resources.map((each: string) => `${apiGroups[0]}/${each}`)).sort()
    const told = ['/events']
    t.strictSame(
      namesOf(policy.matchConstraints.resourceRules).filter(name => !name.endsWith('/status')),
      namesOf(made).filter(name => !told.includes(name)),
    )
    const { labels = {}, annotations = {} } = companionMetadata(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } },
      'b',
    )
    const [[label, value] = []] = Object.entries(labels)
    for (const { expression } of [policy.matchConditions[0], policy.variables[0]]) {
      t.ok(expression.includes(`o.metadata.labels["${label}"] == "${value}"`), expression)
      t.ok(expression.includes(`"${Object.keys(annotations)[0]}" in o.metadata.annotations`))
      t.ok(expression.includes(`!("${gatewayNameLabel}" in o.metadata.labels)`))
    }
  })
  t.test('a Pod has the time that the process takes to end', async t => {
    const [, drain, close] =
      /drainMilliseconds = ([\d_]+), closeMilliseconds = ([\d_]+)/.exec(source('src/main.ts')) ?? []
    const seconds = [drain, close].map(text => Number(text?.replaceAll('_', '')) / 1000)
    t.ok(pod.spec.terminationGracePeriodSeconds >= Math.max(...seconds) + Math.min(...seconds), `${seconds}`)
  })
  t.test('a Pod is out of the mesh and reads its own settings', async t => {
    t.match(pod.metadata.labels, { 'istio.io/dataplane-mode': 'none', 'sidecar.istio.io/inject': 'false' })
    t.equal(pod.spec.enableServiceLinks, false)
    t.notOk('cpu' in pod.spec.containers[0].resources.limits)
  })
  t.test('nothing here is taken for a companion', async t => {
    for (const { metadata } of base.filter(({ kind }) => kind !== undefined))
      t.not(metadata?.labels?.['app.kubernetes.io/managed-by'], 'sidestep')
  })
})

t.test('the Dockerfile', async t => {
  const dockerfile = source('Dockerfile')
  t.match(dockerfile, /^USER \d+:\d+$/m, 'the user is a number, or runAsNonRoot could not be checked')
  for (const [, paths = ''] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm))
    for (const path of paths.split(' ')) t.ok(readdirSync(join(root, path, '..')).length > 0, path)
  const pod = podOf(read(join(kustomize, 'base/deployment.yaml')))
  t.match(dockerfile, new RegExp(`^USER ${pod.spec.securityContext.runAsUser}:`, 'm'), 'and that of the Pod')
})

async function refusals(t: Test, helm: Helm) {
  const refused: [object, RegExp][] = [
    [{ replica: 3 }, /additional properties 'replica' not allowed/],
    [{ webhooks: { timeoutSecond: 3 } }, /webhooks.*additional properties 'timeoutSecond' not allowed/s],
    [{ webhooks: { timeoutSeconds: 30 } }, /webhooks\/timeoutSeconds.*maximum: got 30, want 5/s],
    [{ webhooks: { validateFailurePolicy: 'fail' } }, /validateFailurePolicy.*'Ignore', 'Fail'/s],
    [{ settings: { profil: 'kubeflow' } }, /settings.*additional properties 'profil' not allowed/s],
    [{ settings: { gateways: [{ gateway: 'a' }] } }, /settings\/gateways\/0/],
    [{ resources: { limits: { cpu: 1 } } }, /resources\/limits.*additional properties 'cpu' not allowed/s],
    [{ resources: { limits: { memory: '1G' } } }, /resources\/limits\/memory.*pattern/s],
    [{ webhooks: { validateFailurePolicy: 'Fail' }, replicas: 1 }, /Fail needs at least two replicas/],
    [
      { webhooks: { excludedNamespaces: ['istio-system'] } },
      /istio-system is Istio's root namespace and must be judged/,
    ],
  ]
  for (const [values, reason] of refused) {
    const error = await template(helm, values).then(
      () => new Error('rendered'),
      (error: Error) => error,
    )
    t.match(error.message, reason)
    t.comment(error.message.trim())
  }
}

async function objects(helm: Helm, values: object): Promise<Rendered[]> {
  return parseAllDocuments(await template(helm, values)).map(document => document.toJS())
}

function read(file: string): Rendered[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map(document => document.toJS())
}

function source(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

function objectOf(among: Rendered[], kind: string): Rendered {
  const found = among.find(object => object.kind === kind)
  if (!found) throw new Error(`there is no ${kind}`)
  return found
}

function podOf(among: Rendered[]): Rendered {
  return objectOf(among, 'Deployment').spec.template
}

function containerOf(among: Rendered[]): Rendered {
  return podOf(among).spec.containers[0]
}
