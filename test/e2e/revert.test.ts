// A team in ambient goes back to sidecars on a real API server: what the webhook rewrote comes back word for word, what stood
// beside it goes, and a revert that is interrupted after any write goes on where it stopped.
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { connect } from '../../src/reconciler/api-server.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { carryOut, readObjects, tryOut } from '../../src/reconciler/revert.ts'
import { isCompanion } from '../../src/translate/companion.ts'
import { revertPlan } from '../../src/translate/revert.ts'
import { sidestep } from '../cli/memory.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { allAtRest, atRest } from './at-rest.ts'
import { reconcileGateways, reconcileHTTPRoutes } from './controllers/istiod.ts'
import { type Send, sendAs } from './controllers/send.ts'
import { ingress, installKubeflow } from './kubeflow.ts'
import { type Sidestep, startSidestep } from './sidestep.ts'

const scope = { rootNamespace: 'istio-system' }
const fromIngress = {
  source: { principals: ['cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account'] },
}

/** What people wrote for sidecars. */
const originals: KubernetesObject[] = [
  namespace('team-a', { 'app.kubernetes.io/part-of': 'kubeflow-profile', 'istio-injection': 'enabled' }),
  policy('owner', {
    rules: [{ from: [fromIngress], when: [{ key: 'request.headers[kubeflow-userid]', values: ['alice'] }] }],
  }),
  policy('no-posts', {
    action: 'DENY',
    selector: { matchLabels: { app: 'lab' } },
    rules: [{ to: [{ operation: { methods: ['POST'] } }] }],
  }),
  policy('neighbours', {
    action: 'DENY',
    rules: [{ from: [{ source: { notNamespaces: ['team-a', 'istio-system'] } }] }],
  }),
  object('security.istio.io/v1', 'RequestAuthentication', 'tokens', { jwtRules: [{ issuer: 'https://dex' }] }),
  object('security.istio.io/v1', 'PeerAuthentication', 'ports', {
    selector: { matchLabels: { app: 'lab' } },
    mtls: { mode: 'STRICT' },
    portLevelMtls: { '9443': { mode: 'DISABLE' } },
  }),
  object('networking.istio.io/v1', 'VirtualService', 'lab', {
    hosts: ['*'],
    gateways: ['kubeflow/kubeflow-gateway'],
    http: [
      {
        match: [{ uri: { prefix: '/notebook/team-a/lab/' } }],
        route: [{ destination: { host: 'lab', port: { number: 80 } } }],
      },
    ],
  }),
]
const service = object('v1', 'Service', 'lab', { selector: { app: 'lab' }, ports: [{ name: 'http', port: 80 }] })

t.test('a team goes back to sidecars', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
  if (!controlPlane) return
  const running = await startSidestep(controlPlane)
  t.teardown(() => running.stop())
  await installKubeflow(controlPlane)
  await controlPlane.apply([...originals.slice(0, 1), service])
  // As a user of server-side apply and one of client-side apply write.
  await controlPlane.apply(originals.slice(1, 4))
  await controlPlane.apply(originals.slice(4), { serverSide: true })
  await controlPlane.apply(podOf(false))
  await capture(controlPlane)
  await moveToAmbient(controlPlane, running)
  running.failures.none(t)

  await t.test('what was written is rewritten, with companions', t => isRewritten(t, controlPlane))
  await t.test('it is refused while sidestep runs', t => isRefused(t, controlPlane))
  await running.stop()
  await t.test('without --yes nothing is written', t => isPlanned(t, controlPlane))
  await t.test('it goes on wherever it was interrupted', t => isInterrupted(t, controlPlane))
  await t.test('the last run ends it', t => isFinished(t, controlPlane))
})

async function moveToAmbient(controlPlane: ControlPlane, running: Sidestep): Promise<void> {
  const istiod = async (send: Send) => {
    await reconcileGateways(send)
    await reconcileHTTPRoutes(send)
  }
  await allAtRest(controlPlane, running, { istiod: { send: sendAs(controlPlane, 'istiod'), reconcile: istiod } })
  // A label that the reconciler applies: `lab` is enrolled by itself as well.
  const labels = { 'istio.io/use-waypoint': 'waypoint' }
  await controlPlane.demand('PATCH', `${pathOf(service)}?fieldManager=sidestep`, {
    body: { apiVersion: 'v1', kind: 'Service', metadata: { name: 'lab', namespace: 'team-a', labels } },
    contentType: 'application/apply-patch+yaml',
  })
  await atRest(controlPlane, running)
}

