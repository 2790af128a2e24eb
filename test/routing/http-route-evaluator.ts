// What a Kubernetes Gateway of Istio's, and a waypoint, answer from HTTPRoutes (research/virtualservice.md 2.2, 3). As
// istiod does it: every match becomes an entry of a VirtualService, sorted by specificity, and that becomes Envoy routes.
// Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go and route_collections.go, the functions named below.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Answer, Ingress, Request } from './answer.ts'
import type { Registry } from './clusters.ts'
import { answerOf, type Route, routeFor, type VirtualHost } from './envoy.ts'
import { type ConversionContext, convertMatch, convertRule, isInvalid } from './http-route-conversion.ts'
import { type RouteContext, routeAction, routeMatch, serviceRoute } from './istio-routes.ts'
import { compareTexts, intersections, subsumes, upToCatchAll, virtualHostsOf } from './virtual-hosts.ts'

/** One port of a Kubernetes Gateway, with the listeners on it. */
export interface KubernetesIngress extends Ingress {
  /** `namespace/name` of the Kubernetes Gateway. */
  gateway: string
  listeners: gateway.Listener[]
  registry: Registry
  referenceGrants: gateway.ReferenceGrant[]
  /** The labels of each namespace, which listeners may select by. */
  namespaceLabels: Record<string, Record<string, string>>
}

/** A port of a Service, behind the waypoint of its namespace. */
export interface MeshIngress extends Ingress {
  service: core.Service
  registry: Registry
}

/** One match of one rule, as the entry of a VirtualService that istiod makes of it. */
interface Entry {
  object: string
  namespace: string
  rule: number
  position: number
  http: istio.HTTPRoute
  match: istio.HTTPMatchRequest
}

export function answerFromHTTPRoutes(
  routes: gateway.HTTPRoute[],
  ingress: KubernetesIngress,
  request: Request,
): Answer {
  return answerOf(routeFor(virtualHostsOfHTTPRoutes(routes, ingress), request, ingress), request, ingress)
}

/**
 * `mergeHTTPRoutes`: the routes with the same text as hostname on the same listener are put together by age, then
 * namespace, then name, and sorted. `*.example.com` of one and `*` of another, cut down by the listener, are not sorted
 * together.
 */
export function virtualHostsOfHTTPRoutes(routes: gateway.HTTPRoute[], ingress: KubernetesIngress): VirtualHost[] {
  const merged = new Map<string, { hostname: string; listener: gateway.Listener; entries: Entry[] }>()
  for (const route of routes.toSorted(compareAge)) {
    const attached = attachedListeners(route, ingress)
    if (attached.length === 0) continue
    const entries = entriesOf(route, ingress.referenceGrants)
    for (const listener of attached) {
      for (const hostname of route.spec.hostnames?.length ? route.spec.hostnames : ['*']) {
        if (!isOwnHostname(hostname, listener, ingress.listeners)) continue
        const key = `${listener.name}/${hostname}`
        const known = merged.get(key)
        merged.set(key, { hostname, listener, entries: [...(known?.entries ?? []), ...entries] })
      }
    }
  }
  return virtualHostsOf(
    [...merged.values()].map(({ hostname, listener, entries }) => ({
      hosts: [hostname],
      serverHosts: [hostOf(listener)],
      routes: routesOf(entries, ingress, ingress.registry),
    })),
  )
}

/**
 * A waypoint serves a Service with one virtual host. Of the HTTPRoutes in the Service's namespace those with a port and
 * those without are merged and sorted apart, and then follow each other by age; no catch-all is moved. Where no route is
 * written for a port the Service itself answers.
 * Source: pilot/pkg/networking/core/listener_waypoint.go (buildWaypointInboundHTTPRouteConfig, waypointInboundRoute).
 */
export function virtualHostsOfWaypoint(routes: gateway.HTTPRoute[], ingress: MeshIngress): VirtualHost[] {
  const { metadata } = ingress.service
  const merged = new Map<string, Entry[]>()
  for (const route of routes
    .filter(({ metadata: { namespace } }) => namespace === metadata.namespace)
    .sort(compareAge)) {
    const ports = (route.spec.parentRefs ?? [])
      .filter(({ kind, group = '', namespace = metadata.namespace, name }) => {
        return kind === 'Service' && group === '' && namespace === metadata.namespace && name === metadata.name
      })
      .map(({ port }) => port)
    for (const port of new Set(ports)) {
      // `augmentPortMatch`: an entry for another port is not written.
      if (port !== undefined && port !== ingress.port) continue
      const key = String(port)
      merged.set(key, [...(merged.get(key) ?? []), ...entriesOf(route, undefined)])
    }
  }
  const written = [...merged.values()].flatMap(entries => upToCatchAll(routesOf(entries, ingress, ingress.registry)))
  return [
    { domain: '*', routes: written.length > 0 ? written : [serviceRoute(ingress.service, ingress, ingress.registry)] },
  ]
}

