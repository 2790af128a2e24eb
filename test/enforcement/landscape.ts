// The cluster that the generated policies are written for: a Kubeflow profile, Kubeflow itself, and their callers.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'
import {
  gatewayNameLabel,
  keyOf,
  type Labels,
  type RunningPod,
  redirectionAnnotation,
  sidecarAnnotation,
} from './world.ts'

/** What differs from one set to the next beside its policies. */
export interface Landscape {
  settings: Settings
  services: core.Service[]
  ingress: Ingress
}

/** Which gateways serve the ingress: the classic one, the one of Gateway API, or both during the move. */
export type Ingress = 'old' | 'both' | 'new'

/**
 * Settings: team-a and team-b with all Services, ingress too; kubeflow with two named Services, without ingress; the other
 * namespaces without a rule. `mapped`: Service api has another port than its pods, and that of
 * notebook is named. `optedOut`: a Service without waypoint.
 */
export function landscapeOf({ ingress, trustDomain, mapped, optedOut }: Variation): Landscape {
  const api = service('team-a/api', { app: 'api' }, [{ port: mapped ? 80 : 8080, targetPort: 8080 }, { port: 9090 }])
  const notebookPort = { port: 8888, targetPort: mapped ? 'port-8888' : 8888 }
  const notebook = service('team-a/notebook', { app: 'notebook' }, [notebookPort])
  const none = { 'istio.io/use-waypoint': 'none' }
  const services = [api, notebook, ...otherServices].map(object =>
    keyOf(object) === optedOut ? { ...object, metadata: { ...object.metadata, labels: none } } : object,
  )
  return { settings: { ...profiles.kubeflow, trustDomain }, services, ingress }
}

interface Variation {
  ingress: Ingress
  trustDomain: string
  mapped: boolean
  optedOut: string | undefined
}

export const oldIngress = 'istio-system/istio-ingressgateway'
export const newIngress = 'istio-system/ambient-ingressgateway'

export const namespaces: core.Namespace[] = [
  namespace('team-a', { 'app.kubernetes.io/part-of': 'kubeflow-profile' }),
  namespace('team-b', { 'app.kubernetes.io/part-of': 'kubeflow-profile' }),
  namespace('kubeflow', {}),
  namespace('legacy', { 'istio-injection': 'enabled' }),
  namespace('outside', {}),
  namespace('istio-system', {}),
]

/** Every address ends in another number, so that a block can hold callers, the waypoint, or both. */
export const pods: RunningPod[] = [
  pod('team-a/api-1', '10.1.0.1', 'api', { app: 'api', version: 'v1' }, [8080, 9090]),
  pod('team-a/api-2', '10.1.0.2', 'api', { app: 'api', version: 'v2' }, [8080, 9090]),
  pod('team-a/notebook', '10.1.0.3', 'default-editor', { app: 'notebook', tier: 'web' }, [8888]),
  pod('team-a/db', '10.1.0.4', 'db', { app: 'db', tier: 'web' }, [5432]),
  pod('team-a/worker', '10.1.0.5', 'worker', { app: 'worker' }, [7000]),
  pod('team-b/notebook', '10.2.0.3', 'default-editor', { app: 'notebook' }, [8888]),
  pod('kubeflow/ml-pipeline', '10.3.0.1', 'ml-pipeline', { app: 'ml-pipeline', suite: 'pipelines' }, [8888, 8887]),
  pod('kubeflow/ml-pipeline-ui', '10.3.0.2', 'ml-pipeline-ui', { app: 'ml-pipeline-ui', suite: 'pipelines' }, [3000]),
  pod('kubeflow/metadata', '10.3.0.3', 'metadata', { app: 'metadata' }, [8080]),
  pod('legacy/batch', '10.4.0.1', 'batch', { app: 'batch' }, [], { [sidecarAnnotation]: '{}' }),
  pod('outside/machine', '192.0.2.1', 'default', { app: 'machine' }, []),
]

