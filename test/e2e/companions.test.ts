// What sidestep keeps is nobody else's, on a real API server with the policy as deployed: who may write policies and routes in
// a Namespace changes no companion there and makes none, while sidestep, Kubernetes and administrators go on as before.
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { collectionOf, pathOf } from '../../src/reconciler/paths.ts'
import { isCompanion } from '../../src/translate/companion.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { sidestep } from '../cli/memory.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { users } from '../control-plane/users.ts'
import { allAtRest, atRest } from './at-rest.ts'
import { reconcileIstiod } from './controllers/istiod.ts'
import { sendAs } from './controllers/send.ts'
import { installKubeflow } from './kubeflow.ts'
import { type Sidestep, startSidestep } from './sidestep.ts'

/** Without the Namespace kubeflow, whose waypoint serves Services that are not here. */
const { kubeflow } = profiles
const settings = { ...kubeflow, namespaces: kubeflow.namespaces.filter(({ matchLabels }) => matchLabels) }
const alice = { user: 'alice' } as const
const merge = 'application/merge-patch+json'

/** Of the mesh: in a cluster of sidecars it would be out of reach. */
const noAdmin = policy('no-admin', 'istio-system', {
  action: 'DENY',
  rules: [{ to: [{ operation: { paths: ['/admin'] } }] }],
})
const lab: KubernetesObject = object('networking.istio.io/v1', 'VirtualService', 'lab', {
  hosts: ['*'],
  gateways: ['kubeflow/kubeflow-gateway'],
  http: [
    {
      match: [{ uri: { prefix: '/notebook/team-a/lab/' } }],
      route: [{ destination: { host: 'lab', port: { number: 80 } } }],
    },
  ],
})
const service = object('v1', 'Service', 'lab', { selector: { app: 'lab' }, ports: [{ name: 'http', port: 80 }] })
const guard = policy('istio-system-no-admin-guard', 'team-a', {})
const route = object('gateway.networking.k8s.io/v1', 'HTTPRoute', 'lab', {})
const waypoint = object('gateway.networking.k8s.io/v1', 'Gateway', 'waypoint', {})
const marks = {
  labels: { 'app.kubernetes.io/managed-by': 'sidestep' },
  annotations: { 'sidestep.dev/source': 'AuthorizationPolicy/istio-system/no-admin' },
}

t.test('companions are sidestep’s alone', async t => {
  const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
  if (!controlPlane) return
  const running = await startSidestep(controlPlane, { settings })
  t.teardown(() => running.stop())
  await installKubeflow(controlPlane)
  for (const name of ['team-a', 'team-b']) await controlPlane.apply(profileNamespace(name))
  await makeOwner(controlPlane)
  await settle(controlPlane, running)
  await controlPlane.apply([noAdmin, service])
  await controlPlane.apply(lab, alice)
  await settle(controlPlane, running)

  await t.test('sidestep makes them', t => stand(t, controlPlane))
  await t.test('an owner of the Namespace changes none', t => unchanged(t, controlPlane))
  await t.test('and makes nothing that looks like one', t => unforged(t, controlPlane))
  await t.test('but writes whatever is theirs', t => free(t, controlPlane))
  await t.test('what istiod makes for a waypoint is istiod’s', t => ofIstiod(t, controlPlane))
  await t.test('they go with their source', t => collected(t, controlPlane, running))
  await t.test('and with their Namespace', t => emptied(t, controlPlane, running))
  running.failures.none(t)
  await running.stop()
  await t.test('an administrator reverts', t => reverted(t, controlPlane))
})

function policy(name: string, namespace: string, spec: object): KubernetesObject {
  return object('security.istio.io/v1', 'AuthorizationPolicy', name, spec, namespace)
}

function object(apiVersion: string, kind: string, name: string, spec: object, namespace = 'team-a'): KubernetesObject {
  return { apiVersion, kind, metadata: { name, namespace }, spec } as KubernetesObject
}

function profileNamespace(name: string) {
  const labels = { 'app.kubernetes.io/part-of': 'kubeflow-profile' }
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

/** All that a Namespace has to give: cluster-admin, bound in it alone. */
async function makeOwner(controlPlane: ControlPlane): Promise<void> {
  for (const namespace of ['team-a', 'team-b'])
    await controlPlane.apply({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'owner', namespace },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: users.alice.username }],
    })
  // Whether its policy is in effect too: a forged companion is refused.
  await until('the owner to have rights, and companions to be protected', async () => {
    const { status, body } = await create(controlPlane, { ...service, metadata: { ...service.metadata, ...marks } })
    return status === 403 && /sidestep-companions/.test(body.message)
  })
}

function create(controlPlane: ControlPlane, body: KubernetesObject) {
  return controlPlane.request('POST', `${collectionOf(body)}?dryRun=All`, { ...alice, body })
}

