// A request, and what each enforcement point on its way sees of it.
import type { Pod, World } from './world.ts'

/** Who calls whom with what. A call from an ingress gateway came to it from outside the mesh. */
export interface Request {
  /** The calling pod, `namespace/name`. */
  from: string
  to: Destination
  http: HTTP
}

/** Pods are `namespace/name`. For a Service, `pod` is the endpoint that its address led to. */
export type Destination = { pod: string; port: number } | { service: string; pod: string; port: number }

export interface HTTP {
  method: string
  host: string
  path: string
  /** By name in lower case. */
  headers: Record<string, string>
  /** The last address of the X-Forwarded-For that the caller sends. An ingress gateway appends its own client's. */
  forwardedFor?: string
  /** A valid token. A forged one is not modelled: its bearer could as well leave it away. */
  token?: Token
  /** What the provider of a CUSTOM policy would answer. */
  externalAuthorizer: 'allows' | 'denies'
}

export interface Token {
  issuer: string
  subject: string
  claims: Record<string, string | string[]>
}

export interface Decision {
  allowed: boolean
  /** Where and by which policy it was decided. */
  reason: string
}

/** What one enforcement point knows (1.3). A property that is left out cannot be read there: reading it throws. */
export interface View extends Sight {
  http: HTTP
  /** The token, where a RequestAuthentication checks it. */
  token?: Token
}

/** What it knows whatever the HTTP request is. */
export interface Sight {
  mesh: World['mesh']
  source: Peer
  port?: number
  destinationIp: string
  /** 1.1, remoteIpBlocks: who called the ingress gateway, which tells it to all behind. */
  externalIp?: string
}

export interface Peer {
  ip: string
  /** None without mTLS: a caller outside the mesh. */
  identity?: Identity
}

export interface Identity {
  trustDomain: string
  namespace: string
  serviceAccount: string
}

/** 1.3, "source identity": every proxy presents the service account of its pod; a pod without proxy presents none. */
export function peerOf(pod: Pod, { mesh }: World): Peer {
  const { ip, namespace, serviceAccount, proxy } = pod
  if (proxy === 'none') return { ip }
  return { ip, identity: { trustDomain: mesh.trustDomain, namespace, serviceAccount } }
}

/** 1.3, column "ingress GW": the client is outside, and the port is the one on which the gateway's own pod listens. */
export function sightAtIngress({ mesh }: World, pod: Pod): Sight {
  const port = pod.ports[0]?.containerPort
  return { mesh, source: { ip: externalIp }, externalIp, destinationIp: pod.ip, ...(port ? { port } : {}) }
}

/** 1.3, column "ztunnel, direct", and a sidecar just so: the calling pod, the container port, the pod's own address. */
export function sightAtPod(world: World, caller: Pod, peer: Pod, pod: Pod, port: number): Sight {
  return { mesh: world.mesh, source: peerOf(peer, world), port, destinationIp: pod.ip, ...external(caller) }
}

/** 1.3, column "waypoint": the calling pod as ztunnel vouches for it, but the Service's port and address. */
export function sightAtWaypoint(world: World, caller: Pod, port: number): Sight {
  return { mesh: world.mesh, source: peerOf(caller, world), port, destinationIp: virtualIp, ...external(caller) }
}

function external({ proxy }: Pod): Pick<Sight, 'externalIp'> {
  return proxy === 'gateway' ? { externalIp } : {}
}

const externalIp = '203.0.113.7'
/** Every Service has its address in a range of its own, where no pod is. */
const virtualIp = '10.96.0.10'
