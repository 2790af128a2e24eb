// Where a VirtualService routes, and with which of its rules: conditions that a Gateway API route cannot ask of a request
// (port, scheme, gateways, sourceLabels) are decided here, by attaching the rules to the listeners where they hold.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { canonicalJson } from '../canonical.ts'
import { isSelected } from '../labels.ts'
import { gatewayOf, type MappedGateway } from '../mapped-gateway.ts'
import type { Report } from '../report.ts'
import type { ClusterSnapshot } from '../snapshot.ts'
import type { HTTPEntry } from './delegates.ts'
import { type Door, gatewayKey } from './doors.ts'

/** One match of an entry with what is left to ask of a request. An entry without matches has one that asks for nothing. */
export interface ScopedMatch {
  request: istio.HTTPMatchRequest
  entry: HTTPEntry
  field: string
  /** Whether it asked for a scheme or a host, which listener and hostnames answer for now. */
  asksMore?: boolean
}

/** What the route attaches to, and the hosts it may speak for there. */
export interface Parent {
  parentRef: gateway.ParentReference
  /** What the Istio Gateway's servers admit for this namespace. */
  hosts: string[]
  /** What the listeners admit; `*` while the Gateway is not there. */
  listenerHosts: string[]
  /** The ports of those servers, as far as they are known. */
  ports: number[]
  /** Those listeners; none while the Gateway is not there. */
  listeners: gateway.Listener[]
  /** Where the old gateway's pods run. */
  podNamespaces: string[]
}

/** Parents at which the same rules hold. */
export interface Scope {
  parents: Parent[]
  matches: ScopedMatch[]
  /** Whether Istio has a virtual host there, be it one that answers 404: a scheme is asked by request, a port is not. */
  isHost: boolean
}

/** The scopes at gateways. Servers that only redirect to HTTPS serve no VirtualService, and none is attached to them. */
export function gatewayScopes(
  entries: HTTPEntry[],
  doors: Door[],
  namespace: string,
  cluster: ClusterSnapshot,
  report: Report,
): Scope[] {
  const scopes = new Map<string, Scope>()
  for (const ofGateway of byGateway(doors)) {
    const groups = new Map<string, { doors: Door[]; matches: ScopedMatch[]; isHost: boolean }>()
    for (const door of ofGateway.filter(
      ({ speaks, isRedirecting }) => !isRedirecting && speaks !== 'tls' && speaks !== 'tcp',
    )) {
      const matches = matchesAt(door, entries, namespace, cluster, report)
      const isHost = matchesOf(entries).some(scoped => isWrittenAt(scoped, door, namespace, cluster, report))
      const key = canonicalJson([isHost, matches.map(({ field, request }) => [field, request])])
      const group = groups.get(key) ?? { doors: [], matches, isHost }
      groups.set(key, { ...group, doors: [...group.doors, door] })
    }
    const isSplit = groups.size > 1 || hasOtherListeners(ofGateway)
    const taken = new Set<string>()
    for (const [key, { doors, matches, isHost }] of groups) {
      const parents = isSplit ? listenerParents(doors, taken, report) : [wholeParent(doors)]
      const scope = scopes.get(key) ?? { parents: [], matches, isHost }
      scopes.set(key, { ...scope, parents: [...scope.parents, ...parents] })
    }
  }
  return [...scopes.values()]
}

/** The doors of each Kubernetes Gateway. */
function byGateway(doors: Door[]): Door[][] {
  const groups = new Map<string, Door[]>()
  for (const door of doors) groups.set(door.mapping.gateway, [...(groups.get(door.mapping.gateway) ?? []), door])
  return [...groups.values()]
}

/** Whether a route attached to the whole Gateway would answer at listeners where nobody reads the VirtualService today. */
function hasOtherListeners(doors: Door[]): boolean {
  const serving = doors.filter(({ isRedirecting }) => !isRedirecting).flatMap(({ listeners = [] }) => listeners)
  const all = doors[0]?.all
  // Nothing is known of the listeners: then only a server that redirects tells that there may be one to stay away from.
  if (!all) return doors.some(({ isRedirecting, mapping }) => isRedirecting && !gatewayOf(mapping).sectionName)
  return all.some(({ name }) => !serving.some(listener => listener.name === name))
}

// Parents ----------------------------------------------------------------------------------------------------------

function wholeParent(doors: Door[]): Parent {
  const [{ mapping } = { mapping: { gateway: '' } }] = doors
  const listeners = doors.flatMap(({ listeners = [] }) => listeners)
  return {
    parentRef: parentRef(gatewayOf(mapping)),
    hosts: doors.flatMap(({ hosts }) => hosts),
    listenerHosts: hostsOf(listeners),
    listeners,
    podNamespaces: [...new Set(doors.map(({ mapping }) => mapping.pods.namespace))],
    ports: doors.flatMap(({ port = [] }) => port),
  }
}

/**
 * One parent for each listener. Reports a door that no listener can be told to replace, or only one that other rules
 * have taken already.
 */
