// spec.http[].match[] -> matches (research/virtualservice.md 1.1).
// A condition that HTTPRoute cannot say is refused, never left out: without it more requests would match.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import { headerName } from './headers.ts'

/** A path condition as HTTPRoute will match it, and as the VirtualService does. */
export interface PlannedPath {
  match: gateway.HTTPPathMatch
  /** How Istio matches, and so what a rewrite replaces: the text of a prefix, or the whole path. */
  kind: 'prefix' | 'exact' | 'regex'
  /** The VirtualService's own text. */
  text: string
  /** What `pathPrefixes` added to a prefix: `.MetadataStoreService` in `/ml_metadata.MetadataStoreService`. */
  suffix: string
}

/** One match entry, possibly several where a path override or an alternation of methods asks for it. */
export interface PlannedMatch {
  path: PlannedPath
  method?: string
  headers: gateway.HTTPHeaderMatch[]
  queryParams: gateway.HTTPHeaderMatch[]
}

/** The matches that stand for one entry of `match`; none when it can never match. */
export function plannedMatches(
  match: istio.HTTPMatchRequest,
  field: string,
  pathPrefixes: Record<string, string[]>,
  report: Report,
): PlannedMatch[] {
  const paths = plannedPaths(match.uri, `${field}.uri`, pathPrefixes, report)
  const methods = plannedMethods(match.method, `${field}.method`, report)
  const headers = conditions(match.headers ?? {}, `${field}.headers`, report)
  const queryParams = conditions(match.queryParams ?? {}, `${field}.queryParams`, report)
  return paths.flatMap(path => methods.map(method => ({ path, ...(method ? { method } : {}), headers, queryParams })))
}

/** The matches of an entry that has none: every request. */
export const everything: PlannedMatch = {
  path: { match: { type: 'PathPrefix', value: '/' }, kind: 'prefix', text: '/', suffix: '' },
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
  uri: istio.StringMatch | undefined,
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
  if (kind === 'exact') {
    if (!isAcceptedPath(text)) report('VS-MATCH-PATH', field)
    return [{ match: { type: 'Exact', value: text }, kind, text, suffix: '' }]
  }
  return prefixPaths(text, field, pathPrefixes, report)
}

/**
 * Istio matches a prefix as text, PathPrefix by path elements. `/foo/` gains the path `/foo`, and `/foo` loses `/foobar`:
 * both are said. A prefix that is no path element at all needs `pathPrefixes` to name the elements that it meant.
 */
function prefixPaths(
  prefix: string,
  field: string,
  pathPrefixes: Record<string, string[]>,
  report: Report,
): PlannedPath[] {
  if (prefix === '/' || prefix === '') return [{ ...everything.path, text: prefix }]
  const elements = Object.hasOwn(pathPrefixes, prefix) ? pathPrefixes[prefix] : undefined
  if (elements)
    return elements
      .filter(element => element.startsWith(prefix))
      .map(element => ({ ...prefixPath(element), text: prefix, suffix: element.slice(prefix.length) }))
  if (!isAcceptedPath(prefix)) report('VS-MATCH-PATH', field)
  const path = prefixPath(prefix)
  if (prefix.endsWith('/')) report('VS-MATCH-PREFIX-SLASH', field, { path: shown(path.match.value) })
  else report('VS-MATCH-PREFIX-ELEMENT', field, { path: shown(prefix), sample: `${shown(prefix)}x` })
  return [path]
}

function prefixPath(prefix: string): PlannedPath {
  const value = prefix.length > 1 ? prefix.replace(/\/$/, '') : prefix
  return { match: { type: 'PathPrefix', value }, kind: 'prefix', text: prefix, suffix: '' }
}

function regexPath(regex: string, field: string, report: Report): PlannedPath {
  if (regex.length > pathLimit || regex === '') report('VS-MATCH-REGEX', field)
  // Istio drops every rule behind the regex `.*`; as a prefix it matches the same and sorts where it belongs.
  if (regex === '.*' || regex === '/.*') return { ...everything.path, kind: 'regex', text: regex }
  return { match: { type: 'RegularExpression', value: regex }, kind: 'regex', text: regex, suffix: '' }
}

function isAcceptedPath(path: string): boolean {
  return path.length <= pathLimit && acceptedPath.test(path) && !refusedPath.test(path)
}

function shown(path: string): string {
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
    return standardMethods.filter(standard => standard.startsWith(text))
  }
  const wanted = kind === 'exact' ? [text] : text.replace(/^\^?\(?(.*?)\)?\$?$/, '$1').split('|')
  for (const name of wanted)
    if (!standardMethods.includes(name)) report('VS-MATCH-METHOD', field, { method: name.slice(0, 40) })
  return [...new Set(wanted)]
}

// headers, queryParams ---------------------------------------------------------------------------------------------

const conditionLimit = 16

function conditions(
  matches: Record<string, istio.StringMatch>,
  field: string,
  report: Report,
): gateway.HTTPHeaderMatch[] {
  const names = Object.keys(matches).sort()
  if (names.length > conditionLimit) report('VS-MATCH-LIMIT', field, { limit: `${conditionLimit} conditions` })
  const seen = new Set<string>()
  return names.map(name => {
    const here = `${field}[${name}]`
    const isRepeated = seen.has(name.toLowerCase())
    seen.add(name.toLowerCase())
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
  if (value.length > 4096 || value === '') report('VS-MATCH-REGEX', field)
  return { type: 'RegularExpression', name, value }
}

/** Text as an RE2 expression that matches just that text. */
function quoted(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
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
