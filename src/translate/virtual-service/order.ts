// Istio answers with the first rule that matches, HTTPRoute with the most specific one (research/virtualservice.md,
// section 2). Rules are compared two by two, on the requests that could tell them apart; where the answer would change,
// the rule is refused and the request is named. Rules that were never reached are left out: they would come alive.
import { canonicalJson } from '../canonical.ts'
import type { Report } from '../report.ts'
import type { PlannedMatch, PlannedPath } from './match.ts'

/** One match with the action it leads to, in VirtualService order. */
export interface Entry {
  match: PlannedMatch
  /** What happens to a request, for comparison only. */
  action: unknown
  /** Where it stands, in the user's YAML. */
  field: string
  /** `namespace/name` of its VirtualService. */
  owner: string
  /** Of the VirtualService; undefined while it is not stored. */
  creationTimestamp?: string
}

type Age = Pick<Entry, 'owner' | 'creationTimestamp'>

/** The entries without those that an earlier entry of the same VirtualService always answers. Reports what goes. */
export function withoutDead(entries: Entry[], report: Report): Entry[] {
  const alive: Entry[] = []
  for (const entry of entries) {
    // What one match was planned into, for a path override or an alternation, does not stand in its own way.
    const earlier = alive.find(other => other.field !== entry.field && covers(other.match, entry.match))
    if (earlier) report('VS-ORDER-DEAD', entry.field, { earlier: earlier.field })
    else alive.push(entry)
  }
  return alive
}

/** Reports each pair of entries of one VirtualService that HTTPRoute would take in the other order. */
export function checkOrder(entries: Entry[], report: Report): void {
  for (const [i, later] of entries.entries()) {
    for (const earlier of entries.slice(0, i)) {
      if (isEqualAction(earlier, later)) continue
      const sample = contested(earlier, later, 'earlier', 'earlier')
      if (!sample) continue
      const { path, isRegex, isFirstPreferred } = sample
      const [taking, losing] = isFirstPreferred ? [earlier, later] : [later, earlier]
      if (isRegex) report('VS-ORDER-REGEX', losing.field, { other: taking.field, sample: path })
      else report('VS-ORDER-INVERTED', taking.field, { other: losing.field, sample: path })
    }
  }
}

/**
 * Reports each entry that takes requests from an older VirtualService on the same gateway and host, or loses some to it,
 * which it did not before. The younger of two is the one refused; of unknown age, either.
 */
export function checkNeighbours(entries: Entry[], neighbours: Iterable<Entry>, report: Report): void {
  for (const neighbour of neighbours) {
    for (const entry of entries) {
      if (isRegex(entry.match) && isCatchAll(neighbour.match)) {
        // Istio deletes the regex whichever is older, so it is the regex that is refused, and never the catch-all.
        report('VS-ORDER-REGEX', entry.field, { other: neighbour.owner, sample: '/' })
        continue
      }
      if (isCatchAll(entry.match) && isRegex(neighbour.match)) continue
      if (areApart(entry.match, neighbour.match)) continue
      if (isYounger(neighbour, entry) || isEqualAction(neighbour, entry)) continue
      const sample = contested(neighbour, entry, isYounger(entry, neighbour) ? 'earlier' : 'unknown', 'unknown')
      if (!sample) continue
      const parameters = { other: neighbour.owner, sample: sample.path }
      if (sample.isRegex) report('VS-ORDER-REGEX', entry.field, parameters)
      else report('VS-ORDER-OVERLAP', entry.field, parameters)
    }
  }
}

function isEqualAction(a: Entry, b: Entry): boolean {
  return a.action === b.action || canonicalJson(a.action) === canonicalJson(b.action)
}

/** Whether no request can matter to both: most neighbours are told apart by this alone, in a cluster with many. */
function areApart(a: PlannedMatch, b: PlannedMatch): boolean {
  if (isRegex(a) || isRegex(b)) return false
  const [one, other] = [textOf(a.path).replace(/\/$/, ''), textOf(b.path).replace(/\/$/, '')]
  return !one.startsWith(other) && !other.startsWith(one)
}

