// What the translators know of the cluster: plain data, made from a list of objects (files) or kept by watches (live).
import type * as core from '../apis/core.ts'
import type * as gateway from '../apis/gateway.ts'
import type * as istio from '../apis/istio.ts'
import { type ServiceCall, serviceCallsOf } from './api-server-calls.ts'
import { isTooDeep, withoutNulls } from './canonical.ts'
import { isCompanion, nameOf } from './companion.ts'
import { isRecord } from './fate.ts'
import { RoutingIndex } from './routing-index.ts'
import { isReadable } from './shapes.ts'
import { Strangers } from './strangers.ts'
import { httpRoutePlaces, virtualServicePlaces } from './virtual-service/places.ts'
import { workloadOf } from './workload/template.ts'

/** Objects of one kind: namespace -> name -> object. */
export type ByNamespace<T> = ReadonlyMap<string, ReadonlyMap<string, T>>

export interface ClusterSnapshot {
  /**
   * `observed`: an object counts as ready when its status says so. `assumed`: what sidestep keeps counts as there and
   * ready, which shows the end state; that is how files are judged, since files carry no status.
   */
  readonly statuses: 'observed' | 'assumed'
  /** Whether what is not here is not in the cluster either. Files may leave it away. */
  readonly isComplete: boolean
  readonly capabilities: Capabilities
  readonly namespaces: ReadonlyMap<string, core.Namespace>
  readonly services: ByNamespace<core.Service>
  readonly workloads: ByNamespace<Workload>
  readonly istioGateways: ByNamespace<istio.Gateway>
  readonly gateways: ByNamespace<gateway.Gateway>
  readonly httpRoutes: ByNamespace<gateway.HTTPRoute>
  readonly tlsRoutes: ByNamespace<gateway.TLSRoute>
  readonly tcpRoutes: ByNamespace<gateway.TCPRoute>
  readonly grpcRoutes: ByNamespace<gateway.GRPCRoute>
  readonly referenceGrants: ByNamespace<gateway.ReferenceGrant>
  readonly virtualServices: ByNamespace<istio.VirtualService>
  readonly destinationRules: ByNamespace<istio.DestinationRule>
  readonly serviceEntries: ByNamespace<istio.ServiceEntry>
  readonly authorizationPolicies: ByNamespace<istio.AuthorizationPolicy>
  readonly requestAuthentications: ByNamespace<istio.RequestAuthentication>
  readonly peerAuthentications: ByNamespace<istio.PeerAuthentication>
  /** NetworkPolicies, and how KServe is set up (its own ConfigMap alone): known of files only, nobody follows them live. */
  readonly networkPolicies: ByNamespace<core.NetworkPolicy>
  readonly inferenceServiceConfigs: ByNamespace<core.ConfigMap>
  /** The Services that the API server calls, by the object that says so. */
  readonly apiServerCalls: ReadonlyMap<string, ServiceCall[]>
  /** Who routes near a path: VirtualServices, and HTTPRoutes that are not ours. Made from the collections above. */
  readonly routing: RoutingIndex<Routing>
  /** Who names a waypoint of another namespace. */
  readonly strangers: Strangers
}

/** What routes requests by host and path. */
export type Routing = istio.VirtualService | gateway.HTTPRoute

/** Pods that look alike to a policy: one Pod when live, one pod template in files. */
export interface Workload {
  namespace: string
  /** Kind and name of what the labels were read from, such as `Deployment/ml-pipeline`. */
  name: string
  labels: Record<string, string>
  /** `namespace/name` of its service account. */
  serviceAccount: string
  ports: { name?: string; containerPort: number }[]
  /** What enforces its policies: an Envoy beside it, ztunnel, itself being a gateway, or nothing. */
  state: 'sidecar' | 'ambient' | 'gateway' | 'plain'
  /** Whether istio-cni never captures it, by its own label or its host's network: then nothing checks its callers. */
  isOptedOut: boolean
}

