// What gateways do with connections that they do not decrypt, and with TCP: `tls` and `tcp` of VirtualServices, TLSRoute
// and TCPRoute (research/virtualservice.md 1.4).
// Source: istio/istio pilot/pkg/networking/core/gateway.go (buildGatewayNetworkFiltersFromTLSRoutes, ...TCPRoutes) and
// pilot/pkg/config/kube/gateway/conversion.go (convertTLSRoute, convertTCPRoute).
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { clusterOf, type Registry } from './clusters.ts'
import type { Origin } from './envoy.ts'
import { convertBackendRef, isInvalid } from './http-route-conversion.ts'
import { attachedListeners, compareAge, hostOf, type KubernetesIngress } from './http-route-evaluator.ts'
import { greatestCommonDivisor } from './istio-routes.ts'
import { intersections, subsumes } from './virtual-hosts.ts'
import { hostsFor, hostsOf, type IstioIngress, inOrderOf, isWritten } from './virtual-service-evaluator.ts'

/** TLSRoute and TCPRoute alike; a TCPRoute has no hostnames. */
export interface ConnectionRoute extends core.KubernetesObject {
  kind: 'TLSRoute' | 'TCPRoute'
  spec: {
    parentRefs?: gateway.ParentReference[]
    hostnames?: string[]
    rules?: { backendRefs?: gateway.HTTPBackendRef[] }[]
  }
}

export type Protocol = 'TLS' | 'TCP'

/** A filter chain: the server names that it takes, `*` for all, and where the connections go. */
export interface Chain {
  origin: Origin
  serverName: string
  destinations: { service: string; weight: number }[]
}

/** The chain of the most specific server name; without one the connection is closed. */
export function chainFor(chains: Chain[], serverName: string): Chain | undefined {
  const serving = chains.filter(chain => subsumes(chain.serverName, serverName))
  const specificity = ({ serverName: name }: Chain) => (name.startsWith('*') ? name.length : Number.POSITIVE_INFINITY)
  return serving.reduce<Chain | undefined>(
    (best, chain) => (best && specificity(best) >= specificity(chain) ? best : chain),
    undefined,
  )
}

/** A match with a server name that another one has already is left out whole; of `tcp` the first entry takes all. */
export function chainsOfVirtualServices(
  virtualServices: istio.VirtualService[],
  protocol: Protocol,
  ingress: IstioIngress,
): Chain[] {
  const chains: Chain[] = []
  for (const virtualService of inOrderOf(virtualServices, ingress)) {
    const { namespace = 'default', name } = virtualService.metadata
    const serverHosts = hostsFor(virtualService, ingress)
    if (hostsOf(virtualService).every(host => intersections(host, serverHosts).length === 0)) continue
    const entries = (protocol === 'TLS' ? virtualService.spec.tls : virtualService.spec.tcp) ?? []
    entries.forEach(({ match, route }, entry) => {
      const destinations = destinationsOf(route ?? [], namespace, ingress.port, ingress.registry)
      const matches: NonNullable<istio.TLSRoute['match']> = match?.length ? match : [{}]
      matches.forEach((match, index) => {
        if (!isWritten(match, namespace, ingress, ingress)) return
        const serverNames = protocol === 'TLS' ? (match.sniHosts ?? []) : ['*']
        if (serverNames.some(taken => chains.some(({ serverName }) => serverName === taken))) return
        const origin = { object: `${namespace}/${name}`, entry, match: index }
        chains.push(...serverNames.map(serverName => ({ origin, serverName, destinations })))
      })
    })
  }
  return chains
}

export function chainsOfRoutes(routes: ConnectionRoute[], protocol: Protocol, ingress: KubernetesIngress): Chain[] {
  const chains: Chain[] = []
  for (const route of routes.filter(({ kind }) => kind === `${protocol}Route`).sort(compareAge)) {
    const { namespace = 'default', name } = route.metadata
    for (const listener of attachedListeners(route, ingress)) {
      const hostnames = route.spec.hostnames?.length ? route.spec.hostnames : ['*']
      const serverNames = hostnames.flatMap(hostname => intersections(hostname, [hostOf(listener)]))
      const rules = route.spec.rules ?? []
      // One without a port takes all rules with it, as in an HTTPRoute.
      if (rules.some(({ backendRefs = [] }) => backendRefs.some(isInvalid))) continue
      rules.forEach(({ backendRefs = [] }, entry) => {
        const context = { namespace, routeKind: route.kind, referenceGrants: ingress.referenceGrants }
        const served = backendRefs
          .filter(({ weight }) => weight !== 0)
          .map(ref => ({ destination: convertBackendRef(ref, context), weight: ref.weight ?? 1 }))
        const destinations = destinationsOf(served, namespace, ingress.port, ingress.registry)
        for (const serverName of serverNames) {
          if (chains.some(chain => chain.serverName === serverName)) continue
          chains.push({ origin: { object: `${namespace}/${name}`, entry, match: 0 }, serverName, destinations })
        }
      })
    }
  }
  return chains
}

function destinationsOf(route: istio.RouteDestination[], namespace: string, port: number, registry: Registry) {
  const alone = route.length === 1
  const served = alone ? route : route.filter(({ weight }) => weight)
  const divisor = served.map(({ weight }) => weight ?? 0).reduce(greatestCommonDivisor, 0)
  return served.map(({ destination, weight }) => ({
    service: clusterOf(destination ?? {}, namespace, port, registry),
    weight: alone ? 1 : (weight ?? 0) / divisor,
  }))
}
