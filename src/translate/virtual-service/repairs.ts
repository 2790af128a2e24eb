// What can be said to Gateway API in another way, so that it answers as Istio does (research/virtualservice.md 2.4).
import type { Report } from '../report.ts'
import type { Effort } from './effort.ts'
import type { PlannedMatch } from './match.ts'
import { areApart, covers, coversThen, matchesToday, meeting, meetingPath } from './meeting.ts'
import { differences, type Entry } from './order.ts'

/** More than an HTTPRoute can hold; what needs more is refused for the order that is left. */
const limit = 256

/**
 * R0: the entries without those that an earlier one always answers, which would come alive. `dead` tells, by field, which
 * one that is, where nothing is left of a match: of `GET|POST` one half may be dead. Behind the prefix `/foo` an entry for
 * `/foobar` is dead today, where a PathPrefix would lose it: it stays, with the action of the one that answers.
 */
export function withoutDead(entries: Entry[]): { alive: Entry[]; dead: Map<string, string> } {
  const alive: Entry[] = []
  const dead = new Map<string, string>()
  for (const entry of entries) {
    // What one match was planned into, for a path override or an alternation, does not stand in its own way.
    const earlier = alive.find(other => other.field !== entry.field && covers(other.match, entry.match))
    if (!earlier) alive.push(entry)
    else {
      dead.set(entry.field, earlier.field)
      const kept = coversThen(earlier.match.path, entry.match.path) ? undefined : intersection(earlier, entry)
      if (kept) alive.push({ ...kept, isAdded: true })
    }
  }
  for (const { field } of alive) dead.delete(field)
  return { alive, dead }
}

/**
 * R2: HTTPRoute cannot ask for the absence of a header. The entry is kept without that condition, and before it stand
 * the later ones that answer when the header is there. Reports an entry behind which somebody else would have to answer.
 */
export function withoutNegations(entries: Entry[], effort: Effort, report: Report): Entry[] {
  let positive: Entry[] = []
  // From the end, so that the later entries have no negations left.
  for (const entry of entries.toReversed()) {
    const { withoutHeaders = [], ...match } = entry.match
    const shadows = withoutHeaders.flatMap(header => {
      const present = meeting(match, { headers: [header], queryParams: [] })
      // The positive conditions exclude it already.
      // Each of them may double what follows.
      if (!present || !effort.spend(30 * positive.length)) return []
      const { isExpressible, ...conditions } = present
      const asked = { ...entry, match: { path: match.path, ...conditions } }
      const answering = isExpressible ? answeringInItsPlace(asked, positive) : undefined
      if (!answering) report('VS-MATCH-WITHOUT-HEADERS', `${entry.field}.withoutHeaders`, { name: header.name })
      return answering ?? []
    })
    positive = [...shadows, { ...entry, match }, ...positive]
  }
  return positive
}

/** The later entries, narrowed to the requests of one; undefined when they leave some of them to nobody. */
function answeringInItsPlace(asked: Entry, later: Entry[]): Entry[] | undefined {
  const answering: Entry[] = []
  for (const entry of later) {
    if (!meeting(entry.match, asked.match) || areApart(entry.match, asked.match)) continue
    const narrowed = intersection(entry, asked)
    if (narrowed) answering.push(narrowed)
    // Of two paths that no regex is in, there is a common one or they do not meet.
    else if ([entry, asked].some(({ match: { path } }) => path.kind === 'regex')) return undefined
    else if (meetingPath(entry.match.path, asked.match.path)) return undefined
    if (covers(entry.match, asked.match)) return answering
  }
  return undefined
}

/**
 * R1: where a later, more specific entry would take requests from an earlier one, the requests that both match get an
 * entry of their own, with the earlier one's action. The bare path that a prefix would gain goes back in the same way.
 * What cannot be mended so is left for the judge.
 */
export function withIntersections(entries: Entry[], effort: Effort): Entry[] {
  let repaired = entries
  for (let inserted = true; inserted && repaired.length < limit; ) {
    inserted = false
    for (const { path, before, after, isRegex } of differences(repaired, () => true, 'nothing', effort)) {
      if (!before || !after || isRegex) continue
      const added = matchesToday(after.match.path, path) ? intersection(before, after) : atPath(before, after, path)
      if (!added || repaired.some(entry => isSameMatch(entry.match, added.match))) continue
      const i = repaired.indexOf(before)
      repaired = [...repaired.slice(0, i), { ...added, isAdded: true }, ...repaired.slice(i)]
      inserted = true
      break
    }
  }
  return repaired
}

/** The requests that both match, with the first one's action. */
function intersection(first: Entry, second: Entry): Entry | undefined {
  const conditions = meeting(first.match, second.match)
  const path = meetingPath(first.match.path, second.match.path)
  if (!conditions?.isExpressible || !path) return undefined
  const { isExpressible: _, ...rest } = conditions
  return { ...first, match: { path, ...rest } }
}

/** One path of the first, under the conditions of both. */
function atPath(first: Entry, second: Entry, path: string): Entry | undefined {
  const exact = { match: { type: 'Exact', value: path }, kind: 'exact', text: path } as const
  return intersection(first, { ...second, match: { ...second.match, path: exact } })
}

function isSameMatch(a: PlannedMatch, b: PlannedMatch): boolean {
  return a.path.match.type === b.path.match.type && a.path.match.value === b.path.match.value && isSameConditions(a, b)
}

function isSameConditions(a: PlannedMatch, b: PlannedMatch): boolean {
  return JSON.stringify([a.method, a.headers, a.queryParams]) === JSON.stringify([b.method, b.headers, b.queryParams])
}
