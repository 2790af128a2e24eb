// VirtualServices of a gateway -> virtual hosts. What istiod does with the ones that users write and with the ones that
// it makes out of HTTPRoutes: concatenate by host, in order of age, and move bare catch-alls to the end.
// Source: istio/istio pilot/pkg/networking/core/gateway.go (buildGatewayHTTPRouteConfig) and
// pilot/pkg/networking/core/route/route.go (BuildHTTPRoutesForVirtualService, IsCatchAllRoute, SortVHostRoutes).
import type { Route, VirtualHost } from './envoy.ts'

/** The routes of one VirtualService, in the order in which the gateway reads VirtualServices. */
export interface RoutesOfHosts {
  hosts: string[]
  /** The hosts of the server, of those that its namespace may have. */
  serverHosts: string[]
  routes: Route[]
}

export function virtualHostsOf(inOrder: RoutesOfHosts[]): VirtualHost[] {
  const routesByDomain = new Map<string, Route[]>()
  for (const { hosts, serverHosts, routes } of inOrder) {
    // An object without routes is skipped ("no routes matched") and makes no virtual host.
    if (routes.length === 0) continue
    const written = upToCatchAll(routes)
    for (const domain of new Set(hosts.flatMap(host => intersections(host, serverHosts)))) {
      routesByDomain.set(domain, [...(routesByDomain.get(domain) ?? []), ...written])
    }
  }
  return [...routesByDomain].map(([domain, routes]) => ({ domain, routes: catchAllsLast(routes) }))
}

/** `Names.Intersection`: of a host and each host of the server, the narrower of the two. */
export function intersections(host: string, serverHosts: string[]): string[] {
  return serverHosts.flatMap(server => {
    if (subsumes(server, host)) return [host]
    return subsumes(host, server) ? [server] : []
  })
}

/** `host.Name.SubsetOf`, turned round; a wildcard's suffix may stand for several labels. */
export function subsumes(wide: string, narrow: string): boolean {
  if (wide === '*' || wide === narrow) return true
  return wide.startsWith('*') && narrow.endsWith(wide.slice(1))
}

/** Routes after a bare catch-all of the same object are dead, and istiod does not even write them. */
export function upToCatchAll(routes: Route[]): Route[] {
  const catchAll = routes.findIndex(isCatchAll)
  return catchAll === -1 ? routes : routes.slice(0, catchAll + 1)
}

function catchAllsLast(routes: Route[]): Route[] {
  return [...routes.filter(route => !isCatchAll(route)), ...routes.filter(isCatchAll)]
}

/** Prefix `/` or regex `.*` without any condition. `/.*` is none, and a method is a condition. */
function isCatchAll({ match: { path, headers, queryParams } }: Route): boolean {
  const all = (path.type === 'prefix' && path.value === '/') || (path.type === 'regex' && path.value === '.*')
  return all && headers.length === 0 && queryParams.length === 0
}

/** Orders by the first text, then by the second, and so on. */
export function compareTexts(left: string[], right: string[]): number {
  const differing = left.findIndex((text, i) => text !== right[i])
  return differing === -1 ? 0 : (left[differing] ?? '') < (right[differing] ?? '') ? -1 : 1
}
