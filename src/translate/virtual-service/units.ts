// From the scopes of a VirtualService to lists of rules that HTTPRoutes can hold: hosts cut to what is served, the order
// repaired and judged, what is lost told.
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import type { ClusterSnapshot } from '../snapshot.ts'
import { byAuthority } from './authority.ts'
import { type Effort, regexSteps } from './effort.ts'
import { hostnamesFor } from './hosts.ts'
import { shown } from './match.ts'
import { isFulfilled, matchesThen } from './meeting.ts'
import type { MeshScope } from './mesh.ts'
import { checkForeignRoutes, checkNeighbours, checkWiderHosts, isAlone, type Unit } from './neighbours.ts'
import { compareRanks, differences, type Entry } from './order.ts'
import { inRegexOrder } from './regex-order.ts'
import { withIntersections, withoutDead, withoutNegations } from './repairs.ts'
import { entriesOf } from './rules.ts'
import type { Parent, Scope } from './scopes.ts'

/** The rules at gateways, by the hosts for which they hold. */
export function gatewayUnits(
  virtualService: istio.VirtualService,
  scopes: Scope[],
  cluster: ClusterSnapshot,
  settings: Settings,
  effort: Effort,
  report: Report,
): Unit[] {
  return scopes.flatMap(({ parents, matches, isHost }) =>
    byHostnames(virtualService, parents, settings, report).flatMap(({ hostnames, parents }) => {
      const ports = parents.flatMap(({ ports }) => ports)
      if (!effort.spend((hostnames ?? []).length * matches.length)) return []
      return byAuthority(hostnames, matches, ports, report).flatMap(({ hostnames, cutFrom, matches }) => {
        if (effort.isSpent) return []
        const planned = entriesOf(virtualService, matches, settings, report)
        const place = { parents, ...(hostnames ? { hostnames } : {}) }
        const isSole = () => isAlone(place, virtualService, cluster, settings)
        // Who else speaks for a name is asked before it gets a virtual host of its own, and then no more.
        if (cutFrom.length > 0 && !isSole()) report('VS-MATCH-AUTHORITY', 'spec.http')
        const unit = { ...place, matches, ...ordered(planned, isSole, settings, effort, report) }
        if (isHost && unit.entries.length === 0) checkWiderHosts(unit, virtualService, cluster, settings, report)
        checkNeighbours(unit, virtualService, cluster, settings, effort, report)
        checkForeignRoutes(unit, cluster, report)
        return [unit]
      })
    }),
  )
}

/** The rules for calls inside the mesh: one list for all Services that have the same. */
export function meshUnits(
  virtualService: istio.VirtualService,
  scopes: MeshScope[],
  cluster: ClusterSnapshot,
  settings: Settings,
  effort: Effort,
  report: Report,
): Unit[] {
  const groups = new Map<string, MeshScope[]>()
  for (const scope of scopes) {
    const key = `${scope.port ?? ''} ${scope.matches.map(({ field }) => field).join()}`
    groups.set(key, [...(groups.get(key) ?? []), scope])
  }
  return [...groups.values()].flatMap(group => {
    const [first] = group
    if (!first) return []
    const { port, matches } = first
    const mesh = port === undefined ? {} : { port }
    const parents = group.map(({ service: { metadata, spec } }) => ({
      parentRef: {
        group: '',
        kind: 'Service',
        namespace: metadata.namespace ?? 'default',
        name: metadata.name ?? '',
        ...mesh,
      },
      hosts: [],
      listenerHosts: [],
      ports: [],
      podNamespaces: [],
      // What redirects have to know of listeners holds for the ports of a Service too.
      listeners: (spec?.ports ?? []).map(({ port }) => ({ name: '', port, protocol: 'HTTP' })),
    }))
    const planned = entriesOf(virtualService, matches, settings, report)
    // Of several VirtualServices for a Service only one holds, so it is alone.
    const unit = { parents, mesh, matches, ...ordered(planned, () => true, settings, effort, report) }
    checkForeignRoutes(unit, cluster, report)
    return [unit]
  })
}