/** Until neither istiod nor sidestep has anything to do. */
async function settle(controlPlane: ControlPlane, running: Sidestep): Promise<void> {
  await allAtRest(controlPlane, running, {
    istiod: { send: sendAs(controlPlane, 'istiod'), reconcile: reconcileIstiod },
  })
}

async function stand(t: Test, controlPlane: ControlPlane) {
  for (const each of [guard, route, waypoint]) {
    const { body } = await controlPlane.demand('GET', pathOf(each))
    t.ok(isCompanion(body), `${each.kind} ${each.metadata.name}`)
  }
}

/** Every way to write to an object that is there. */
async function unchanged(t: Test, controlPlane: ControlPlane) {
  for (const each of [guard, route, waypoint]) {
    const path = pathOf(each)
    const { body: stored } = await controlPlane.demand('GET', path, alice)
    const patch = (body: object) => controlPlane.request('PATCH', path, { ...alice, body, contentType: merge })
    const { apiVersion, kind, metadata } = each
    const attempts: Record<string, Promise<{ status: number; body: { message?: string } }>> = {
      edited: patch({ spec: { hostnames: ['other.example.com'] } }),
      'its label taken off': patch({ metadata: { labels: { 'app.kubernetes.io/managed-by': null } } }),
      'its annotation taken off': patch({ metadata: { annotations: { 'sidestep.dev/source': null } } }),
      'made to look like istiod’s': patch({
        metadata: { labels: { 'gateway.networking.k8s.io/gateway-name': 'waypoint' } },
      }),
      'given to another source': patch({ metadata: { annotations: { 'sidestep.dev/source': 'Namespace/team-a' } } }),
      'held by a finalizer': patch({ metadata: { finalizers: ['example.com/mine'] } }),
      labelled: patch({ metadata: { labels: { mine: 'yes' } } }),
      'applied over': controlPlane.request('PATCH', `${path}?fieldManager=alice&force=true`, {
        ...alice,
        body: { apiVersion, kind, metadata: { ...metadata, labels: { mine: 'yes' } } },
        contentType: 'application/apply-patch+yaml',
      }),
      replaced: controlPlane.request('PUT', path, {
        ...alice,
        body: { ...stored, metadata: { ...stored.metadata, labels: {}, annotations: {} } },
      }),
      deleted: controlPlane.request('DELETE', path, alice),
      'deleted with all of its kind': controlPlane.request('DELETE', collectionOf(each), alice),
    }
    for (const [way, attempt] of Object.entries(attempts)) {
      const { status, body } = await attempt
      t.equal(status, 403, `${each.kind}: ${way}`)
      t.match(
        body.message,
        /ValidatingAdmissionPolicy 'sidestep-companions'.* denied request: sidestep keeps this beside/,
      )
    }
    const { body } = await controlPlane.demand('GET', path)
    t.equal(body.metadata.resourceVersion, stored.metadata.resourceVersion, `${each.kind}: nothing was written`)
  }
  const { stderr } = await controlPlane.kubectl(
    ['delete', 'authorizationpolicy', guard.metadata.name ?? '', '-n', 'team-a'],
    alice,
  )
  t.match(
    stderr,
    /sidestep keeps this beside AuthorizationPolicy\/istio-system\/no-admin, .* somebody who may delete companions\.sidestep\.dev/,
  )
}

async function unforged(t: Test, controlPlane: ControlPlane) {
  const specs: [string, string, object][] = [
    ['security.istio.io/v1', 'AuthorizationPolicy', {}],
    ['security.istio.io/v1beta1', 'AuthorizationPolicy', {}],
    ['security.istio.io/v1', 'RequestAuthentication', {}],
    ['gateway.networking.k8s.io/v1', 'HTTPRoute', {}],
    ['gateway.networking.k8s.io/v1beta1', 'HTTPRoute', {}],
    ['gateway.networking.k8s.io/v1', 'GRPCRoute', {}],
    [
      'gateway.networking.k8s.io/v1',
      'Gateway',
      { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
    ],
    [
      'gateway.networking.k8s.io/v1beta1',
      'ReferenceGrant',
      {
        from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'team-b' }],
        to: [{ group: '', kind: 'Service' }],
      },
    ],
    ['v1', 'Service', { ports: [{ port: 80 }] }],
  ]
  for (const [apiVersion, kind, spec] of specs) {
    const forged = object(apiVersion, kind, 'forged', spec)
    const { status, body } = await create(controlPlane, { ...forged, metadata: { ...forged.metadata, ...marks } })
    t.equal(status, 403, `${kind} ${apiVersion}`)
    t.match(body.message, /denied request: the label app\.kubernetes\.io\/managed-by: sidestep and the annotation/)
  }
  const { status, body } = await create(controlPlane, policy('istio-system-next-guard', 'team-a', {}))
  t.equal(status, 403, 'nor takes the place of one that is still to come')
  t.match(body.message, /denied request: names that begin with istio-system- are for what sidestep keeps/)
  const mine = policy('mine', 'team-a', {})
  await controlPlane.demand('POST', collectionOf(mine), { ...alice, body: mine })
  const marked = { ...alice, body: { metadata: marks }, contentType: merge }
  t.equal((await controlPlane.request('PATCH', pathOf(mine), marked)).status, 403, 'marked later')
  t.equal((await controlPlane.request('PATCH', `${pathOf(service)}/status`, marked)).status, 403, 'through its status')
}

