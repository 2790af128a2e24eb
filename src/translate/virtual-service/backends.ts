// The `route` of http, tls and tcp entries -> backendRefs (research/virtualservice.md 1.2 and 4).
// Istio makes a port of every backendRef mandatory: one without loses all rules of its HTTPRoute.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, inNamespace } from '../snapshot.ts'
import { headerFilters } from './headers.ts'

/** What the backends of one VirtualService are looked up in. */
export interface Surroundings {
  namespace: string
  cluster: ClusterSnapshot
  settings: Settings
  /** The kind that a ReferenceGrant has to name, HTTPRoute when not said. Routes of the mesh need no grant. */
  from?: 'HTTPRoute' | 'TLSRoute' | 'TCPRoute' | 'mesh'
}

const weightLimit = 1_000_000

/** Destinations without headers, as those of tls and tcp are, give backendRefs without filters. */
export function backendRefs(
  destinations: istio.HTTPRouteDestination[],
  field: string,
  surroundings: Surroundings,
  report: Report,
): gateway.HTTPBackendRef[] {
  // A single destination gets everything, whatever its weight; among several, no weight means no traffic, where
  // Gateway API's default would be 1 (`applyHTTPRouteDestination`, istio/istio pilot/pkg/networking/core/route).
  const isShared = destinations.length > 1
  const sum = destinations.reduce((total, { weight = 0 }) => total + weight, 0)
  if (isShared && sum <= 0) report('VS-ROUTE-WEIGHT', field)
  if (destinations.length > 16) report('VS-MATCH-LIMIT', field, { limit: '16 destinations in a rule' })
  return destinations.flatMap((destination, i) => {
    const here = `${field}[${i}]`
    const { weight = 0, headers = {} } = destination
    if (isShared && (weight < 0 || weight > weightLimit)) report('VS-ROUTE-WEIGHT', `${here}.weight`)
    const service = serviceRef(destination.destination ?? {}, `${here}.destination`, surroundings, report)
    if (!service) return []
    const { filters, hostname } = headerFilters(headers, `${here}.headers`, report)
    const all = hostname ? settingHost(filters, hostname) : filters
    return [{ ...service, ...(isShared ? { weight } : {}), ...(all.length > 0 ? { filters: all } : {}) }]
  })
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

/** A destination as a reference to a Service and its port; undefined, with a report, where it is none. */
export function serviceRef(
  { host = '', port }: istio.Destination,
  field: string,
  surroundings: Surroundings,
  report: Report,
): gateway.BackendObjectReference | undefined {
  const { cluster, settings, from = 'HTTPRoute' } = surroundings
  const service = parseService(host, surroundings)
  if (!service) {
    report('VS-DESTINATION-HOST', `${field}.host`, { host: host.slice(0, 60) || '""', domain: settings.clusterDomain })
    return undefined
  }
  const number = port?.number ?? lookUpPort(service, field, cluster, report)
  if (number === undefined) return undefined
  if (number < 1 || number > 65535) report('VS-FIELD-TYPE', `${field}.port.number`, { wanted: 'port, 1 to 65535' })
  const isElsewhere = service.namespace !== surroundings.namespace
  if (isElsewhere && from !== 'mesh' && !isGranted(service, from, surroundings)) {
    const key = `${service.namespace}/${service.name}`
    report('VS-DESTINATION-GRANT', `${field}.host`, { service: key, from: `${from} of ${surroundings.namespace}` })
  }
  return {
    kind: 'Service',
    name: service.name,
    ...(isElsewhere ? { namespace: service.namespace } : {}),
    port: number,
  }
}

export interface ServiceName {
  namespace: string
  name: string
}

/**
 * A host without a dot is a Service in the VirtualService's namespace; one with a dot is taken literally, so that
 * `reviews.prod` names no Service (`ResolveShortnameToFQDN`, istio/istio pkg/config/model).
 */
export function parseService(host: string, { namespace, settings }: Surroundings): ServiceName | undefined {
  const [name = '', itsNamespace, ...rest] = host.split('.')
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name)) return undefined
  if (itsNamespace === undefined) return { namespace, name }
  return rest.join('.') === `svc.${settings.clusterDomain}` && itsNamespace
    ? { namespace: itsNamespace, name }
    : undefined
}

function lookUpPort(
  { namespace, name }: ServiceName,
  field: string,
  cluster: ClusterSnapshot,
  report: Report,
): number | undefined {
  const service = cluster.services.get(namespace)?.get(name)
  const ports = service?.spec?.ports ?? []
  if (ports.length === 1) return ports[0]?.port
  if (service) report('VS-DESTINATION-PORT', field, { service: `${namespace}/${name}` })
  else report('VS-DESTINATION-UNKNOWN', field, { service: `${namespace}/${name}` })
  return undefined
}

function isGranted(
  { namespace, name }: ServiceName,
  kind: string,
  { cluster, namespace: from }: Surroundings,
): boolean {
  return inNamespace(cluster.referenceGrants, namespace).some(
    ({ spec }) =>
      spec?.from?.some(source => source.kind === kind && source.namespace === from) &&
      spec?.to?.some(target => target.kind === 'Service' && (!target.name || target.name === name)),
  )
}