/** A route of any kind that has parents and hostnames. */
type Attachable = core.KubernetesObject & { spec: { parentRefs?: gateway.ParentReference[]; hostnames?: string[] } }

export function attachedListeners(route: Attachable, ingress: KubernetesIngress): gateway.Listener[] {
  return ingress.listeners.filter(listener => isAttached(route, listener, ingress))
}

/** `referenceAllowed`: the Gateway, the listener's name and port, a hostname in common, and the namespace allowed. */
function isAttached(route: Attachable, listener: gateway.Listener, ingress: KubernetesIngress): boolean {
  const { namespace: own = 'default' } = route.metadata
  const referred = (route.spec.parentRefs ?? []).some(
    ({ kind = 'Gateway', namespace = own, name, sectionName = listener.name, port = ingress.port }) =>
      kind === 'Gateway' &&
      `${namespace}/${name}` === ingress.gateway &&
      sectionName === listener.name &&
      port === ingress.port,
  )
  if (!referred || !admits(listener, own, ingress)) return false
  const hostnames = route.spec.hostnames?.length ? route.spec.hostnames : ['*']
  return hostnames.some(hostname => intersections(hostname, [hostOf(listener)]).length > 0)
}

/** Without `allowedRoutes` a listener takes the routes of its own namespace only. */
function admits({ allowedRoutes }: gateway.Listener, namespace: string, ingress: KubernetesIngress): boolean {
  const { from = 'Same', selector } = allowedRoutes?.namespaces ?? {}
  if (from === 'All') return true
  if (from === 'Same') return namespace === ingress.gateway.split('/')[0]
  const labels = ingress.namespaceLabels[namespace] ?? {}
  return Object.entries(selector?.matchLabels ?? {}).every(([name, value]) => labels[name] === value)
}

export function hostOf({ hostname }: gateway.Listener): string {
  return hostname || '*'
}

/** `hostnameAllowedByIsolation`: a hostname belongs to the listener on the port with the most specific hostname. */
function isOwnHostname(hostname: string, listener: gateway.Listener, listeners: gateway.Listener[]): boolean {
  const own = hostOf(listener)
  return !listeners.some(
    other => other !== listener && hostOf(other).length > own.length && subsumes(hostOf(other), hostname),
  )
}

export function compareAge({ metadata: a }: core.KubernetesObject, { metadata: b }: core.KubernetesObject): number {
  const key = ({ creationTimestamp = '', namespace = '', name = '' }: core.ObjectMeta) => [
    creationTimestamp,
    namespace,
    name,
  ]
  return compareTexts(key(a), key(b))
}

/** `convertRules`: one rule that cannot be converted takes all rules of the HTTPRoute with it. */
function entriesOf(route: gateway.HTTPRoute, referenceGrants: gateway.ReferenceGrant[] | undefined): Entry[] {
  const { namespace = 'default', name } = route.metadata
  const object = `${namespace}/${name}`
  const context: ConversionContext = { namespace, routeKind: 'HTTPRoute', referenceGrants }
  const rules = route.spec.rules ?? []
  if (rules.some(rule => (rule.backendRefs ?? []).some(isInvalid))) return []
  return rules.flatMap((rule, index) => {
    const http = convertRule(rule, context)
    // The CRD's default for a rule without matches, and for a match without a path, is PathPrefix `/`.
    const matches = rule.matches?.length ? rule.matches : [{}]
    return matches.map((match, position) => {
      return { object, namespace, rule: index, position, http, match: convertMatch(match) }
    })
  })
}

/** `sortHTTPRoutes`: Exact > Prefix > Regex, length, method, number of headers, of query parameters; else as it was. */
function compareSpecificity({ match: a }: Entry, { match: b }: Entry): number {
  const key = ({ uri = {}, method, headers = {}, queryParams = {} }: istio.HTTPMatchRequest): number[] => [
    uri.exact !== undefined ? 3 : uri.prefix !== undefined ? 2 : 1,
    Buffer.byteLength(uri.exact ?? uri.prefix ?? uri.regex ?? ''),
    method ? 1 : 0,
    Object.keys(headers).length,
    Object.keys(queryParams).length,
  ]
  const [left, right] = [key(a), key(b)]
  return left.map((value, i) => (right[i] ?? 0) - value).find(difference => difference !== 0) ?? 0
}

function routesOf(entries: Entry[], ingress: Ingress, registry: Registry): Route[] {
  return entries.toSorted(compareSpecificity).map(({ object, namespace, rule, position, http, match }) => {
    const context: RouteContext = { object, namespace, ingress, registry, gatewaySemantics: true }
    const translated = routeMatch(match, context)
    return {
      origin: { object, entry: rule, match: position },
      match: translated,
      action: routeAction(http, translated, context),
    }
  })
}
