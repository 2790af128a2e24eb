// spec.servers[] -> spec.listeners[], one for each port and host. A listener is known by what it serves and not by its
// place in a list, so that routes find it by the same name however the servers are ordered.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { companionName } from '../companion.ts'
import { inspect } from '../fate.ts'
import { isHostname } from '../hostname.ts'
import { isSelected } from '../labels.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import type { Report } from '../report.ts'
import type { GatewayMapping } from '../settings.ts'
import { type ClusterSnapshot, inNamespace, namespaceOf } from '../snapshot.ts'
import { gatewayFates, shapeCodes } from './fates.ts'
import { listenerTls, modeOf } from './tls.ts'

/** An Istio Gateway with its key, and where findings about it go. */
export interface Source {
  key: string
  istioGateway: istio.Gateway
  report: Report
}

export interface PlannedListener {
  /** As it stands in the Kubernetes Gateway, but for `allowedRoutes`. */
  listener: gateway.Listener
  /** The namespaces whose routes it admits; `*` for all. */
  namespaces: Set<string>
  /** Whether all it does is to redirect to HTTPS. */
  redirects: boolean
  /** The Istio Gateways whose servers it stands for. */
  sources: Source[]
  /** The server that it was first made for, as `spec.servers[0]`. */
  field: string
}

/** All listeners of one mapping, by name. A server that no listener can stand for is reported and left out. */
export function listenersOf(sources: Source[], mapping: GatewayMapping, cluster: ClusterSnapshot): PlannedListener[] {
  const planned: ByPort = new Map()
  for (const source of sources) {
    const { spec } = source.istioGateway
    if (!inspect(spec, gatewayFates, 'spec', shapeCodes, source.report)) continue
    const { servers = [] } = spec
    if (servers.length === 0) source.report('GW-FIELD-TYPE', 'spec.servers', { wanted: 'list with a server' })
    for (const [i, server] of servers.entries())
      for (const listener of serverListeners(server, `spec.servers[${i}]`, source, mapping, cluster))
        put(planned, listener)
  }
  const all = [...planned.values()].flatMap(ofPort => [...ofPort.values()])
  return all.sort((a, b) => (a.listener.name < b.listener.name ? -1 : 1))
}

/** `allowedRoutes` of a listener. One that redirects takes no route but ours, which is in its own namespace. */
export function allowedRoutes({ namespaces, redirects }: PlannedListener, own: string): gateway.RouteNamespaces {
  const names = [...namespaces].sort()
  if (redirects || (names.length === 1 && names[0] === own)) return { from: 'Same' }
  if (namespaces.has('*')) return { from: 'All' }
  const matchExpressions = [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: names }]
  return { from: 'Selector', selector: { matchExpressions } }
}

type Protocol = 'HTTP' | 'HTTPS' | 'TLS' | 'TCP'

function serverListeners(
  server: istio.Server,
  field: string,
  source: Source,
  mapping: GatewayMapping,
  cluster: ClusterSnapshot,
): PlannedListener[] {
  const { report } = source
  const { hosts = [], port = {}, tls } = server
  const number = port.number ?? 0
  if (number < 1 || number > 65535) report('GW-FIELD-TYPE', `${field}.port.number`, { wanted: 'port, 1 to 65535' })
  else checkExposed(number, `${field}.port.number`, mapping, cluster, report)
  if (hosts.length === 0) report('GW-FIELD-TYPE', `${field}.hosts`, { wanted: 'list with a host' })
  const protocol = protocolOf(server, field, report)
  if (!protocol) return []
  const secrets = { namespace: mapping.pods.namespace, gatewayNamespace: gatewayOf(mapping).namespace, cluster }
  const listenerTLS = tls && protocol !== 'HTTP' ? listenerTls(tls, `${field}.tls`, secrets, report) : undefined
  const own = namespaceOf(source.istioGateway)
  const listeners = hosts.flatMap((host, i): PlannedListener[] => {
    const scoped = scopedHost(host, own)
    if (!scoped) {
      report('GW-HOSTS-INVALID', `${field}.hosts[${i}]`, { host: host.slice(0, 60) || '""' })
      return []
    }
    // TCP has no host to tell connections apart by: Istio uses it only to pick VirtualServices.
    const hostname = protocol === 'TCP' ? '*' : scoped.hostname
    const listener = {
      name: listenerName(protocol, number, hostname),
      ...(hostname === '*' ? {} : { hostname }),
      port: number,
      protocol,
      ...(listenerTLS ? { tls: listenerTLS } : {}),
    }
    const redirects = protocol === 'HTTP' && tls?.httpsRedirect === true
    return [{ listener, namespaces: new Set([scoped.namespace]), redirects, sources: [source], field }]
  })
  // Istio makes a Gateway of each listener (`GatewayCollection`, pilot/pkg/config/kube/gateway), with routes of its own,
  // where a server has one table of routes for all its hosts: then nobody minds which connection a request comes by.
  if (protocol === 'HTTPS' && new Set(listeners.map(({ listener }) => listener.name)).size > 1)
    report('GW-TLS-COALESCED', `${field}.hosts`)
  return listeners
}

