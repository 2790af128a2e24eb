// Istio answers with the first rule that matches, HTTPRoute with the most specific one (research/virtualservice.md,
// section 2). Both are played through here, on the requests at which two rules can part ways. What differs is repaired
// (repairs.ts) or refused, with the request.
import type * as istio from '../../apis/istio.ts'
import { canonicalJson } from '../canonical.ts'
import { literalPrefix } from '../regex.ts'
import { type Effort, regexSteps } from './effort.ts'
import { baseOf, type PlannedMatch, type PlannedPath } from './match.ts'
import { areApart, type Conditions, isCatchAll, isFulfilled, matchesThen, matchesToday, meeting } from './meeting.ts'

/** One match and the `http` entry that it belongs to, in the order of its VirtualService. */
export interface Entry {
  match: PlannedMatch
  /** What happens to the requests. */
  http: istio.HTTPRoute
  /** Where the short names of its destinations are looked up. */
  namespace: string
  /** Where it stands in the user's YAML. */
  field: string
  /** `namespace/name` of its VirtualService. */
  owner: string
  /** Of the VirtualService; undefined while it is not stored. */
  creationTimestamp?: string
  /** Whether repairs.ts made it up for the HTTPRoute: today its requests are answered by the entry that it comes from. */
  isAdded?: boolean
}

/** A request that two rules would answer the other way round. */
export interface Difference {
  path: string
  /** Who answers today, and who would then; undefined is nobody. */
  before: Entry | undefined
  after: Entry | undefined
  /** Whether a regex is in the way, which nothing but samples can be said of. */
  isRegex: boolean
}

/**
 * The requests that HTTPRoutes made of the entries would answer otherwise than Istio does today.
 * @param inOrder the entries in Istio's order: VirtualServices by age, each in the order of its list
 * @param isAsked which pairs are looked at; of two neighbours, neither is our business
 * @param tolerated what the diagnostics announce: the bare path that a prefix gains, the texts that it loses
 * @param effort when it is spent, what was found so far is not all there is
 */
export function* differences(
  inOrder: Entry[],
  isAsked: (a: Entry, b: Entry) => boolean,
  tolerated: 'announced' | 'nothing',
  effort: Effort,
): Generator<Difference> {
  if (!effort.spend(regexSteps(inOrder))) return
  const token = freshToken(inOrder)
  const seen: Entry[] = []
  for (const later of inOrder) {
    if (!effort.spend(inOrder.length / 10)) return
    const near = inOrder.filter(({ match }) => !areApart(match, later.match))
    for (const earlier of seen) {
      if (areApart(earlier.match, later.match) || !isAsked(earlier, later)) continue
      if (!effort.spend(2 * near.length)) return
      const conditions = meeting(earlier.match, later.match)
      if (!conditions) continue
      if (isRegexBesideOther(earlier.match, later.match)) yield* regexDifferences(earlier, later)
      else yield* sampledDifferences(near, [earlier, later], conditions, token, tolerated)
    }
    seen.push(later)
  }
}

/** A regex meets an exact path or not, which can be tried; with anything else it may meet at paths unknown. */
function isRegexBesideOther({ path: a }: PlannedMatch, { path: b }: PlannedMatch): boolean {
  const isRegex = ({ match }: PlannedPath) => match.type === 'RegularExpression'
  return (isRegex(a) && b.kind !== 'exact') || (isRegex(b) && a.kind !== 'exact')
}

// Samples ----------------------------------------------------------------------------------------------------------

function* sampledDifferences(
  inOrder: Entry[],
  [a, b]: [Entry, Entry],
  conditions: Conditions,
  token: string,
  tolerated: 'announced' | 'nothing',
): Generator<Difference> {
  const met = inOrder.filter(({ match }) => isFulfilled(match, conditions))
  const today = met.filter(({ isAdded }) => !isAdded)
  for (const path of samplePaths(a.match.path, b.match.path, token)) {
    const before = firstOf(today.filter(({ match }) => matchesToday(match.path, path)))
    const announced = firstOf(today.filter(({ match }) => matchesThen(match.path, path)))
    for (const after of bestOf(met.filter(({ match }) => matchesThen(match.path, path)))) {
      if (isSameAnswer(before, after, path)) continue
      if (tolerated === 'announced' && isSameAnswer(announced, after, path) && isTold(before, after, path)) continue
      yield { path, before, after, isRegex: false }
    }
  }
}

/**
 * Whether a warning says it already: a prefix loses the texts that are no path elements (VS-MATCH-PREFIX-ELEMENT), or
 * gains its bare path from nobody, or from a catch-all (VS-MATCH-PREFIX-SLASH). Gaining it from a rule that meant it is
 * told to nobody.
 */
function isTold(before: Entry | undefined, after: Entry | undefined, path: string): boolean {
  if (before && !matchesThen(before.match.path, path)) return true
  const isGained = after !== undefined && !matchesToday(after.match.path, path)
  return isGained && (!before || isCatchAll(before.match))
}

/** The first in Istio's order, where bare catch-alls stand behind everything else. */
function firstOf(matching: Entry[]): Entry | undefined {
  return matching.find(({ match }) => !isLastToday(match)) ?? matching[0]
}

/** What Istio moves to the end of a host (`SortVHostRoutes`): neither the regex `/.*` nor the empty prefix. */
export function isLastToday(match: PlannedMatch): boolean {
  return isCatchAll(match) && !match.asksMore && ['/', '.*'].includes(match.path.text)
}

