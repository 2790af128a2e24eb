// The cluster as its proxies see it: read from Kubernetes objects, with lookups by key. It decides nothing.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { memoized } from './memoized.ts'

export interface World {
  mesh: Mesh
  namespaces: Map<string, Labels>
  /** By `namespace/name`, like every map here. */
  services: Map<string, core.Service>
  pods: Map<string, Pod>
  gateways: Map<string, gateway.Gateway>
  policies: istio.AuthorizationPolicy[]
  requestAuthentications: istio.RequestAuthentication[]
}

/** MeshConfig, as far as a decision depends on it. */
export interface Mesh {
  rootNamespace: string
  trustDomain: string
}

export type Labels = Record<string, string>

export interface Pod {
  namespace: string
  name: string
  labels: Labels
  serviceAccount: string
  ip: string
  ports: { name?: string; containerPort: number }[]
  /** `none`: outside the mesh, so without identity as a caller and without checks as a destination. */
  proxy: 'sidecar' | 'ztunnel' | 'gateway' | 'none'
  /** Whether ztunnel has held it and let it go, and nothing came instead. */
  isLeft: boolean
}

/** A Pod that runs, with what sidestep does not read of its status. */
export interface RunningPod extends core.Pod {
  status: { phase?: string; podIP: string }
}

export const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name'
export const redirectionAnnotation = 'ambient.istio.io/redirection'
export const sidecarAnnotation = 'sidecar.istio.io/status'

/** Reads a world from objects. A kind that could change a decision and is not modelled throws. */
export function worldOf(objects: Iterable<core.KubernetesObject>, mesh: Mesh): World {
  const world: World = {
    mesh,
    namespaces: new Map(),
    services: new Map(),
    pods: new Map(),
    gateways: new Map(),
    policies: [],
    requestAuthentications: [],
  }
  for (const object of objects) add(world, object)
  return world
}

function add(world: World, object: core.KubernetesObject): void {
  const key = keyOf(object)
  const { kind } = object
  if (kind === 'Namespace') world.namespaces.set(object.metadata.name ?? '', object.metadata.labels ?? {})
  else if (kind === 'Service') world.services.set(key, object as core.Service)
  else if (kind === 'Pod') world.pods.set(key, podOf(object as RunningPod))
  else if (kind === 'Gateway') world.gateways.set(key, object as gateway.Gateway)
  else if (kind === 'AuthorizationPolicy') world.policies.push(object as istio.AuthorizationPolicy)
  else if (kind === 'RequestAuthentication') world.requestAuthentications.push(object as istio.RequestAuthentication)
  else throw new Error(`unmodelled kind ${kind}`)
}

/** 1.5, "Pod kinds": what the injector, the CNI and istiod wrote on a pod tells its proxy. */
const podOf = memoized((pod: RunningPod): Pod => {
  const { labels = {}, annotations = {}, namespace = '', name = '' } = pod.metadata
  const containers = pod.spec?.containers ?? []
  const isGateway = labels[gatewayNameLabel] !== undefined || containers.every(({ name }) => name === 'istio-proxy')
  const redirection = annotations[redirectionAnnotation]
  return {
    namespace,
    name,
    labels,
    serviceAccount: pod.spec?.serviceAccountName ?? 'default',
    ip: pod.status.podIP,
    ports: containers.flatMap(({ ports = [] }) => ports),
    proxy: isGateway
      ? 'gateway'
      : annotations[sidecarAnnotation]
        ? 'sidecar'
        : redirection === 'enabled'
          ? 'ztunnel'
          : 'none',
    isLeft: redirection === 'left',
  }
})

/** The same cluster before ambient: these policies, and a sidecar wherever ztunnel captures, or did so. */
export function withSidecars(world: World, sources: Pick<World, 'policies' | 'requestAuthentications'>): World {
  const pods = [...world.pods].map(([key, pod]): [string, Pod] => [
    key,
    pod.proxy === 'ztunnel' || pod.isLeft ? injected(pod) : pod,
  ])
  return { ...world, ...sources, pods: new Map(pods) }
}

const injected = memoized((pod: Pod): Pod => ({ ...pod, proxy: 'sidecar' }))

/** `namespace/name` */
export function keyOf({ metadata }: core.KubernetesObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name ?? ''}`
}

export function known<T>(collection: Map<string, T>, key: string): T {
  const found = collection.get(key)
  if (found === undefined) throw new Error(`${key} is not in the world`)
  return found
}

/** Whether a label selector picks these labels; an absent or empty one picks everything. */
export function selects(selector: Labels | undefined, labels: Labels): boolean {
  return Object.entries(selector ?? {}).every(([name, value]) => labels[name] === value)
}

/** A Service without an address: its name resolves to pod addresses. */
export function isHeadless(service: core.Service): boolean {
  if (service.spec?.type === 'ExternalName') throw new Error('unmodelled: ExternalName')
  return service.spec?.clusterIP === 'None'
}

/** The container port that a Service port leads to on a pod; a name is looked up on the pod. */
export function targetPort(service: core.Service, port: number, pod: Pod): number {
  const servicePort = service.spec?.ports?.find(candidate => candidate.port === port)
  if (!servicePort) throw new Error(`${keyOf(service)} has no port ${port}`)
  const { targetPort = port } = servicePort
  if (typeof targetPort === 'number') return targetPort
  const named = pod.ports.find(({ name }) => name === targetPort)
  if (!named) throw new Error(`${pod.name} has no port named ${targetPort}`)
  return named.containerPort
}
