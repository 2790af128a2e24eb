// Calls inside the mesh: an HTTPRoute whose parent is the Service, which its waypoint applies (research/virtualservice.md,
// section 3). Sidecars applied a VirtualService at the caller; a waypoint does so for every caller.
import type * as core from '../../apis/core.ts'
import type * as istio from '../../apis/istio.ts'
import { isCovered } from '../hostname.ts'
import type { Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, inNamespace, namespaceOf } from '../snapshot.ts'
import { isReachedByIngress, serviceWaypoint } from '../waypoint.ts'
import type { HTTPEntry } from './delegates.ts'
import { fullName } from './hosts.ts'
import { compareAges, doorKeys } from './places.ts'
import { matchesOf, type ScopedMatch } from './scopes.ts'

/** A Service that rules are for; `port` when they hold for one port of it alone. */
export interface MeshScope {
  service: core.Service
  port?: number
  matches: ScopedMatch[]
}

/** Whether the VirtualService speaks to the mesh: without gateways it does. */
export function isForMesh({ spec: { gateways = [] } }: istio.VirtualService): boolean {
  return gateways.length === 0 || gateways.includes('mesh')
}

/** The Services of its hosts, each with the rules that hold there. Reports hosts that no waypoint can serve so. */
export function meshScopes(
  virtualService: istio.VirtualService,
  entries: HTTPEntry[],
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): MeshScope[] {
  const { hosts = [], exportTo = [] } = virtualService.spec
  const matches = matchesInMesh(entries, report)
  if (matches.length === 0) return []
  if (exportTo.some(name => name !== '*')) report('VS-EXPORT-TO-MESH', 'spec.exportTo')
  return hosts.flatMap((host, i) => {
    const field = `spec.hosts[${i}]`
    const name = fullName(host.toLowerCase(), namespaceOf(virtualService), settings.clusterDomain)
    const services = servicesOf(name, cluster, settings)
    if (services.length === 0) report('VS-HOSTS-SERVICE', field, { host: host.slice(0, 60) })
    return services.flatMap(service => {
      checkService(service, virtualService, field, cluster, settings, report)
      return byPort(service, matches)
    })
  })
}

/**
 * Whether a waypoint serves any of the hosts. Reports why none does: then nothing of the VirtualService is sidestep's
 * business, since its callers still have sidecars.
 */
export function hasWaypoint(
  virtualService: istio.VirtualService,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): boolean {
  const { hosts = [] } = virtualService.spec
  return hosts
    .map((host, i) => {
      const name = fullName(host.toLowerCase(), namespaceOf(virtualService), settings.clusterDomain)
      const services = servicesOf(name, cluster, settings)
      const field = `spec.hosts[${i}]`
      if (services.length === 0) report('VS-HOSTS-SERVICE', field, { host: host.slice(0, 60) })
      const served = services.filter(service => serviceWaypoint(service, cluster, settings))
      for (const service of services)
        if (!served.includes(service)) report('VS-GATEWAYS-MESH', field, { service: keyOf(service) })
      return served.length > 0
    })
    .some(Boolean)
}

function keyOf(service: core.Service): string {
  return `${namespaceOf(service)}/${service.metadata.name}`
}

function servicesOf(pattern: string, cluster: ClusterSnapshot, settings: Settings): core.Service[] {
  return [...cluster.services.keys()]
    .filter(namespace => pattern.includes('*') || pattern.includes(`.${namespace}.`))
    .sort()
    .flatMap(namespace => inNamespace(cluster.services, namespace))
    .filter(service => isCovered(fullNameOf(service, settings), pattern))
}

function fullNameOf(service: core.Service, { clusterDomain }: Settings): string {
  return `${service.metadata.name}.${namespaceOf(service)}.svc.${clusterDomain}`
}

