// Who else routes on the same Gateway and host, as far as it can meet: other VirtualServices, whose order with this one
// counts (research/virtualservice.md 2.1), and HTTPRoutes of somebody else.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { overlaps } from '../hostname.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { byAuthority } from './authority.ts'
import { type HTTPEntry, httpEntries } from './delegates.ts'
import { doorsOf } from './doors.ts'
import { type Effort, regexSteps, tooLarge } from './effort.ts'
import { hostnamesFor } from './hosts.ts'
import { everything, type PlannedMatch } from './match.ts'
import { areApart, isCatchAll, matchesThen, meeting, stemOf } from './meeting.ts'
import { differences, type Entry, isLastToday, sampleOf, samplePaths } from './order.ts'
import { compareAges, doorKeys, routeDoor } from './places.ts'
import { withIntersections, withoutDead, withoutNegations } from './repairs.ts'
import { entriesOf } from './rules.ts'
import { gatewayScopes, isSeen, type Parent, type ScopedMatch } from './scopes.ts'

/** Where a list of entries is going to route. */
export interface Unit {
  parents: Parent[]
  hostnames?: string[]
  /** The matches that hold here, and the entries that were made of them. */
  matches: ScopedMatch[]
  entries: Entry[]
  /** Matches that are never reached here, and which one answers in their place, by field. */
  dead: Map<string, string>
  /** Set for calls inside the mesh; `port` is the one that is called, where the rules differ by port. */
  mesh?: { port?: number }
}

/** The neighbours that are named to an author. */
const rivalLimit = 16

/**
 * Reports each entry that takes requests from an older VirtualService on the same Gateway and host, or loses some to it,
 * which it did not before. The younger of two is the one refused; of unknown age, either.
 */
export function checkNeighbours(
  unit: Unit,
  own: istio.VirtualService,
  cluster: ClusterSnapshot,
  settings: Settings,
  effort: Effort,
  report: Report,
): void {
  const owner = keyOf(own)
  const silent = createReport({ severities: {} })
  const rivals = new Set<string>()
  const hasRegex = unit.entries.some(({ match }) => match.path.match.type === 'RegularExpression')
  for (const other of near(unit, own, cluster, settings)) {
    // A few are enough to make it clear. On a host that a whole cluster shares, all of it may be in the way.
    if (rivals.size === rivalLimit || !effort.spend(20)) return
    const order = orderOf(own, other, unit)
    if (order === 'first' && !hasRegex) continue
    // What is too large to be compared is taken for a rival wherever it is not the younger one.
    const entries = tooLarge(other.spec) ? undefined : httpEntries(other, cluster, settings, silent)
    if (!entries) {
      const [entry] = unit.entries
      const sample = entry?.match.path.match.value.slice(0, 60) ?? '/'
      if (!entry) continue
      rivals.add(keyOf(other))
      report('VS-ORDER-OVERLAP', entry.field, { taker: entry.field, loser: `VirtualService ${keyOf(other)}`, sample })
      continue
    }
    const orders = [...entriesAt(other, entries, unit, cluster, settings, effort)].flatMap(theirs =>
      possibleOrders(unit.entries, theirs, order),
    )
    const told = new Set<string>()
    for (const inOrder of orders) {
      for (const { before, after, path, isRegex } of differences(inOrder, isAsked(owner), 'announced', effort)) {
        const entry = [before, after].find(entry => entry?.owner === owner)
        if (!entry || !before || !after) continue
        // One request is enough to make it clear.
        if (told.has(entry.field)) continue
        told.add(entry.field)
        rivals.add(keyOf(other))
        report(isRegex ? 'VS-ORDER-REGEX' : 'VS-ORDER-OVERLAP', entry.field, {
          taker: nameOf(after, owner),
          loser: nameOf(before, owner),
          sample: path,
        })
      }
    }
  }
}

function nameOf({ owner, field }: Entry, own: string): string {
  return owner === own ? field : `VirtualService ${owner}`
}

/** One of the two is ours. Beside a catch-all Istio deletes the regex, so it is the regex that is refused. */
function isAsked(owner: string): (a: Entry, b: Entry) => boolean {
  return (a, b) => {
    if ((a.owner === owner) === (b.owner === owner)) return false
    const [ours, theirs] = a.owner === owner ? [a, b] : [b, a]
    return !(isCatchAll(ours.match) && theirs.match.path.match.type === 'RegularExpression')
  }
}

/** The orders in which Istio may read the two. The later one is refused itself, unless it ends a regex of ours. */
function possibleOrders(own: Entry[], theirs: Entry[], order: 'first' | 'second' | 'unknown'): Entry[][] {
  if (order === 'second') return [[...theirs, ...own]]
  if (order === 'unknown')
    return [
      [...own, ...theirs],
      [...theirs, ...own],
    ]
  const hasRegex = own.some(({ match }) => match.path.match.type === 'RegularExpression')
  const catchAlls = theirs.filter(({ match }) => isCatchAll(match))
  return hasRegex && catchAlls.length > 0 ? [[...own.filter(({ match }) => !isCatchAll(match)), ...catchAlls]] : []
}

