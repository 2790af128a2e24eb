// Envoy's router, as far as Istio's route tables use it: which route a request takes and what it does.
// Source: envoyproxy/envoy source/common/router/config_impl.cc; research/virtualservice.md 1.3 and 2.1.
import { isDeepStrictEqual } from 'node:util'
import { RE2JS } from 're2js'
import type { Answer, Destination, Filtered, HeaderEffects, Ingress, Mirror, Request, Retries } from './answer.ts'

export interface VirtualHost {
  domain: string
  routes: Route[]
}

export interface Route {
  origin: Origin
  match: RouteMatch
  action: Action
}

/** The object that a route was made from, and the entry of its `spec.http` or `spec.rules`. */
export interface Origin {
  /** `namespace/name`; empty for what istiod writes by itself. */
  object: string
  entry: number
  /** Of an entry that came from a delegate, its index there. */
  leaf?: number
  /** Undefined when the match was put together from those of two objects. */
  match: number | undefined
}

export interface RouteMatch {
  path: PathMatcher
  ignoreCase: boolean
  headers: Matcher[]
  queryParams: Matcher[]
}

export type PathMatcher = { type: 'exact' | 'prefix' | 'pathSeparatedPrefix' | 'regex'; value: string }

/** `presence` asks only whether the header or parameter is there. */
export interface Matcher {
  name: string
  type: 'exact' | 'prefix' | 'regex' | 'presence'
  value: string
  invert: boolean
}

export type Action = Filtered &
  (
    | { kind: 'response'; status: number; body: string; response: HeaderEffects }
    | {
        kind: 'redirect'
        code: number
        scheme?: string
        host?: string
        port?: number
        path?: PathRewrite
        response: HeaderEffects
      }
    | {
        kind: 'route'
        /** `host` is set when the cluster rewrites it; the route's own rewrite wins over it. */
        destinations: (Omit<Destination, 'host'> & { host?: string })[]
        host?: string
        path?: PathRewrite
        timeoutMs: number
        retries: Retries
        mirrors: Mirror[]
      }
  )

/** `prefix` replaces what the path matcher matched; `regex` substitutes with `\1`; `full` replaces all of the path. */
export type PathRewrite =
  | { type: 'prefix' | 'full'; value: string }
  | { type: 'regex'; pattern: string; substitution: string }

/** The route that a request takes: of the most specific virtual host, and of no other, the first that matches. */
export function routeFor(virtualHosts: VirtualHost[], request: Request, { scheme }: Ingress): Route | undefined {
  return virtualHostFor(virtualHosts, request.host)?.routes.find(
    ({ match }) =>
      matchedText(match, request.path) !== undefined &&
      match.headers.every(matcher => matches(matcher, headerOf(matcher.name, request, scheme))) &&
      match.queryParams.every(matcher => matches(matcher, request.queryParams[matcher.name])),
  )
}

/** Envoy's header map knows Host as another name of :authority. */
function headerOf(name: string, { headers, method, host, path }: Request, scheme: string): string | undefined {
  if (name === ':method') return method
  if (name === ':authority' || name === 'host') return host
  if (name === ':scheme') return scheme
  return name === ':path' ? path : headers[name]
}

/**
 * An exact domain, else the longest wildcard, else `*`; the port that a client writes does not count (Istio's
 * `ignore_port_in_host_matching`). A virtual host without a fitting route answers 404.
 */
export function virtualHostFor(virtualHosts: VirtualHost[], authority: string): VirtualHost | undefined {
  const host = withoutPort(authority)
  let best: VirtualHost | undefined
  for (const candidate of virtualHosts) {
    const { domain } = candidate
    if (domain === host) return candidate
    const serves = domain.startsWith('*') && host.endsWith(domain.slice(1))
    if (serves && domain.length > (best?.domain.length ?? 0)) best = candidate
  }
  return best
}

/** What a request gets from a route; 404 without one. */
export function answerOf(route: Route | undefined, request: Request, { scheme }: Ingress): Answer {
  if (!route) return { kind: 'none' }
  const { action } = route
  if (action.kind === 'response') return { ...action, cors: undefined }
  const path = action.path ? rewrittenPath(route.match, action.path, request.path) : request.path
  const { cors, fault } = action
  if (action.kind === 'redirect') {
    const location = { scheme: action.scheme ?? scheme, host: redirectHost(action, request.host, scheme), path }
    // CORS does nothing beside a redirect or a direct response (docs/decisions/0003-envoy.md).
    return { kind: 'redirect', code: action.code, location, response: action.response, cors: undefined, fault }
  }
  const { timeoutMs, mirrors } = action
  // Envoy's router drops a time for each try that is not below the time for all of them (`FilterUtility::finalTimeout`).
  const isShorter = timeoutMs === 0 || (action.retries?.perTryTimeoutMs ?? 0) < timeoutMs
  const retries = action.retries && !isShorter ? { ...action.retries, perTryTimeoutMs: 0 } : action.retries
  const destinations = action.destinations.map(destination => ({
    ...destination,
    host: action.host ?? destination.host ?? request.host,
  }))
  return { kind: 'route', destinations, path, timeoutMs, retries, mirrors, cors, fault }
}