async function isRewritten(t: Test, controlPlane: ControlPlane): Promise<void> {
  for (const original of originals) {
    const { body } = await controlPlane.demand('GET', pathOf(original))
    t.ok(body.metadata.annotations?.['sidestep.dev/original'], `${original.kind} ${original.metadata.name}`)
  }
  const companions = (await stored(controlPlane)).filter(isCompanion)
  const kinds = companions.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  t.match(kinds.sort(), [
    'AuthorizationPolicy neighbours-waypoint',
    'AuthorizationPolicy no-posts-guard',
    'AuthorizationPolicy owner-guard',
    'Gateway kubeflow-waypoint',
    'Gateway waypoint',
    'HTTPRoute lab',
  ])
}

async function isRefused(t: Test, controlPlane: ControlPlane): Promise<void> {
  const before = await versions(controlPlane)
  t.match(await revert(controlPlane, '--yes'), {
    code: 2,
    stderr: /MutatingWebhookConfiguration sidestep .*: kubectl delete mutatingwebhookconfiguration sidestep/,
  })
  const api = connect(controlPlane.kubeconfig())
  const { signal } = new AbortController()
  const problems = await tryOut(api, revertPlan(await stored(controlPlane), scope), { signal })
  t.match(problems.join('\n'), /AuthorizationPolicy team-a\/owner comes back rewritten/, 'by whatever name')
  for (const kind of ['mutating', 'validating'])
    await controlPlane.kubectl(['delete', `${kind}webhookconfiguration`, 'sidestep'])
  await until('the webhook to be out of effect', async () => {
    const steps = revertPlan(await stored(controlPlane), scope)
    return (await tryOut(api, steps, { signal })).length === 0
  })
  await lease(controlPlane, 'sidestep-0')
  t.match(await revert(controlPlane, '--yes'), { code: 2, stderr: /sidestep-0 holds Lease istio-system\/sidestep/ })
  await lease(controlPlane, '')
  t.strictSame(await versions(controlPlane), before)
}

async function lease(controlPlane: ControlPlane, holderIdentity: string): Promise<void> {
  const renewTime = new Date().toISOString().replace('Z', '000Z')
  await controlPlane.apply({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'sidestep', namespace: 'istio-system' },
    spec: { holderIdentity, renewTime, leaseDurationSeconds: 3600 },
  })
}

async function isPlanned(t: Test, controlPlane: ControlPlane): Promise<void> {
  const before = await versions(controlPlane)
  for (const flags of [[], ['--dry-run']]) {
    const { code, stdout, stderr } = await revert(controlPlane, ...flags)
    t.equal(stderr, '')
    t.equal(code, 0)
    t.match(stdout, /waits for sidecars in team-a: restart Pod lab\n.*writes back Namespace team-a/)
    t.match(stdout, /waits for Gateway istio-system\/ambient-ingressgateway: send its clients/)
  }
  t.strictSame(await versions(controlPlane), before)
}

