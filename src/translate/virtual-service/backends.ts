// The `route` of http, tls and tcp entries -> backendRefs (research/virtualservice.md 1.2 and 4).
// Istio makes a port of every backendRef mandatory: one without loses all rules of its HTTPRoute.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot, inNamespace } from '../snapshot.ts'
import { isGranted } from './grants.ts'
import { headerFilters } from './headers.ts'
import { shown } from './match.ts'
import { fullName, keyOf, parseService, type ServiceName } from './service-name.ts'
import { subsetService } from './subsets.ts'

/** What the backends of one VirtualService are looked up in. */
export interface Surroundings {
  /** The route's, which is the VirtualService's. */
  namespace: string
  /** Where names without a dot are looked up, when that is a delegate's namespace. */
  shortNames?: string
  cluster: ClusterSnapshot
  settings: Settings
  /** Set for calls inside the mesh, where Istio asks for no ReferenceGrant; `port` is the one that was called, if known. */
  mesh?: { port?: number }
  /** Where the rules will be served, as far as the Gateways are there. */
  listeners?: gateway.Listener[]
  /** The kind that a ReferenceGrant has to name; HTTPRoute when not said. */
  from?: 'HTTPRoute' | 'TLSRoute' | 'TCPRoute'
}

const weightLimit = 1_000_000

/**
 * Destinations without headers, as those of tls and tcp are, give backendRefs without filters.
 * @param routeHeaders what the rule does to headers besides
 */
export function backendRefs(
  destinations: istio.HTTPRouteDestination[],
  field: string,
  surroundings: Surroundings,
  report: Report,
  routeHeaders: istio.Headers = {},
): gateway.HTTPBackendRef[] {
  // A single destination gets everything, whatever its weight; among several, no weight means no traffic, where
  // Gateway API's default would be 1 (`applyHTTPRouteDestination`, istio/istio pilot/pkg/networking/core/route).
  const isShared = destinations.length > 1
  const sum = destinations.reduce((total, { weight = 0 }) => total + weight, 0)
  if (isShared && sum <= 0) report('VS-ROUTE-WEIGHT', field)
  // Of several destinations the rule's headers win, of one its own. An HTTPRoute drops those without weight, and where one
  // is left it is a single one (docs/decisions/0003-envoy.md).
  const isLast = isShared && destinations.filter(({ weight = 0 }) => weight > 0).length === 1
  if (destinations.length > 16) report('VS-MATCH-LIMIT', field, { limit: '16 destinations in a rule' })
  return destinations.flatMap((destination, i) => {
    const here = `${field}[${i}]`
    const { weight = 0, headers = {} } = destination
    if (isShared && (weight < 0 || weight > weightLimit)) report('VS-ROUTE-WEIGHT', `${here}.weight`)
    const backend = backendRef(destination.destination ?? {}, `${here}.destination`, surroundings, report)
    if (!backend) return []
    const own = isLast ? withoutOverruled(headers, routeHeaders, `${here}.headers`, report) : headers
    const { filters, hostname } = headerFilters(own, `${here}.headers`, report)
    const all = hostname ? settingHost(filters, hostname) : filters
    return [{ ...backend, ...(isShared ? { weight } : {}), ...(all.length > 0 ? { filters: all } : {}) }]
  })
}

/** The headers of a destination without those that the rule sets or removes after it. Reports one that the rule adds to. */
function withoutOverruled(own: istio.Headers, rule: istio.Headers, field: string, report: Report): istio.Headers {
  const operations = (side: 'request' | 'response'): istio.HeaderOperations => {
    const { set = {}, add = {}, remove = [] } = rule[side] ?? {}
    const overruled = new Set([...Object.keys(set), ...remove].map(name => name.toLowerCase()))
    const isKept = (name: string) => !overruled.has(name.toLowerCase())
    const added = new Set(Object.keys(add).map(name => name.toLowerCase()))
    const { set: ownSet = {}, add: ownAdd = {}, remove: ownRemove = [] } = own[side] ?? {}
    for (const name of [...Object.keys(ownSet), ...ownRemove])
      if (isKept(name) && added.has(name.toLowerCase())) report('VS-HEADERS', `${field}.${side}`, { name: shown(name) })
    const kept = (headers: Record<string, string>) =>
      Object.fromEntries(Object.entries(headers).filter(([name]) => isKept(name)))
    return { set: kept(ownSet), add: kept(ownAdd), remove: ownRemove.filter(isKept) }
  }
  return { request: operations('request'), response: operations('response') }
}

/**
 * A destination has no URLRewrite of its own; setting the header Host does the same on Istio (`isAuthorityHeader`).
 * It joins the modifier that is there, since the CRD takes one of each kind.
 */
