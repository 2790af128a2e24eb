// Which requests two matches have in common. Conditions are read as Envoy does: a regex matches a whole value.
import type * as gateway from '../../apis/gateway.ts'
import { literalPrefix, matchesWhole } from '../regex.ts'
import { baseOf, type PlannedMatch, type PlannedPath } from './match.ts'

/** What a request has to fulfil beside its path. */
export interface Conditions {
  method?: string
  headers: gateway.HTTPHeaderMatch[]
  queryParams: gateway.HTTPHeaderMatch[]
}

/** The conditions of both together; `isExpressible` unless two regexes are asked of one header or parameter. */
export function meeting(a: Conditions, b: Conditions): (Conditions & { isExpressible: boolean }) | undefined {
  if (a.method && b.method && a.method !== b.method) return undefined
  const headers = both(a.headers, b.headers, name => name.toLowerCase())
  const queryParams = both(a.queryParams, b.queryParams, name => name)
  if (!headers || !queryParams) return undefined
  const method = a.method ?? b.method
  const isExpressible = isOneEach(headers, name => name.toLowerCase()) && isOneEach(queryParams, name => name)
  return { ...(method ? { method } : {}), headers, queryParams, isExpressible }
}

function both(
  a: gateway.HTTPHeaderMatch[],
  b: gateway.HTTPHeaderMatch[],
  keyOf: (name: string) => string,
): gateway.HTTPHeaderMatch[] | undefined {
  const all: gateway.HTTPHeaderMatch[] = [...a]
  for (const condition of b) {
    const others = all.filter(({ name }) => keyOf(name) === keyOf(condition.name))
    if (others.some(other => isContrary(other, condition))) return undefined
    if (others.some(other => isImplied(condition, other))) continue
    const weaker = others.filter(other => isImplied(other, condition))
    for (const other of weaker) all.splice(all.indexOf(other), 1)
    all.push(condition)
  }
  return all.sort((one, other) => (keyOf(one.name) < keyOf(other.name) ? -1 : 1))
}

function isOneEach(conditions: gateway.HTTPHeaderMatch[], keyOf: (name: string) => string): boolean {
  return new Set(conditions.map(({ name }) => keyOf(name))).size === conditions.length
}

/** Whether no value satisfies both. */
function isContrary(a: gateway.HTTPHeaderMatch, b: gateway.HTTPHeaderMatch): boolean {
  if (a.type === 'Exact' && b.type === 'Exact') return a.value !== b.value
  if (a.type === 'Exact') return !matchesWhole(b.value, a.value)
  return b.type === 'Exact' && !matchesWhole(a.value, b.value)
}

/** Whether what satisfies `given` satisfies `condition`, of the same name, as well. */
function isImplied(condition: gateway.HTTPHeaderMatch, given: gateway.HTTPHeaderMatch): boolean {
  if (condition.type === given.type && condition.value === given.value) return true
  if (condition.type === 'Exact') return false
  return condition.value === '.*' || (given.type === 'Exact' && matchesWhole(condition.value, given.value))
}

/** Whether a request that fulfils `given`, of which no more is known, fulfils the conditions. */
export function isFulfilled({ method, headers, queryParams }: Conditions, given: Conditions): boolean {
  if (method && method !== given.method) return false
  return (
    headers.every(condition =>
      given.headers.some(
        other => other.name.toLowerCase() === condition.name.toLowerCase() && isImplied(condition, other),
      ),
    ) &&
    queryParams.every(condition =>
      given.queryParams.some(other => other.name === condition.name && isImplied(condition, other)),
    )
  )
}

// Paths ------------------------------------------------------------------------------------------------------------

/** The prefix `/`, the empty one, no path at all, and the regex `.*`. */
export function isEveryPath({ match: { type, value } }: PlannedPath): boolean {
  return type === 'PathPrefix' && value === '/'
}

/** The prefix `/` and nothing else: what Gateway API ranks last, and beside which Istio deletes every regex. */
export function isCatchAll({ path, method, headers, queryParams }: PlannedMatch): boolean {
  return isEveryPath(path) && !method && headers.length + queryParams.length === 0
}