/** Reports the matches that are never reached in any of the units. */
export function reportDead(units: Unit[], report: Report): void {
  const alive = new Set(units.flatMap(({ entries }) => entries.map(({ field }) => field)))
  for (const { dead } of units)
    for (const [field, earlier] of dead) if (!alive.has(field)) report('VS-ORDER-DEAD', field, { earlier })
}

/** The parents that give the same host names; one that serves none is left out. */
function byHostnames(virtualService: istio.VirtualService, parents: Parent[], settings: Settings, report: Report) {
  const groups = new Map<string, { hostnames?: string[]; parents: Parent[] }>()
  for (const parent of parents) {
    const hostnames = hostnamesFor(virtualService, settings.clusterDomain, parent, report)
    if (hostnames?.length === 0) continue
    const key = hostnames?.join() ?? '*'
    const group = groups.get(key) ?? { ...(hostnames ? { hostnames } : {}), parents: [] }
    groups.set(key, { ...group, parents: [...group.parents, parent] })
  }
  return [...groups.values()]
}

/**
 * The entries as an HTTPRoute says them, in an order that it keeps. Reports what cannot be kept, and what is gained and
 * lost where paths are matched by element.
 * @param isAlone whether nobody else routes for the host, which an order by regexes takes for granted
 */
function ordered(
  planned: Entry[],
  isAlone: () => boolean,
  { ruleOrder }: Settings,
  effort: Effort,
  report: Report,
): Pick<Unit, 'entries' | 'dead'> {
  // What cannot be judged is refused (index.ts).
  if (!effort.spend(planned.length ** 2 + regexSteps(planned))) return { entries: [], dead: new Map() }
  const { alive, dead } = withoutDead(planned)
  // What stood behind a negation may be answered in full by the two halves of it.
  const halves = withoutNegations(alive, effort, report)
  if (!effort.spend(halves.length ** 2)) return { entries: [], dead: new Map() }
  const { alive: positive } = withoutDead(halves)
  const repaired = withIntersections(positive, effort)
  const [...left] = differences(repaired, () => true, 'announced', effort)
  if (effort.isSpent) return { entries: [], dead: new Map() }
  if (left.length > 0 && ruleOrder === 'regex' && isAlone()) return { entries: inRegexOrder(positive, report), dead }
  const told = new Set<string>()
  for (const { path, before, after, isRegex } of left) {
    const entry = (isRegex ? before : after) ?? before
    // One request is enough to make it clear.
    if (!entry || told.has(`${entry.field} ${isRegex}`)) continue
    told.add(`${entry.field} ${isRegex}`)
    const [taker, loser] = [after?.field ?? 'nobody', before?.field ?? 'nobody']
    report(isRegex ? 'VS-ORDER-REGEX' : 'VS-ORDER-INVERTED', entry.field, { taker, loser, sample: shown(path) })
  }
  for (const entry of repaired) announce(entry, repaired, report)
  return { entries: repaired, dead }
}

/** `/foo/` gains the path `/foo`, unless another rule has it, and `/foo` loses `/foobar`. */
function announce({ match, field }: Entry, all: Entry[], report: Report): void {
  const { match: planned, text, base } = match.path
  // With a base it is a piece of another path, which was told of, or an override that somebody chose.
  if (planned.type !== 'PathPrefix' || planned.value === '/' || base !== undefined) return
  if (!text.endsWith('/')) {
    report('VS-MATCH-PREFIX-ELEMENT', `${field}.uri`, { path: shown(text), sample: `${shown(text)}x` })
    return
  }
  const isAnswered = all.some(
    other =>
      compareRanks(other.match, match) > 0 &&
      isFulfilled(other.match, match) &&
      matchesThen(other.match.path, planned.value),
  )
  if (!isAnswered) report('VS-MATCH-PREFIX-SLASH', `${field}.uri`, { path: shown(planned.value) })
}
