// spec.http[] -> rules. Each match is planned on its own, because its order with the others decides (order.ts) and because
// a rewrite needs a rule with a single match (section 1.3); matches with the same action come together again at the end.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { canonicalJson } from '../canonical.ts'
import type { Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { namespaceOf } from '../snapshot.ts'
import { backendRefs, type Surroundings } from './backends.ts'
import { corsFilter } from './cors.ts'
import { headerFilters } from './headers.ts'
import { httpRouteMatch, type PlannedMatch, plannedMatches } from './match.ts'
import { mirrorFilters } from './mirrors.ts'
import type { Entry } from './order.ts'
import { redirectFilter } from './redirect.ts'
import { type Retrying, retryOf } from './retries.ts'
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
    const action = common.get(http) ?? commonAction(http, here, { ...surroundings, shortNames: namespace }, report)
    common.set(http, action)
    return { match, action: actionFor(http, match, action, here, surroundings, report) }
  })
}

/** What the entry does whatever the match was. */
interface CommonAction {
  filters: gateway.HTTPRouteFilter[]
  hostname?: string
  backendRefs?: gateway.HTTPBackendRef[]
  timeouts?: { request?: string; backendRequest?: string }
  retry?: gateway.HTTPRouteRetry
}

function commonAction(http: istio.HTTPRoute, field: string, surroundings: Surroundings, report: Report): CommonAction {
  const { headers = {}, route = [], redirect, rewrite, timeout, retries, corsPolicy } = http
  const { capabilities } = surroundings.cluster
  if (redirect && (route.length > 0 || rewrite)) report('VS-REDIRECT-ROUTE', `${field}.redirect`)
  const { filters, hostname } = headerFilters(headers, `${field}.headers`, report)
  // Beside a redirect or a direct response Envoy's CORS does nothing (docs/decisions/0003-envoy.md).
  const isRouted = !redirect && !http.directResponse
  const cors = isRouted && corsPolicy ? corsFilter(corsPolicy, `${field}.corsPolicy`, capabilities, report) : undefined
  const common = { filters: cors ? [...filters, cors] : filters, ...(hostname ? { hostname } : {}) }
  const request = timeout ? requestTimeout(timeout, `${field}.timeout`, capabilities, report) : undefined
  // What answers by itself asks no backend: nothing is sent again, copied or waited for.
  if (redirect || isAnswered(http, field, report)) return common
  if (route.length === 0) report('VS-ROUTE-EMPTY', field)
  const retrying = retries ? retryOf(retries, request, `${field}.retries`, capabilities, report) : {}
  return {
    ...common,
    filters: [...common.filters, ...mirrorFilters(http, field, surroundings, report)],
    backendRefs: backendRefs(route, `${field}.route`, surroundings, report, headers),
    ...timeoutsOf(request, retrying),
  }
}

/** A rule without backends answers 500 with an empty body on Istio (`convertHTTPRoute`), and that is all it can answer. */
function isAnswered({ directResponse }: istio.HTTPRoute, field: string, report: Report): boolean {
  if (!directResponse) return false
  const { status, body = {} } = directResponse
  if (status !== 500 || body.string || body.bytes) report('VS-DIRECT-RESPONSE', `${field}.directResponse`)
  return true
}

function timeoutsOf(request: string | undefined, { retry, backendRequest }: Retrying) {
  const timeouts = { ...(request ? { request } : {}), ...(backendRequest ? { backendRequest } : {}) }
  return { ...(request || backendRequest ? { timeouts } : {}), ...(retry ? { retry } : {}) }
}

function actionFor(
  { name, redirect, rewrite }: istio.HTTPRoute,
  { path }: PlannedMatch,
  { filters, hostname, ...common }: CommonAction,
  field: string,
  surroundings: Surroundings,
  report: Report,
): PlannedRule['action'] {
  const pathFilter = redirect
    ? redirectFilter(redirect, path, `${field}.redirect`, surroundings, report)
    : withHostname(rewrite && rewriteFilter(rewrite, path, `${field}.rewrite`, report), hostname)
  const all = pathFilter ? [...filters, pathFilter] : filters
  if (all.length > 16) report('VS-MATCH-LIMIT', field, { limit: '16 filters in a rule' })
  const named = name && surroundings.cluster.capabilities.httpRoute.ruleName && ruleName(name)
  return { ...(named ? { name: named } : {}), ...(all.length > 0 ? { filters: all } : {}), ...common }
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
    if (current && hasRoom && !replacesPrefix(action) && last && textOf(last) === textOf(action)) {
      rules[rules.length - 1] = { ...current, matches: [...(current.matches ?? []), httpRouteMatch(match)] }
    } else {
      const { name, ...rest } = action
      rules.push({ ...(name ? { name: unusedName(name, rules) } : {}), matches: [httpRouteMatch(match)], ...rest })
      last = action
    }
  }
  return rules
}

const texts = new WeakMap<PlannedRule['action'], string>()

/** To compare by: an action may have many matches. */
function textOf(action: PlannedRule['action']): string {
  const text = texts.get(action) ?? canonicalJson(action)
  texts.set(action, text)
  return text
}

/** Istio calls its route so, in access logs and for EnvoyFilters, whether it comes from `http[].name` or `rules[].name`. */
function ruleName(name: string): string {
  const labels = name.toLowerCase().slice(0, 240).split('.')
  return labels
    .map(label => label.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, ''))
    .filter(Boolean)
    .join('.')
}

/** Names are unique within a route; Istio's are not. */
function unusedName(name: string, rules: gateway.HTTPRouteRule[]): string {
  const isUsed = (candidate: string) => rules.some(rule => rule.name === candidate)
  if (!isUsed(name)) return name
  return `${name}-${[...rules.keys()].map(i => i + 2).find(i => !isUsed(`${name}-${i}`))}`
}

/** Whether what comes out depends on the prefix that was matched. */
export function replacesPrefix({ filters = [] }: PlannedRule['action']): boolean {
  return filters.some(
    filter =>
      (filter.type === 'URLRewrite' && filter.urlRewrite.path?.type === 'ReplacePrefixMatch') ||
      (filter.type === 'RequestRedirect' && filter.requestRedirect.path?.type === 'ReplacePrefixMatch'),
  )
}
