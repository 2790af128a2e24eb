// What proxies of Istio's own kind answer from VirtualServices: an ingress gateway, and a sidecar beside a client
// (research/virtualservice.md 1, 2.1, 3, 10).
import type * as core from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Answer, Ingress, Request } from './answer.ts'
import { fullName, fullNameOf, type Registry } from './clusters.ts'
import { mergedEntries } from './delegates.ts'
import { answerOf, type Route, routeFor, type VirtualHost } from './envoy.ts'
import { type RouteContext, routeAction, routeMatch, serviceRoute } from './istio-routes.ts'
import { compareTexts, subsumes, upToCatchAll, virtualHostsOf } from './virtual-hosts.ts'

/** The proxy that asks for its routes: a gateway is its own caller, a sidecar that of its pod. */
export interface Proxy {
  /** `namespace/name` of the Istio Gateway, or `mesh`. */
  gateway: string
  pods: { namespace: string; labels: Record<string, string> }
  registry: Registry
}

/** A server of an Istio Gateway. */
export interface IstioIngress extends Proxy, Ingress {
  /** `host`, `namespace/host`, `./host` or `*`+`/host`. */
  hosts: string[]
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
  return virtualHostsOf(
    inOrderOf(virtualServices, ingress).map(virtualService => ({
      hosts: hostsOf(virtualService),
      serverHosts: hostsFor(virtualService, ingress),
      routes: routesOf(virtualService, virtualServices, ingress, ingress),
    })),
  )
}

/**
 * A sidecar's routes for a port of a Service: of all VirtualServices the first one that has routes for it, an exact host
 * before wildcards and a longer wildcard before a shorter. No other is asked; without one the Service itself answers.
 * Source: pilot/pkg/networking/core/httproute.go (BuildSidecarOutboundVirtualHosts), MostSpecificWildcardVirtualServiceIndex.
 */
export function virtualHostsOfSidecar(
  virtualServices: istio.VirtualService[],
  service: core.Service,
  port: number,
  proxy: Proxy,
): VirtualHost[] {
  const host = fullNameOf(service)
  const ingress: Ingress = { port, scheme: 'http' }
  const specificity = (virtualService: istio.VirtualService) =>
    Math.max(
      ...hostsOf(virtualService).map(name =>
        name === host ? Number.POSITIVE_INFINITY : name !== '*' && subsumes(name, host) ? name.length : -1,
      ),
    )
  const serving = inOrderOf(virtualServices, proxy).filter(virtualService => specificity(virtualService) >= 0)
  const bySpecificity = serving.toSorted((a, b) =>
    specificity(a) === specificity(b) ? 0 : specificity(b) > specificity(a) ? 1 : -1,
  )
  const routes = bySpecificity
    .map(virtualService => routesOf(virtualService, virtualServices, ingress, proxy))
    .find(routes => routes.length > 0)
  return [{ domain: '*', routes: routes ? upToCatchAll(routes) : [serviceRoute(service, ingress, proxy.registry)] }]
}

/** The VirtualServices that a proxy sees, in the order in which it reads them; delegates alone are none. */
export function inOrderOf(virtualServices: istio.VirtualService[], proxy: Proxy): istio.VirtualService[] {
  const seen = virtualServices.filter(
    virtualService =>
      hostsOf(virtualService).length > 0 &&
      gatewaysOf(virtualService).includes(proxy.gateway) &&
      visibility(virtualService, proxy) !== undefined,
  )
  return oldestFirst(seen).sort((a, b) => (visibility(a, proxy) ?? 0) - (visibility(b, proxy) ?? 0))
}

/** A short name is the Service of that name in the VirtualService's namespace, on gateways too. */
export function hostsOf({ spec, metadata }: istio.VirtualService): string[] {
  return (spec.hosts ?? []).map(host => fullName(host, metadata.namespace ?? 'default').toLowerCase())
}

/** Without `gateways` a VirtualService is for the mesh. */
export function gatewaysOf({ spec, metadata }: istio.VirtualService): string[] {
  const gateways = spec.gateways?.length ? spec.gateways : ['mesh']
  return gateways.map(name => gatewayName(name, metadata.namespace ?? 'default'))
}

/** `resolveGatewayName`: a bare name is in the VirtualService's own namespace; the old form is `name.namespace…`. */
function gatewayName(name: string, namespace: string): string {
  if (name === 'mesh') return name
  if (name.startsWith('./')) return `${namespace}/${name.slice(2)}`
  if (name.includes('/')) return name
  const [first, second] = name.split('.')
  return second ? `${second}/${first}` : `${namespace}/${name}`
}

/** `NamesForNamespace`: the hosts of a server that VirtualServices of a namespace may have; `.` is the Gateway's own. */
export function hostsFor({ metadata }: istio.VirtualService, { hosts, gateway }: IstioIngress): string[] {
  const [own] = gateway.split('/')
  return hosts.flatMap(scoped => {
    const slash = scoped.indexOf('/')
    const namespace = slash < 0 ? '*' : scoped.slice(0, slash)
    const allowed = namespace === '*' || (namespace === '.' ? own : namespace) === metadata.namespace
    return allowed ? [scoped.slice(slash + 1)] : []
  })
}

/**
 * `exportTo`, seen from the proxy's namespace: 0 for what only its own namespace sees, 1 for what is exported to it by
 * name, 2 for what all see; in this order they come into the virtual host. Undefined for what it does not see.
 */
function visibility({ spec, metadata }: istio.VirtualService, { pods }: Proxy): number | undefined {
  const exportTo = spec.exportTo?.length ? spec.exportTo : ['*']
  if (exportTo.includes('*')) return 2
  if (exportTo.length === 1 && exportTo.includes('.')) return metadata.namespace === pods.namespace ? 0 : undefined
  const named = exportTo.map(to => (to === '.' ? metadata.namespace : to))
  return named.includes(pods.namespace) ? 1 : undefined
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

function routesOf(
  root: istio.VirtualService,
  virtualServices: istio.VirtualService[],
  ingress: Ingress,
  proxy: Proxy,
): Route[] {
  const namespace = root.metadata.namespace ?? 'default'
  const object = `${namespace}/${root.metadata.name}`
  const { registry } = proxy
  const context: RouteContext = { object, namespace, ingress, registry, gatewaySemantics: false }
  return mergedEntries(root, virtualServices).flatMap(({ http, entry, leaf }) =>
    (http.match?.length ? http.match : [{}]).flatMap((match, index): Route[] => {
      if (!isWritten(match, namespace, ingress, proxy)) return []
      const translated = routeMatch(match, context)
      const action = routeAction(http, translated, context)
      const origin = { object, entry, match: index, ...(leaf === undefined ? {} : { leaf }) }
      return [{ origin, match: translated, action }]
    }),
  )
}

/** `translateRoute` and `sourceMatchHTTP`: conditions on the proxy itself are decided when the route is written. */
export function isWritten(
  match: Pick<istio.HTTPMatchRequest, 'port' | 'gateways' | 'sourceLabels' | 'sourceNamespace'>,
  namespace: string,
  { port }: Ingress,
  { gateway, pods }: Proxy,
): boolean {
  if (match.port && match.port !== port) return false
  // With gateways named, the source is not asked for any more.
  if (match.gateways?.length) return match.gateways.some(name => gatewayName(name, namespace) === gateway)
  const labels = Object.entries(match.sourceLabels ?? {})
  if (!labels.every(([name, value]) => pods.labels[name] === value)) return false
  return !match.sourceNamespace || match.sourceNamespace === pods.namespace
}
