// VirtualService -> the routes beside it, and the VirtualService parked (docs/mapping.md has a row per field).
// Either the whole VirtualService is translated or nothing of it: a route that lacks a rule answers for another.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { companionMetadata, companionName, isCompanion, nameOf } from '../companion.ts'
import { inspect } from '../fate.ts'
import { restoreOriginal } from '../original.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import type { Surroundings } from './backends.ts'
import { doorsOf } from './doors.ts'
import { shapeCodes, virtualServiceFates } from './fates.ts'
import { grpcRoute } from './grpc.ts'
import { hostnamesFor } from './hosts.ts'
import { neighboursOf } from './neighbours.ts'
import { checkNeighbours, checkOrder, withoutDead } from './order.ts'
import { type Parent, parentsOf } from './parents.ts'
import { observedRoute, park, type Route } from './parking.ts'
import { checkLimits, type PlannedRule, plannedRules, replacesPrefix, rulesOf } from './rules.ts'
import { tcpRoutes } from './tcp.ts'
import { tlsRoutes } from './tls.ts'

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
  if (!isTranslatable(original, report)) return leave(original, report)

  const namespace = namespaceOf(original)
  const surroundings = { namespace, cluster, settings }
  const doors = doorsOf(original, namespace, cluster, settings, report)
  const routes = [
    ...routesForHTTP(original, surroundings, report).map(route => grpcRoute(route, surroundings)),
    ...tlsRoutes(original, doors, surroundings, report),
    ...tcpRoutes(original, doors, surroundings, report),
  ]
  for (const route of routes) checkPlace(route, cluster, report)
  if (report.untranslatable) return leave(original, report)
  for (const route of routes) report('VS-COMPANION-KEPT', 'spec', { route: shown(route) })
  return conclude(original, park(original, routes, cluster, settings, report), routes, report)
}

function routesForHTTP(
  virtualService: istio.VirtualService,
  surroundings: Surroundings,
  report: Report,
): gateway.HTTPRoute[] {
  const { namespace, cluster, settings } = surroundings
  const { http = [], tls = [], tcp = [] } = virtualService.spec
  if (http.length === 0 && tls.length + tcp.length > 0) return []
  const parents = parentsOf(virtualService, namespace, cluster, settings, report)
  const planned = plannedRules(http, surroundings, report)
  const alive = withoutDead(entriesOf(virtualService, planned), report)
  checkOrder(alive, report)
  checkNeighbours(alive, neighboursOf(virtualService, cluster, settings), report)
  const rules = rulesOf(planned.filter(rule => alive.some(({ match }) => match === rule.match)))
  checkLimits(rules, report)
  return rules.length > 0 ? httpRoutes(virtualService, parents, rules, settings, report) : []
}

function isTranslatable({ spec }: istio.VirtualService, report: Report): boolean {
  if (!inspect(spec, virtualServiceFates, 'spec', shapeCodes, report)) return false
  if ((spec.hosts ?? []).length === 0) report('VS-HOSTS-DELEGATE', 'spec.hosts')
  if ((spec.exportTo ?? []).some(namespace => namespace !== '*')) report('VS-EXPORT-TO', 'spec.exportTo')
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

/** The planned rules as order.ts compares them. */
export function entriesOf({ metadata }: istio.VirtualService, planned: PlannedRule[]) {
  const { creationTimestamp } = metadata
  const owner = `${metadata.namespace ?? 'default'}/${metadata.name ?? ''}`
  return planned.map(({ match, action, field }) => ({
    match,
    // The same replacement of another prefix gives another path.
    action: replacesPrefix(action) ? { ...action, prefix: match.path.text + match.path.suffix } : action,
    field,
    owner,
    ...(creationTimestamp ? { creationTimestamp } : {}),
  }))
}

/** One HTTPRoute for all parents that give the same hostnames, else one for each (section 3). */
function httpRoutes(
  virtualService: istio.VirtualService,
  parents: Parent[],
  rules: gateway.HTTPRouteRule[],
  { clusterDomain }: Settings,
  report: Report,
): gateway.HTTPRoute[] {
  const { hosts = [] } = virtualService.spec
  const namespace = namespaceOf(virtualService)
  const groups = new Map<string, { hostnames?: string[]; parents: Parent[] }>()
  for (const parent of parents) {
    const hostnames = hostnamesFor(hosts, namespace, clusterDomain, parent, report)
    if (hostnames?.length === 0) continue
    if ((hostnames?.length ?? 0) > 16) report('VS-MATCH-LIMIT', 'spec.hosts', { limit: '16 hostnames' })
    const key = hostnames?.join() ?? '*'
    const group = groups.get(key) ?? { ...(hostnames ? { hostnames } : {}), parents: [] }
    groups.set(key, { ...group, parents: [...group.parents, parent] })
  }
  return [...groups.values()].map(({ hostnames, parents }) => {
    const [first] = parents
    const { namespace: itsNamespace = '', name = '' } = first?.parentRef ?? {}
    const suffix = groups.size > 1 ? [itsNamespace, name] : []
    return {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: companionMetadata(virtualService, companionName(nameOf(virtualService), ...suffix)),
      spec: {
        parentRefs: parents.map(({ parentRef }) => parentRef),
        ...(hostnames ? { hostnames } : {}),
        rules,
      },
    }
  })
}

/** Reports a route of the same kind and name that is not ours: it is never taken over. */
function checkPlace(route: Route, cluster: ClusterSnapshot, report: Report): void {
  const there = observedRoute(route, cluster)
  if (there && !isCompanion(there)) report('VS-COMPANION-FOREIGN', 'metadata.name', { route: shown(route) })
}

function shown({ kind, metadata: { namespace = 'default', name = '' } }: Route): string {
  return `${kind} ${namespace}/${name}`
}