/**
 * Whether a gateway reads the VirtualService before the other (`VirtualServicesForGateway`): what only its own namespace
 * sees goes first, then what is exported to it by name, then the rest, each by age.
 */
function orderOf(own: istio.VirtualService, other: istio.VirtualService, unit: Unit): 'first' | 'second' | 'unknown' {
  const orders = unit.parents.map(({ podNamespaces }) =>
    podNamespaces.map(namespace => visibility(own, namespace) - visibility(other, namespace)),
  )
  const difference = orders.flat().find(difference => difference !== 0)
  if (difference) return difference < 0 ? 'first' : 'second'
  const isKnown = own.metadata.creationTimestamp !== undefined || other.metadata.creationTimestamp !== undefined
  if (!isKnown) return 'unknown'
  return compareAges(own.metadata, other.metadata) < 0 ? 'first' : 'second'
}

/** How early a gateway of the namespace reads it, whatever its age. */
export function visibility({ spec: { exportTo = [] }, metadata }: istio.VirtualService, namespace: string): number {
  if (exportTo.length === 0 || exportTo.includes('*')) return 2
  return exportTo.includes('.') && (metadata.namespace || 'default') === namespace ? 0 : 1
}

// VirtualServices --------------------------------------------------------------------------------------------------

/** The other VirtualServices whose paths can meet those of the unit, by name. */
function near(
  unit: Unit,
  own: istio.VirtualService,
  cluster: ClusterSnapshot,
  settings: Settings,
): istio.VirtualService[] {
  const found = new Map<string, istio.VirtualService>()
  // A catch-all stands behind everything in both worlds, so that it meets only what matches every path as well.
  const asked = new Set(unit.entries.filter(({ match }) => !isLastToday(match)).map(({ match }) => stemOf(match.path)))
  const stems = [...asked].map(stem => ({ stem, below: true }))
  if (unit.entries.some(({ match }) => isLastToday(match)) && !asked.has('')) stems.push({ stem: '', below: false })
  for (const place of placesOf(unit, settings)) {
    for (const { stem, below } of stems) {
      for (const other of cluster.routing.near({ ...place, stem }, { below })) {
        if (other.kind === 'VirtualService' && keyOf(other) !== keyOf(own)) found.set(keyOf(other), other)
      }
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, other]) => other)
}

/**
 * Reports hosts for which nothing is left to route here. Their requests get 404 today, since a virtual host never falls
 * back to a wider one; without a route of their own they would fall to who routes for a wider host.
 */
export function checkWiderHosts(
  unit: Pick<Unit, 'parents' | 'hostnames'>,
  own: istio.VirtualService,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): void {
  for (const host of unit.hostnames ?? []) {
    const others = placesOf({ ...unit, hostnames: [host] }, settings).flatMap(place =>
      [...cluster.routing.near({ ...place, stem: '' }, { below: true })].flatMap(other =>
        other.kind === 'VirtualService' && keyOf(other) !== keyOf(own) ? [{ key: keyOf(other), host: place.host }] : [],
      ),
    )
    // Who routes for the same host keeps its virtual host, and answers today as well.
    const [wider] = others.some(other => other.host === host) ? [] : others.map(({ key }) => key).sort()
    if (wider) report('VS-HOSTS-WIDER', 'spec.hosts', { host, other: wider })
  }
}

/** Whether nobody else routes on the unit's Gateways for its hosts. */
export function isAlone(
  unit: Pick<Unit, 'parents' | 'hostnames'>,
  own: istio.VirtualService,
  cluster: ClusterSnapshot,
  settings: Settings,
): boolean {
  const routes = [
    ...new Set(unit.parents.map(({ parentRef: { namespace, name } }) => routeDoor('Gateway', namespace, name))),
  ]
  const hosts = unit.hostnames ?? ['*']
  const places = [...placesOf(unit, settings), ...routes.flatMap(door => hosts.map(host => ({ door, host })))]
  for (const place of places) {
    for (const other of cluster.routing.near({ ...place, stem: '' }, { below: true }))
      if (other.kind !== own.kind || keyOf(other) !== keyOf(own)) return false
  }
  return true
}

/** The Istio Gateways that end where the unit's parents are, with its hosts and every wider one. */
function placesOf({ parents, hostnames = ['*'] }: Pick<Unit, 'parents' | 'hostnames'>, settings: Settings) {
  const keys = new Set(parents.map(({ parentRef: { namespace, name } }) => `${namespace}/${name}`))
  const istioGateways = settings.gateways
    .filter(mapping => keys.has(gatewayOf(mapping).key))
    .flatMap(mapping => mapping.istioGateways)
  return istioGateways.flatMap(name => hostnames.flatMap(host => doorKeys(`gateway ${name}`, host, settings)))
}