/** What the installed CRDs can store. A field that they lack would be pruned without a word. */
export interface Capabilities {
  httpRoute: {
    /** `timeouts`, from v1.2. */
    timeouts: boolean
    /** `retry`, of the experimental channel. */
    retry: boolean
    /** The CORS filter, from v1.5. */
    cors: boolean
    /** `percent` and `fraction` of a RequestMirror, from v1.3. */
    mirrorFraction: boolean
    /** `rules[].name`, from v1.4. */
    ruleName: boolean
    /** Redirects by 303, 307 and 308, from v1.5. */
    redirectCodes: boolean
    /** How many matches a rule may have: 8, and 64 from v1.2. */
    matches: number
  }
  /** Whether the kind can be stored as v1: TLSRoute from v1.5, TCPRoute from v1.6, GRPCRoute from v1.1. */
  tlsRoute: boolean
  tcpRoute: boolean
  grpcRoute: boolean
}

/** The standard channel of Gateway API v1.6. */
export const standardCapabilities: Capabilities = {
  httpRoute: {
    timeouts: true,
    retry: false,
    cors: true,
    mirrorFraction: true,
    ruleName: true,
    redirectCodes: true,
    matches: 64,
  },
  tlsRoute: true,
  tcpRoute: true,
  grpcRoute: true,
}

/** Without any CRD of Gateway API: what a live cluster starts from, until its CRDs are read. */
export const noCapabilities: Capabilities = {
  httpRoute: httpRouteCapabilities(undefined),
  tlsRoute: false,
  tcpRoute: false,
  grpcRoute: false,
}

/** The kinds that a snapshot holds as they are; workloads and capabilities are read out of others. */
const collections = {
  'Service/': 'services',
  'Gateway/networking.istio.io': 'istioGateways',
  'Gateway/gateway.networking.k8s.io': 'gateways',
  'HTTPRoute/gateway.networking.k8s.io': 'httpRoutes',
  'TLSRoute/gateway.networking.k8s.io': 'tlsRoutes',
  'TCPRoute/gateway.networking.k8s.io': 'tcpRoutes',
  'GRPCRoute/gateway.networking.k8s.io': 'grpcRoutes',
  'ReferenceGrant/gateway.networking.k8s.io': 'referenceGrants',
  'VirtualService/networking.istio.io': 'virtualServices',
  'DestinationRule/networking.istio.io': 'destinationRules',
  'ServiceEntry/networking.istio.io': 'serviceEntries',
  'AuthorizationPolicy/security.istio.io': 'authorizationPolicies',
  'RequestAuthentication/security.istio.io': 'requestAuthentications',
  'PeerAuthentication/security.istio.io': 'peerAuthentications',
  'NetworkPolicy/networking.k8s.io': 'networkPolicies',
  'ConfigMap/': 'inferenceServiceConfigs',
} as const

/** The name of KServe's own ConfigMap, wherever its controller runs. */
export const inferenceServiceConfig = 'inferenceservice-config'

type Collection = (typeof collections)[keyof typeof collections] | 'workloads'

/** The snapshot while it is built: the same maps, writable. */
export interface MutableSnapshot {
  statuses: ClusterSnapshot['statuses']
  isComplete: boolean
  capabilities: Capabilities
  namespaces: Map<string, core.Namespace>
  services: Map<string, Map<string, core.Service>>
  workloads: Map<string, Map<string, Workload>>
  istioGateways: Map<string, Map<string, istio.Gateway>>
  gateways: Map<string, Map<string, gateway.Gateway>>
  httpRoutes: Map<string, Map<string, gateway.HTTPRoute>>
  tlsRoutes: Map<string, Map<string, gateway.TLSRoute>>
  tcpRoutes: Map<string, Map<string, gateway.TCPRoute>>
  grpcRoutes: Map<string, Map<string, gateway.GRPCRoute>>
  referenceGrants: Map<string, Map<string, gateway.ReferenceGrant>>
  virtualServices: Map<string, Map<string, istio.VirtualService>>
  destinationRules: Map<string, Map<string, istio.DestinationRule>>
  serviceEntries: Map<string, Map<string, istio.ServiceEntry>>
  authorizationPolicies: Map<string, Map<string, istio.AuthorizationPolicy>>
  requestAuthentications: Map<string, Map<string, istio.RequestAuthentication>>
  peerAuthentications: Map<string, Map<string, istio.PeerAuthentication>>
  networkPolicies: Map<string, Map<string, core.NetworkPolicy>>
  inferenceServiceConfigs: Map<string, Map<string, core.ConfigMap>>
  apiServerCalls: Map<string, ServiceCall[]>
  routing: RoutingIndex<Routing>
  strangers: Strangers
}