function settingHost(filters: gateway.HTTPRouteFilter[], value: string): gateway.HTTPRouteFilter[] {
  const modifier = filters.find(filter => filter.type === 'RequestHeaderModifier')?.requestHeaderModifier ?? {}
  const set = [{ name: 'Host', value }, ...(modifier.set ?? [])]
  const others = filters.filter(({ type }) => type !== 'RequestHeaderModifier')
  return [{ type: 'RequestHeaderModifier', requestHeaderModifier: { ...modifier, set } }, ...others]
}

/** One destination, of a route or of a mirror. */
export function backendRef(
  destination: istio.Destination,
  field: string,
  surroundings: Surroundings,
  report: Report,
): gateway.BackendObjectReference | undefined {
  const { host = '', port } = destination
  const { clusterDomain } = surroundings.settings
  if (port?.number !== undefined && (port.number < 1 || port.number > 65535))
    report('VS-FIELD-TYPE', `${field}.port.number`, { wanted: 'port, 1 to 65535' })
  const service = parseService(host, surroundings)
  if (service && byKey(surroundings.cluster.services, keyOf(service)))
    return serviceRef(service, destination, field, surroundings, report)
  const hostname = service ? fullName(service, clusterDomain) : host
  const entry = serviceEntryOf(hostname, surroundings)
  if (entry) return hostnameRef(hostname, entry, destination, field, report)
  if (service) return serviceRef(service, destination, field, surroundings, report)
  report('VS-DESTINATION-HOST', `${field}.host`, { host: host.slice(0, 60) || '""', domain: clusterDomain })
  return undefined
}

function serviceRef(
  service: ServiceName,
  { port, subset }: istio.Destination,
  field: string,
  surroundings: Surroundings,
  report: Report,
): gateway.BackendObjectReference | undefined {
  const { cluster, namespace, settings, mesh, from = 'HTTPRoute' } = surroundings
  const known = byKey(cluster.services, keyOf(service))
  if (subset && settings.subsets === 'deny') {
    report('VS-DESTINATION-SUBSET', `${field}.subset`)
    return undefined
  }
  // An ExternalName stays what it is: istiod puts the Service that it points to in its place, on both roads.
  if (!known && (port?.number === undefined || subset))
    report('VS-DESTINATION-UNKNOWN', field, { service: keyOf(service) })
  const ports = known?.spec?.ports ?? []
  const called = ports.find(own => own.port === mesh?.port)?.port
  const number = port?.number ?? called ?? (known && onlyPort(ports, `Service ${keyOf(service)}`, field, report))
  const ofSubset = subset && known ? subsetService(known, subset, `${field}.subset`, surroundings, report) : undefined
  if (number === undefined || (subset && !ofSubset)) return undefined
  const isElsewhere = service.namespace !== namespace
  if (isElsewhere && !mesh && settings.referenceGrants === 'given' && !isGranted(service, from, namespace, cluster))
    report('VS-DESTINATION-GRANT', `${field}.host`, { service: keyOf(service), from: `${from} of ${namespace}` })
  return {
    kind: 'Service',
    name: ofSubset?.metadata.name ?? service.name,
    ...(isElsewhere ? { namespace: service.namespace } : {}),
    port: number,
  }
}

/** A host of a ServiceEntry is a kind of backend of its own on Istio, and has no namespace (`buildDestination`). */
function hostnameRef(
  name: string,
  { spec }: istio.ServiceEntry,
  { port, subset }: istio.Destination,
  field: string,
  report: Report,
): gateway.BackendObjectReference | undefined {
  const owner = `host ${name.slice(0, 80)} of a ServiceEntry`
  if (subset) report('VS-DESTINATION-SUBSET-SERVICE', `${field}.subset`, { reason: `${owner} has no selector` })
  const ports = (spec.ports ?? []).map(({ number = 0 }) => ({ port: number }))
  const number = port?.number ?? onlyPort(ports, owner, field, report)
  return number !== undefined ? { group: 'networking.istio.io', kind: 'Hostname', name, port: number } : undefined
}

/** A wildcard host has no cluster of its own for a name below it. istiod looks in the route's namespace alone. */
function serviceEntryOf(host: string, { namespace, cluster }: Surroundings): istio.ServiceEntry | undefined {
  if (host.includes('*')) return undefined
  return inNamespace(cluster.serviceEntries, namespace).find(({ spec }) => spec?.hosts?.includes(host))
}

/** Without a number Istio takes the only port there is, and among several the listener's, which is seldom one of them. */
function onlyPort(ports: { port: number }[], owner: string, field: string, report: Report): number | undefined {
  if (ports.length !== 1) report('VS-DESTINATION-PORT', field, { owner })
  return ports.length === 1 ? ports[0]?.port : undefined
}
