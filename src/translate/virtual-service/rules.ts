// spec.http[] -> rules. Each match is planned on its own, because a rewrite needs a rule with a single match
// (section 1.3); matches with the same action come together again where Gateway API allows it.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import type { Report } from '../report.ts'
import { backendRefs, type Surroundings } from './backends.ts'
import type { HTTPEntry } from './delegates.ts'
import { headerFilters } from './headers.ts'
import { everything, httpRouteMatch, type PlannedMatch, plannedMatches } from './match.ts'
import { redirectFilter } from './redirect.ts'
import { rewriteFilter } from './rewrite.ts'
import { requestTimeout } from './timeout.ts'

/** One match and what happens to the requests that it takes. */
export interface PlannedRule {
  match: PlannedMatch
  action: Omit<gateway.HTTPRouteRule, 'matches'>
  field: string
}

/** Every match of every entry with its action, in VirtualService order. */
export function plannedRules(entries: HTTPEntry[], surroundings: Surroundings, report: Report): PlannedRule[] {
  return entries.flatMap(({ http, field, namespace }) => {
    const common = commonAction(http, field, { ...surroundings, shortNames: namespace }, report)
    return plannedMatchesOf(http, field, surroundings, report).map(planned => ({
      match: planned.match,
      action: actionFor(http, planned.match, common, field, report),
      field: planned.field,
    }))
  })
}

function plannedMatchesOf({ match = [] }: istio.HTTPRoute, field: string, surroundings: Surroundings, report: Report) {
  if (match.length === 0) return [{ match: everything, field }]
  return match.flatMap((request, i) => {
    const here = `${field}.match[${i}]`
    return plannedMatches(request, here, surroundings.settings.pathPrefixes, report).map(match => ({
      match,
      field: here,
    }))
  })
}

/** What the entry does whatever the match was. */
interface CommonAction {
  filters: gateway.HTTPRouteFilter[]
  hostname?: string
  backendRefs?: gateway.HTTPBackendRef[]
  timeouts?: { request: string }
}

function commonAction(
  { headers = {}, route = [], redirect, rewrite, timeout }: istio.HTTPRoute,
  field: string,
  surroundings: Surroundings,
  report: Report,
): CommonAction {
  if (redirect && (route.length > 0 || rewrite)) report('VS-REDIRECT-ROUTE', `${field}.redirect`)
  if (!redirect && route.length === 0) report('VS-ROUTE-EMPTY', field)
  const { capabilities } = surroundings.cluster
  const request = timeout ? requestTimeout(timeout, `${field}.timeout`, capabilities, report) : undefined
  return {
    ...headerFilters(headers, `${field}.headers`, report),
    // Gateway API excludes backendRefs beside a redirect.
    ...(redirect ? {} : { backendRefs: backendRefs(route, `${field}.route`, surroundings, report) }),
    ...(request && !redirect ? { timeouts: { request } } : {}),
  }
}

function actionFor(
  { redirect, rewrite }: istio.HTTPRoute,
  { path }: PlannedMatch,
  { filters, hostname, backendRefs, timeouts }: CommonAction,
  field: string,
  report: Report,
): PlannedRule['action'] {
  const pathFilter = redirect
    ? redirectFilter(redirect, path, `${field}.redirect`, report)
    : withHostname(rewrite && rewriteFilter(rewrite, path, `${field}.rewrite`, report), hostname)
  const all = pathFilter ? [...filters, pathFilter] : filters
  return {
    ...(all.length > 0 ? { filters: all } : {}),
    ...(backendRefs ? { backendRefs } : {}),
    ...(timeouts ? { timeouts } : {}),
  }
}

/** A rewrite of the Host that came as a header operation joins the URLRewrite; rewrite.authority goes first, as in Istio. */
function withHostname(
  filter: gateway.HTTPRouteFilter | undefined,
  hostname: string | undefined,
): gateway.HTTPRouteFilter | undefined {
  if (!hostname) return filter
  const urlRewrite = filter?.type === 'URLRewrite' ? filter.urlRewrite : {}
  return { type: 'URLRewrite', urlRewrite: { hostname, ...urlRewrite } }
}

/** Neighbouring matches with equal actions become one rule, unless it replaces a prefix, which takes a rule each. */
export function rulesOf(planned: PlannedRule[]): gateway.HTTPRouteRule[] {
  const rules: gateway.HTTPRouteRule[] = []
  let last: PlannedRule['action'] | undefined
  for (const { match, action } of planned) {
    const current = rules.at(-1)
    if (current && isEqual(last, action) && !replacesPrefix(action)) {
      rules[rules.length - 1] = { ...current, matches: [...(current.matches ?? []), httpRouteMatch(match)] }
    } else {
      rules.push({ matches: [httpRouteMatch(match)], ...action })
      last = action
    }
  }
  return rules
}

/** Whether what comes out depends on the prefix that was matched. */
export function replacesPrefix({ filters = [] }: PlannedRule['action']): boolean {
  return filters.some(
    filter =>
      (filter.type === 'URLRewrite' && filter.urlRewrite.path?.type === 'ReplacePrefixMatch') ||
      (filter.type === 'RequestRedirect' && filter.requestRedirect.path?.type === 'ReplacePrefixMatch'),
  )
}

/** The limits of the CRD (section 4.1); above them the API server refuses the HTTPRoute. */
export function checkLimits(rules: gateway.HTTPRouteRule[], report: Report): void {
  if (rules.length > 16) report('VS-MATCH-LIMIT', 'spec.http', { limit: '16 rules' })
  const counts = rules.map(({ matches = [] }) => matches.length)
  if (counts.some(count => count > 64)) report('VS-MATCH-LIMIT', 'spec.http', { limit: '64 matches in a rule' })
  if (counts.reduce((sum, count) => sum + count, 0) > 128)
    report('VS-MATCH-LIMIT', 'spec.http', { limit: '128 matches in all' })
}