/** One write, and it is interrupted; then another. In between people do what they are asked to. */
async function isInterrupted(t: Test, controlPlane: ControlPlane): Promise<void> {
  let writes = 0
  const interruptedRun = async () => {
    const interruption = new AbortController()
    const onWrite = () => {
      writes++
      interruption.abort()
    }
    return carryOut(connect(controlPlane.kubeconfig()), scope, { signal: interruption.signal, onWrite }).catch(
      () => 'cut',
    )
  }
  while ((await interruptedRun()) === 'cut');
  t.equal(writes, 4, 'the VirtualService, the labels of injection, and kubeflow, where no pod runs, with its waypoint')
  const { labels } = (await controlPlane.demand('GET', '/api/v1/namespaces/team-a')).body.metadata
  t.match(labels, {
    'istio-injection': 'enabled',
    'istio.io/dataplane-mode': 'ambient',
    'istio.io/use-waypoint': 'waypoint',
  })
  t.match(await revert(controlPlane, '--yes'), { code: 1, stdout: /^\nThis is left/ }, 'and then it waits')

  await controlPlane.demand('DELETE', pathOf(podOf(false)), { body: { gracePeriodSeconds: 0 } })
  await controlPlane.apply(podOf(true))
  await controlPlane.demand('DELETE', pathOf(ingress))
  const left = revertPlan(await stored(controlPlane), scope).flatMap(step => step.writes)
  t.ok(left.length > 10 && left.every(({ waitsFor }) => waitsFor === undefined), `${left.length} writes are left`)
  while (revertPlan(await stored(controlPlane), scope).flatMap(step => step.writes).length > 2)
    t.equal(await interruptedRun(), 'cut')
}

async function isFinished(t: Test, controlPlane: ControlPlane): Promise<void> {
  const run = await revert(controlPlane, '--yes')
  t.match(run, { code: 0, stderr: '', stdout: /Everything is as its author wrote it/ })
  t.comment(run.stdout)
  for (const original of [...originals, service]) {
    const { body } = await controlPlane.demand('GET', pathOf(original))
    const { labels, annotations = {} } = body.metadata
    const { 'kubernetes.io/metadata.name': _, ...others } = labels ?? {}
    const { 'kubectl.kubernetes.io/last-applied-configuration': __, ...its } = annotations
    t.strictSame(others, original.metadata.labels ?? {}, `labels of ${original.kind} ${original.metadata.name}`)
    t.strictSame(its, {}, 'annotations')
    if (original.kind !== 'Namespace' && original.kind !== 'Service')
      t.strictSame(body.spec, (original as { spec?: unknown }).spec, 'spec')
  }
  t.strictSame((await stored(controlPlane)).filter(isCompanion).map(pathOf), [])
  const before = await versions(controlPlane)
  t.match(await revert(controlPlane, '--yes'), { code: 0, stdout: /Nothing is left of sidestep here/ })
  t.strictSame(await versions(controlPlane), before)
}

// The cluster ------------------------------------------------------------------------------------------------------

function revert(controlPlane: ControlPlane, ...flags: string[]) {
  return sidestep(['revert', '--kubeconfig', controlPlane.kubeconfig(), ...flags])
}

function stored(controlPlane: ControlPlane): Promise<KubernetesObject[]> {
  return readObjects(connect(controlPlane.kubeconfig()), new AbortController().signal)
}

/** Of what a revert could write. */
async function versions(controlPlane: ControlPlane): Promise<string[]> {
  const objects = await stored(controlPlane)
  return objects
    .filter(({ kind }) => kind !== 'Lease' && !kind.endsWith('Configuration'))
    .map(each => `${pathOf(each)} ${each.metadata.resourceVersion}`)
    .sort()
}

/** istio-cni marks the pod. */
async function capture(controlPlane: ControlPlane): Promise<void> {
  await controlPlane.demand('PATCH', pathOf(podOf(false)), {
    body: { metadata: { annotations: { 'ambient.istio.io/redirection': 'enabled' } } },
    contentType: 'application/merge-patch+json',
  })
}

function podOf(hasSidecar: boolean): KubernetesObject {
  const annotations = hasSidecar ? { 'sidecar.istio.io/status': '{}' } : {}
  const spec = { containers: [{ name: 'lab', image: 'lab' }], serviceAccountName: 'default' }
  return {
    ...object('v1', 'Pod', 'lab', spec),
    metadata: { name: 'lab', namespace: 'team-a', labels: { app: 'lab' }, annotations },
  }
}

function namespace(name: string, labels: Record<string, string>): KubernetesObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

function policy(name: string, spec: object): KubernetesObject {
  return object('security.istio.io/v1', 'AuthorizationPolicy', name, spec)
}

function object(apiVersion: string, kind: string, name: string, spec: object): KubernetesObject {
  return { apiVersion, kind, metadata: { name, namespace: 'team-a' }, spec } as KubernetesObject
}