/** Whom Gateway API prefers: of equals in one VirtualService the first, among several nobody knows. */
function bestOf(matching: Entry[]): (Entry | undefined)[] {
  const [best] = matching.toSorted((a, b) => compareRanks(b.match, a.match))
  if (!best) return [undefined]
  const equals = matching.filter(({ match }) => compareRanks(match, best.match) === 0)
  return equals.filter((entry, i) => equals.findIndex(({ owner }) => owner === entry.owner) === i)
}

/** The paths at which two prefixes or exact paths can part ways: each literal, and its nearest continuations. */
export function samplePaths(a: PlannedPath, b: PlannedPath, token: string): string[] {
  const exact = [a, b].filter(({ kind }) => kind === 'exact')
  if (exact.length > 0) return exact.map(({ text }) => text)
  const literals = [a, b].flatMap(({ kind, text, match }) => [kind === 'regex' ? '/' : text || '/', match.value])
  const around = literals.flatMap(literal => {
    const bare = literal.replace(/\/$/, '')
    return [literal, bare, `${bare}/`, `${bare}/${token}`, `${bare}${token}`]
  })
  return [...new Set(around)].filter(path => path.startsWith('/'))
}

/** A piece of path that no entry names, so that no third rule answers in the place of the two. */
function freshToken(entries: Entry[]): string {
  let token = 'x'
  while (entries.some(({ match }) => match.path.text.includes(token))) token += 'x'
  return token
}

// Answers ----------------------------------------------------------------------------------------------------------

function isSameAnswer(a: Entry | undefined, b: Entry | undefined, path: string): boolean {
  if (a === b) return true
  return a !== undefined && b !== undefined && answerOf(a, path) === answerOf(b, path)
}

/** What Istio does with a request for the path, as text to compare. */
function answerOf({ http, namespace, match }: Entry, path: string): string {
  return canonicalJson([namespace, actionOf(http), rewrittenPath(http, match.path, path)])
}

const actions = new WeakMap<istio.HTTPRoute, string>()

function actionOf(http: istio.HTTPRoute): string {
  const known = actions.get(http)
  if (known !== undefined) return known
  const { match: _, name: __, ...action } = http
  const text = canonicalJson(action)
  actions.set(http, text)
  return text
}

function rewrittenPath({ rewrite, redirect }: istio.HTTPRoute, planned: PlannedPath, path: string): string | undefined {
  const replacement = rewrite?.uri ?? redirect?.prefixRewrite
  if (replacement === undefined) return undefined
  const base = baseOf(planned)
  return base === undefined ? replacement : `${replacement}${path.slice(base.length)}`
}

// Ranks ------------------------------------------------------------------------------------------------------------

/** `sortHTTPRoutes` of Istio: exact before prefix before regex, then length, method, headers, query parameters. */
export function compareRanks(a: PlannedMatch, b: PlannedMatch): number {
  const [rankA, rankB] = [rankOf(a), rankOf(b)]
  const i = rankA.findIndex((value, i) => value !== rankB[i])
  return i < 0 ? 0 : (rankA[i] ?? 0) - (rankB[i] ?? 0)
}

const ranks = new WeakMap<PlannedMatch, number[]>()

function rankOf(planned: PlannedMatch): number[] {
  const known = ranks.get(planned)
  if (known) return known
  const { path, method, headers, queryParams } = planned
  const typeRank = { Exact: 3, PathPrefix: 2, RegularExpression: 1 }[path.match.type]
  const rank = [typeRank, byteLength(path.match.value), method ? 1 : 0, headers.length, queryParams.length]
  ranks.set(planned, rank)
  return rank
}

/** Of the text in UTF-8, as Go counts. */
export function byteLength(text: string): number {
  return [...text].reduce((sum, character) => sum + bytesOf(character.codePointAt(0) ?? 0), 0)
}

function bytesOf(codePoint: number): number {
  return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4
}

// Regexes ----------------------------------------------------------------------------------------------------------

/**
 * A regex may match whatever the other does. Istio ranks it below every prefix, and deletes it beside a prefix `/`;
 * between two, the longer text wins.
 */
function* regexDifferences(earlier: Entry, later: Entry): Generator<Difference> {
  const path = sampleOf(earlier.match.path, later.match.path)
  // Whatever the path is: what a rewrite makes of one says nothing of the others.
  if (isSameAnswer(earlier, later, path) && baseOf(earlier.match.path) === baseOf(later.match.path)) return
  const order = compareRanks(earlier.match, later.match)
  const isKept = order > 0 || (order === 0 && earlier.owner === later.owner)
  const isDeleted = isCatchAll(later.match) || isCatchAll(earlier.match)
  if (isKept && !isDeleted) return
  const [before, after] = isCatchAll(earlier.match) ? [later, earlier] : [earlier, later]
  yield { path, before, after, isRegex: true }
}

/** A path that both match, where one is found; else the nearest to it that is known. */
export function sampleOf(a: PlannedPath, b: PlannedPath): string {
  const literals = [a, b].map(({ kind, text }) => (kind === 'regex' ? literalPrefix(text) : text))
  const candidates = literals.flatMap(text => ['', 'x', '/', '/x', '1', '/1'].map(more => `${text}${more}`))
  const both = candidates.find(path => path.startsWith('/') && matchesToday(a, path) && matchesToday(b, path))
  return both ?? literals.toSorted((one, other) => other.length - one.length)[0] ?? '/'
}
