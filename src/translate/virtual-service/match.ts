// spec.http[].match[] -> matches (research/virtualservice.md 1.1).
// A condition that HTTPRoute cannot say is refused, never left out: without it more requests would match.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { isRegex, matchesWhole, quoted } from '../regex.ts'
import type { Report } from '../report.ts'
import { headerName } from './headers.ts'

/** A path condition as HTTPRoute will match it, and as Istio does today. */
export interface PlannedPath {
  match: gateway.HTTPPathMatch
  /** How Istio matches: the path begins with the text, is the text, or matches it as a whole. */
  kind: 'prefix' | 'exact' | 'regex'
  text: string
  /** The prefix in the VirtualService, which a rewrite replaces, where `text` is only a part of what it matches. */
  base?: string
}

/** What a rewrite replaces; undefined is the whole path. */
export function baseOf({ kind, text, base }: PlannedPath): string | undefined {
  return base ?? (kind === 'prefix' ? text : undefined)
}

/** One match entry, possibly several where a path override or an alternation of methods asks for it. */
export interface PlannedMatch {
  path: PlannedPath
  method?: string
  headers: gateway.HTTPHeaderMatch[]
  queryParams: gateway.HTTPHeaderMatch[]
  /** Headers of which none may match; repairs.ts puts other rules in their place, since HTTPRoute has no negation. */
  withoutHeaders?: gateway.HTTPHeaderMatch[]
  /** Whether Istio asks for more than an HTTPRoute has to: a host, a scheme, or the absence of a header. */
  asksMore?: boolean
}

/** The matches that stand for one entry of `match`; none when it can never match. */
export function plannedMatches(
  match: istio.HTTPMatchRequest,
  field: string,
  pathPrefixes: Record<string, string[]>,
  report: Report,
): PlannedMatch[] {
  const paths = plannedPaths(match, `${field}.uri`, pathPrefixes, report)
  const methods = plannedMethods(match.method, `${field}.method`, report)
  const headers = conditions(match.headers ?? {}, `${field}.headers`, report)
  const queryParams = conditions(match.queryParams ?? {}, `${field}.queryParams`, report)
  const withoutHeaders = conditions(match.withoutHeaders ?? {}, `${field}.withoutHeaders`, report)
  for (const [name, { exact, regex }] of Object.entries(match.withoutHeaders ?? {})) {
    // Envoy takes a header that is not there for an empty one, which then must not match either (decision 0003).
    if (exact === '' || (regex !== undefined && matchesWhole(regex, '')))
      report('VS-MATCH-WITHOUT-HEADERS', `${field}.withoutHeaders`, { name })
  }
  return paths.flatMap(path =>
    methods.map(method => ({
      path,
      ...(method ? { method } : {}),
      headers,
      queryParams,
      ...(withoutHeaders.length > 0 ? { withoutHeaders, asksMore: true } : {}),
    })),
  )
}

/** The matches of an entry that has none: every request. */
export const everything: PlannedMatch = {
  path: { match: { type: 'PathPrefix', value: '/' }, kind: 'prefix', text: '/' },
  headers: [],
  queryParams: [],
}

/** A planned match in Gateway API's words. */
export function httpRouteMatch({ path, method, headers, queryParams }: PlannedMatch): gateway.HTTPRouteMatch {
  return {
    path: path.match,
    ...(headers.length > 0 ? { headers } : {}),
    ...(queryParams.length > 0 ? { queryParams } : {}),
    ...(method ? { method } : {}),
  }
}

// uri --------------------------------------------------------------------------------------------------------------

// The CEL rules and the pattern of HTTPPathMatch (gateway-api apis/v1/httproute_types.go).
const refusedPath = /\/\/|\/\.\/|\/\.\.\/|%2[fF]|#|\/\.\.?$/
const acceptedPath = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/
const pathLimit = 1024

function plannedPaths(
  { uri, ignoreUriCase }: istio.HTTPMatchRequest,
  field: string,
  pathPrefixes: Record<string, string[]>,
  report: Report,
): PlannedPath[] {
  const matcher = uri && soleMatcher(uri, field, report)
  if (!matcher) return [everything.path]
  const { kind, text } = matcher
  if (kind === 'regex') return [regexPath(text, field, report)]
  // Envoy matches the path without its query, and every path begins with a slash.
  if ((kind === 'exact' || text !== '') && (!text.startsWith('/') || text.includes('?'))) {
    report('VS-MATCH-PATH-DEAD', field, { path: text.slice(0, 60) || '""' })
    return []
  }
  const asRegex = `${quoted(text)}${kind === 'prefix' ? '.*' : ''}`
  // As a regex to Istio too: what is compared with it is then compared without regard to case.
  if (ignoreUriCase && /[a-z]/i.test(text)) {
    return [{ ...regexPath(`(?i)${asRegex}`, field, report), ...(kind === 'prefix' ? { base: text } : {}) }]
  }
  if (kind === 'exact') {
    if (isAcceptedPath(text)) return [{ match: { type: 'Exact', value: text }, kind, text }]
    return [{ ...regexPath(asRegex, field, report), kind, text }]
  }
  if (text === '/' || text === '') return [{ ...everything.path, text }]
  const elements = Object.hasOwn(pathPrefixes, text) ? pathPrefixes[text] : undefined
  if (elements) {
    return elements.filter(element => element.startsWith(text)).map(element => ({ ...prefixPath(element), base: text }))
  }
  if (isAcceptedPath(text)) return [prefixPath(text)]
  return [{ ...regexPath(asRegex, field, report), kind, text }]
}

