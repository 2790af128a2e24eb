// Which waypoint a request passes, if any (sections 3, 1.5 and 10.7).
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import { memoizedIn } from './memoized.ts'
import type { Destination } from './request.ts'
import { gatewayNameLabel, isHeadless, keyOf, known, type Labels, type Pod, type World } from './world.ts'

/** The waypoint on the way of a request. Only calls to a Service's address pass one, and not from every caller. */
export function waypointOn(world: World, { from, to }: { from: string; to: Destination }): gateway.Gateway | undefined {
  if (!('service' in to)) return undefined
  const waypoint = waypointOf(world, to.service)
  if (!waypoint) return undefined
  return isSentThrough(world, known(world.pods, from), known(world.services, to.service)) ? waypoint : undefined
}

/**
 * Section 5, "Limits": ztunnel sends through the waypoint; sidecars and callers outside the mesh go straight to the pod;
 * ingress gateways of either kind do what `ingress-use-waypoint` says, on the Service before the Namespace (10.7, 10.8).
 */
function isSentThrough(world: World, caller: Pod, service: core.Service): boolean {
  if (caller.proxy !== 'gateway') return caller.proxy === 'ztunnel'
  const { own, namespace } = labelsOf(world, service)
  const label = 'istio.io/ingress-use-waypoint'
  return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(own[label] ?? namespace[label] ?? '')
}

/**
 * The waypoint that serves a Service: by the Service's own label, else its Namespace's; `none` opts out. A waypoint that
 * is named but missing or not ready is passed by, without falling back (section 3). Without an address, none (10.7).
 */
export const waypointOf = memoizedIn((world: World, key: string): gateway.Gateway | undefined => {
  const service = known(world.services, key)
  if (isHeadless(service)) return undefined
  const { own, namespace } = labelsOf(world, service)
  const labels = own['istio.io/use-waypoint'] === undefined ? namespace : own
  const name = labels['istio.io/use-waypoint']
  if (labels['istio.io/use-waypoint-canary']) throw new Error('unmodelled: canary waypoint')
  if (name === undefined || name === 'none') return undefined
  const place = labels['istio.io/use-waypoint-namespace'] ?? service.metadata.namespace ?? ''
  const waypoint = world.gateways.get(`${place}/${name}`)
  return waypoint && isReady(waypoint) && admits(waypoint, service) ? waypoint : undefined
})

function labelsOf(world: World, { metadata }: core.Service): { own: Labels; namespace: Labels } {
  return { own: metadata.labels ?? {}, namespace: known(world.namespaces, metadata.namespace ?? '') }
}

/** Section 4: "waypoint usable only then: len(Status.Addresses)>0". */
function isReady(waypoint: gateway.Gateway): boolean {
  const { gatewayClassName } = waypoint.spec
  const waypointFor = waypoint.metadata.labels?.['istio.io/waypoint-for'] ?? 'service'
  if (gatewayClassName !== 'istio-waypoint') throw new Error(`unmodelled: ${gatewayClassName} as a waypoint`)
  if (waypointFor !== 'service') throw new Error(`unmodelled: waypoint-for ${waypointFor}`)
  return (waypoint.status?.addresses?.length ?? 0) > 0
}

/** Section 3, use-waypoint-namespace: another namespace attaches only where the listeners allow its routes. */
function admits(waypoint: gateway.Gateway, service: core.Service): boolean {
  if (waypoint.metadata.namespace === service.metadata.namespace) return true
  return waypoint.spec.listeners.some(({ allowedRoutes }) => {
    const { from = 'Same' } = allowedRoutes?.namespaces ?? {}
    if (from === 'Selector') throw new Error('unmodelled: allowedRoutes by selector')
    return from === 'All'
  })
}

/** 1.4: the truth about a waypoint's identity is the service account of its pods. */
export function podOfGateway(world: World, waypoint: gateway.Gateway): Pod {
  const { name = '', namespace } = waypoint.metadata
  const pod = [...world.pods.values()].find(
    candidate => candidate.namespace === namespace && candidate.labels[gatewayNameLabel] === name,
  )
  if (!pod) throw new Error(`${keyOf(waypoint)} is ready without a pod`)
  return pod
}
