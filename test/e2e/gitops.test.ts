// What docs/gitops.md says, held on a real API server: how Flux and Argo CD see what sidestep has rewritten. Both ask the API
// server by a dry run of server-side apply, and compare the answer with what is stored.
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { isEqual } from '../../src/translate/canonical.ts'
import { isCompanion } from '../../src/translate/companion.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { atRest } from './at-rest.ts'
import { startWatchingIstiod } from './controllers/watching-istiod.ts'
import { installKubeflow } from './kubeflow.ts'
import { type Sidestep, startSidestep } from './sidestep.ts'

type Stored = KubernetesObject & { spec?: Record<string, unknown> }

/** How a tool marks what it has applied, and would delete once git has it no more. */
const marks = {
  labels: { 'app.kubernetes.io/instance': 'team-a', 'kustomize.toolkit.fluxcd.io/name': 'team-a' },
  annotations: { 'argocd.argoproj.io/tracking-id': 'team-a:x' },
}

const inGit: Stored[] = [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: 'team-a',
      labels: { ...marks.labels, 'app.kubernetes.io/part-of': 'kubeflow-profile', 'istio-injection': 'enabled' },
      annotations: marks.annotations,
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'lab', namespace: 'team-a' },
    spec: { selector: { app: 'lab' }, ports: [{ name: 'http', port: 80 }] },
  },
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'lab', namespace: 'team-a', ...marks },
    spec: {
      gateways: ['kubeflow/kubeflow-gateway'],
      hosts: ['*'],
      http: [
        {
          match: [{ uri: { prefix: '/lab/' } }],
          route: [{ destination: { host: 'lab.team-a.svc.cluster.local', port: { number: 80 } } }],
        },
      ],
    },
  },
  {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'lab', namespace: 'team-a', ...marks },
    spec: { selector: { matchLabels: { app: 'lab' } }, rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
  },
]

interface Life {
  controlPlane: ControlPlane
  sidestep: Sidestep
}

t.test('what docs/gitops.md says', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
  if (!controlPlane) return
  await installKubeflow(controlPlane)
  const istiod = await startWatchingIstiod(controlPlane)
  t.teardown(() => istiod.stop())
  const sidestep = await startSidestep(controlPlane)
  t.teardown(() => sidestep.stop())
  const life = { controlPlane, sidestep }
  for (const object of inGit) await applied(life, 'argocd-controller', object)
  await until('everything to be rewritten', async () => {
    await atRest(controlPlane, sidestep)
    const [, , virtualService, policy] = await Promise.all(inGit.map(each => stored(life, each)))
    return (
      virtualService?.metadata.labels?.['istio.io/rev'] === 'sidestep-parked' && 'targetRefs' in (policy?.spec ?? {})
    )
  })
  for (const manager of ['argocd-controller', 'kustomize-controller'])
    await t.test(`a dry run by ${manager} gives what is stored`, t => inSync(t, life, manager))
  await t.test('a comparison without the API server sees what sidestep has rewritten', t => outOfSync(t, life))
  await t.test('companions carry no mark of a tool that prunes', t => unmarked(t, life))
  await t.test('what is kept beside goes with its source, by its owner', t => owned(t, life))
  sidestep.failures.none(t)
})

function applied({ controlPlane }: Life, manager: string, object: KubernetesObject, query = '') {
  const path = `${pathOf(object)}?fieldManager=${manager}&force=true${query}`
  return controlPlane.demand('PATCH', path, { body: object, contentType: 'application/apply-patch+yaml' })
}

async function stored({ controlPlane }: Life, object: KubernetesObject): Promise<Stored> {
  return (await controlPlane.demand('GET', pathOf(object))).body
}

function withoutManagers({ metadata: { managedFields: _, ...metadata }, ...object }: Stored): unknown {
  return { ...object, metadata }
}

async function inSync(t: Test, life: Life, manager: string) {
  for (const object of inGit) {
    const name = `${object.kind} ${object.metadata.name}`
    const before = await stored(life, object)
    const { body: predicted } = await applied(life, manager, object, '&dryRun=All')
    t.strictSame(withoutManagers(predicted), withoutManagers(before), `${name}: no difference`)
    // The first apply of a manager enters it among the managers.
    const { body: first } = await applied(life, manager, object)
    const { body: second } = await applied(life, manager, object)
    t.equal(second.metadata.resourceVersion, first.metadata.resourceVersion, 'and applied again nothing is written')
  }
}

/** What a diff of git against the cluster finds that does not ask the API server. */
async function outOfSync(t: Test, life: Life) {
  const differing: string[] = []
  for (const object of inGit) {
    const { spec = {}, metadata } = await stored(life, object)
    for (const [name, value] of Object.entries(object.spec ?? {}))
      if (object.kind !== 'Service' && !isEqual(spec[name], value)) differing.push(`${object.kind} spec.${name}`)
    for (const [name, value] of Object.entries(object.metadata.labels ?? {}))
      if (metadata.labels?.[name] !== value) differing.push(`${object.kind} metadata.labels.${name}`)
  }
  t.strictSame(differing, ['Namespace metadata.labels.istio-injection', 'AuthorizationPolicy spec.selector'])
}

async function unmarked(t: Test, { sidestep }: Life) {
  const companions = [...sidestep.live.objects.values()].filter(isCompanion)
  t.ok(companions.length >= 3, companions.map(({ kind, metadata }) => `${kind} ${metadata.name}`).join(', '))
  for (const { kind, metadata } of companions) {
    const names = [...Object.keys(metadata.labels ?? {}), ...Object.keys(metadata.annotations ?? {})]
    const foreign = names.filter(name => /argocd|fluxcd|app\.kubernetes\.io\/instance/.test(name))
    t.strictSame(foreign, [], `${kind} ${metadata.name}`)
  }
}

async function owned(t: Test, life: Life) {
  const { controlPlane, sidestep } = life
  const source = inGit[2] as Stored
  await controlPlane.demand('DELETE', pathOf(source))
  const route = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', metadata: source.metadata }
  await t.resolves(
    until('its route to be gone', async () => (await controlPlane.request('GET', pathOf(route))).status === 404),
    'a pruned VirtualService takes its route with it',
  )
  await atRest(controlPlane, sidestep)
}
