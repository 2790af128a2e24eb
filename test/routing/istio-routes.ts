// An entry of `spec.http` -> Envoy routes, as istiod writes them for a gateway. Both evaluators come through here, as
// both APIs do in istiod, which turns an HTTPRoute into such entries first ("gateway semantics").
// Source: istio/istio pilot/pkg/networking/core/route/route.go, the functions named below.
import type * as core from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Destination, HeaderOperations, Ingress } from './answer.ts'
import type { Action, Matcher, PathRewrite, RouteMatch } from './envoy.ts'

/** What istiod knows when it writes the routes of one object. */
export interface RouteContext {
  /** `namespace/name` of the object. */
  object: string
  namespace: string
  ingress: Ingress
  services: core.Service[]
  /** Whether the entries were made from an HTTPRoute (`UseGatewaySemantics`). */
  gatewaySemantics: boolean
}

/** `TranslateRouteMatch`; without a match, or without a uri in it, prefix `/`. */
export function routeMatch(match: istio.HTTPMatchRequest, { gatewaySemantics }: RouteContext): RouteMatch {
  const { uri, method, authority, scheme } = match
  const pseudo = { ':method': method, ':authority': authority, ':scheme': scheme }
  return {
    path: pathMatcher(uri, gatewaySemantics),
    ignoreCase: match.ignoreUriCase ?? false,
    headers: [
      ...Object.entries(match.headers ?? {}).map(([name, value]) => matcher(name.toLowerCase(), value)),
      ...Object.entries(match.withoutHeaders ?? {}).map(([name, value]) => matcher(name.toLowerCase(), value, true)),
      ...Object.entries(pseudo).flatMap(([name, value]) => (value ? [matcher(name, value)] : [])),
    ],
    queryParams: Object.entries(match.queryParams ?? {}).map(([name, value]) => matcher(name, value)),
  }
}

function pathMatcher(uri: istio.StringMatch | undefined, gatewaySemantics: boolean): RouteMatch['path'] {
  if (uri?.exact !== undefined) return { type: 'exact', value: uri.exact }
  if (uri?.regex !== undefined) return { type: 'regex', value: uri.regex }
  const value = uri?.prefix ?? '/'
  if (!gatewaySemantics || value === '/') return { type: 'prefix', value }
  return { type: 'pathSeparatedPrefix', value: withoutLastSlash(value) }
}

/** `canBeConvertedToPresentMatch`: `{}`, and the old `regex: "*"`, ask for presence. */
function matcher(name: string, { exact, prefix, regex }: istio.StringMatch, invert = false): Matcher {
  if (exact !== undefined) return { name, type: 'exact', value: exact, invert }
  if (prefix !== undefined) return { name, type: 'prefix', value: prefix, invert }
  if (regex !== undefined && regex !== '*') return { name, type: 'regex', value: regex, invert }
  return { name, type: 'presence', value: '', invert }
}

/** `translateRoute`, the action: a redirect goes before a direct response, and both before destinations. */
export function routeAction(http: istio.HTTPRoute, match: RouteMatch, context: RouteContext): Action {
  const response = headerOperations(http.headers?.response)
  if (http.redirect) return redirectAction(http.redirect, response, context.ingress)
  if (http.directResponse) return { kind: 'response', status: http.directResponse.status ?? 0, response }
  // `applyHTTPRouteDestination`: a weight counts only among several, where 0 and unset are none.
  const all = http.route ?? []
  const served = all.length === 1 ? all : all.filter(({ weight }) => weight)
  const divisor = served.map(({ weight }) => weight ?? 0).reduce(greatestCommonDivisor, 0)
  const host = http.rewrite?.authority || authorityOf(http.headers?.request)
  const path = http.rewrite ? pathRewrite(http.rewrite, match, context) : undefined
  const { retries, fault, mirror, mirrors, corsPolicy } = http
  return {
    kind: 'route',
    destinations: served.map(({ destination, weight, headers }) => {
      const authority = authorityOf(headers?.request)
      return {
        service: cluster(destination ?? {}, context),
        weight: served.length === 1 ? 1 : (weight ?? 0) / divisor,
        ...(authority ? { host: authority } : {}),
        request: headerOperations(headers?.request),
        response: headerOperations(headers?.response),
      }
    }),
    ...(host ? { host } : {}),
    ...(path ? { path } : {}),
    timeoutMs: http.timeout ? durationMs(http.timeout) : 0,
    request: headerOperations(http.headers?.request),
    response,
    other: JSON.stringify({ retries, fault, mirror, mirrors, corsPolicy }),
  }
}