/** `namespace/host`, where `.` is the Gateway's own namespace and a host alone is one for all namespaces. */
function scopedHost(host: string, own: string): { namespace: string; hostname: string } | undefined {
  const slash = host.indexOf('/')
  const scope = slash < 0 ? '*' : host.slice(0, slash)
  const hostname = host.slice(slash + 1).toLowerCase()
  if (hostname !== '*' && !isHostname(hostname.replace(/^\*\./, ''))) return undefined
  if (scope === '.') return { namespace: own, hostname }
  return scope === '*' || (isHostname(scope) && !scope.includes('.')) ? { namespace: scope, hostname } : undefined
}

/** Istio parses protocols in any case, and refuses TLS settings that do not go with them (validateServer). */
function protocolOf({ port, tls }: istio.Server, field: string, report: Report): Protocol | undefined {
  const protocol = (port?.protocol ?? '').toUpperCase()
  const contradiction = () => report('GW-TLS-PROTOCOL', `${field}.tls`, { protocol })
  switch (protocol) {
    case 'HTTP':
    case 'HTTP2':
    case 'GRPC':
      if (tls && modeOf(tls) !== 'PASSTHROUGH') contradiction()
      return 'HTTP'
    case 'TCP':
    case 'MONGO':
    case 'MYSQL':
    case 'REDIS':
      if (tls) contradiction()
      return 'TCP'
    case 'HTTPS':
    case 'TLS':
      if (!tls) contradiction()
      return protocol === 'HTTPS' && tls && modeOf(tls) !== 'PASSTHROUGH' ? 'HTTPS' : 'TLS'
    default:
      report('GW-PORT-PROTOCOL', `${field}.port.protocol`, { protocol: protocol.slice(0, 40) || '""' })
      return undefined
  }
}

/**
 * `https-443`, `https-443.app.example.com` or, for a wildcard, `https-443-any.example.com`: a port is followed by a dot
 * only where a whole host follows, so that no two listeners share a name.
 */
function listenerName(protocol: Protocol, port: number, hostname: string): string {
  const start = `${protocol.toLowerCase()}-${port}`
  if (hostname === '*') return start
  return companionName(hostname.startsWith('*.') ? `${start}-any.${hostname.slice(2)}` : `${start}.${hostname}`)
}

/** Port -> host -> listener. */
type ByPort = Map<number, Map<string, PlannedListener>>

/** Adds a listener, or its namespaces to the one that is there. Reports what cannot stand beside it. */
function put(planned: ByPort, added: PlannedListener): void {
  const { listener, field } = added
  const [source] = added.sources
  const ofPort = planned.get(listener.port) ?? new Map<string, PlannedListener>()
  const sameHost = ofPort.get(listener.hostname ?? '*')
  // Who goes with one that is there goes with all of them.
  const [first] = ofPort.values()
  if (first && !goTogether(first.listener.protocol, listener.protocol))
    source?.report('GW-PORT-CONFLICT', `${field}.port`, { other: originOf(first) })
  else if (!sameHost) planned.set(listener.port, ofPort.set(listener.hostname ?? '*', added))
  else if (isSame(sameHost, added)) {
    for (const namespace of added.namespaces) sameHost.namespaces.add(namespace)
    if (source && !sameHost.sources.includes(source)) sameHost.sources.push(source)
  } else {
    const host = listener.hostname ?? '*'
    source?.report('GW-HOSTS-CONFLICT', `${field}.hosts`, { other: originOf(sameHost), host })
  }
}

/** Gateway API lets HTTPS and TLS share a port, which SNI tells apart; others are a ProtocolConflict. */
function goTogether(a: string, b: string): boolean {
  return a === b || [a, b].every(protocol => protocol === 'HTTPS' || protocol === 'TLS')
}

/** Istio merges plain HTTP servers of one port; of others it serves the first and drops the rest (`MergeGateways`). */
function isSame(a: PlannedListener, b: PlannedListener): boolean {
  const isOneServer = a.sources[0] === b.sources[0] && a.field === b.field
  return (
    isOneServer || (a.listener.protocol === 'HTTP' && b.listener.protocol === 'HTTP' && a.redirects === b.redirects)
  )
}

function originOf({ sources: [source], field }: PlannedListener): string {
  return `${source?.key} ${field}`
}

/**
 * Istio takes a server's port for a Service port or, failing that, for the port of the pod. The Service of a Kubernetes
 * Gateway opens the listeners' ports, so a number that a Service hides behind another one would show.
 */
function checkExposed(
  number: number,
  field: string,
  { pods, addresses }: GatewayMapping,
  cluster: ClusterSnapshot,
  report: Report,
): void {
  if (addresses) return
  const services = inNamespace(cluster.services, pods.namespace).filter(
    ({ spec }) => Object.keys(spec?.selector ?? {}).length > 0 && isSelected(pods.labels, spec?.selector ?? {}),
  )
  if (services.some(({ spec }) => spec?.ports?.some(({ port }) => port === number))) return
  for (const { metadata, spec } of services) {
    const hidden = spec?.ports?.find(({ targetPort }) => targetPort === number)
    const service = `${pods.namespace}/${metadata.name}`
    if (hidden) report('GW-PORT-MAPPED', field, { port: String(hidden.port), service, number: String(number) })
  }
}
