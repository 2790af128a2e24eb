// Before and after: the answers of the old proxies from all VirtualServices, and of the new ones from the HTTPRoutes of
// those that were translated. A VirtualService that was refused is refused as a whole: what it answers is not compared.
import { isDeepStrictEqual } from 'node:util'
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import type { Translation } from '../../src/translate/translation.ts'
import { allowed, announcedVirtualHosts, says, withoutDead } from './announced.ts'
import type { Ingress, Request } from './answer.ts'
import { fullNameOf } from './clusters.ts'
import {
  type Configuration,
  type GatewayName,
  isRedirecting,
  istioIngress,
  keyOf,
  kubernetesIngress,
  ofKind,
  ports,
  portsOf,
  registry,
  registryWith,
  services,
} from './configuration.ts'
import { type Chain, type ConnectionRoute, chainFor, chainsOfRoutes, chainsOfVirtualServices } from './connections.ts'
import { answerAlike, answerOf, type Route, routeFor, type VirtualHost, virtualHostFor, withoutPort } from './envoy.ts'
import { refusals } from './http-route-admission.ts'
import { hostOf, virtualHostsOfHTTPRoutes, virtualHostsOfWaypoint } from './http-route-evaluator.ts'
import { gatewayHosts, requestsFor } from './requests.ts'
import { subsumes } from './virtual-hosts.ts'
import {
  gatewaysOf,
  hostsOf,
  oldestFirst,
  virtualHostsOfSidecar,
  virtualHostsOfVirtualServices,
} from './virtual-service-evaluator.ts'

/** A request to a translated VirtualService that is answered otherwise than before and otherwise than announced. */
export interface Difference {
  /** Where the request comes in. */
  at: string
  request: Request | { serverName: string }
  /** `namespace/name spec.http[i].match[j]` of the VirtualService that answers today, if any. */
  servedBy: string
  before: unknown
  /** What the diagnostics say will be answered. */
  announced: unknown
  after: unknown
  /** In which order the HTTPRoutes were created. */
  created: Created
  /** Where the answer after comes from, in the HTTPRoutes. */
  answeredBy: string
}

/** All in one second, or one after the other, in the order of their VirtualServices' age or in the reverse of it. */
type Created = 'at once' | 'in order' | 'in reverse'

/** A place where requests come in, before and after. */
interface World {
  at: string
  ingress: Ingress
  hosts: string[]
  before: VirtualHost[]
  after: (routes: gateway.HTTPRoute[]) => VirtualHost[]
}

const names: GatewayName[] = ['public', 'internal']

/** What is asked of a world in each configuration: enough that two answers seldom agree by chance. */
const requestsInAll = 90

