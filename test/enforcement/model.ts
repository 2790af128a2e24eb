// The enforcement model: whether a request gets through, with sidecars and in ambient (research/policies.md).
// It knows nothing of the translator, which it checks.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { atIngress, atPod, atWaypoint } from './attach.ts'
import { memoized, memoizedIn, numberOf } from './memoized.ts'
import { envoyDecides, ztunnelDecides } from './policy.ts'
import {
  type Decision,
  type Destination,
  type HTTP,
  type Request,
  type Sight,
  sightAtIngress,
  sightAtPod,
  sightAtWaypoint,
  type View,
} from './request.ts'
import { podOfGateway, waypointOf, waypointOn } from './waypoint.ts'
import { isHeadless, keyOf, known, type Pod, targetPort, type World } from './world.ts'

/** With sidecars: the ingress that the request came through, then the proxy of the destination pod. */
export function decideWithSidecars(world: World, request: Request): Decision {
  return first(hopsWithSidecars(world, request), request.http)
}

/** What the sidecar of the destination pod, if there is one, reads and sees. */
export function atSidecar(world: World, request: Request): { policies: istio.AuthorizationPolicy[]; view: View } {
  const [hop] = hopsWithSidecars(world, request).slice(-1)
  if (!hop) throw new Error(`${request.to.pod} has no sidecar`)
  return { policies: hop.policies, view: viewOf(hop, request.http) }
}

/** In ambient: the ingress, then the waypoint if one is on the way, then the destination pod, which sees the waypoint. */
export function decideInAmbient(world: World, request: Request): Decision {
  return first(hopsInAmbient(world, request), request.http)
}

/** The first part of it: what the ingress decides, if the request comes through one. */
export function decideAtIngress(world: World, request: Request): Decision {
  return first(ingressHops(world, known(world.pods, request.from)), request.http)
}

/** The rest of it, with sidecars: what the destination pod decides. */
export function decideBehindIngress(world: World, request: Request): Decision {
  const caller = known(world.pods, request.from)
  return first(podHops(world, caller, caller, request.to), request.http)
}

const allowed: Decision = { allowed: true, reason: 'nothing checks' }

/** The first denial, or the last permission. */
function first(hops: Hop[], http: HTTP): Decision {
  let last = allowed
  for (const hop of hops) {
    last = decideAt(hop, http)
    if (!last.allowed) return last
  }
  return last
}

// Hops ------------------------------------------------------------------------------------------------------------------

/** One proxy on the way: what it is asked by, and what it sees of whatever comes this way. */
interface Hop {
  place: string
  decide: (policies: istio.AuthorizationPolicy[], view: View) => Decision
  policies: istio.AuthorizationPolicy[]
  sight: Sight
  /** 1.1, requestPrincipals: claims are known only to a proxy that checks tokens itself. */
  checksTokens: boolean
}

type Way = { from: string; to: Destination }

function hopsWithSidecars(world: World, way: Way): Hop[] {
  return along(world, way, 'with sidecars', caller => [
    ...ingressHops(world, caller),
    ...podHops(world, caller, caller, way.to),
  ])
}

function hopsInAmbient(world: World, way: Way): Hop[] {
  return along(world, way, 'in ambient', caller => {
    const waypoint = waypointOn(world, way)
    const peer = waypoint ? podOfGateway(world, waypoint) : caller
    return [
      ...ingressHops(world, caller),
      ...(waypoint ? [waypointHop(world, waypoint, caller, way.to)] : []),
      ...podHops(world, caller, peer, way.to),
    ]
  })
}

const ways = memoizedIn((_: World, __: string) => new Map<Destination, Hop[]>())

function along(world: World, { from, to }: Way, how: string, hopsFrom: (caller: Pod) => Hop[]): Hop[] {
  const table = ways(world, `${how} ${from}`)
  const hops = table.get(to) ?? hopsFrom(known(world.pods, from))
  table.set(to, hops)
  return hops
}

/** 1.5 B: an ingress gateway checks what comes from outside by the policies that reach it. */
const ingressHops = memoizedIn((world: World, caller: Pod): Hop[] => {
  if (caller.proxy !== 'gateway') return []
  const read = {
    policies: atIngress(world.policies, caller, world),
    checksTokens: atIngress(world.requestAuthentications, caller, world).length > 0,
  }
  const place = `ingress ${caller.name}`
  const sight = sightAtIngress(world, caller)
  return [
    shared(world.mesh, `${place} ${sight.port} ${keyOfRead(read)}`, () => ({
      place,
      decide: envoyDecides,
      sight,
      ...read,
    })),
  ]
})

/** 1.5 D: a waypoint checks the original caller by the policies that target the Service, itself or its class. */
function waypointHop(world: World, waypoint: gateway.Gateway, caller: Pod, to: Destination): Hop {
  const service = serviceOf(world, to)
  if (!service) throw new Error('a waypoint without a Service')
  const place = `waypoint ${keyOf(waypoint)}`
  const { read, key } = readAtWaypoint(world, service)(waypoint)
  return shared(world.mesh, `${place} ${keyOfPod(caller)} ${to.port} ${key}`, () => {
    const sight = sightAtWaypoint(world, caller, to.port)
    return { place, decide: envoyDecides, sight, ...read }
  })
}

