// What the entries of `tls` and `tcp` share: the places where one holds (listeners of Gateways, ports of Services in the
// mesh), and which entry has a place first. Port and gateways of a match are decided here, by attaching its route to just
// those places (research/virtualservice.md 1.4; istio/istio pilot/pkg/networking/core gateway.go and listener_waypoint.go).
import type * as core from '../../apis/core.ts'
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { inspect } from '../fate.ts'
import { intersection, isCovered, overlaps } from '../hostname.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { createReport, type Report } from '../report.ts'
import { byKey, inNamespace, namespaceOf } from '../snapshot.ts'
import { serviceWaypoint } from '../waypoint.ts'
import type { Surroundings } from './backends.ts'
import { type Door, doorsOf, gatewayKey, listenerSpeaks, type Speaks } from './doors.ts'
import { tooLarge } from './effort.ts'
import { shapeCodes, virtualServiceFates } from './fates.ts'
import { fullName } from './hosts.ts'
import { isForMesh } from './mesh.ts'
import { compareAges } from './places.ts'
import { parseService } from './service-name.ts'

/** Where connections arrive: a listener, or a port of a Service. */
export interface Place {
  /** Equal for equal places, and shown to the user. */
  key: string
  parentRef: gateway.ParentReference
  isMesh: boolean
  /** The names that arrive there. */
  hostname: string
}

/** What one match takes at one place: connections for these names, `*` without SNI. */
export interface Claim {
  place: Place
  names: string[]
  /** The index of its entry, and where the match stands. */
  entry: number
  field: string
}

/** The conditions that tls and tcp share, and the names that the match asks for. */
export interface ConnectionMatch {
  port?: number
  gateways?: string[]
  names: string[]
  field: string
}

// Places -----------------------------------------------------------------------------------------------------------

/** Every place where a match holds. Reports doors and hosts that nothing takes the place of. */
export function placesOf(
  match: ConnectionMatch,
  speaks: 'tls' | 'tcp',
  virtualService: istio.VirtualService,
  doors: Door[],
  surroundings: Surroundings,
  report: Report,
): Place[] {
  const places = [
    ...gatewayPlaces(match, speaks, virtualService, doors, surroundings, report),
    ...meshPlaces(match, speaks, virtualService, surroundings, report),
  ]
  return [...new Map(places.map(place => [place.key, place])).values()]
}

function gatewayPlaces(
  match: ConnectionMatch,
  speaks: 'tls' | 'tcp',
  { spec: { hosts = [] } }: istio.VirtualService,
  doors: Door[],
  { namespace, settings }: Surroundings,
  report: Report,
): Place[] {
  const names = hosts.map(host => fullName(host.toLowerCase(), namespace, settings.clusterDomain))
  const open = doors.filter(door => {
    // Whether a host meets the server's decides for the whole VirtualService; the server's hosts do not cut its SNI
    // names (`pickMatchingGatewayHosts`).
    const isMet = names.some(name => door.hosts.some(limit => overlaps(name, limit)))
    return isMet && (door.speaks === undefined || door.speaks === speaks) && holdsAt(match, door, namespace)
  })
  return open.flatMap(door => {
    const { key } = gatewayOf(door.mapping)
    const listeners = (door.listeners ?? []).filter(listener => replaces(listener, door))
    if (listeners.length === 0)
      report('VS-GATEWAYS-LISTENER', door.field, { port: `${door.istioGateway}:${door.port ?? '?'}`, gateway: key })
    const places = listeners.map(listener => listenerPlace(key, listener))
    // Parked for the sake of its other names, it would stop serving this one.
    const lost = match.names.find(name => places.every(({ hostname }) => !overlaps(name, hostname)))
    if (lost !== undefined && places.length > 0) report('VS-HOSTS-LISTENER', match.field, { host: lost })
    return places
  })
}

/** A port or gateway that a match names is known as soon as the Istio Gateway is. */
function holdsAt({ port, gateways = [] }: ConnectionMatch, door: Door, namespace: string): boolean {
  if (port && door.port !== undefined && port !== door.port) return false
  return gateways.length === 0 || gateways.some(name => gatewayKey(name, namespace) === door.istioGateway)
}

/**
 * Whether the listener does with connections what the server does: clients know it by its port, and one that ends TLS may
 * not take names that the server did not.
 */
