// The doors through which requests come to a VirtualService today: the servers of its Istio Gateways. Each is known by the
// listeners of the Kubernetes Gateway that take its place (research/virtualservice.md, sections 3 and 5).
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { admits } from '../allowed-routes.ts'
import { allowedRoutes } from '../gateway/listeners.ts'
import { planOf } from '../gateway/plan.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import type { Report } from '../report.ts'
import type { GatewayMapping, Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot } from '../snapshot.ts'

/** What a server does with a connection: read HTTP in clear text or behind TLS, pass TLS on, or pass bytes on. */
export type Speaks = 'http' | 'https' | 'tls' | 'tcp'

export interface Door {
  /** The Istio Gateway, `namespace/name`, and where it stands in `spec.gateways`. */
  istioGateway: string
  field: string
  mapping: GatewayMapping
  /** Undefined while the Istio Gateway is not there; then nothing is known of its ports. */
  port?: number
  speaks?: Speaks
  /** It ends TLS before it passes bytes on. */
  endsTls: boolean
  /** All that it does is to send clients to HTTPS: it never reads a VirtualService. */
  isRedirecting: boolean
  /** The hosts that it admits for VirtualServices of this namespace. */
  hosts: string[]
  /** The listeners in its place. Undefined when no listener can be told to be it. */
  listeners?: gateway.Listener[]
  /** All listeners of the Kubernetes Gateway that the mapping means. Undefined while they are not known. */
  all?: gateway.Listener[]
}

/** Every server of every Gateway that the VirtualService names. Reports Gateways without a mapping; `mesh` is no Gateway. */
export function doorsOf(
  virtualService: istio.VirtualService,
  namespace: string,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): Door[] {
  const seen = new Set<string>()
  return (virtualService.spec.gateways ?? []).flatMap((name, i) => {
    const field = `spec.gateways[${i}]`
    const istioGateway = gatewayKey(name, namespace)
    // Istio makes a set of them.
    if (name === 'mesh' || seen.has(istioGateway)) return []
    seen.add(istioGateway)
    const mapping = settings.gateways.find(({ istioGateways }) => istioGateways.includes(istioGateway))
    if (!mapping) {
      report('VS-GATEWAYS-UNMAPPED', field, { gateway: istioGateway.slice(0, 80) })
      return []
    }
    const known = listenersOf(mapping, cluster)
    const { key, namespace: own } = gatewayOf(mapping)
    const listeners = known?.filter(listener => admits(listener, own, namespace, cluster))
    // Nobody would hear of either: the route just is not accepted, and the VirtualService stays.
    if (known?.length === 0) report('VS-GATEWAYS-LISTENER', field, { port: istioGateway, gateway: key })
    else if (listeners?.length === 0) report('VS-GATEWAYS-ALLOWED', field, { gateway: mapping.gateway, namespace })
    const servers = byKey(cluster.istioGateways, istioGateway)?.spec?.servers
    const taken = mapping.istioGateways.flatMap(key =>
      (byKey(cluster.istioGateways, key)?.spec?.servers ?? []).flatMap(({ port }) => port?.number ?? []),
    )
    const door = { istioGateway, field, mapping, ...(known ? { all: known } : {}) }
    if (!servers)
      return [{ ...door, endsTls: false, isRedirecting: false, hosts: ['*'], ...(listeners ? { listeners } : {}) }]
    return servers.filter(readsRoutes).map(server => doorOf(server, door, namespace, listeners, taken))
  })
}

/** `name` is in the VirtualService's namespace, `namespace/name` is not (`getGatewayNames`, istio/istio pilot/pkg/model). */
export function gatewayKey(name: string, namespace: string): string {
  return name.includes('/') ? name : `${namespace}/${name}`
}