/** Whether Istio matches the path today. */
export function matchesToday(planned: PlannedPath, path: string): boolean {
  if (isEveryPath(planned)) return true
  if (planned.kind === 'regex') return matchesWhole(planned.text, path)
  return planned.kind === 'exact' ? path === planned.text : path.startsWith(planned.text)
}

/** Whether an HTTPRoute matches the path. */
export function matchesThen({ match: { type, value } }: PlannedPath, path: string): boolean {
  if (type === 'RegularExpression') return matchesWhole(value, path)
  if (type === 'Exact') return path === value
  return value === '/' || path === value || path.startsWith(`${value}/`)
}

/**
 * The text with which every path begins that can matter to the match, today or as an HTTPRoute: what routing-index.ts
 * files it under. Two matches can meet only if one stem begins with the other.
 */
export function stemOf(planned: PlannedPath): string {
  const known = stems.get(planned)
  if (known !== undefined) return known
  const text = planned.kind === 'regex' ? literalPrefix(planned.text) : planned.text
  const stem = isEveryPath(planned) ? '' : text.replace(/\/$/, '')
  stems.set(planned, stem)
  return stem
}

/** Asked for each pair of many. */
const stems = new WeakMap<PlannedPath, string>()

/** Whether no request can matter to both: most of many are told apart by this alone. */
export function areApart(a: PlannedMatch, b: PlannedMatch): boolean {
  const [one, other] = [stemOf(a.path), stemOf(b.path)]
  return !one.startsWith(other) && !other.startsWith(one)
}

/** Whether Istio answers with a whatever b matches, when a stands first. */
export function covers(a: PlannedMatch, b: PlannedMatch): boolean {
  if (!isFulfilled(a, b)) return false
  // Without a header is a condition as well: only who asks for the same is covered.
  const absent = (b.withoutHeaders ?? []).map(({ name, type, value }) => `${name.toLowerCase()} ${type} ${value}`)
  const asksMore = (a.withoutHeaders ?? []).some(
    ({ name, type, value }) => !absent.includes(`${name.toLowerCase()} ${type} ${value}`),
  )
  return !asksMore && coversPath(a.path, b.path)
}

function coversPath(a: PlannedPath, b: PlannedPath): boolean {
  if (isEveryPath(a)) return true
  if (a.kind === 'prefix')
    return (b.kind === 'regex' ? literalPrefix(b.text) : b.text).startsWith(a.text) && !isEveryPath(b)
  if (b.kind === 'exact') return matchesToday(a, b.text)
  return a.kind === 'regex' && b.kind === 'regex' && a.text === b.text
}

/** Whether an HTTPRoute with a matches whatever one with b does, of two that Istio matches so. */
export function coversThen({ match: a }: PlannedPath, { match: b }: PlannedPath): boolean {
  if (a.type !== 'PathPrefix' || a.value === '/') return true
  return b.value === a.value || b.value.startsWith(`${a.value}/`)
}

/**
 * The path that both match, with the rewriting of a; undefined when no single path match says it. A prefix that holds
 * the other gives way to it, and an exact path to none.
 */
export function meetingPath(a: PlannedPath, b: PlannedPath): PlannedPath | undefined {
  const base = baseOf(a)
  if (a.kind === 'exact') return matchesToday(b, a.text) ? a : undefined
  if (b.kind === 'exact') {
    if (!matchesToday(a, b.text)) return undefined
    const { base: _, ...exact } = b
    return { ...exact, ...(base === undefined ? {} : { base }) }
  }
  // A regex has its whole path rewritten, and says with which other paths it meets only by itself.
  if (a.kind === 'regex') return isEveryPath(b) || a.text === b.text ? a : undefined
  if (isEveryPath(b) || (b.kind === 'prefix' && a.text.startsWith(b.text))) return a
  if (b.kind === 'regex' ? !isEveryPath(a) : !isEveryPath(a) && !b.text.startsWith(a.text)) return undefined
  const { base: _, ...longer } = b
  return { ...longer, ...(base === undefined ? {} : { base }) }
}
