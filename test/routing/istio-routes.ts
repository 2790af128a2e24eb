// An entry of `spec.http` -> Envoy routes, as istiod writes them. Every evaluator comes through here, as both APIs do in
// istiod, which turns an HTTPRoute into such entries first ("gateway semantics").
// Source: istio/istio pilot/pkg/networking/core/route/route.go, the functions named below.
import type * as core from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { HeaderEffects, Ingress } from './answer.ts'
import { clusterOf, fullNameOf, type Registry } from './clusters.ts'
import type { Action, Matcher, PathRewrite, Route, RouteMatch } from './envoy.ts'
import { after, authorityOf, effectsOf } from './header-effects.ts'
import { corsOf, durationMs, faultOf, mirrorsOf, retriesOf } from './policies.ts'

/** What istiod knows when it writes the routes of one object. */
export interface RouteContext {
  /** `namespace/name` of the object. */
  object: string
  namespace: string
  ingress: Ingress
  registry: Registry
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
  const response = effectsOf(http.headers?.response)
  const filtered = { cors: corsOf(http.corsPolicy), fault: faultOf(http.fault) }
  if (http.redirect) return { ...redirectAction(http.redirect, response, context.ingress), ...filtered }
  if (http.directResponse) {
    const { status = 0, body } = http.directResponse
    return { kind: 'response', status, body: body?.string ?? body?.bytes ?? '', response, ...filtered }
  }
  const host = http.rewrite?.authority || authorityOf(http.headers?.request)
  const path = http.rewrite ? pathRewrite(http.rewrite, match, context) : undefined
  return {
    kind: 'route',
    destinations: destinationsOf(http, context),
    ...(host ? { host } : {}),
    ...(path ? { path } : {}),
    timeoutMs: http.timeout ? durationMs(http.timeout) : 0,
    retries: retriesOf(http.retries),
    mirrors: mirrorsOf(http, mirror => cluster(mirror, context)),
    ...filtered,
  }
}

/** `applyHTTPRouteDestination`: a weight counts only among several, where 0 and unset are none. */
function destinationsOf({ route = [], headers = {} }: istio.HTTPRoute, context: RouteContext) {
  const [only, ...others] = route
  const alone = others.length === 0
  const served = alone ? route : route.filter(({ weight }) => weight)
  const divisor = served.map(({ weight }) => weight ?? 0).reduce(greatestCommonDivisor, 0)
  const effects = (kind: 'request' | 'response', own?: istio.HeaderOperations): HeaderEffects =>
    // `processDestination` appends those of an only destination to the route's own.
    alone ? effectsOf(headers[kind], own) : after(effectsOf(own), effectsOf(headers[kind]))
  return served.map(({ destination, weight, headers: own }) => {
    const authority = authorityOf(own?.request)
    return {
      service: cluster(destination ?? {}, context),
      weight: only && alone ? 1 : (weight ?? 0) / divisor,
      ...(authority ? { host: authority } : {}),
      request: effects('request', own?.request),
      response: effects('response', own?.response),
    }
  })
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

/**
 * `ApplyRedirect`. FROM_REQUEST_PORT is the server's port. A port that is the scheme's own is left out, but only where a
 * port or derivePort was asked for.
 */
function redirectAction(redirect: istio.HTTPRedirect, response: HeaderEffects, ingress: Ingress) {
  const { uri, prefixRewrite, authority, scheme, redirectCode, derivePort } = redirect
  const asked = redirect.port ?? (derivePort === 'FROM_REQUEST_PORT' ? ingress.port : undefined)
  const usual = (scheme || ingress.scheme) === 'https' ? 443 : 80
  return {
    kind: 'redirect' as const,
    code: redirectCode || 301,
    ...(scheme ? { scheme } : {}),
    ...(authority ? { host: authority } : {}),
    ...(asked && asked !== usual ? { port: asked } : {}),
    ...(uri ? { path: { type: 'full', value: uri } as const } : {}),
    ...(prefixRewrite ? { path: { type: 'prefix', value: prefixRewrite } as const } : {}),
    response,
  }
}

/** What a Service answers when nobody routes for it. */
export function serviceRoute(service: core.Service, ingress: Ingress, registry: Registry): Route {
  const context: RouteContext = { object: '', namespace: '', ingress, registry, gatewaySemantics: false }
  const match = routeMatch({}, context)
  const destination = { host: fullNameOf(service), port: { number: ingress.port } }
  const action = routeAction({ route: [{ destination }] }, match, context)
  return { origin: { object: '', entry: 0, match: 0 }, match, action }
}

function cluster(destination: istio.Destination, { namespace, ingress, registry }: RouteContext): string {
  return clusterOf(destination, namespace, ingress.port, registry)
}

export function withoutLastSlash(text: string): string {
  return text.endsWith('/') ? text.slice(0, -1) : text
}

export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

function quoteMeta(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}