function doorOf(
  server: istio.Server,
  door: Pick<Door, 'istioGateway' | 'field' | 'mapping' | 'all'>,
  namespace: string,
  listeners: gateway.Listener[] | undefined,
  taken: number[],
): Door {
  const { port: { number: port } = {}, tls } = server
  const speaks = speaksOf(server)
  const own = listeners && listenersFor(port, speaks, listeners, taken)
  return {
    ...door,
    ...(port === undefined ? {} : { port }),
    speaks,
    endsTls: speaks === 'tcp' && tls !== undefined,
    isRedirecting: tls?.httpsRedirect === true,
    hosts: serverHosts(server, namespace, door.istioGateway),
    ...(own ? { listeners: own } : {}),
  }
}

/**
 * What the settings name of the Kubernetes Gateway: one listener, or all. Of a Gateway that sidestep is about to keep, the
 * listeners that it will have. Undefined while neither is known.
 */
function listenersOf(mapping: GatewayMapping, cluster: ClusterSnapshot): gateway.Listener[] | undefined {
  const { key, namespace, sectionName } = gatewayOf(mapping)
  const there = byKey(cluster.gateways, key)?.spec?.listeners
  if (!there && mapping.create) {
    const { refused, listeners } = planOf(mapping, cluster)
    if (refused) return undefined
    return listeners.map(planned => ({
      ...planned.listener,
      allowedRoutes: { namespaces: allowedRoutes(planned, namespace) },
    }))
  }
  return sectionName ? there?.filter(({ name }) => name === sectionName) : there
}

/** The listeners in a server's place: those on its port, else those that speak as it does on no other server's port. */
function listenersFor(
  port: number | undefined,
  speaks: Speaks,
  listeners: gateway.Listener[],
  taken: number[],
): gateway.Listener[] | undefined {
  const onPort = listeners.filter(listener => listener.port === port)
  const own =
    onPort.length > 0
      ? onPort
      : listeners.filter(listener => !taken.includes(listener.port) && listenerSpeaks(listener) === speaks)
  return own.length > 0 ? own : undefined
}

/** `speaks` of a listener. */
export function listenerSpeaks({ protocol, tls }: gateway.Listener): Speaks {
  if (protocol === 'HTTPS') return 'https'
  if (protocol === 'TLS') return tls?.mode === 'Passthrough' ? 'tls' : 'tcp'
  return protocol === 'TCP' ? 'tcp' : 'http'
}

/** AUTO_PASSTHROUGH leads to clusters by their names and asks no VirtualService (`builtAutoPassthroughFilterChains`). */
function readsRoutes({ tls }: istio.Server): boolean {
  return tls?.mode !== 'AUTO_PASSTHROUGH'
}

const httpProtocols = ['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB', 'HTTP_PROXY']

/**
 * A server without a protocol counts as HTTP. One that ends TLS before another protocol hands on bytes. PASSTHROUGH is the
 * mode when none is set: it is the zero of the enumeration (istio.io/api networking/v1alpha3 gateway.proto).
 */
function speaksOf({ port: { protocol = 'HTTP' } = {}, tls }: istio.Server): Speaks {
  const name = protocol.toUpperCase()
  if (httpProtocols.includes(name)) return tls && !tls.httpsRedirect ? 'https' : 'http'
  if (tls && (tls.mode ?? 'PASSTHROUGH') === 'PASSTHROUGH') return 'tls'
  return name === 'HTTPS' ? 'https' : 'tcp'
}

/**
 * The hosts of one server that a VirtualService of the namespace may use: `namespace/host` speaks to those of that
 * namespace, and `./host` to those of the Istio Gateway's own.
 */
function serverHosts({ hosts = [] }: istio.Server, namespace: string, istioGateway: string): string[] {
  const [own] = istioGateway.split('/')
  return hosts.flatMap(host => {
    const [scope, name] = host.includes('/') ? host.split('/', 2) : ['*', host]
    return (scope === '*' || (scope === '.' ? own : scope) === namespace) && name ? [name.toLowerCase()] : []
  })
}