function replaces(listener: gateway.Listener, { port, speaks, endsTls, hosts }: Door): boolean {
  if (listener.port !== port || listenerSpeaks(listener) !== speaks) return false
  if (speaks === 'tls') return true
  const hostname = listener.hostname?.toLowerCase() || '*'
  return (listener.protocol === 'TLS') === endsTls && (!endsTls || hosts.some(host => isCovered(hostname, host)))
}

function listenerPlace(key: string, { name, hostname }: gateway.Listener): Place {
  const slash = key.indexOf('/')
  return {
    key: `${key}#${name}`,
    parentRef: {
      group: 'gateway.networking.k8s.io',
      kind: 'Gateway',
      namespace: key.slice(0, slash),
      name: key.slice(slash + 1),
      sectionName: name,
    },
    isMesh: false,
    hostname: hostname?.toLowerCase() || '*',
  }
}

/** One place for each port that speaks so: sidecars went by the port, and a waypoint would take the others as well. */
function meshPlaces(
  { port, gateways = [] }: ConnectionMatch,
  speaks: 'tls' | 'tcp',
  virtualService: istio.VirtualService,
  surroundings: Surroundings,
  report: Report,
): Place[] {
  const { spec } = virtualService
  if (!isForMesh(virtualService) || (gateways.length > 0 && !gateways.includes('mesh'))) return []
  const { namespace, settings } = surroundings
  if ((spec.exportTo ?? []).some(name => name !== '*')) report('VS-EXPORT-TO-MESH', 'spec.exportTo')
  return (spec.hosts ?? []).flatMap((host, i) => {
    const service = meshService(host.toLowerCase(), `spec.hosts[${i}]`, surroundings, report)
    const name = service?.metadata.name ?? ''
    const ports = (service?.spec?.ports ?? []).filter(own => (!port || own.port === port) && portSpeaks(own) === speaks)
    return ports.map(own => ({
      key: `Service ${namespace}/${name}:${own.port}`,
      parentRef: { group: '', kind: 'Service', namespace, name, port: own.port },
      isMesh: true,
      hostname: fullName(host.toLowerCase(), namespace, settings.clusterDomain),
    }))
  })
}

/** As Istio reads `appProtocol`, or else the name up to its first dash. What neither says is taken for TCP, if not HTTP. */
function portSpeaks({ appProtocol, name = '', protocol = 'TCP' }: core.ServicePort): Speaks | undefined {
  if (protocol !== 'TCP') return undefined
  const said = (appProtocol ?? name).toLowerCase()
  if (/^(https|tls)(-|$)/.test(said)) return 'tls'
  return /^(http|http2|grpc|grpc-web)(-|$)|^kubernetes\.io\//.test(said) ? 'http' : 'tcp'
}

/** The Service that a host means, when a waypoint can apply routes for it that stand in this namespace. */
function meshService(
  host: string,
  field: string,
  surroundings: Surroundings,
  report: Report,
): core.Service | undefined {
  const { cluster, settings, namespace } = surroundings
  const name = parseService(host, surroundings)
  const key = `${name?.namespace}/${name?.name}`
  const service = name && byKey(cluster.services, key)
  if (!service) report('VS-HOSTS-SERVICE', field, { host: host.slice(0, 60) })
  else if (name.namespace !== namespace) report('VS-HOSTS-OVERRIDE', field, { service: key })
  else if (!serviceWaypoint(service, cluster, settings)) report('VS-GATEWAYS-MESH', field, { service: key })
  else return service
  return undefined
}

// Order ------------------------------------------------------------------------------------------------------------

/**
 * The claims without those that come too late. istiod passes over a match when one of its names is taken on the listener,
 * with all its other names (`CheckDuplicates`, istio/istio pilot/pkg/model/gateway.go): in a route they would come alive.
 */
export function withoutDead(claims: Claim[], report: Report): Claim[] {
  const alive: Claim[] = []
  const dead = new Map<string, string>()
  for (const claim of claims) {
    const earlier = alive.find(other => meet(other, claim))
    if (earlier) dead.set(claim.field, earlier.field)
    else alive.push(claim)
  }
  for (const [field, earlier] of dead)
    if (!alive.some(claim => claim.field === field)) report('VS-ORDER-DEAD', field, { earlier })
  return alive
}