/** Istio's order between VirtualServices: by age, then by name and namespace (`configCompareByCreationTime`). */
export function isYounger(a: Age, b: Age): boolean {
  if (a.creationTimestamp === undefined) return b.creationTimestamp !== undefined
  if (b.creationTimestamp === undefined || a.creationTimestamp < b.creationTimestamp) return false
  return a.creationTimestamp > b.creationTimestamp || byName(a) > byName(b)
}

function byName({ owner }: Age): string {
  const [namespace, name] = owner.split('/')
  return `${name}/${namespace}`
}

interface Sample {
  path: string
  isRegex: boolean
  /** Whether the first of the two would answer it as an HTTPRoute. */
  isFirstPreferred: boolean
}

/**
 * A request that the two entries would answer the other way round, or that nobody can tell. `known` says whether `first`
 * precedes `second` in Istio's order; catch-alls need no order, both worlds put them last. `tie` says it for matches that
 * HTTPRoute ranks alike: in one HTTPRoute their order counts, between two it is not that of the VirtualServices.
 */
function contested(
  first: Entry,
  second: Entry,
  known: 'earlier' | 'unknown',
  tie: 'earlier' | 'unknown',
): Sample | undefined {
  const [a, b] = [first.match, second.match]
  if (!canMeet(a, b)) return undefined
  if (isRegex(a) || isRegex(b)) return contestedRegex(a, b, tie)
  for (const path of samplePaths(a.path, b.path)) {
    const before = answers(path, a, b, matchesText, isCatchAllToday, known)
    const after = answers(path, a, b, matchesElements, isCatchAll, rankOrder(a, b, tie))
    if ((before === after && before !== 'either') || before === undefined || after === undefined) continue
    // What a PathPrefix loses beside its prefix, and what it gains from a catch-all, has a warning of its own
    // (VS-MATCH-PREFIX-ELEMENT and -SLASH); gaining it from a rule that meant it is a conflict.
    const [winner, loser] = before === 'a' ? [a, b] : before === 'b' ? [b, a] : [undefined, undefined]
    if (winner && !matchesElements(winner.path, path)) continue
    if (loser && winner && isCatchAll(winner) && !matchesText(loser.path, path)) continue
    return { path, isRegex: false, isFirstPreferred: after === 'a' }
  }
  return undefined
}

/**
 * Without evaluating it, a regex may match whatever the other does. Istio ranks it below every prefix, and deletes it
 * beside a prefix `/`; between two, the longer text wins.
 */
function contestedRegex(a: PlannedMatch, b: PlannedMatch, tie: 'earlier' | 'unknown'): Sample | undefined {
  const other = isRegex(a) ? b : a
  const isSecondPreferred = rankOrder(a, b, tie) !== 'earlier'
  if (!isSecondPreferred && !isCatchAll(b)) return undefined
  return { path: isRegex(other) ? '/' : textOf(other.path), isRegex: true, isFirstPreferred: false }
}

type Order = 'earlier' | 'later' | 'unknown'

/** Which of the two answers: a, b, or `either` when the order is not known. */
function answers(
  path: string,
  a: PlannedMatch,
  b: PlannedMatch,
  matches: (planned: PlannedPath, path: string) => boolean,
  isLast: (match: PlannedMatch) => boolean,
  order: Order,
): 'a' | 'b' | 'either' | undefined {
  const [byA, byB] = [matches(a.path, path), matches(b.path, path)]
  if (byA && byB) {
    // Istio moves catch-alls behind everything else, HTTPRoute ranks them there.
    if (isLast(a) !== isLast(b)) return isLast(a) ? 'b' : 'a'
    return order === 'unknown' ? 'either' : order === 'earlier' ? 'a' : 'b'
  }
  return byA ? 'a' : byB ? 'b' : undefined
}

