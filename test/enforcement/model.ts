// The enforcement model: whether a request gets through, with sidecars and in ambient (research/policies.md).
// It knows nothing of the translator, which it checks.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import { atIngress, atPod, atWaypoint } from './attach.ts'
import { envoyDecides, ztunnelDecides } from './policy.ts'
import { type Decision, peerOf, type Request, type View, viewAtIngress, viewAtPod, viewAtWaypoint } from './request.ts'
import { podOfGateway, waypointOn } from './waypoint.ts'
import { isHeadless, known, type Pod, targetPort, type World } from './world.ts'

/** With sidecars: the ingress that the request came through, then the proxy of the destination pod. */
export function decideWithSidecars(world: World, request: Request): Decision {
  const caller = known(world.pods, request.from)
  return first([() => ingressDecides(world, caller, request), () => podDecides(world, peerOf(caller, world), request)])
}

/** In ambient: the ingress, then the waypoint if one is on the way, then the destination pod, which sees the waypoint. */
export function decideInAmbient(world: World, request: Request): Decision {
  const caller = known(world.pods, request.from)
  const waypoint = waypointOn(world, request)
  const peer = peerOf(waypoint ? podOfGateway(world, waypoint) : caller, world)
  return first([
    () => ingressDecides(world, caller, request),
    () => (waypoint ? waypointDecides(world, waypoint, caller, request) : allowed),
    () => podDecides(world, peer, request),
  ])
}

const allowed: Decision = { allowed: true, reason: 'nothing checks' }

/** The first denial, or the last permission. */
function first(hops: (() => Decision)[]): Decision {
  let last = allowed
  for (const decide of hops) {
    last = decide()
    if (!last.allowed) return last
  }
  return last
}

/** 1.5 B: an ingress gateway checks what comes from outside by the policies that reach it. */
function ingressDecides(world: World, caller: Pod, request: Request): Decision {
  if (caller.proxy !== 'gateway') return allowed
  const checked = atIngress(world.requestAuthentications, caller, world).length > 0
  const view = withToken(viewAtIngress(world, request), checked)
  return at(`ingress ${caller.name}`, envoyDecides(atIngress(world.policies, caller, world), view))
}

/** 1.5 D: a waypoint checks the original caller by the policies that target the Service, itself or its class. */
function waypointDecides(world: World, waypoint: gateway.Gateway, caller: Pod, request: Request): Decision {
  const service = serviceOf(world, request)
  if (!service) throw new Error('a waypoint without a Service')
  const checked = atWaypoint(world.requestAuthentications, waypoint, service, world).length > 0
  const view = withToken(viewAtWaypoint(world, peerOf(caller, world), request), checked)
  return at(
    `waypoint ${waypoint.metadata.name}`,
    envoyDecides(atWaypoint(world.policies, waypoint, service, world), view),
  )
}

/** The destination pod's proxy, or none: a sidecar reads everything, ztunnel no HTTP (section 2, RequestAuthentication). */
function podDecides(world: World, peer: View['source'], request: Request): Decision {
  const pod = known(world.pods, request.to.pod)
  if (pod.proxy === 'gateway') throw new Error('unmodelled: a gateway as a destination')
  if (pod.proxy === 'none') return allowed
  const view = viewAtPod(world, peer, request, containerPort(world, request, pod))
  const policies = atPod(world.policies, pod, world)
  if (pod.proxy === 'ztunnel') return at(`ztunnel at ${pod.name}`, ztunnelDecides(policies, view))
  const checked = atPod(world.requestAuthentications, pod, world).length > 0
  return at(`sidecar of ${pod.name}`, envoyDecides(policies, withToken(view, checked)))
}

/** 1.3, "port": a Service port is mapped; the name of a headless Service gives pod addresses, with the port unchanged. */
function containerPort(world: World, request: Request, pod: Pod): number {
  const { port } = request.to
  const service = serviceOf(world, request)
  if (!service) return port
  const target = targetPort(service, port, pod)
  if (isHeadless(service) && target !== port) throw new Error('unmodelled: a headless Service that maps ports')
  return target
}

function serviceOf({ services }: World, { to }: Request): core.Service | undefined {
  return 'service' in to ? known(services, to.service) : undefined
}

/** 1.1, requestPrincipals: claims are known only to a proxy that checks tokens itself. */
function withToken(view: View, checked: boolean): View {
  const { token } = view.http
  return checked && token ? { ...view, token } : view
}

function at(place: string, { allowed, reason }: Decision): Decision {
  return { allowed, reason: `${place}: ${reason}` }
}