/** Reports claims to what another VirtualService has first, or may have: which of two routes serves is for their age to say. */
export function checkOthers(
  claims: Claim[],
  virtualService: istio.VirtualService,
  claimsOf: (other: istio.VirtualService, doors: Door[], surroundings: Surroundings, report: Report) => Claim[],
  { cluster, settings }: Surroundings,
  report: Report,
): void {
  const silent = createReport({ severities: {} })
  const own = virtualService.metadata
  const namespaces = [...cluster.virtualServices.keys()].sort()
  for (const other of namespaces.flatMap(namespace => inNamespace(cluster.virtualServices, namespace))) {
    if (!other.spec?.tls && !other.spec?.tcp) continue
    const isSelf = other.metadata.name === own.name && namespaceOf(other) === namespaceOf(virtualService)
    // The younger of two is the one refused; of unknown age, either.
    const isKnown = own.creationTimestamp !== undefined || other.metadata.creationTimestamp !== undefined
    if (isSelf || (isKnown && compareAges(own, other.metadata) < 0)) continue
    if (!inspect(other.spec, virtualServiceFates, 'spec', shapeCodes, silent)) continue
    // Too large to be compared, it is not translated either.
    if (tooLarge(other.spec)) continue
    const namespace = namespaceOf(other)
    const doors = doorsOf(other, namespace, cluster, settings, silent)
    for (const theirs of claimsOf(other, doors, { namespace, cluster, settings }, silent)) {
      const ours = claims.find(claim => meet(claim, theirs))
      if (ours)
        report('VS-ORDER-CONFLICT', ours.field, {
          other: `${namespace}/${other.metadata.name}`,
          place: shown(ours, theirs),
        })
    }
  }
}

/** Whether two claims want the same connections. Names that differ, even `*.a.b` and `x.a.b`, keep out of each other's way. */
function meet(a: Claim, b: Claim): boolean {
  return a.place.key === b.place.key && a.names.some(name => b.names.includes(name))
}

function shown({ place, names }: Claim, other: Claim): string {
  const name = names.find(name => other.names.includes(name)) ?? '*'
  return `${name === '*' ? '' : `${name.slice(0, 60)} at `}${place.key.slice(0, 90)}`
}

// Routes -----------------------------------------------------------------------------------------------------------

/**
 * What becomes one route: the listeners where an entry takes the same names, or a port of a Service. The CRD of the standard
 * channel refuses several parentRefs to one Service, whatever their ports.
 */
export interface RoutePlan {
  entry: number
  isMesh: boolean
  parentRefs: gateway.ParentReference[]
  hostnames: string[]
}

/** The routes for all claims, in the order of the entries. */
export function routePlans(claims: Claim[], field: string, report: Report): RoutePlan[] {
  const plans = new Map<string, RoutePlan>()
  for (const { place, entry, hostnames } of byPlace(claims)) {
    const { isMesh, parentRef } = place
    const key = `${entry} ${isMesh ? place.key : ''} ${hostnames.join()}`
    const plan = plans.get(key) ?? { entry, isMesh, parentRefs: [], hostnames }
    plans.set(key, { ...plan, parentRefs: [...plan.parentRefs, parentRef] })
  }
  for (const { entry, parentRefs, hostnames } of plans.values()) {
    if (parentRefs.length > 32) report('VS-MATCH-LIMIT', `${field}[${entry}]`, { limit: '32 parents' })
    if (hostnames.length > 1024) report('VS-MATCH-LIMIT', `${field}[${entry}]`, { limit: '1024 hostnames' })
  }
  return [...plans.values()]
}

/** The names of each entry at each place, cut to what arrives there. */
function byPlace(claims: Claim[]): { place: Place; entry: number; hostnames: string[] }[] {
  const taken = new Map<string, { place: Place; entry: number; names: string[] }>()
  for (const { place, entry, names } of claims) {
    const key = `${entry} ${place.key}`
    taken.set(key, { place, entry, names: [...(taken.get(key)?.names ?? []), ...names] })
  }
  return [...taken.values()].map(({ place, entry, names }) => {
    const cut = names.flatMap(name => intersection(name, place.hostname))
    return { place, entry, hostnames: [...new Set(cut)].sort() }
  })
}