function checkService(
  service: core.Service,
  virtualService: istio.VirtualService,
  field: string,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): void {
  const namespace = namespaceOf(service)
  const key = keyOf(service)
  // A waypoint reads the routes of the Service's own namespace: the caller cannot bring its own.
  if (namespace !== namespaceOf(virtualService)) report('VS-HOSTS-OVERRIDE', field, { service: key })
  if (!serviceWaypoint(service, cluster, settings)) report('VS-GATEWAYS-MESH', field, { service: key })
  if (isReachedByIngress(service, cluster, settings)) report('VS-GATEWAYS-INGRESS', field, { service: key })
  const winner = winnerOver(virtualService, fullNameOf(service, settings), cluster, settings)
  if (winner) report('VS-HOSTS-LOSER', field, { other: winner, service: key })
}

/** `namespace/name` of a VirtualService that sidecars prefer for the host: of the most specific hosts, the oldest. */
function winnerOver(
  own: istio.VirtualService,
  host: string,
  cluster: ClusterSnapshot,
  settings: Settings,
): string | undefined {
  const specific = specificity(own, host, settings)
  const ahead = doorKeys('mesh', host, settings)
    .flatMap(place => [...cluster.routing.near({ ...place, stem: '' }, { below: true })])
    .filter((other): other is istio.VirtualService => other.kind === 'VirtualService')
    .filter(other => other.metadata.name !== own.metadata.name || namespaceOf(other) !== namespaceOf(own))
    .filter(other => {
      const difference = specificity(other, host, settings) - specific
      return difference > 0 || (difference === 0 && compareAges(other.metadata, own.metadata) < 0)
    })
    .map(other => `${namespaceOf(other)}/${other.metadata.name}`)
  return ahead.sort()[0]
}

function specificity(virtualService: istio.VirtualService, host: string, { clusterDomain }: Settings): number {
  const names = (virtualService.spec.hosts ?? []).map(name =>
    fullName(name.toLowerCase(), namespaceOf(virtualService), clusterDomain),
  )
  return Math.max(0, ...names.filter(name => isCovered(host, name)).map(name => (name === host ? 1000 : name.length)))
}

// Matches ----------------------------------------------------------------------------------------------------------

/** The matches that can hold for calls inside the mesh. Reports what a waypoint cannot ask. */
function matchesInMesh(entries: HTTPEntry[], report: Report): ScopedMatch[] {
  return matchesOf(entries).flatMap(scoped => {
    const { gateways = [], scheme, sourceLabels = {}, sourceNamespace, authority, ...request } = scoped.request
    if (gateways.length > 0 && !gateways.includes('mesh')) return []
    const { field } = scoped
    // A match that names the mesh asks no more about the caller (`sourceMatchHTTP`).
    if (gateways.length === 0 && Object.keys(sourceLabels).length > 0)
      report('VS-MATCH-SOURCE', `${field}.sourceLabels`)
    if (gateways.length === 0 && sourceNamespace) report('VS-MATCH-SOURCE', `${field}.sourceNamespace`)
    if (scheme && Object.keys(scheme).length > 0) report('VS-MATCH-SCHEME', `${field}.scheme`)
    if (authority && Object.keys(authority).length > 0) report('VS-MATCH-AUTHORITY', `${field}.authority`)
    return [{ ...scoped, request }]
  })
}

/**
 * The rules by port of the Service, where some ask for a port, or leave it to the call which port of several they mean.
 * A port is named by all routes of a Service or by none.
 */
function byPort(service: core.Service, matches: ScopedMatch[]): MeshScope[] {
  const ports = service.spec?.ports ?? []
  const isAsked = matches.some(({ request }) => request.port !== undefined)
  const isLeftOpen = matches.some(({ entry: { http } }) => (http.route ?? []).some(to => !to.destination?.port?.number))
  if (!isAsked && !(isLeftOpen && ports.length > 1)) return [{ service, matches }]
  return ports.flatMap(({ port }) => {
    const here = matches.filter(({ request }) => request.port === undefined || request.port === port)
    if (here.length === 0) return []
    return [{ service, port, matches: here.map(scoped => ({ ...scoped, request: withoutPort(scoped.request) })) }]
  })
}

function withoutPort({ port: _, ...request }: istio.HTTPMatchRequest): istio.HTTPMatchRequest {
  return request
}