/** The entries of a VirtualService wherever it shares a listener and a host name with the unit; they may differ by place. */
function* entriesAt(
  other: istio.VirtualService,
  entries: HTTPEntry[],
  unit: Unit,
  cluster: ClusterSnapshot,
  settings: Settings,
  effort: Effort,
): Generator<Entry[]> {
  const silent = createReport({ severities: {} })
  const namespace = namespaceOf(other)
  const doors = doorsOf(other, namespace, cluster, settings, silent).filter(door => isSeen(other, door))
  const ours = new Set(unit.hostnames ?? ['*'])
  const seen = new Set<string>()
  for (const { parents, matches } of gatewayScopes(entries, doors, namespace, cluster, silent)) {
    for (const parent of parents.filter(parent => unit.parents.some(mine => isSameParent(mine, parent)))) {
      const hostnames = hostnamesFor(other, settings.clusterDomain, parent, silent)
      for (const rules of byAuthority(hostnames, matches, parent.ports, silent)) {
        const key = rules.matches.map(({ field }) => field).join()
        if (seen.has(key) || !(rules.hostnames ?? ['*']).some(host => ours.has(host))) continue
        seen.add(key)
        const planned = entriesOf(other, rules.matches, settings, silent).filter(({ match }) =>
          unit.entries.some(entry => !areApart(entry.match, match)),
        )
        if (!effort.spend(planned.length ** 2 + regexSteps(planned))) return
        yield withIntersections(withoutNegations(withoutDead(planned).alive, effort, silent), effort)
      }
    }
  }
}

/** Whether two parents are one place: a Gateway as a whole is every listener of it. */
function isSameParent({ parentRef: a }: Parent, { parentRef: b }: Parent): boolean {
  if (a.namespace !== b.namespace || a.name !== b.name) return false
  return a.sectionName === undefined || b.sectionName === undefined || a.sectionName === b.sectionName
}

function keyOf(object: istio.VirtualService | gateway.HTTPRoute): string {
  return `${namespaceOf(object)}/${object.metadata.name ?? ''}`
}

// HTTPRoutes of somebody else --------------------------------------------------------------------------------------

/**
 * Reports HTTPRoutes on the same Gateway that match some of the same requests: of one host the more specific rule answers,
 * and of two hosts the more specific one, with all its rules.
 */
export function checkForeignRoutes(unit: Unit, cluster: ClusterSnapshot, report: Report): void {
  const doors = new Set(
    unit.parents.map(({ parentRef: { kind, namespace, name } }) => routeDoor(kind, namespace, name)),
  )
  const own = unit.hostnames ?? ['*']
  for (const entry of unit.entries) {
    const stem = stemOf(entry.match.path)
    const meetings = new Map<string, string>()
    for (const door of doors) {
      for (const host of cluster.routing.hosts(door)) {
        // Of two hosts the narrower takes all requests for it, whatever its rules are.
        const isOther = own.some(name => name !== host && overlaps(host, name))
        if (!isOther && !own.includes(host)) continue
        for (const route of cluster.routing.near({ door, host, stem: isOther ? '' : stem }, { below: true })) {
          if (route.kind !== 'HTTPRoute') continue
          const sample = isOther ? `host ${host}` : meetingSample(entry, route)
          if (sample) meetings.set(keyOf(route), sample)
        }
      }
    }
    // One is enough to make people look.
    const [first] = [...meetings].sort(([a], [b]) => (a < b ? -1 : 1))
    if (first) report('VS-ORDER-ROUTE', entry.field, { route: first[0], sample: first[1] })
  }
}

function meetingSample(entry: Entry, { spec }: gateway.HTTPRoute): string | undefined {
  const matches = (spec?.rules ?? []).flatMap(({ matches = [{}] }) => matches)
  for (const { path: given, headers = [], queryParams = [], method } of matches) {
    // A file may leave away what the API server fills in.
    const path = { ...everything.path.match, ...given }
    const kind = path.type === 'RegularExpression' ? 'regex' : path.type === 'Exact' ? 'exact' : 'prefix'
    const match: PlannedMatch = { path: { match: path, kind, text: path.value }, headers, queryParams }
    if (!meeting(entry.match, { ...match, ...(method ? { method } : {}) })) continue
    const sample = samplePaths(entry.match.path, match.path, 'x').find(
      sample => matchesThen(entry.match.path, sample) && matchesThen(match.path, sample),
    )
    if (sample) return sample
    // A regex may meet it at a path that is not tried here.
    const hasRegex = [entry.match.path, match.path].some(({ match: { type } }) => type === 'RegularExpression')
    if (hasRegex && !areApart(entry.match, match)) return sampleOf(entry.match.path, match.path)
  }
  return undefined
}