function pathRewrite(rewrite: istio.HTTPRewrite, { path }: RouteMatch, context: RouteContext): PathRewrite | undefined {
  const { uri, uriRegexRewrite } = rewrite
  if (uriRegexRewrite) {
    return { type: 'regex', pattern: uriRegexRewrite.match ?? '', substitution: uriRegexRewrite.rewrite ?? '' }
  }
  if (!uri) return undefined
  if (!context.gatewaySemantics || uri !== '/') return { type: 'prefix', value: uri }
  // Of another matcher than a path-separated one, istiod takes an empty prefix.
  return removePrefix(path.type === 'pathSeparatedPrefix' ? path.value : '')
}

/** With gateway semantics `/` as replacement means that the prefix goes, and that one slash stays. */
export function removePrefix(prefix: string): PathRewrite {
  return { type: 'regex', pattern: `^${quoteMeta(prefix)}(/?)(.*)`, substitution: '/\\2' }
}

/** `ApplyRedirect`. A port that is the scheme's own is left out, but only where a port or derivePort was asked for. */
function redirectAction(redirect: istio.HTTPRedirect, response: HeaderOperations, ingress: Ingress): Action {
  const { uri, prefixRewrite, authority, scheme, redirectCode, derivePort } = redirect
  const asked = redirect.port ?? (derivePort === 'FROM_REQUEST_PORT' ? ingress.port : undefined)
  const usual = (scheme || ingress.scheme) === 'https' ? 443 : 80
  return {
    kind: 'redirect',
    code: redirectCode || 301,
    ...(scheme ? { scheme } : {}),
    ...(authority ? { host: authority } : {}),
    ...(asked && asked !== usual ? { port: asked } : {}),
    ...(uri ? { path: { type: 'full', value: uri } as const } : {}),
    ...(prefixRewrite ? { path: { type: 'prefix', value: prefixRewrite } as const } : {}),
    response,
  }
}

/** `GetDestinationCluster`: the port that is named, else the only one of the Service, else the listener's. */
function cluster({ host = '', port, subset }: istio.Destination, context: RouteContext): Destination['service'] {
  // `ResolveShortnameToFQDN`: only a name without a dot is completed.
  const fqdn = host.includes('.') || host === '' ? host : `${host}.${context.namespace}.svc.cluster.local`
  const [, name, namespace] = /^([^.]+)\.([^.]+)\.svc\.cluster\.local$/.exec(fqdn) ?? []
  const service = context.services.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace)
  const [only, ...others] = service?.spec?.ports ?? []
  const number = port?.number ?? (only && others.length === 0 ? only.port : context.ingress.port)
  return `${name && namespace ? `${namespace}/${name}` : fqdn}:${number}${subset ? `#${subset}` : ''}`
}

/** `TranslateHeadersOperations`: sets, then adds, both sorted by name; Host and pseudo headers are no headers here. */
function headerOperations({ set = {}, add = {}, remove = [] }: istio.HeaderOperations = {}): HeaderOperations {
  const kept = (operations: Record<string, string>) =>
    Object.entries(operations)
      .map(([name, value]): [string, string] => [name.toLowerCase(), value])
      .filter(([name]) => !isInternal(name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
  const removed = remove.map(name => name.toLowerCase()).filter(name => !isInternal(name))
  return { set: kept(set), add: kept(add), remove: removed.sort() }
}

function authorityOf({ set = {}, add = {} }: istio.HeaderOperations = {}): string | undefined {
  const authority = (operations: Record<string, string>) =>
    Object.entries(operations).findLast(([name]) => [':authority', 'host'].includes(name.toLowerCase()))?.[1]
  return authority(set) || authority(add)
}

function isInternal(name: string): boolean {
  return name.startsWith(':') || name === 'host'
}

export function withoutLastSlash(text: string): string {
  return text.endsWith('/') ? text.slice(0, -1) : text
}

/** `1.5s`, `1h30m`, `100ms`: Go's time.ParseDuration, which reads the durations of both APIs. */
export function durationMs(duration: string): number {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001, ns: 0.000_001 }
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)/g)]
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (units[unit ?? ''] ?? 0), 0)
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

function quoteMeta(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}