export function* differences(
  configuration: Configuration,
  translations: ReadonlyMap<string, Translation>,
  limit = requestsInAll,
): Generator<Difference> {
  const diagnostics = diagnosticsOf(translations)
  const kept = [...translations.values()].flatMap(({ companions }) => companions)
  const translated = new Set(
    [...translations].filter(([, { companions }]) => companions.length > 0).map(([key]) => key),
  )
  if (translated.size === 0) return
  const isTranslated = ({ origin: { object } }: { origin: { object: string } }) =>
    object === '' || translated.has(object)
  const routesByAge = oldestFirst(configuration.virtualServices).flatMap(virtualService =>
    httpRoutesOf(translations.get(keyOf(virtualService))),
  )
  const orders = inEveryOrder(routesByAge)
  const worlds = worldsOf(configuration, kept)
  for (const world of worlds) {
    // What is refused is not compared, and neither is the part of a VirtualService that is said to end.
    const ends = (route: Route) =>
      !isTranslated(route) ||
      (world.at.startsWith('mesh') &&
        (diagnostics.get(route.origin.object) ?? []).some(({ code }) => code === 'VS-GATEWAYS-MESH'))
    if (world.before.every(({ routes }) => routes.every(ends)) && world.before.length > 0) continue
    const { ingress, before } = world
    const others = configuration.httpRoutes ?? []
    const announced = announcedVirtualHosts(before, diagnostics, ingress)
    const announcedAlive = withoutDead(announced, diagnostics)
    // A path that a prefix is said to gain or lose may still be answered as before, by a rule of its own.
    const withPaths = (['kept', 'exact'] as const).map(paths =>
      announcedVirtualHosts(before, diagnostics, ingress, paths),
    )
    const withoutOurs = world.after(others)
    const requests = requestsFor(configuration, world.hosts, Math.ceil(limit / worlds.length))
    const compared = new Set<string>()
    for (const [created, routes] of orders) {
      const after = world.after([...others, ...routes])
      const order = after
        .map(({ domain, routes }) => domain + routes.map(({ origin }) => Object.values(origin).join()).join(' '))
        .join('\n')
      if (compared.has(order)) continue
      compared.add(order)
      for (const request of requests) {
        const served = routeFor(before, request, ingress)
        const answering = routeFor(after, request, ingress)
        const isAnswerOf = (route: Route | undefined): boolean => {
          // In the mesh a Service without any route is called as it is; one whose routes do not match answers 404.
          const isOurs = world.at.startsWith('mesh') && virtualHostFor(before, request.host)?.routes.some(r => !ends(r))
          if (!route && isOurs) return !answering
          if (!route || ends(route)) {
            return answerAlike(answering, routeFor(withoutOurs, request, ingress), request, ingress)
          }
          if (answerAlike(answering, route, request, ingress)) return true
          const answer = answerOf(answering, request, ingress)
          return isDeepStrictEqual(answer, allowed(answerOf(route, request, ingress), answer, route, diagnostics))
        }
        if (isAnswerOf(served) || isAnswerOf(routeFor(announced, request, ingress))) continue
        if (withPaths.some(hosts => isAnswerOf(routeFor(hosts, request, ingress)))) continue
        // What answers today is not dead, whatever is said: leaving it out announces nothing.
        // With a port in the host that may be so, where an earlier match is said to take such requests.
        const isTakenEarlier =
          request.host.includes(':') &&
          (diagnostics.get(served?.origin.object ?? '') ?? []).some(({ code }) => code === 'VS-MATCH-AUTHORITY-PORT')
        const dead = served !== undefined && !isTakenEarlier && says('VS-ORDER-DEAD', served, diagnostics)
        const announcedRoute = routeFor(announcedAlive, request, ingress)
        if (!dead && isAnswerOf(announcedRoute)) continue
        // VS-ORDER-ROUTE: somebody else's HTTPRoute answers, or the host that it has made its own.
        const isForeign = ({ origin }: Route) => others.some(other => keyOf(other) === origin.object)
        const isTaken = answering ? isForeign(answering) : virtualHostFor(after, request.host)?.routes.every(isForeign)
        const isTold = (route: Route | undefined) => route !== undefined && says('VS-ORDER-ROUTE', route, diagnostics)
        if (isTaken && [served, announcedRoute].some(isTold)) continue
        // Our host is narrower than theirs, and takes from them what it does not route itself.
        const ofHost = virtualHostFor(before, request.host)?.routes ?? []
        if ((!served || !announcedRoute) && !answering && ofHost.some(isTold)) continue
        const concerned = [served, announcedRoute].filter(route => route !== undefined)
        // What nobody answers on a host that a refused VirtualService shares is that one's 404.
        const isRefusedHost = served ? ofHost.every(ends) : ofHost.some(ends)
        if (concerned.some(ends) || (ofHost.length > 0 && isRefusedHost)) continue
        yield {
          at: world.at,
          request,
          servedBy: sourceOf(served, 'http', 'match'),
          before: answerOf(served, request, ingress),
          announced: answerOf(announcedRoute, request, ingress),
          after: answerOf(answering, request, ingress),
          created,
          answeredBy: sourceOf(answering, 'rules', 'matches'),
        }
      }
    }
  }
  yield* connectionDifferences(configuration, kept, isTranslated)
}

function worldsOf(configuration: Configuration, kept: core.KubernetesObject[]): World[] {
  return [...gatewayWorlds(configuration, kept), ...meshWorlds(configuration, kept)]
}

function gatewayWorlds(configuration: Configuration, kept: core.KubernetesObject[]): World[] {
  return names.flatMap(name => {
    if (!configuration.virtualServices.some(vs => gatewaysOf(vs).includes(`istio-system/${name}`))) return []
    return portsOf(configuration, name)
      .filter(port => ports[port].protocol.startsWith('HTTP'))
      .filter(port => name !== 'public' || !configuration.unheard?.includes(port))
      .map(port => {
        const ingress = istioIngress(configuration, name, port)
        const kubernetes = kubernetesIngress(configuration, name, port, kept)
        return {
          at: `${name} ${port}`,
          ingress,
          // A host that no listener takes is the administrator's choice: nobody comes in with it.
          hosts: gatewayHosts(configuration, ingress).filter(
            host => !configuration.listenerHosts || kubernetes.listeners.some(listener => isFor(listener, host)),
          ),
          // What only redirects reads no VirtualService, and neither may the listener in its place.
          before: isRedirecting(configuration, name, port)
            ? []
            : virtualHostsOfVirtualServices(configuration.virtualServices, ingress),
          after: routes => virtualHostsOfHTTPRoutes(routes, kubernetes),
        }
      })
  })
}

function isFor(listener: gateway.Listener, host: string): boolean {
  return subsumes(hostOf(listener), withoutPort(host))
}

