// The limits of the HTTPRoute CRD (research/virtualservice.md 4.1): more rules than one can hold go into several.
import type * as gateway from '../../apis/gateway.ts'
import type { Report } from '../report.ts'
import type { PlannedMatch } from './match.ts'
import { areApart, meeting } from './meeting.ts'
import { compareRanks } from './order.ts'
import { type PlannedRule, rulesOf } from './rules.ts'

const ruleLimit = 16
const matchLimit = 128
const hostnameLimit = 16

/**
 * The rules in as few lists as hold them. Istio sorts the rules of all routes of a host together, so it does not matter
 * where one stands, except among equals: matches that rank alike and can meet keep their order by staying in one route.
 */
export function rulesInChunks(
  planned: PlannedRule[],
  matchesPerRule: number,
  report: Report,
): gateway.HTTPRouteRule[][] {
  const whole = rulesOf(planned, matchesPerRule)
  if (isHeld(whole)) return [whole]
  const chunks: PlannedRule[][] = []
  let chunk: PlannedRule[] = []
  for (const cluster of tiedTogether(planned)) {
    if (!isHeld(rulesOf(cluster, matchesPerRule)))
      report('VS-MATCH-LIMIT', 'spec.http', { limit: `${ruleLimit} rules of one rank` })
    if (chunk.length > 0 && !isHeld(rulesOf([...chunk, ...cluster], matchesPerRule))) {
      chunks.push(chunk)
      chunk = []
    }
    chunk = [...chunk, ...cluster]
  }
  return [...chunks, chunk].map(rules => rulesOf(rules, matchesPerRule))
}

/** The host names in lists that a route can hold. */
export function hostnamesInChunks(hostnames: string[] | undefined): (string[] | undefined)[] {
  if (!hostnames || hostnames.length <= hostnameLimit) return [hostnames]
  return [hostnames.slice(0, hostnameLimit), ...hostnamesInChunks(hostnames.slice(hostnameLimit))]
}

function isHeld(rules: gateway.HTTPRouteRule[]): boolean {
  const matches = rules.reduce((sum, { matches = [] }) => sum + matches.length, 0)
  return rules.length <= ruleLimit && matches <= matchLimit
}

function tiedTogether(planned: PlannedRule[]): PlannedRule[][] {
  const clusters: PlannedRule[][] = []
  const places = new Map(planned.map((rule, i) => [rule, i]))
  for (const rule of planned) {
    const tied = clusters.filter(cluster => cluster.some(other => isTied(other.match, rule.match)))
    const [first] = tied
    if (!first) clusters.push([rule])
    else {
      first.push(...tied.slice(1).flat(), rule)
      for (const other of tied.slice(1)) clusters.splice(clusters.indexOf(other), 1)
      if (tied.length > 1) first.sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0))
    }
  }
  return clusters
}

function isTied(a: PlannedMatch, b: PlannedMatch): boolean {
  return compareRanks(a, b) === 0 && !areApart(a, b) && meeting(a, b) !== undefined
}
