// Where requests for each host go: by VirtualServices in the order in which Istio asks them, and by the routes that stand for
// them in Gateway API's. Both orders are the core's own.
import type * as gateway from '../apis/gateway.ts'
import type * as istio from '../apis/istio.ts'
import { isCompanion } from '../translate/companion.ts'
import { createReport } from '../translate/report.ts'
import type { Settings } from '../translate/settings.ts'
import { type ByNamespace, namespaceOf } from '../translate/snapshot.ts'
import { type HTTPEntry, httpEntries, isDelegate } from '../translate/virtual-service/delegates.ts'
import { doorsOf, gatewayKey } from '../translate/virtual-service/doors.ts'
import { tooLarge } from '../translate/virtual-service/effort.ts'
import { fullName, hostnamesFor } from '../translate/virtual-service/hosts.ts'
import { isForMesh, meshScopes } from '../translate/virtual-service/mesh.ts'
import { visibility } from '../translate/virtual-service/neighbours.ts'
import { compareRanks } from '../translate/virtual-service/order.ts'
import { compareAges } from '../translate/virtual-service/places.ts'
import { gatewayScopes, isSeen, matchesOf, type ScopedMatch } from '../translate/virtual-service/scopes.ts'
import { serviceWaypoint } from '../translate/waypoint.ts'
import { type Clusters, compare, type Judged } from './judge.ts'
import type { HostReport, RouteReport } from './report.ts'
import { answerText, backendText, isCatchAll, matchText, requestOf } from './route-texts.ts'
import { labelOf } from './steps.ts'

/** A host at one place: a Kubernetes Gateway, an Istio Gateway that none takes over from, or the mesh. */
interface Virtual {
  place: string
  host: string
  before: (RouteReport & { isLast: boolean })[]
  after: { route: RouteReport; rank: Parameters<typeof compareRanks>[0]; age: gateway.HTTPRoute['metadata'] }[]
}

export function hostsOf(judged: Judged[], clusters: Clusters): HostReport[] {
  const hosts = new Map<string, Virtual>()
  const at = (place: string, host: string): Virtual => {
    const key = `${host}\n${place}`
    const found = hosts.get(key) ?? { place, host, before: [], after: [] }
    hosts.set(key, found)
    return found
  }
  for (const virtualService of inOrder(judged)) putVirtualService(virtualService, at, clusters)
  for (const route of routesAtEnd(judged, clusters)) putRoute(route, at, clusters.settings)

  const all = [...hosts.values()].sort((a, b) => compare([a.host, a.place], [b.host, b.place]))
  const shared = new Map<string, number>()
  for (const { host } of all) shared.set(host, (shared.get(host) ?? 0) + 1)
  return all.map(({ place, host, before, after }) => ({
    host: (shared.get(host) ?? 0) > 1 ? `${host} at ${place}` : host,
    before: [...before.filter(({ isLast }) => !isLast), ...before.filter(({ isLast }) => isLast)].map(plain),
    after: after.sort((a, b) => compareRanks(b.rank, a.rank) || compareAges(a.age, b.age)).map(({ route }) => route),
  }))
}

type At = (place: string, host: string) => Virtual

function plain({ object, match, to }: RouteReport): RouteReport {
  return { object, match, to }
}

// Before -----------------------------------------------------------------------------------------------------------

/** As a gateway reads them: what only its namespace sees first, then by age. */
function inOrder(judged: Judged[]): istio.VirtualService[] {
  const all = judged.map(({ input: { object } }) => object).filter(isVirtualService)
  return all.sort((a, b) => {
    const early = (each: istio.VirtualService) =>
      (each.spec?.exportTo ?? []).length > 0 ? visibility(each, namespaceOf(each)) : 2
    return early(a) - early(b) || compareAges(a.metadata, b.metadata)
  })
}

function isVirtualService(object: { kind: string; apiVersion: string }): object is istio.VirtualService {
  return object.kind === 'VirtualService' && object.apiVersion.startsWith('networking.istio.io/')
}