/** A client in each namespace, and the Services that some VirtualService of the mesh names. */
function meshWorlds(configuration: Configuration, kept: core.KubernetesObject[]): World[] {
  const inMesh = configuration.virtualServices.filter(vs => hostsOf(vs).length > 0 && gatewaysOf(vs).includes('mesh'))
  const named = services.filter(service =>
    inMesh.some(vs => hostsOf(vs).some(host => host !== '*' && subsumes(host, fullNameOf(service)))),
  )
  const withCompanions = registryWith(kept)
  return named.flatMap(service =>
    (service.spec?.ports ?? []).flatMap(({ port }) => {
      const ingress: Ingress = { port, scheme: 'http' }
      const hasWaypoint = configuration.waypoints?.includes(service.metadata.namespace ?? '') ?? false
      return ['a', 'b'].map(namespace => ({
        at: `mesh, from ${namespace} to ${keyOf(service)}:${port}`,
        ingress,
        hosts: [fullNameOf(service)],
        before: virtualHostsOfSidecar(configuration.virtualServices, service, port, {
          gateway: 'mesh',
          pods: { namespace, labels: { app: 'client' } },
          registry,
        }),
        // Without a waypoint nobody reads HTTPRoutes for a Service.
        after: routes =>
          virtualHostsOfWaypoint(hasWaypoint ? routes : [], { ...ingress, service, registry: withCompanions }),
      }))
    }),
  )
}

function* connectionDifferences(
  configuration: Configuration,
  kept: core.KubernetesObject[],
  isTranslated: (chain: Chain) => boolean,
): Generator<Difference> {
  const routes = [...ofKind<ConnectionRoute>('TLSRoute', kept), ...ofKind<ConnectionRoute>('TCPRoute', kept)]
  for (const port of portsOf(configuration, 'public')) {
    const { protocol } = ports[port]
    if (protocol !== 'TLS' && protocol !== 'TCP') continue
    const ingress = istioIngress(configuration, 'public', port)
    const before = chainsOfVirtualServices(configuration.virtualServices, protocol, ingress)
    for (const [created, inOrder] of inEveryOrder(routes)) {
      const after = chainsOfRoutes(inOrder, protocol, kubernetesIngress(configuration, 'public', port, kept))
      for (const serverName of ['app.example.com', 'www.example.com', 'example.org']) {
        const served = chainFor(before, serverName)
        const answering = chainFor(after, serverName)
        if (served && !isTranslated(served)) continue
        if (isDeepStrictEqual(served?.destinations, answering?.destinations)) continue
        const list = protocol === 'TLS' ? 'tls' : 'tcp'
        yield {
          at: `public ${port}`,
          request: { serverName },
          servedBy: sourceOf(served, list, 'match'),
          before: served?.destinations,
          announced: served?.destinations,
          after: answering?.destinations,
          created,
          answeredBy: sourceOf(answering, 'rules', 'matches'),
        }
      }
    }
  }
}

/** What an API server would refuse of the HTTPRoutes. */
export function refusedRoutes(
  { experimental = false }: Configuration,
  translations: ReadonlyMap<string, Translation>,
): string[] {
  return [...translations.values()]
    .flatMap(httpRoutesOf)
    .flatMap(route =>
      refusals(route, experimental).map(
        refusal => `HTTPRoute ${route.metadata.namespace}/${route.metadata.name}: ${refusal}`,
      ),
    )
}

export function httpRoutesOf(translation: Translation | undefined): gateway.HTTPRoute[] {
  return ofKind<gateway.HTTPRoute>('HTTPRoute', translation?.companions ?? [])
}

function diagnosticsOf(translations: ReadonlyMap<string, Translation>): Map<string, Diagnostic[]> {
  return new Map(
    [...translations].map(([key, { warnings, denial }]) => [key, [...warnings, ...(denial?.reasons ?? [])]]),
  )
}

/** Which route is created first nobody decides, and one that is deleted by mistake comes again as the youngest. */
function inEveryOrder<R extends core.KubernetesObject>(routes: R[]): [Created, R[]][] {
  if (routes.length < 2) return [['at once', routes]]
  return [
    ['at once', routes],
    ['in order', routes.map(createdInTurn)],
    ['in reverse', routes.toReversed().map(createdInTurn)],
  ]
}

function createdInTurn<R extends core.KubernetesObject>(route: R, i: number): R {
  return { ...route, metadata: { ...route.metadata, creationTimestamp: new Date(1000 * i).toISOString() } }
}

function sourceOf(route: Route | Chain | undefined, list: string, matches: 'match' | 'matches'): string {
  if (!route) return 'nobody'
  const { object, entry, match } = route.origin
  if (!object) return 'the Service itself'
  return `${object} spec.${list}[${entry}]${match === undefined ? '' : `.${matches}[${match}]`}`
}