/** `sortHTTPRoutes` of Istio: exact before prefix before regex, then length, method, headers, query parameters. */
function rankOrder(a: PlannedMatch, b: PlannedMatch, tie: 'earlier' | 'unknown'): Order {
  const [keyA, keyB] = [rank(a), rank(b)]
  for (const [i, value] of keyA.entries()) {
    const other = keyB[i] ?? 0
    if (value !== other) return value > other ? 'earlier' : 'later'
  }
  return tie
}

function rank({ path, method, headers, queryParams }: PlannedMatch): number[] {
  const { type, value } = path.match
  const typeRank = { Exact: 3, PathPrefix: 2, RegularExpression: 1 }[type]
  return [typeRank, value.length, method ? 1 : 0, headers.length, queryParams.length]
}

function isCatchAll({ path, method, headers, queryParams }: PlannedMatch): boolean {
  return isEveryPath(path) && !method && headers.length + queryParams.length === 0
}

/** What Istio moves to the end of a VirtualService's host; not the regex `/.*`, nor the empty prefix. */
function isCatchAllToday(match: PlannedMatch): boolean {
  return isCatchAll(match) && ['/', '.*'].includes(match.path.text)
}

/** The prefix `/`, the empty one, no path at all, and the regex `.*`. */
function isEveryPath({ match: { type, value } }: PlannedPath): boolean {
  return type === 'PathPrefix' && value === '/'
}

/** A regex for HTTPRoute as well; `.*` is none. */
function isRegex({ path }: PlannedMatch): boolean {
  return path.match.type === 'RegularExpression'
}

/** Whether every request that b matches is matched by a as well, as Istio matches. */
function covers(a: PlannedMatch, b: PlannedMatch): boolean {
  if (a.method && a.method !== b.method) return false
  const conditions = (match: PlannedMatch) => [...match.headers, ...match.queryParams].map(canonicalJson)
  const ofB = new Set(conditions(b))
  if (!conditions(a).every(condition => ofB.has(condition))) return false
  if (isEveryPath(a.path)) return true
  if (a.path.kind === 'prefix') return b.path.kind !== 'regex' && textOf(b.path).startsWith(textOf(a.path))
  return a.path.kind === b.path.kind && a.path.text === b.path.text
}

/** Whether some request can satisfy the conditions of both, apart from their paths. */
function canMeet(a: PlannedMatch, b: PlannedMatch): boolean {
  if (a.method && b.method && a.method !== b.method) return false
  const exact = (match: PlannedMatch) =>
    [
      ...match.headers.map(m => ({ ...m, in: 'header' })),
      ...match.queryParams.map(m => ({ ...m, in: 'query' })),
    ].filter(({ type }) => type === 'Exact')
  return !exact(a).some(one =>
    exact(b).some(other => one.in === other.in && one.name === other.name && one.value !== other.value),
  )
}

/** The paths at which two prefixes or exact paths can part ways: each literal, and its nearest continuations. */
function samplePaths(...paths: PlannedPath[]): string[] {
  const literals = paths.flatMap(path => [textOf(path), path.match.value])
  return [...new Set(literals.flatMap(path => [path, `${path}/`, `${path}/x`, `${path}x`]))].filter(path =>
    path.startsWith('/'),
  )
}

/** The text that this planned path stands for in the VirtualService's matching. */
function textOf(path: PlannedPath): string {
  return isEveryPath(path) ? '/' : path.text + path.suffix
}

function matchesText(planned: PlannedPath, path: string): boolean {
  if (isEveryPath(planned)) return true
  return planned.kind === 'exact' ? path === planned.text : path.startsWith(textOf(planned))
}

function matchesElements({ match: { type, value } }: PlannedPath, path: string): boolean {
  if (type === 'Exact') return path === value
  return value === '/' || path === value || path.startsWith(`${value}/`)
}
