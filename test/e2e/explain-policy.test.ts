// `sidestep explain-policy` against a real API server: what it lists, what stays of a status there, what RBAC withholds.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { connect } from '../../src/reconciler/api-server.ts'
import { policyResources, readOnce } from '../../src/reconciler/read.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { byKey } from '../../src/translate/snapshot.ts'
import { sidestep } from '../cli/memory.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'

const inTeam = (name: string) => ({ name, namespace: 'team-a' })
const labels = { 'app.kubernetes.io/part-of': 'kubeflow-profile', 'istio.io/dataplane-mode': 'ambient' }
const team = (more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'team-a', labels: { ...labels, ...more } },
})
const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: inTeam('lab'),
  spec: { selector: { app: 'lab' }, ports: [{ port: 80 }] },
}
const waypoint = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: inTeam('waypoint'),
  spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
}
const owner = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: inTeam('owner'),
  spec: { rules: [{ when: [{ key: 'request.headers[user]', values: ['ada'] }] }] },
}

t.test('explain-policy on a real API server', async t => {
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  const explain = (user: 'admin' | 'alice', ...flags: string[]) =>
    sidestep(['explain-policy', 'owner', '--kubeconfig', controlPlane.kubeconfig(user), ...flags])
  const next = async () => {
    const { code, stdout, stderr } = await explain('admin', '-o', 'json')
    t.strictSame([code, stderr], [0, ''])
    const { steps } = JSON.parse(stdout)
    return steps.find(({ state }: { state: string }) => state === 'next' || state === 'unreported')
  }
  const translated = async () => {
    const cluster = await readOnce(connect(controlPlane.kubeconfig()), policyResources)
    const stored = byKey(cluster.authorizationPolicies, 'team-a/owner') as KubernetesObject
    return translate(stored, cluster, profiles.kubeflow)
  }
  const setStatus = (resource: string, name: string, status: object) =>
    controlPlane.kubectl([
      ...['patch', resource, name, '--namespace=team-a', '--subresource=status', '--type=merge'],
      ...['-p', JSON.stringify({ status })],
    ])

  await controlPlane.apply(team())
  await controlPlane.apply([service, owner])
  t.match(await next(), { state: 'next', missing: 'Gateway team-a/waypoint, which is not there' })

  await controlPlane.apply(waypoint)
  t.match(await next(), { missing: 'Gateway team-a/waypoint, which has no address yet' })
  const programmed = {
    type: 'Programmed',
    status: 'True',
    reason: 'Programmed',
    message: '',
    lastTransitionTime: now(),
  }
  await setStatus('gateways.gateway.networking.k8s.io', 'waypoint', {
    addresses: [{ type: 'IPAddress', value: '10.0.0.9' }],
    conditions: [programmed],
  })
  t.match(await next(), { state: 'next', what: /^guard/, missing: 'AuthorizationPolicy team-a/owner-guard' })

  await controlPlane.apply((await translated()).companions)
  t.match(await next(), { state: 'next', what: 'the policy on Gateway waypoint' })
  const { object } = await translated()
  const { apiVersion, kind, metadata, spec } = object as KubernetesObject & { spec: object }
  await controlPlane.demand('PUT', '/apis/security.istio.io/v1/namespaces/team-a/authorizationpolicies/owner', {
    body: { apiVersion, kind, metadata, spec },
  })
  t.match(await next(), { what: 'the guard lets the waypoint through' })
  await controlPlane.apply((await translated()).companions)
  t.match(await next(), { what: 'Namespace team-a enrolled' })

  await controlPlane.apply(team({ 'istio.io/use-waypoint': 'waypoint', 'istio.io/ingress-use-waypoint': 'true' }))
  t.match(await next(), { state: 'unreported', what: 'istiod has bound Service team-a/lab' })
  const bound = {
    type: 'istio.io/WaypointBound',
    status: 'True',
    reason: 'WaypointAccepted',
    message: '',
    lastTransitionTime: now(),
  }
  await setStatus('service', 'lab', { conditions: [bound] })
  t.match(await next(), { state: 'unreported', what: 'istiod accepts owner' })

  const { generation } = (await controlPlane.get('authorizationpolicy', 'owner', 'team-a')).metadata
  const accept = (observedGeneration: number, reason: string) =>
    setStatus('authorizationpolicy', 'owner', {
      conditions: [
        { type: 'WaypointAccepted', status: 'True', reason, observedGeneration: String(observedGeneration) },
      ],
    })
  await accept(generation - 1, 'Accepted')
  t.match(await next(), { state: 'next', missing: /about an older version/ })
  await accept(generation, 'PartiallyInvalid')
  t.match(await next(), { state: 'next', missing: /True, PartiallyInvalid/ })
  await accept(generation, 'Accepted')
  t.equal(await next(), undefined)

  const { stdout } = await explain('admin')
  t.comment(stdout)
  t.match(stdout, 'Enforced:\n  ztunnel ')

  const mayList = (...rules: [apiGroup: string, ...resources: string[]][]) =>
    controlPlane.apply({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'reader' },
      rules: rules.map(([apiGroup, ...resources]) => ({ apiGroups: [apiGroup], resources, verbs: ['list'] })),
    })
  await mayList(['', 'namespaces', 'services', 'pods'])
  await controlPlane.grant('alice', 'reader')
  const kinds = [
    'serviceentries.networking.istio.io',
    'authorizationpolicies.security.istio.io',
    'requestauthentications.security.istio.io',
    'gateways.gateway.networking.k8s.io',
  ]
  // RBAC follows what is stored within moments.
  await until('alice may list some kinds', async () => !(await explain('alice')).stderr.includes('pods'))
  t.strictSame(await explain('alice'), {
    code: 2,
    stdout: '',
    stderr: `error: you may not list ${kinds.join(', ')}; ask for a ClusterRole with the verb list for them\n`,
  })
  await mayList(
    ['', 'namespaces', 'services', 'pods'],
    ['networking.istio.io', 'serviceentries'],
    ['security.istio.io', 'authorizationpolicies', 'requestauthentications'],
    ['gateway.networking.k8s.io', 'gateways'],
  )
  await until('alice may list everything', async () => (await explain('alice')).code === 0)
  t.equal((await explain('alice')).stdout, stdout, 'to list is all that is needed')
})

function now(): string {
  return new Date().toISOString()
}