/** A prefix as path elements. What that gains and loses is told when the rules stand (order.ts). */
function prefixPath(prefix: string): PlannedPath {
  return { match: { type: 'PathPrefix', value: withoutSlash(prefix) }, kind: 'prefix', text: prefix }
}

/** `/foo/` -> `/foo`; `/` stays. */
export function withoutSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/$/, '') : path
}

function regexPath(regex: string, field: string, report: Report): PlannedPath {
  if (regex.length > pathLimit || !isRegex(regex) || regex === '') {
    report('VS-MATCH-REGEX', field, { regex: shown(regex) || '""' })
  }
  // Istio drops every rule behind the regex `.*`; as a prefix it matches the same and sorts where it belongs.
  if (regex === '.*' || regex === '/.*') return { ...everything.path, kind: 'regex', text: regex }
  return { match: { type: 'RegularExpression', value: regex }, kind: 'regex', text: regex }
}

function isAcceptedPath(path: string): boolean {
  return path.length <= pathLimit && acceptedPath.test(path) && !refusedPath.test(path)
}

/** A path as a message shows it. */
export function shown(path: string): string {
  return path.length > 60 ? `${path.slice(0, 60)}…` : path
}

// method -----------------------------------------------------------------------------------------------------------

/** The methods that HTTPRoute can match and that its CORS filter can allow. */
export const standardMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']

/** The methods to match; `[undefined]` is any. A finite alternation (`GET|POST`) becomes one match each. */
function plannedMethods(method: istio.StringMatch | undefined, field: string, report: Report): (string | undefined)[] {
  const matcher = method && soleMatcher(method, field, report)
  if (!matcher) return [undefined]
  const { kind, text } = matcher
  if (kind === 'prefix') {
    // Methods outside the standard may begin with it too.
    report('VS-MATCH-METHOD', field, { method: `${text.slice(0, 40)}...` })
    return []
  }
  const wanted = kind === 'exact' ? [text] : alternatives(text)
  const foreign = wanted.filter(name => !standardMethods.includes(name))
  if (foreign.length > 0) report('VS-MATCH-METHOD', field, { method: foreign[0]?.slice(0, 40) || '""' })
  // More than there are is refused already.
  return [...new Set(wanted)].slice(0, standardMethods.length)
}

/** The words of `GET|POST`, `(GET|POST)` and `^(GET|POST)$`. Anything else comes out as words that are no methods. */
function alternatives(regex: string): string[] {
  return regex.replace(/^\^?(?:\(\??:?)?(.*?)\)?\$?$/, '$1').split('|')
}

// headers, queryParams ---------------------------------------------------------------------------------------------

const conditionLimit = 16

function conditions(
  matches: Record<string, istio.StringMatch>,
  field: string,
  report: Report,
): gateway.HTTPHeaderMatch[] {
  const names = Object.keys(matches).sort()
  // Header names have no case, names of query parameters do.
  const keyOf = (name: string) => (field.endsWith('.queryParams') ? name : name.toLowerCase())
  if (names.length > conditionLimit) report('VS-MATCH-LIMIT', field, { limit: `${conditionLimit} conditions` })
  const seen = new Set<string>()
  return names.slice(0, conditionLimit).map(name => {
    const here = `${field}[${name}]`
    const isRepeated = seen.has(keyOf(name))
    seen.add(keyOf(name))
    if (!headerName.test(name) || name.length > 256 || isRepeated)
      report('VS-MATCH-HEADER-NAME', here, { name: name.slice(0, 60) })
    return condition(name, soleMatcher(matches[name] ?? {}, here, report), here, report)
  })
}

function condition(name: string, matcher: Matcher | undefined, field: string, report: Report): gateway.HTTPHeaderMatch {
  // An empty match asks for presence (`canBeConvertedToPresentMatch`, istio/istio pilot/pkg/networking/core/route).
  if (!matcher) return { type: 'RegularExpression', name, value: '.*' }
  const { kind, text } = matcher
  if (kind === 'exact' && text !== '' && text.length <= 4096) return { type: 'Exact', name, value: text }
  const value = kind === 'regex' ? text : kind === 'prefix' ? `${quoted(text)}.*` : text === '' ? '^$' : quoted(text)
  if (value.length > 4096 || value === '' || !isRegex(value))
    report('VS-MATCH-REGEX', field, { regex: shown(value) || '""' })
  return { type: 'RegularExpression', name, value }
}

interface Matcher {
  kind: 'exact' | 'prefix' | 'regex'
  text: string
}

/** The one matcher that is set; undefined when none is. The CRD refuses two, and so do we. */
function soleMatcher(match: istio.StringMatch, field: string, report: Report): Matcher | undefined {
  const matchers = (['exact', 'prefix', 'regex'] as const).flatMap(kind => {
    const text = match[kind]
    return typeof text === 'string' ? [{ kind, text }] : []
  })
  if (matchers.length > 1) report('VS-FIELD-TYPE', field, { wanted: 'exact, prefix or regex, one of them' })
  return matchers[0]
}