export function emptySnapshot(statuses: ClusterSnapshot['statuses'] = 'assumed'): MutableSnapshot {
  const namespaces = new Map<string, core.Namespace>()
  return {
    statuses,
    isComplete: statuses === 'observed',
    capabilities: standardCapabilities,
    namespaces,
    strangers: new Strangers(namespaces),
    services: new Map(),
    workloads: new Map(),
    istioGateways: new Map(),
    gateways: new Map(),
    httpRoutes: new Map(),
    tlsRoutes: new Map(),
    tcpRoutes: new Map(),
    grpcRoutes: new Map(),
    referenceGrants: new Map(),
    virtualServices: new Map(),
    destinationRules: new Map(),
    serviceEntries: new Map(),
    authorizationPolicies: new Map(),
    requestAuthentications: new Map(),
    peerAuthentications: new Map(),
    networkPolicies: new Map(),
    inferenceServiceConfigs: new Map(),
    apiServerCalls: new Map(),
    routing: new RoutingIndex(),
  }
}

/**
 * A snapshot of a list of objects. Objects of kinds that no translator reads, and objects whose fields have other types
 * than their API gives them, are passed over.
 * A namespaced object without a namespace counts as in `default`, as kubectl would put it there.
 */
export function snapshotOf(
  objects: Iterable<core.KubernetesObject>,
  statuses: ClusterSnapshot['statuses'] = 'assumed',
): ClusterSnapshot {
  const snapshot = emptySnapshot(statuses)
  for (const object of objects) putObject(snapshot, object)
  return snapshot
}

/** Adds an object to the snapshot, or replaces the one of the same kind, namespace and name. */
export function putObject(snapshot: MutableSnapshot, given: core.KubernetesObject): void {
  if (isTooDeep(given)) return
  const object = withoutNulls(given)
  const name = object.metadata?.name
  if (typeof name !== 'string' || !isReadable(object, kindKey(object))) return
  if (object.kind === 'Namespace' && object.apiVersion === 'v1') snapshot.namespaces.set(name, object as core.Namespace)
  else if (object.kind === 'CustomResourceDefinition') readCapabilities(snapshot, object)
  const calls = serviceCallsOf(object)
  if (calls.length > 0) snapshot.apiServerCalls.set(clusterKey(object), calls)
  else snapshot.apiServerCalls.delete(clusterKey(object))
  const workload = workloadOf(object)
  if (workload) put(snapshot.workloads, workload.namespace, workload.name, workload)
  else snapshot.workloads.get(namespaceOf(object))?.delete(`${object.kind}/${name}`)
  const collection = collectionOf(object)
  if (collection) put<unknown>(snapshot[collection], namespaceOf(object), name, object)
  if (object.kind === 'Namespace' || collection === 'services') snapshot.strangers.put(routingKey(object), object)
  if (collection === 'virtualServices') {
    const virtualService = object as istio.VirtualService
    snapshot.routing.put(routingKey(object), virtualService, virtualServicePlaces(virtualService))
  } else if (collection === 'httpRoutes') {
    const route = object as gateway.HTTPRoute
    snapshot.routing.put(routingKey(object), route, isCompanion(route) ? [] : httpRoutePlaces(route))
  }
}

/** A key for what belongs to no namespace. */
function clusterKey(object: core.KubernetesObject): string {
  return `${kindKey(object)}/${object.metadata.name}`
}

function routingKey(object: core.KubernetesObject): string {
  return `${object.kind}/${namespaceOf(object)}/${object.metadata.name}`
}

/** Removes what `putObject` added for an object of this kind, namespace and name. */
export function removeObject(snapshot: MutableSnapshot, object: core.KubernetesObject): void {
  const name = object.metadata?.name
  if (typeof name !== 'string') return
  if (object.kind === 'Namespace' && object.apiVersion === 'v1') snapshot.namespaces.delete(name)
  if (object.apiVersion === 'v1') snapshot.strangers.remove(routingKey(object))
  snapshot.apiServerCalls.delete(clusterKey(object))
  snapshot.workloads.get(namespaceOf(object))?.delete(`${object.kind}/${name}`)
  const collection = collectionOf(object)
  if (collection) snapshot[collection].get(namespaceOf(object))?.delete(name)
  if (collection === 'virtualServices' || collection === 'httpRoutes') snapshot.routing.remove(routingKey(object))
  // Without its CRD nothing of a kind can be stored, and an empty schema says just that.
  if (object.kind === 'CustomResourceDefinition') readCapabilities(snapshot, { ...object, spec: {} } as typeof object)
}

