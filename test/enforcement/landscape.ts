// The cluster that the generated policies are written for: a Kubeflow profile, Kubeflow itself, and their callers.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { DirectCaller, NamespaceRule, Settings, WaypointRule } from '../../src/translate/settings.ts'
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
  /** Waypoints that somebody else keeps, as written. */
  waypoints: gateway.Gateway[]
  ingress: Ingress
  /** The port on which the pods of the classic ingress listen; those of Gateway API listen on 80. */
  ingressPort: number
}

/** Which gateways serve the ingress: the classic one, the one of Gateway API, or both during the move. */
export type Ingress = 'old' | 'both' | 'new'

export interface Variation {
  ingress: Ingress
  ingressPort: number
  trustDomain: string
  /** Ports of a Service, in place of the usual ones. */
  ports: Record<string, core.ServicePort[]>
  /** A Service without waypoint. */
  optedOut: string | undefined
  /** How many more Services lead to the pods of notebook. */
  copies: number
  /** A second Service for the pods of api, by its ports. */
  other: core.ServicePort[] | undefined
  /** The waypoints of the teams: one each, one for both in a namespace apart, or one for both in team-a. */
  waypoint: 'each' | 'apart' | 'neighbour'
  /** The Services of the teams that are enrolled. */
  enrolled: 'all' | string[]
  /** Whether ingress traffic goes through the waypoint, in kubeflow and in the teams. */
  ingressUseWaypoint: { kubeflow: boolean; teams: boolean }
  directCallers: DirectCaller[]
}

export const usual: Variation = {
  ingress: 'old',
  ingressPort: 80,
  trustDomain: 'cluster.local',
  ports: {},
  optedOut: undefined,
  copies: 0,
  other: undefined,
  waypoint: 'each',
  enrolled: 'all',
  ingressUseWaypoint: { kubeflow: false, teams: true },
  directCallers: [],
}

/** Namespaces team-a, team-b and kubeflow have a rule in the settings; the others have none. */
export function landscapeOf(variation: Variation): Landscape {
  const { ingress, ingressPort, trustDomain, ports, optedOut, copies, other } = variation
  const none = { 'istio.io/use-waypoint': 'none' }
  const services = [
    ...usualServices.map(object => withPorts(object, ports[keyOf(object)])),
    ...Array.from({ length: copies }, (_, i) => service(`team-a/notebook-${i + 1}`, { app: 'notebook' }, [at(8888)])),
    ...(other ? [service('team-a/api-other', { app: 'api' }, other)] : []),
  ].map(object => (keyOf(object) === optedOut ? { ...object, metadata: { ...object.metadata, labels: none } } : object))
  const settings = { ...profiles.kubeflow, trustDomain, namespaces: namespaceRules(variation) }
  return { settings, services, waypoints: givenWaypoints[variation.waypoint], ingress, ingressPort }
}

function namespaceRules({ waypoint, enrolled, ingressUseWaypoint, directCallers }: Variation): NamespaceRule[] {
  const kubeflow: WaypointRule = {
    name: 'kubeflow-waypoint',
    create: true,
    services: ['ml-pipeline', 'ml-pipeline-ui'],
    ingressUseWaypoint: ingressUseWaypoint.kubeflow,
    directCallers,
  }
  const place = {
    each: { name: 'waypoint', create: true },
    apart: { name: 'waypoint', namespace: 'waypoints', create: false },
    neighbour: { name: 'waypoint', namespace: 'team-a', create: false },
  }[waypoint]
  const teams: WaypointRule = {
    ...place,
    services: enrolled,
    ingressUseWaypoint: ingressUseWaypoint.teams,
    directCallers,
  }
  return [
    { names: ['kubeflow'], dataplaneMode: 'ambient', waypoint: kubeflow },
    { matchLabels: { 'app.kubernetes.io/part-of': 'kubeflow-profile' }, dataplaneMode: 'ambient', waypoint: teams },
  ]
}

/** A waypoint by somebody's hand, which Services of every namespace may use. */
function givenWaypoint(namespace: string): gateway.Gateway {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'waypoint', namespace, labels: { 'istio.io/waypoint-for': 'service' } },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { namespaces: { from: 'All' } } }],
    },
  }
}

const givenWaypoints: Record<Variation['waypoint'], gateway.Gateway[]> = {
  each: [],
  apart: [givenWaypoint('waypoints')],
  neighbour: [givenWaypoint('team-a')],
}

export const oldIngress = 'istio-system/istio-ingressgateway'
export const newIngress = 'istio-system/ambient-ingressgateway'

