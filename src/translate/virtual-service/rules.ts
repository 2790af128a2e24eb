// spec.http[] -> rules. Each match is planned on its own, because its order with the others decides (order.ts) and because
// a rewrite needs a rule with a single match (section 1.3); matches with the same action come together again at the end.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import type { Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { namespaceOf } from '../snapshot.ts'
import { backendRefs, type Surroundings } from './backends.ts'
import { headerFilters } from './headers.ts'
import { httpRouteMatch, type PlannedMatch, plannedMatches } from './match.ts'
import type { Entry } from './order.ts'
import { redirectFilter } from './redirect.ts'
import { rewriteFilter } from './rewrite.ts'
import type { ScopedMatch } from './scopes.ts'
import { requestTimeout } from './timeout.ts'

/** One match and what happens to the requests that it takes. */
export interface PlannedRule {
  match: PlannedMatch
  action: Omit<gateway.HTTPRouteRule, 'matches'>
}

/** The entries that order.ts compares: every match of every `http` entry, in VirtualService order. */
export function entriesOf(
  { metadata, ...object }: istio.VirtualService,
  matches: ScopedMatch[],
  { pathPrefixes }: Settings,
  report: Report,
): Entry[] {
  const { creationTimestamp } = metadata
  const owner = `${namespaceOf({ ...object, metadata })}/${metadata.name ?? ''}`
  return matches.flatMap(({ request, entry: { http, namespace }, field, asksMore }) =>
    plannedMatches(request, field, pathPrefixes, report).map(match => ({
      match: asksMore ? { ...match, asksMore } : match,
      http,
      namespace,
      field,
      owner,
      ...(creationTimestamp ? { creationTimestamp } : {}),
    })),
  )
}

/** Every match with its action. */
export function plannedRules(entries: Entry[], surroundings: Surroundings, report: Report): PlannedRule[] {
  const common = new Map<istio.HTTPRoute, CommonAction>()
  return entries.map(({ match, http, namespace, field }) => {
    const here = field.replace(/\.match\[\d+\]$/, '')
    const action = common.get(http) ?? commonAction(http, here, { ...surroundings, namespace }, report)
    common.set(http, action)
    return { match, action: actionFor(http, match, action, here, report) }
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
export function rulesOf(planned: PlannedRule[], matchesPerRule: number): gateway.HTTPRouteRule[] {
  const rules: gateway.HTTPRouteRule[] = []
  let last: PlannedRule['action'] | undefined
  for (const { match, action } of planned) {
    const current = rules.at(-1)
    const hasRoom = (current?.matches ?? []).length < matchesPerRule
    if (current && hasRoom && isEqual(last, action) && !replacesPrefix(action)) {
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