function putVirtualService(given: istio.VirtualService, at: At, { end, settings }: Clusters): void {
  // As the snapshot has it: what is not readable is not there.
  const virtualService = end.virtualServices.get(namespaceOf(given))?.get(given.metadata.name ?? '')
  if (!virtualService?.spec || isDelegate(virtualService) || tooLarge(virtualService.spec)) return
  const silent = createReport({ severities: {} })
  const namespace = namespaceOf(virtualService)
  const entries = httpEntries(virtualService, end, settings, silent)
  if (!entries || entries.length === 0) return
  const object = labelOf(virtualService)
  const put = (place: string, host: string, matches: ScopedMatch[]) => {
    for (const { request, entry } of asked(matches)) {
      const row = { object, match: matchText(request), to: answerText(entry, settings), isLast: isCatchAll(request) }
      at(place, host).before.push(row)
    }
  }
  const doors = doorsOf(virtualService, namespace, end, settings, silent).filter(door => isSeen(virtualService, door))
  for (const { parents, matches } of gatewayScopes(entries, doors, namespace, end, silent))
    for (const parent of parents)
      for (const host of hostnamesFor(virtualService, settings.clusterDomain, parent, silent) ?? ['*'])
        put(placeOf(parent.parentRef), host, matches)
  putUnmapped(virtualService, entries, at, settings)
  if (!isForMesh(virtualService)) return
  for (const { service, matches } of meshScopes(virtualService, entries, end, settings, silent)) {
    if (!serviceWaypoint(service, end, settings)) continue
    put('the mesh', fullName(service.metadata.name ?? '', namespaceOf(service), settings.clusterDomain), matches)
  }
}

/** istiod writes nothing of a VirtualService behind a rule that takes every request (`BuildHTTPRoutesForVirtualService`). */
function asked(matches: ScopedMatch[]): ScopedMatch[] {
  const last = matches.findIndex(({ request }) => isCatchAll(request))
  return last < 0 ? matches : matches.slice(0, last + 1)
}

/** At a gateway that the settings do not map nothing changes: who routes there goes on. */
function putUnmapped(virtualService: istio.VirtualService, entries: HTTPEntry[], at: At, settings: Settings): void {
  const namespace = namespaceOf(virtualService)
  const { gateways = [], hosts = [] } = virtualService.spec
  const mapped = new Set(settings.gateways.flatMap(({ istioGateways }) => istioGateways))
  const keys = gateways.filter(name => name !== 'mesh').map(name => gatewayKey(name, namespace))
  for (const key of keys.filter(key => !mapped.has(key))) {
    for (const host of hosts) {
      const virtual = at(`Istio Gateway ${key}`, fullName(host.toLowerCase(), namespace, settings.clusterDomain))
      for (const { request, entry } of asked(matchesOf(entries))) {
        const route = { object: labelOf(virtualService), match: matchText(request), to: answerText(entry, settings) }
        virtual.before.push({ ...route, isLast: isCatchAll(request) })
        // In the order of before: all rank alike.
        virtual.after.push({ route, rank: requestOf({}), age: {} })
      }
    }
  }
}

function placeOf({ kind = 'Gateway', namespace, name }: gateway.ParentReference): string {
  return kind === 'Service' ? 'the mesh' : `${namespace}/${name}`
}

// After ------------------------------------------------------------------------------------------------------------

type Route = gateway.HTTPRoute | gateway.GRPCRoute

/** What translation keeps, and what somebody else has made. */
function routesAtEnd(judged: Judged[], { end }: Clusters): Route[] {
  const kept = judged.flatMap(({ planned }) => planned.map(each => each.end)).filter(isRoute)
  const foreign = [...routesIn(end.httpRoutes), ...routesIn(end.grpcRoutes)].filter(route => !isCompanion(route))
  return [...kept, ...foreign]
}

function routesIn<R extends Route>(routes: ByNamespace<R>): R[] {
  return [...routes.values()].flatMap(inNamespace => [...inNamespace.values()])
}

function isRoute(object: { kind: string }): object is Route {
  return object.kind === 'HTTPRoute' || object.kind === 'GRPCRoute'
}

function putRoute(route: Route, at: At, settings: Settings): void {
  const namespace = namespaceOf(route)
  const { parentRefs = [], hostnames = [], rules = [] } = route.spec ?? {}
  for (const { kind = 'Gateway', namespace: its = namespace, name } of parentRefs) {
    if (kind !== 'Gateway' && kind !== 'Service') continue
    const inMesh = kind === 'Service'
    const hosts = inMesh ? [fullName(name, its, settings.clusterDomain)] : hostnames.length > 0 ? hostnames : ['*']
    for (const host of hosts) {
      const virtual = at(placeOf({ kind, namespace: its, name }), host)
      for (const rule of rules) {
        const to = backendText(rule, namespace)
        for (const match of rule.matches ?? [{}]) {
          const rank = requestOf(match)
          const row = { object: labelOf(route), match: matchText(rank), to }
          virtual.after.push({ route: row, rank, age: route.metadata })
        }
      }
    }
  }
}