export const namespaces: core.Namespace[] = [
  namespace('team-a', { 'app.kubernetes.io/part-of': 'kubeflow-profile' }),
  namespace('team-b', { 'app.kubernetes.io/part-of': 'kubeflow-profile' }),
  namespace('kubeflow', {}),
  namespace('legacy', { 'istio-injection': 'enabled' }),
  namespace('outside', {}),
  namespace('waypoints', {}),
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

const usualServices: core.Service[] = [
  service('team-a/api', { app: 'api' }, [at(8080), at(9090)]),
  service('team-a/notebook', { app: 'notebook' }, [at(8888)]),
  service('team-a/api-v2', { app: 'api', version: 'v2' }, [at(8080)]),
  service('team-a/db', { app: 'db' }, [at(5432)], 'None'),
  service('team-b/notebook', { app: 'notebook' }, [at(8888)]),
  service('kubeflow/ml-pipeline', { app: 'ml-pipeline' }, [at(8888), at(8887)]),
  service('kubeflow/ml-pipeline-ui', { app: 'ml-pipeline-ui' }, [at(80, 3000)]),
  service('kubeflow/metadata', { app: 'metadata' }, [at(8080)]),
]

/** A Service port and where it leads to: a container port, by number or name. */
export function at(port: number, targetPort?: number | string): core.ServicePort {
  return { name: `http-${port}`, port, ...(targetPort === undefined ? {} : { targetPort }) }
}

function withPorts(object: core.Service, ports = object.spec?.ports): core.Service {
  return { ...object, spec: { ...object.spec, ...(ports ? { ports } : {}) } }
}

export function oldIngressPod(port: number): RunningPod {
  const labels = { app: 'istio-ingressgateway', istio: 'ingressgateway' }
  return gatewayPod(oldIngress, '10.9.0.1', 'istio-ingressgateway-service-account', labels, port)
}

/** Port 80 for everybody, whatever the pods listen on. It stays when they go. */
function oldIngressService(ingressPort: number): core.Service {
  return service(oldIngress, { app: 'istio-ingressgateway', istio: 'ingressgateway' }, [at(80, ingressPort)])
}

export function ingressObjects({ ingress, ingressPort }: Landscape): core.KubernetesObject[] {
  const old = [oldIngressService(ingressPort), ...(ingress === 'new' ? [] : [oldIngressPod(ingressPort)])]
  return ingress === 'old' ? old : [...old, ...deployed(newIngressGateway)]
}

export const newIngressGateway: gateway.Gateway = {
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
  const labels = { [gatewayNameLabel]: name }
  const port = object.spec.listeners[0]?.port ?? 80
  return [{ ...object, status }, gatewayPod(`${namespace}/${name}`, ip, `${name}${suffix}`, labels, port)]
}

const waypointIps: Record<string, string> = {
  'team-a': '10.1.0.200',
  'team-b': '10.2.0.200',
  kubeflow: '10.3.0.200',
  waypoints: '10.5.0.200',
  'istio-system': '10.9.0.200',
}

/** The pod as istio-cni leaves it when its namespace is ambient. Pods with sidecars and gateways stay as they are. */
export function captured(pod: RunningPod): RunningPod {
  const { annotations = {} } = pod.metadata
  const isGateway = pod.spec?.containers?.every(({ name }) => name === 'istio-proxy')
  if (isGateway || annotations[sidecarAnnotation] || annotations[redirectionAnnotation] === 'enabled') return pod
  return { ...pod, metadata: { ...pod.metadata, annotations: { ...annotations, [redirectionAnnotation]: 'enabled' } } }
}

/** The pod as istio-cni leaves it when its namespace is ambient no longer. That it was is to be seen, unlike in a cluster. */
export function released(pod: RunningPod): RunningPod {
  const { annotations = {} } = pod.metadata
  if (annotations[redirectionAnnotation] !== 'enabled') return pod
  return { ...pod, metadata: { ...pod.metadata, annotations: { ...annotations, [redirectionAnnotation]: 'left' } } }
}

/** The pod as the injector leaves it. */
export function injected(pod: RunningPod): RunningPod {
  return { ...pod, metadata: { ...pod.metadata, annotations: { [sidecarAnnotation]: '{}' } } }
}

/** The pod when it runs anew without a sidecar. */
export function restarted(pod: RunningPod): RunningPod {
  return { ...pod, metadata: { ...pod.metadata, annotations: {} } }
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
  containerPorts: number[],
  annotations: Labels = {},
): RunningPod {
  const ports = containerPorts.map(containerPort => ({ name: `port-${containerPort}`, containerPort }))
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...named(key), labels, annotations },
    spec: { serviceAccountName, containers: [{ name: 'app', ports }] },
    status: { podIP },
  }
}

function gatewayPod(key: string, podIP: string, account: string, labels: Labels, containerPort: number): RunningPod {
  const { spec, ...rest } = pod(key, podIP, account, labels, [])
  return { ...rest, spec: { ...spec, containers: [{ name: 'istio-proxy', ports: [{ containerPort }] }] } }
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