const readAtWaypoint = memoizedIn((world: World, service: core.Service) =>
  memoized((waypoint: gateway.Gateway) => {
    const policies = atWaypoint(world.policies, waypoint, service, world)
    const checksTokens = atWaypoint(world.requestAuthentications, waypoint, service, world).length > 0
    const read = { policies, checksTokens }
    return { read, key: keyOfRead(read) }
  }),
)

/** The destination pod's proxy, or none: a sidecar reads everything, ztunnel no HTTP (section 2, RequestAuthentication). */
function podHops(world: World, caller: Pod, peer: Pod, to: Destination): Hop[] {
  const pod = known(world.pods, to.pod)
  if (pod.proxy === 'gateway') throw new Error('unmodelled: a gateway as a destination')
  if (pod.proxy === 'none') return []
  const decide = pod.proxy === 'ztunnel' ? ztunnelDecides : envoyDecides
  const place = `${pod.proxy} at ${to.pod}`
  const port = containerPort(world, to, pod)
  const { read, key } = readAtPod(world, pod)
  const isExternal = caller.proxy === 'gateway'
  const hop = shared(world.mesh, `${place} ${keyOfPod(peer)} ${isExternal} ${port} ${key}`, () => {
    const sight = sightAtPod(world, caller, peer, pod, port)
    return { place, decide, sight, ...read }
  })
  return [hop]
}

const readAtPod = memoizedIn((world: World, pod: Pod) => {
  const policies = atPod(world.policies, pod, world)
  const checksTokens = pod.proxy !== 'ztunnel' && atPod(world.requestAuthentications, pod, world).length > 0
  const read = { policies, checksTokens }
  return { read, key: keyOfRead(read) }
})

/** 1.3, "port": a Service port is mapped; the name of a headless Service gives pod addresses, with the port unchanged. */
function containerPort(world: World, to: Destination, pod: Pod): number {
  const { port } = to
  const service = serviceOf(world, to)
  if (!service) return port
  const target = targetPort(service, port, pod)
  if (isHeadless(service) && target !== port) throw new Error('unmodelled: a headless Service that maps ports')
  return target
}

function serviceOf({ services }: World, to: Destination): core.Service | undefined {
  return 'service' in to ? known(services, to.service) : undefined
}

// What a decision depends on --------------------------------------------------------------------------------------------

/** Whether something on the way of a request is not as it was, so that it has to be decided anew in ambient. */
export function changedBetween(earlier: World, later: World): (way: Way) => boolean {
  const callers = comparison(earlier, later, readOfCaller)
  const pods = comparison(earlier, later, readOfPod)
  const services = comparison(earlier, later, readOfService)
  return ({ from, to }) => callers(from) || pods(to.pod) || ('service' in to && services(to.service))
}

function comparison(earlier: World, later: World, read: (world: World, key: string) => unknown[]) {
  const results = new Map<string, boolean>()
  return (key: string): boolean => {
    const known = results.get(key) ?? !isSame(read(earlier, key), read(later, key))
    results.set(key, known)
    return known
  }
}

function isSame(a: unknown[], b: unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}

const readOfCaller = memoizedIn((world: World, key: string): unknown[] => {
  const pod = world.pods.get(key)
  if (pod?.proxy !== 'gateway') return [pod]
  return [pod, ...atIngress(world.policies, pod, world), ...atIngress(world.requestAuthentications, pod, world)]
})

const readOfPod = memoizedIn((world: World, key: string): unknown[] => {
  const pod = world.pods.get(key)
  return pod ? [pod, ...atPod(world.policies, pod, world), ...atPod(world.requestAuthentications, pod, world)] : []
})

const readOfService = memoizedIn((world: World, key: string): unknown[] => {
  const service = world.services.get(key)
  if (!service) return []
  const labels = world.namespaces.get(service.metadata.namespace ?? '')
  const waypoint = waypointOf(world, key)
  if (!waypoint) return [service, labels]
  const policies = atWaypoint(world.policies, waypoint, service, world)
  const checks = atWaypoint(world.requestAuthentications, waypoint, service, world)
  return [service, labels, waypoint, podOfGateway(world, waypoint), ...policies, ...checks]
})

// Decisions -------------------------------------------------------------------------------------------------------------

/** Most writes to a cluster leave most hops as they are: the same policies and sight decide the same once more. */
const hopsOfMesh = memoized((_: World['mesh']) => new Map<string, Hop>())

function shared(mesh: World['mesh'], key: string, make: () => Hop): Hop {
  const hops = hopsOfMesh(mesh)
  const known = hops.get(key) ?? make()
  hops.set(key, known)
  return known
}

function keyOfRead({ policies, checksTokens }: Pick<Hop, 'policies' | 'checksTokens'>): string {
  return `${checksTokens} ${policies.map(numberOf).join()}`
}

/** A pod's address and, if a proxy vouches for it, its account. */
const keyOfPod = memoized((pod: Pod) => `${pod.namespace}/${pod.serviceAccount} ${pod.ip} ${pod.proxy}`)

const decideAt = memoizedIn((hop: Hop, http: HTTP): Decision => {
  const { allowed, reason } = hop.decide(hop.policies, viewOf(hop, http))
  return { allowed, reason: `${hop.place}: ${reason}` }
})

function viewOf({ sight, checksTokens }: Hop, http: HTTP): View {
  const { token } = http
  return { ...sight, http, ...(checksTokens && token ? { token } : {}) }
}