/**
 * Whether two routes answer a request alike. What does not depend on the request is compared once for each two actions,
 * since every request asks again.
 */
export function answerAlike(a: Route | undefined, b: Route | undefined, request: Request, ingress: Ingress): boolean {
  if (!a || !b) return a === b
  if (!areAlike(a.action, b.action)) return false
  return varyingPart(answerOf(a, request, ingress)) === varyingPart(answerOf(b, request, ingress))
}

const alike = new WeakMap<Action, WeakMap<Action, boolean>>()

function areAlike(a: Action, b: Action): boolean {
  const known = alike.get(a)?.get(b)
  if (known !== undefined) return known
  const is = isDeepStrictEqual(constantPart(a), constantPart(b))
  alike.set(a, (alike.get(a) ?? new WeakMap()).set(b, is))
  return is
}

function constantPart(action: Action): unknown {
  if (action.kind === 'response') return { ...action, cors: undefined }
  if (action.kind === 'redirect') {
    const { kind, code, response, fault } = action
    return { kind, code, response, fault }
  }
  const { host: _, path: __, destinations, ...constant } = action
  return { ...constant, destinations: destinations.map(({ host: _, ...destination }) => destination) }
}

function varyingPart(answer: Answer): string {
  if (answer.kind === 'route') return [answer.path, ...answer.destinations.map(({ host }) => host)].join('\n')
  return answer.kind === 'redirect' ? Object.values(answer.location).join('\n') : ''
}

/**
 * `processRequestHost`: the port that the client wrote stays, unless the redirect names one, or goes to another scheme
 * and the port was the old scheme's own.
 */
function redirectHost(
  { host, port, scheme }: { host?: string; port?: number; scheme?: string },
  authority: string,
  requestScheme: Ingress['scheme'],
): string {
  if (host) return port ? `${host}:${port}` : host
  if (port) return `${withoutPort(authority)}:${port}`
  const leavesScheme = scheme !== undefined && scheme !== requestScheme
  return leavesScheme && authority.endsWith(requestScheme === 'https' ? ':443' : ':80')
    ? withoutPort(authority)
    : authority
}

export function withoutPort(authority: string): string {
  const colon = authority.indexOf(':')
  return colon === -1 ? authority : authority.slice(0, colon)
}

/** The part of the path that the matcher matched: the prefix as text, or all of the path; undefined without a match. */
function matchedText({ path: { type, value }, ignoreCase }: RouteMatch, path: string): string | undefined {
  // Envoy ignores case_sensitive for regexes.
  if (type === 'regex') return fullMatch(value, path) ? path : undefined
  const matcher = ignoreCase ? value.toLowerCase() : value
  const text = ignoreCase ? path.toLowerCase() : path
  if (type === 'exact') return text === matcher ? path : undefined
  if (!text.startsWith(matcher)) return undefined
  const whole = type === 'prefix' || text.length === matcher.length || text[matcher.length] === '/'
  return whole ? path.slice(0, matcher.length) : undefined
}

function rewrittenPath(match: RouteMatch, rewrite: PathRewrite, path: string): string {
  if (rewrite.type === 'regex') {
    const substitution = rewrite.substitution.replaceAll('$', '$$$$').replace(/\\(\d)/g, '$$$1')
    return compiled(rewrite.pattern).matcher(path).replaceAll(substitution)
  }
  if (rewrite.type === 'full') return rewrite.value
  return rewrite.value + path.slice(matchedText(match, path)?.length ?? 0)
}

function matches({ type, value, invert }: Matcher, sent: string | undefined): boolean {
  // An inverted matcher treats a missing header as empty (TranslateRouteMatch), except when it asks for presence.
  const given = sent ?? (invert && type !== 'presence' ? '' : undefined)
  return (given !== undefined && valueMatches(type, value, given)) !== invert
}

export function valueMatches(type: Matcher['type'], value: string, given: string): boolean {
  if (type === 'presence') return true
  if (type === 'exact') return given === value
  return type === 'prefix' ? given.startsWith(value) : fullMatch(value, given)
}

function fullMatch(pattern: string, text: string): boolean {
  return compiled(pattern).matches(text)
}

const patterns = new Map<string, RE2JS>()

/** Each regex is compiled once: there are few, and they are asked millions of times. */
function compiled(pattern: string): RE2JS {
  const known = patterns.get(pattern)
  if (known) return known
  const regex = RE2JS.compile(pattern)
  patterns.set(pattern, regex)
  return regex
}