function put<T>(collection: Map<string, Map<string, T>>, namespace: string, name: string, item: T): void {
  const inNamespace = collection.get(namespace) ?? new Map<string, T>()
  collection.set(namespace, inNamespace.set(name, item))
}

function collectionOf(object: core.KubernetesObject): Exclude<Collection, 'workloads'> | undefined {
  const key = kindKey(object)
  if (key === 'ConfigMap/' && object.metadata.name !== inferenceServiceConfig) return undefined
  return Object.hasOwn(collections, key) ? collections[key as keyof typeof collections] : undefined
}

/**
 * `VirtualService/networking.istio.io`: the kind and its group, whatever the version. An ownerReference in a file may leave away
 * the apiVersion, which the API server demands.
 */
export function kindKey({ apiVersion = '', kind }: core.KubernetesObject): string {
  const slash = apiVersion.indexOf('/')
  return `${kind}/${slash < 0 ? '' : apiVersion.slice(0, slash)}`
}

export function namespaceOf(object: core.KubernetesObject): string {
  return object.metadata.namespace || 'default'
}

/** `namespace/name` */
export function keyOf(object: core.KubernetesObject): string {
  return `${namespaceOf(object)}/${nameOf(object)}`
}

/** The objects of one namespace, sorted by name, so that no result depends on the order of files or events. */
export function inNamespace<T>(collection: ByNamespace<T>, namespace: string): T[] {
  const objects = collection.get(namespace)
  if (!objects) return []
  return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
}

/** An object by its key, `namespace/name`. */
export function byKey<T>(collection: ByNamespace<T>, key: string): T | undefined {
  const slash = key.indexOf('/')
  return collection.get(key.slice(0, slash))?.get(key.slice(slash + 1))
}

// Capabilities -----------------------------------------------------------------------------------------------------

/** What each CRD says of itself. A version that is not served, or not there, stores nothing. */
function readCapabilities(snapshot: MutableSnapshot, crd: core.KubernetesObject): void {
  const schema = schemaOfV1(crd)
  const isServed = schema !== undefined
  switch (crd.metadata.name) {
    case 'httproutes.gateway.networking.k8s.io':
      snapshot.capabilities = { ...snapshot.capabilities, httpRoute: httpRouteCapabilities(schema) }
      break
    case 'tlsroutes.gateway.networking.k8s.io':
      snapshot.capabilities = { ...snapshot.capabilities, tlsRoute: isServed }
      break
    case 'tcproutes.gateway.networking.k8s.io':
      snapshot.capabilities = { ...snapshot.capabilities, tcpRoute: isServed }
      break
    case 'grpcroutes.gateway.networking.k8s.io':
      snapshot.capabilities = { ...snapshot.capabilities, grpcRoute: isServed }
      break
  }
}

function schemaOfV1(crd: core.KubernetesObject): unknown {
  const { spec } = crd as { spec?: { versions?: { name: string; served?: boolean; schema?: unknown }[] } }
  const version = spec?.versions?.find(({ name }) => name === 'v1')
  return version && version.served !== false ? (version.schema ?? {}) : undefined
}

function httpRouteCapabilities(schema: unknown): Capabilities['httpRoute'] {
  const rule = (...path: string[]) => propertyOf(schema, ['spec', 'rules', ...path])
  const matches = rule('matches')
  const codes = rule('filters', 'requestRedirect', 'statusCode')
  return {
    timeouts: rule('timeouts') !== undefined,
    retry: rule('retry') !== undefined,
    cors: rule('filters', 'cors') !== undefined,
    mirrorFraction: rule('filters', 'requestMirror', 'fraction') !== undefined,
    ruleName: rule('name') !== undefined,
    redirectCodes: isRecord(codes) && Array.isArray(codes.enum) && codes.enum.includes(303),
    matches: isRecord(matches) && typeof matches.maxItems === 'number' ? matches.maxItems : 8,
  }
}

/** Follows property names through an OpenAPI schema, stepping into the items of lists. */
function propertyOf(schema: unknown, path: string[]): unknown {
  let here = isRecord(schema) ? schema.openAPIV3Schema : undefined
  for (const name of path) {
    if (isRecord(here) && isRecord(here.items)) here = here.items
    here = isRecord(here) && isRecord(here.properties) ? here.properties[name] : undefined
  }
  return here
}
