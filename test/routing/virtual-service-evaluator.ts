// What an ingress gateway of Istio's own kind answers from VirtualServices (research/virtualservice.md 1, 2.1, 3, 10).
import type * as core from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Answer, Ingress, Request } from './answer.ts'
import { answerOf, type Route, routeFor, type VirtualHost } from './envoy.ts'
import { type RouteContext, routeAction, routeMatch } from './istio-routes.ts'
import { compareTexts, virtualHostsOf } from './virtual-hosts.ts'

/** The gateway: which Istio Gateway it serves, and the pods that VirtualServices can ask about. */
export interface IstioIngress extends Ingress {
  /** `namespace/name` of the Istio Gateway. */
  gateway: string
  pods: { namespace: string; labels: Record<string, string> }
  services: core.Service[]
}

export function answerFromVirtualServices(
  virtualServices: istio.VirtualService[],
  ingress: IstioIngress,
  request: Request,
): Answer {
  return answerOf(routeFor(virtualHostsOfVirtualServices(virtualServices, ingress), request, ingress), request, ingress)
}

export function virtualHostsOfVirtualServices(
  virtualServices: istio.VirtualService[],
  ingress: IstioIngress,
): VirtualHost[] {
  const bound = virtualServices.filter(
    virtualService => isBound(virtualService, ingress) && visibility(virtualService, ingress) !== undefined,
  )
  const inOrder = oldestFirst(bound).sort((a, b) => (visibility(a, ingress) ?? 0) - (visibility(b, ingress) ?? 0))
  return virtualHostsOf(
    inOrder.map(virtualService => ({
      hosts: virtualService.spec.hosts ?? [],
      routes: routesOf(virtualService, ingress),
    })),
    ingress.hosts,
  )
}

/** Without `gateways` a VirtualService is for the mesh. A name without namespace is in the VirtualService's own. */
function isBound({ spec, metadata }: istio.VirtualService, { gateway }: IstioIngress): boolean {
  return (spec.gateways ?? []).some(name => (name.includes('/') ? name : `${metadata.namespace}/${name}`) === gateway)
}

/**
 * `exportTo`, seen from the gateway's namespace: 0 for what only its own namespace sees, 1 for what is exported to it by
 * name, 2 for what all see; in this order they come into the virtual host. Undefined for what it does not see.
 */
function visibility({ spec, metadata }: istio.VirtualService, { pods }: IstioIngress): number | undefined {
  const exportTo = spec.exportTo?.length ? spec.exportTo : ['*']
  if (exportTo.includes('*')) return 2
  if (exportTo.includes('.') && metadata.namespace === pods.namespace) return 0
  return exportTo.includes(pods.namespace) ? 1 : undefined
}

/** By creation, then by name, then by namespace. An object that is only about to be created is the youngest. */
export function oldestFirst(virtualServices: istio.VirtualService[]): istio.VirtualService[] {
  const key = ({ creationTimestamp = 'about to be', name = '', namespace = '' }: core.ObjectMeta) => [
    creationTimestamp,
    name,
    namespace,
  ]
  return virtualServices.toSorted((a, b) => compareTexts(key(a.metadata), key(b.metadata)))
}

function routesOf({ metadata, spec }: istio.VirtualService, ingress: IstioIngress): Route[] {
  const namespace = metadata.namespace ?? 'default'
  const object = `${namespace}/${metadata.name}`
  const context: RouteContext = { object, namespace, ingress, services: ingress.services, gatewaySemantics: false }
  return (spec.http ?? []).flatMap((http, entry) =>
    (http.match?.length ? http.match : [{}]).flatMap((match, index): Route[] => {
      if (!isForGateway(match, ingress)) return []
      const translated = routeMatch(match, context)
      const action = routeAction(http, translated, context)
      return [{ origin: { object, entry, match: index }, match: translated, action }]
    }),
  )
}

/** `translateRoute` and `sourceMatchHTTP`: conditions on the gateway itself are decided when the route is written. */
function isForGateway(match: istio.HTTPMatchRequest, { port, gateway, pods }: IstioIngress): boolean {
  if (match.port && match.port !== port) return false
  if (match.gateways?.length) return match.gateways.includes(gateway)
  const labels = Object.entries(match.sourceLabels ?? {})
  if (!labels.every(([name, value]) => pods.labels[name] === value)) return false
  return !match.sourceNamespace || match.sourceNamespace === pods.namespace
}