function listenerParents(doors: Door[], taken: Set<string>, report: Report): Parent[] {
  const parents = new Map<string, Parent>()
  for (const { mapping, listeners, hosts, istioGateway, field, port } of doors) {
    const mapped = gatewayOf(mapping)
    const isFree = listeners?.every(({ name }) => !taken.has(name) || parents.has(name))
    if (!isFree) report('VS-GATEWAYS-LISTENER', field, { port: `${istioGateway}:${port ?? '?'}`, gateway: mapped.key })
    for (const listener of listeners ?? []) {
      const known = parents.get(listener.name)
      taken.add(listener.name)
      parents.set(listener.name, {
        parentRef: parentRef({ ...mapped, sectionName: listener.name }),
        hosts: [...(known?.hosts ?? []), ...hosts],
        listenerHosts: hostsOf([listener]),
        listeners: [listener],
        podNamespaces: [...new Set([...(known?.podNamespaces ?? []), mapping.pods.namespace])],
        ports: [...(known?.ports ?? []), ...(port === undefined ? [] : [port])],
      })
    }
  }
  return [...parents.values()]
}

function parentRef({ namespace, name, sectionName }: MappedGateway): gateway.ParentReference {
  return {
    group: 'gateway.networking.k8s.io',
    kind: 'Gateway',
    namespace,
    name,
    ...(sectionName ? { sectionName } : {}),
  }
}

function hostsOf(listeners: gateway.Listener[]): string[] {
  return listeners.length > 0 ? [...new Set(listeners.map(({ hostname }) => hostname?.toLowerCase() || '*'))] : ['*']
}

// Matches ----------------------------------------------------------------------------------------------------------

/** The matches that can hold for requests through a door, without what the door decides. */
function matchesAt(
  door: Door,
  entries: HTTPEntry[],
  namespace: string,
  cluster: ClusterSnapshot,
  report: Report,
): ScopedMatch[] {
  return matchesOf(entries).flatMap(scoped => {
    const { port, scheme, gateways, sourceLabels, sourceNamespace, ...request } = scoped.request
    const isHere = isWrittenAt(scoped, door, namespace, cluster, report)
    return isHere && holdsForScheme(scheme, door, scoped.field, report)
      ? [{ ...scoped, request, ...(scheme ? { asksMore: true } : {}) }]
      : []
  })
}

/** Whether istiod writes the match into the routes of the gateway at all. */
function isWrittenAt(
  { request, field }: ScopedMatch,
  door: Door,
  namespace: string,
  cluster: ClusterSnapshot,
  report: Report,
): boolean {
  return (
    holdsForPort(request.port, door, field, report) && holdsForGateway(request, door, namespace, field, cluster, report)
  )
}

/** Every match of every entry, in order. */
export function matchesOf(entries: HTTPEntry[]): ScopedMatch[] {
  return entries.flatMap(entry => {
    const { match = [] } = entry.http
    if (match.length === 0) return [{ request: {}, entry, field: entry.field }]
    return match.map((request, i) => ({ request, entry, field: `${entry.field}.match[${i}]` }))
  })
}

function holdsForPort(port: number | undefined, door: Door, field: string, report: Report): boolean {
  if (port === undefined) return true
  if (door.port === undefined) report('VS-MATCH-PORT', `${field}.port`, { gateway: door.istioGateway })
  return port === door.port
}

function holdsForScheme(scheme: istio.StringMatch | undefined, door: Door, field: string, report: Report): boolean {
  if (!scheme || Object.keys(scheme).length === 0) return true
  if (scheme.exact === undefined || door.speaks === undefined) {
    report('VS-MATCH-SCHEME', `${field}.scheme`)
    return true
  }
  return scheme.exact === door.speaks
}

/** `sourceMatchHTTP` of Istio: a match that names this gateway asks no more about the caller, which is the gateway. */
function holdsForGateway(
  { gateways = [], sourceLabels = {}, sourceNamespace = '' }: istio.HTTPMatchRequest,
  { istioGateway, mapping: { pods } }: Door,
  namespace: string,
  field: string,
  cluster: ClusterSnapshot,
  report: Report,
): boolean {
  if (gateways.length > 0) return gateways.some(name => gatewayKey(name, namespace) === istioGateway)
  if (sourceNamespace !== '' && sourceNamespace !== pods.namespace) return false
  if (Object.keys(sourceLabels).length === 0 || isSelected(pods.labels, sourceLabels)) return true
  if (Object.entries(sourceLabels).some(([name, value]) => (pods.labels[name] ?? value) !== value)) return false
  const known = [...(cluster.workloads.get(pods.namespace)?.values() ?? [])].filter(({ labels }) =>
    isSelected(labels, pods.labels),
  )
  const holds = known.map(({ labels }) => isSelected(labels, sourceLabels))
  if (known.length === 0 || new Set(holds).size > 1) report('VS-MATCH-SOURCE', `${field}.sourceLabels`)
  return holds[0] ?? true
}

// Hosts ------------------------------------------------------------------------------------------------------------

/** Whether the gateway behind a door sees the VirtualService at all (`exportTo`, research/virtualservice.md section 3). */
export function isSeen({ spec, metadata }: istio.VirtualService, { mapping: { pods } }: Door): boolean {
  const { exportTo = [] } = spec
  if (exportTo.length === 0 || exportTo.includes('*') || exportTo.includes(pods.namespace)) return true
  return exportTo.includes('.') && (metadata.namespace || 'default') === pods.namespace
}
