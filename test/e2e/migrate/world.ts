// A team with sidecars on a real API server, where Deployments get pods, pods get ready and sidecars are injected, and istiod
// and istio-cni say what they say, all of the time.
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { KubernetesObject } from '../../../src/apis/core.ts'
import { connect } from '../../../src/reconciler/api-server.ts'
import { pathOf } from '../../../src/reconciler/paths.ts'
import { readObjects } from '../../../src/reconciler/revert.ts'
import type { ControlPlane } from '../../control-plane/index.ts'
import { until } from '../../control-plane/until.ts'
import { startInjector } from '../controllers/injector.ts'
import { reconcileCapture } from '../controllers/istio-cni.ts'
import { reconcileIstiod } from '../controllers/istiod.ts'
import { reconcilePods } from '../controllers/kubelet.ts'
import { sendAs } from '../controllers/send.ts'
import { installKubeflow } from '../kubeflow.ts'

const fromIngress = {
  source: { principals: ['cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account'] },
}

/** What people and controllers wrote for sidecars. */
export const originals: KubernetesObject[] = [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: 'team-a',
      labels: { 'app.kubernetes.io/part-of': 'kubeflow-profile', 'istio-injection': 'enabled' },
    },
  },
  policy('ns-owner-access-istio', {
    rules: [
      { from: [fromIngress], when: [{ key: 'request.headers[kubeflow-userid]', values: ['alice@example.com'] }] },
      { when: [{ key: 'source.namespace', values: ['team-a'] }] },
    ],
  }),
  policy('no-posts', {
    action: 'DENY',
    selector: { matchLabels: { app: 'lab' } },
    rules: [{ to: [{ operation: { methods: ['POST'] } }] }],
  }),
  policy('reads', {
    selector: { matchLabels: { app: 'lab' } },
    rules: [{ to: [{ operation: { methods: ['GET'], paths: ['/api/*'] } }] }],
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
  object('v1', 'Service', 'lab', { selector: { app: 'lab' }, ports: [{ name: 'http', port: 80 }] }),
]

export const workloads = [workload('Deployment', 'lab', 2), workload('StatefulSet', 'notebook', 1)]

/** Installs all of it, with the controllers that keep it going until `t` ends. */
export async function startWorld(t: Test, controlPlane: ControlPlane): Promise<void> {
  await installKubeflow(controlPlane)
  const injector = await startInjector(controlPlane)
  t.teardown(() => injector.close())
  await controlPlane.apply(originals)
  await controlPlane.apply(workloads)
  const stop = new AbortController()
  const running = run(controlPlane, stop.signal)
  t.teardown(async () => {
    stop.abort()
    await running
  })
  await until('the team to run', async () => {
    const { body } = await controlPlane.demand('GET', '/apis/apps/v1/namespaces/team-a/deployments/lab')
    return body.status?.availableReplicas === 2 && (await sidecars(controlPlane)) === 3
  })
  // Policies come last in its round: everything that it deploys is there then.
  await until('istiod to have come round', async () => {
    const path = '/apis/security.istio.io/v1/namespaces/team-a/authorizationpolicies'
    const policies: { status?: object }[] = (await controlPlane.demand('GET', path)).body.items
    return policies.every(({ status }) => status)
  })
}

/** Everybody's rounds, again and again; a write that somebody else was faster with is made in the next. */
async function run(controlPlane: ControlPlane, signal: AbortSignal): Promise<void> {
  const [kubelet, cni, istiod] = ['kubelet', 'istio-cni', 'istiod'].map(name => sendAs(controlPlane, name))
  while (!signal.aborted) {
    const rounds = [reconcilePods(kubelet as never), reconcileCapture(cni as never), reconcileIstiod(istiod as never)]
    await Promise.allSettled(rounds)
    await pause(100)
  }
}

/** What the preflight looks for: ztunnel, the class of waypoints, and a reconciler that leads. */
export async function installAmbient(controlPlane: ControlPlane): Promise<void> {
  const labels = { app: 'ztunnel' }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'ztunnel', image: 'ztunnel' }] } }
  const ztunnel = {
    ...object('apps/v1', 'DaemonSet', 'ztunnel', { selector: { matchLabels: labels }, template }),
    metadata: { name: 'ztunnel', namespace: 'istio-system', labels },
  }
  const waypoints = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: { name: 'istio-waypoint' },
    spec: { controllerName: 'istio.io/mesh-controller' },
  }
  await controlPlane.apply([ztunnel, waypoints])
  await writeStatus(controlPlane, ztunnel, {
    ...{ currentNumberScheduled: 1, desiredNumberScheduled: 1, numberMisscheduled: 0, numberReady: 1 },
  })
  const lastTransitionTime = '2026-01-01T00:00:00Z'
  const accepted = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', lastTransitionTime }
  await writeStatus(controlPlane, { ...waypoints, kind: 'GatewayClasse' }, { conditions: [accepted] })
  await holdLease(controlPlane, 'sidestep-0')
}

export async function holdLease(controlPlane: ControlPlane, holderIdentity: string): Promise<void> {
  const renewTime = new Date().toISOString().replace('Z', '000Z')
  await controlPlane.apply({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'sidestep', namespace: 'istio-system' },
    spec: { holderIdentity, renewTime, leaseDurationSeconds: 3600 },
  })
}

async function writeStatus(controlPlane: ControlPlane, object: KubernetesObject, status: object): Promise<void> {
  const contentType = 'application/merge-patch+json'
  await controlPlane.demand('PATCH', `${pathOf(object)}/status`, { body: { status }, contentType })
}

/** How many pods of the team have one. */
export async function sidecars(controlPlane: ControlPlane): Promise<number> {
  const { body } = await controlPlane.demand('GET', '/api/v1/namespaces/team-a/pods')
  const pods: KubernetesObject[] = body.items
  return pods.filter(({ metadata }) => metadata.annotations?.['sidecar.istio.io/status']).length
}

/**
 * Everything that sidestep or a revert could write, by its path. Of each, what neither of them ever writes is left out, since
 * istiod writes it whenever it comes round to it: the status, and with it the version and who wrote which field.
 */
export async function written(controlPlane: ControlPlane): Promise<Record<string, object>> {
  const objects = await readObjects(connect(controlPlane.kubeconfig()), new AbortController().signal)
  const theirs = objects.filter(({ kind }) => !['Lease', 'Pod'].includes(kind) && !kind.endsWith('Configuration'))
  return Object.fromEntries(
    theirs.map(({ status: _, ...object }: KubernetesObject & { status?: unknown }) => {
      const { resourceVersion, managedFields, ...metadata } = object.metadata
      return [pathOf(object), { ...object, metadata }]
    }),
  )
}

function workload(kind: string, name: string, replicas: number): KubernetesObject {
  const template = {
    metadata: { labels: { app: name } },
    spec: { containers: [{ name, image: name, ports: [{ containerPort: 80 }] }] },
  }
  const more = kind === 'StatefulSet' ? { serviceName: name } : {}
  return object('apps/v1', kind, name, { replicas, selector: { matchLabels: { app: name } }, template, ...more })
}

function policy(name: string, spec: object): KubernetesObject {
  return object('security.istio.io/v1', 'AuthorizationPolicy', name, spec)
}

function object(apiVersion: string, kind: string, name: string, spec: object): KubernetesObject {
  return { apiVersion, kind, metadata: { name, namespace: 'team-a' }, spec } as KubernetesObject
}
