// VirtualService -> HTTPRoute beside it, and the VirtualService parked (docs/mapping.md has a row per field).
// Either the whole VirtualService is translated or nothing of it: a route that lacks a rule answers for another.
import type { KubernetesObject, ObjectMeta } from '../../apis/core.ts'
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { isCompanion } from '../companion.ts'
import { inspect } from '../fate.ts'
import { restoreOriginal } from '../original.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import { type HTTPEntry, httpEntries, isDelegate } from './delegates.ts'
import { doorsOf } from './doors.ts'
import { shapeCodes, virtualServiceFates } from './fates.ts'
import { referenceGrants } from './grants.ts'
import { isForMesh, meshScopes } from './mesh.ts'
import { park } from './parking.ts'
import { httpRoutes } from './routes.ts'
import { gatewayScopes, isSeen, matchesOf } from './scopes.ts'
import { subsetServices } from './subsets.ts'
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
  if (!isTranslatable(original, report)) return leave(original, report)

  const entries = httpEntries(original, cluster, settings, report)
  const routes = routesOf(original, entries, cluster, settings, report)
  for (const route of routes) checkPlace(route, cluster, report)
  const surroundings = { namespace: namespaceOf(original), cluster, settings }
  const services = routes.length > 0 ? subsetServices(entries, surroundings, report) : []
  const grants = settings.referenceGrants === 'create' ? referenceGrants(original, routes, cluster, report) : []
  if (report.untranslatable) return leave(original, report)
  for (const { metadata } of routes) report('VS-COMPANION-KEPT', 'spec', { route: keyOf(metadata) })
  for (const { metadata } of services) report('VS-COMPANION-SERVICE', 'spec', { service: keyOf(metadata) })
  for (const { metadata } of grants) report('VS-COMPANION-GRANT', 'spec', { grant: keyOf(metadata) })
  const companions = [...services, ...grants, ...routes]
  return conclude(original, park(original, routes, cluster, settings, report), companions, report)
}

function routesOf(
  virtualService: istio.VirtualService,
  entries: HTTPEntry[],
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): gateway.HTTPRoute[] {
  const namespace = namespaceOf(virtualService)
  const doors = doorsOf(virtualService, namespace, cluster, settings, report)
  for (const door of doors) {
    if (door.isRedirecting) report('VS-GATEWAYS-REDIRECT', door.field, { gateway: door.istioGateway })
    if (!isSeen(virtualService, door))
      report('VS-EXPORT-TO', 'spec.exportTo', { namespace: door.mapping.pods.namespace })
  }
  const scopes = gatewayScopes(entries, doors, namespace, cluster, report)
  const inMesh = isForMesh(virtualService) ? meshScopes(virtualService, entries, cluster, settings, report) : []
  const reached = new Set([...scopes, ...inMesh].flatMap(({ matches }) => matches.map(({ field }) => field)))
  if (!report.untranslatable && scopes.length + inMesh.length > 0) {
    for (const { field } of matchesOf(entries)) if (!reached.has(field)) report('VS-MATCH-NOWHERE', field)
  }
  // Those at gateways first, as their names go.
  const units = [
    ...gatewayUnits(virtualService, scopes, cluster, settings, report),
    ...meshUnits(virtualService, inMesh, settings, report),
  ]
  reportDead(units, report)
  return httpRoutes(virtualService, units, { namespace, cluster, settings }, report)
}

function isTranslatable({ spec }: istio.VirtualService, report: Report): boolean {
  if (!inspect(spec, virtualServiceFates, 'spec', shapeCodes, report)) return false
  return true
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

/** Reports an HTTPRoute of the same name that is not ours: it is never taken over. */
function checkPlace({ metadata }: KubernetesObject, cluster: ClusterSnapshot, report: Report): void {
  const there = byKey(cluster.httpRoutes, keyOf(metadata))
  if (there && !isCompanion(there)) report('VS-COMPANION-FOREIGN', 'metadata.name', { route: keyOf(metadata) })
}

function keyOf({ namespace = 'default', name = '' }: ObjectMeta): string {
  return `${namespace}/${name}`
}