async function free(t: Test, controlPlane: ControlPlane) {
  const mine = policy('mine', 'team-a', {})
  const patch = (path: string, body: object) =>
    controlPlane.request('PATCH', path, { ...alice, body, contentType: merge })
  t.equal((await patch(pathOf(mine), { spec: { rules: [{}] } })).status, 200, 'a policy')
  t.equal(
    (await patch(pathOf(mine), { metadata: { labels: marks.labels } })).status,
    200,
    'the label, as charts set it',
  )
  t.equal((await patch(pathOf(lab), { metadata: { labels: { mine: 'yes' } } })).status, 200, 'a source')
  t.equal((await patch(pathOf(service), { metadata: { labels: { mine: 'yes' } } })).status, 200, 'a Service')
  const condition = {
    type: 'mine',
    status: 'True',
    reason: 'mine',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  }
  const status = { status: { conditions: [condition] } }
  t.equal((await patch(`${pathOf(service)}/status`, status)).status, 200, 'its status')
  t.equal(
    (await patch(`${pathOf(route)}/status`, { status: { parents: [] } })).status,
    200,
    'the status of a companion',
  )
  t.equal((await controlPlane.request('DELETE', pathOf(mine), alice)).status, 200)
}

/** It has one mark of its Gateway, and both where the Gateway says nothing of its infrastructure. */
async function ofIstiod(t: Test, controlPlane: ControlPlane) {
  const { labels } = (await controlPlane.demand('GET', pathOf(object('v1', 'Service', 'waypoint', {})))).body.metadata
  t.match(labels, marks.labels)
  const again = object('v1', 'Service', 'waypoint-2', { ports: [{ port: 15008 }] })
  const marked = { ...again, metadata: { ...again.metadata, labels, annotations: marks.annotations } }
  t.notOk(isCompanion(marked))
  t.equal((await create(controlPlane, marked)).status, 201, 'whoever makes it')
}

async function collected(t: Test, controlPlane: ControlPlane, running: Sidestep) {
  const isGone = (each: KubernetesObject) => async () =>
    (await controlPlane.request('GET', pathOf(each))).status === 404
  // What was written before is still being answered: a route that istiod does not accept any more, for example.
  await settle(controlPlane, running)
  const before = running.writes.length
  // Whoever comes first, the garbage collector or sidestep.
  await controlPlane.demand('DELETE', pathOf(lab), alice)
  await t.resolves(until('the route to go', isGone(route)))
  // Sidestep's alone: it has no owner in its Namespace.
  await controlPlane.demand('DELETE', pathOf(noAdmin))
  await t.resolves(until('the guard to go', isGone(guard)))
  const writes = running.writes.slice(before)
  t.ok(writes.some(write => /^DELETE .*team-a.*\/istio-system-no-admin-guard$/.test(write)))
  // Two kinds have two watches: of the route's end sidestep may hear before that of its source, and mind both once more.
  const ofThem = /\/(httproutes\/lab|virtualservices\/lab|istio-system-no-admin-guard|no-admin-istio-waypoint)$/
  t.strictSame(
    writes.filter(write => !ofThem.test(write)),
    [],
    'and nothing else',
  )
  await controlPlane.apply(noAdmin)
  await controlPlane.apply(lab, alice)
  await settle(controlPlane, running)
  await stand(t, controlPlane)
}

async function emptied(t: Test, controlPlane: ControlPlane, running: Sidestep) {
  const path = '/api/v1/namespaces/team-b'
  t.ok(isCompanion((await controlPlane.demand('GET', pathOf(policy(guard.metadata.name ?? '', 'team-b', {})))).body))
  await controlPlane.demand('DELETE', path)
  await t.resolves(until('the Namespace to go', async () => (await controlPlane.request('GET', path)).status === 404))
  await atRest(controlPlane, running)
}

async function reverted(t: Test, controlPlane: ControlPlane) {
  for (const kind of ['mutating', 'validating'])
    await controlPlane.kubectl(['delete', `${kind}webhookconfiguration`, 'sidestep'])
  const flags = (user: 'alice' | 'admin') => ['revert', '--kubeconfig', controlPlane.kubeconfig(user), '--yes']
  await controlPlane.grant('alice', 'view')
  t.not((await sidestep(flags('alice'))).code, 0)
  await stand(t, controlPlane)
  await until('a revert that nobody hinders', async () => (await sidestep(flags('admin'))).code < 2)
  // The route goes when the ingress does.
  for (const each of [guard, waypoint]) t.equal((await controlPlane.request('GET', pathOf(each))).status, 404)
}