const otherServices: core.Service[] = [
  service('team-a/api-v2', { app: 'api', version: 'v2' }, [{ port: 8080 }]),
  service('team-a/db', { app: 'db' }, [{ port: 5432 }], 'None'),
  service('kubeflow/ml-pipeline', { app: 'ml-pipeline' }, [{ port: 8888 }, { port: 8887 }]),
  service('kubeflow/ml-pipeline-ui', { app: 'ml-pipeline-ui' }, [{ port: 80, targetPort: 3000 }]),
  service('kubeflow/metadata', { app: 'metadata' }, [{ port: 8080 }]),
]

export const oldIngressPod = pod(
  'istio-system/istio-ingressgateway',
  '10.9.0.1',
  'istio-ingressgateway-service-account',
  {
    app: 'istio-ingressgateway',
    istio: 'ingressgateway',
  },
)

export function ingressObjects(ingress: Ingress): core.KubernetesObject[] {
  const old = ingress === 'new' ? [] : [oldIngressPod]
  return ingress === 'old' ? old : [...old, ...deployed(newIngressGateway)]
}

const newIngressGateway: gateway.Gateway = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'ambient-ingressgateway', namespace: 'istio-system' },
  spec: { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
}

/** What istiod makes of a Gateway: a status with an address, and its pod. 1.4: a waypoint's account has its name. */
export function deployed(object: gateway.Gateway): [gateway.Gateway, RunningPod] {
  const { name = '', namespace = '' } = object.metadata
  const suffix = object.spec.gatewayClassName === 'istio-waypoint' ? '' : `-${object.spec.gatewayClassName}`
  const ip = waypointIps[namespace]
  if (!ip) throw new Error(`no address for a gateway in ${namespace}`)
  const status: gateway.Gateway['status'] = {
    addresses: [{ value: ip }],
    conditions: [
      { type: 'Accepted', status: 'True' },
      { type: 'Programmed', status: 'True' },
    ],
  }
  return [{ ...object, status }, pod(`${namespace}/${name}`, ip, `${name}${suffix}`, { [gatewayNameLabel]: name })]
}

const waypointIps: Record<string, string> = {
  'team-a': '10.1.0.200',
  'team-b': '10.2.0.200',
  kubeflow: '10.3.0.200',
  'istio-system': '10.9.0.200',
}

/** The pod as istio-cni leaves it when its namespace is ambient. Pods with sidecars and gateways stay as they are. */
export function captured(pod: RunningPod): RunningPod {
  const { annotations = {} } = pod.metadata
  const isGateway = pod.spec?.containers?.every(({ name }) => name === 'istio-proxy')
  if (isGateway || annotations[sidecarAnnotation] || annotations[redirectionAnnotation]) return pod
  return { ...pod, metadata: { ...pod.metadata, annotations: { ...annotations, [redirectionAnnotation]: 'enabled' } } }
}

/** The pod as a file shows it: the template of a Deployment, without address or state. */
export function templateOf({ metadata, spec }: RunningPod): core.KubernetesObject {
  const { name, namespace, labels } = metadata
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: { template: { metadata: { labels }, spec } },
  }
  return deployment as core.KubernetesObject
}

function namespace(name: string, labels: Labels): core.Namespace {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

function pod(
  key: string,
  podIP: string,
  serviceAccountName: string,
  labels: Labels,
  containerPorts?: number[],
  annotations: Labels = {},
): RunningPod {
  const ports = containerPorts?.map(containerPort => ({ name: `port-${containerPort}`, containerPort })) ?? []
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...named(key), labels, annotations },
    spec: { serviceAccountName, containers: [{ name: containerPorts ? 'app' : 'istio-proxy', ports }] },
    status: { podIP },
  }
}

function service(key: string, selector: Labels, ports: core.ServicePort[], clusterIP?: string): core.Service {
  const metadata = named(key)
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { selector, ports, ...(clusterIP ? { clusterIP } : {}) },
  }
}

function named(key: string): { namespace: string; name: string } {
  const [namespace = '', name = ''] = key.split('/')
  return { namespace, name }
}
