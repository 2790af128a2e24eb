// VirtualService -> the routes beside it, and the VirtualService parked (docs/mapping.md has a row per field).
// Either the whole VirtualService is translated or nothing of it: a route that lacks a rule answers for another.
import type { KubernetesObject } from '../../apis/core.ts'
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { isCompanion, nameOf, sourceAnnotation, sourceKey } from '../companion.ts'
import { inspect } from '../fate.ts'
import { restoreOriginal } from '../original.ts'
import { createReport, isReason, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import type { Surroundings } from './backends.ts'
import { type HTTPEntry, httpEntries, isDelegate } from './delegates.ts'
import { type Door, doorsOf } from './doors.ts'
import { Effort, tooLarge } from './effort.ts'
import { shapeCodes, virtualServiceFates } from './fates.ts'
import { referenceGrants } from './grants.ts'
import { grpcRoute } from './grpc.ts'
import { checkHosts } from './hosts.ts'
import { hasWaypoint, isForMesh, meshScopes } from './mesh.ts'
import { observedRoute, park, type Route } from './parking.ts'
import { httpRoutes } from './routes.ts'
import { gatewayScopes, isSeen, matchesOf } from './scopes.ts'
import { subsetServices } from './subsets.ts'
import { tcpRoutes } from './tcp.ts'
import { tlsRoutes } from './tls.ts'
import { gatewayUnits, meshUnits, reportDead } from './units.ts'

export function translateVirtualService(
  object: istio.VirtualService,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<istio.VirtualService> {
  const report = createReport(settings)
  if (isKnative(object)) {
    // Its controllers compare labels and annotations: not one byte of it may change (research/kubeflow.md, table a).
    report('VS-GATEWAYS-KNATIVE', 'spec.gateways')
    return leave(object, report)
  }
  const original = restoreOriginal(object)
  if (isDelegate(original)) {
    // Never parked: roots that stay VirtualServices need it where it is.
    report('VS-HOSTS-DELEGATE', 'spec.hosts')
    return leave(original, report)
  }
  if (!inspect(original.spec, virtualServiceFates, 'spec', shapeCodes, report)) return leave(original, report)
  const surroundings = { namespace: namespaceOf(original), cluster, settings }
  const outside = createReport(settings)
  const doors = doorsOf(original, surroundings.namespace, cluster, settings, outside)
  if (doors.length === 0 && !isServedInMesh(original, cluster, settings, outside) && outside.diagnostics.length > 0)
    return leave(original, outside)

  const large = tooLarge(original.spec)
  if (large) {
    report('VS-SPEC-SIZE', large.field, large)
    return leave(original, report)
  }

  const entries = httpEntries(original, cluster, settings, report)
  if (entries === undefined) return leave(original, report)
  report.adopt(outside)
  checkDoors(original, doors, report)
  const routes = [
    ...routesForHTTP(original, entries, doors, surroundings, report).map(route => grpcRoute(route, surroundings)),
    ...tlsRoutes(original, doors, surroundings, report),
    ...tcpRoutes(original, doors, surroundings, report),
  ]
  for (const route of routes) checkPlace(route, original, cluster, report)
  const services = routes.length > 0 ? subsetServices(routed(original, entries), surroundings, report) : []
  const grants = settings.referenceGrants === 'create' ? referenceGrants(original, routes, cluster, report) : []
  if (report.untranslatable) return leave(original, withoutConsequences(report, settings))
  for (const route of routes) report('VS-COMPANION-KEPT', 'spec', { route: shown(route) })
  for (const service of services) report('VS-COMPANION-SERVICE', 'spec', { service: keyOf(service) })
  for (const grant of grants) report('VS-COMPANION-GRANT', 'spec', { grant: keyOf(grant) })
  const companions = [...services, ...grants, ...routes]
  return conclude(original, park(original, routes, cluster, settings, report), companions, report)
}

/** Whether a waypoint serves the hosts. Without one, and with no gateway that is mapped, it is not sidestep's business. */
function isServedInMesh(
  virtualService: istio.VirtualService,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): boolean {
  return isForMesh(virtualService) && hasWaypoint(virtualService, cluster, settings, report)
}

/** The reasons why an object is left; what would follow from a translation is not told when there is none. */
function withoutConsequences(report: Report, settings: Settings): Report {
  const reasons = createReport(settings)
  reasons.adopt({
    diagnostics: report.diagnostics.filter(({ code, severity }) => severity === 'denial' || isReason(code)),
  })
  return reasons
}

/** All that has destinations, tls and tcp too. */
function routed({ spec: { tls = [], tcp = [] }, metadata }: istio.VirtualService, entries: HTTPEntry[]): HTTPEntry[] {
  const { namespace = 'default' } = metadata
  return [...entries, ...[...tls, ...tcp].map(({ route = [] }) => ({ http: { route }, field: 'spec', namespace }))]
}

function checkDoors(virtualService: istio.VirtualService, doors: Door[], report: Report): void {
  for (const door of doors) {
    if (door.isRedirecting) report('VS-GATEWAYS-REDIRECT', door.field, { gateway: door.istioGateway })
    if (!isSeen(virtualService, door))
      report('VS-EXPORT-TO', 'spec.exportTo', { namespace: door.mapping.pods.namespace })
  }
}

/** Entries -> scopes (where they hold) -> units (in which order, for which hosts) -> HTTPRoutes. */
function routesForHTTP(
  virtualService: istio.VirtualService,
  entries: HTTPEntry[],
  doors: Door[],
  surroundings: Surroundings,
  report: Report,
): gateway.HTTPRoute[] {
  if (entries.length === 0) return []
  const { namespace, cluster, settings } = surroundings
  const scopes = gatewayScopes(entries, doors, namespace, cluster, report)
  if (doors.length > 0 && !isForMesh(virtualService))
    checkHosts(
      virtualService,
      settings.clusterDomain,
      doors.flatMap(({ hosts }) => hosts),
      report,
    )
  const inMesh = isForMesh(virtualService) ? meshScopes(virtualService, entries, cluster, settings, report) : []
  const effort = new Effort()
  // Those at gateways first, as their names go.
  const units = [
    ...gatewayUnits(virtualService, scopes, cluster, settings, effort, report),
    ...meshUnits(virtualService, inMesh, cluster, settings, effort, report),
  ]
  if (effort.isSpent) {
    report('VS-SPEC-SIZE', 'spec.http', { what: 'the rules that meet' })
    return []
  }
  const reached = new Set(units.flatMap(({ matches }) => matches.map(({ field }) => field)))
  if (!report.untranslatable && units.length > 0) {
    for (const { field } of matchesOf(entries)) if (!reached.has(field)) report('VS-MATCH-NOWHERE', field)
  }
  reportDead(units, report)
  return httpRoutes(virtualService, units, surroundings, report)
}

/** Knative's own routes, and KServe's in Serverless mode (research/kubeflow.md e). */
function isKnative({ metadata, spec }: istio.VirtualService): boolean {
  const gateways: unknown = spec?.gateways
  const owners = metadata.ownerReferences ?? []
  return (
    (Array.isArray(gateways) &&
      gateways.some(name => typeof name === 'string' && name.startsWith('knative-serving/'))) ||
    owners.some(
      ({ apiVersion, kind }) => kind === 'Ingress' && apiVersion?.startsWith('networking.internal.knative.dev/'),
    )
  )
}

/** Reports a route of the same kind and name that is not ours: it is never taken over. */
function checkPlace(
  route: Route,
  virtualService: istio.VirtualService,
  cluster: ClusterSnapshot,
  report: Report,
): void {
  const there = observedRoute(route, cluster)
  if (there && !isCompanion(there)) report('VS-COMPANION-FOREIGN', 'metadata.name', { route: shown(route) })
  // `lab` in the mesh has the route `lab-mesh`, and so has a VirtualService `lab-mesh`.
  const { name } = route.metadata
  const isAnothers =
    there && isCompanion(there) && there.metadata.annotations?.[sourceAnnotation] !== sourceKey(virtualService)
  const isNamesake = name !== nameOf(virtualService) && byKey(cluster.virtualServices, keyOf(route)) !== undefined
  if (isAnothers || isNamesake) report('VS-COMPANION-TAKEN', 'metadata.name', { companion: shown(route) })
}

function shown(route: Route): string {
  return `${route.kind} ${keyOf(route)}`
}

function keyOf({ metadata: { namespace = 'default', name = '' } }: KubernetesObject): string {
  return `${namespace}/${name}`
}
