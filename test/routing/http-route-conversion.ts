// A rule of an HTTPRoute -> the entry of a VirtualService that istiod makes of it.
// Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go, the functions named below; research/virtualservice.md
// 1.2, 1.3, 4, 10.
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { withoutLastSlash } from './istio-routes.ts'

/** What istiod looks up while it converts. */
export interface ConversionContext {
  /** The namespace of the route. */
  namespace: string
  routeKind: string
  /** Undefined in the mesh, where backends of other namespaces need no grant. */
  referenceGrants: gateway.ReferenceGrant[] | undefined
}

/** `buildDestination`: "port is required in backendRef", "service name invalid"; weight 0 is not looked at. */
export function isInvalid({ weight, port, name, kind = 'Service' }: gateway.HTTPBackendRef): boolean {
  return weight !== 0 && (port === undefined || (kind === 'Service' && name.includes('.')))
}

/** `createURIMatch`, `createHeadersMatch`, `createQueryParamsMatch`, `createMethodMatch`. */
export function convertMatch({ path, headers, queryParams, method }: gateway.HTTPRouteMatch): istio.HTTPMatchRequest {
  const { type, value } = path ?? { type: 'PathPrefix', value: '/' }
  // The API server takes a name once, whatever its case; of what it let through, the first counts.
  const values = (list: gateway.HTTPHeaderMatch[] = []) =>
    Object.fromEntries(
      list
        .toReversed()
        .map(({ name, type, value }): [string, istio.StringMatch] => [
          name,
          type === 'RegularExpression' ? { regex: value } : { exact: value },
        ]),
    )
  const uri = { PathPrefix: { prefix: value === '/' ? value : withoutLastSlash(value) }, Exact: { exact: value } }
  return {
    uri: type === 'RegularExpression' ? { regex: value } : uri[type],
    headers: values(headers),
    queryParams: values(queryParams),
    ...(method ? { method: { exact: method } } : {}),
  }
}

/** `convertHTTPRoute` */
export function convertRule(rule: gateway.HTTPRouteRule, context: ConversionContext): istio.HTTPRoute {
  const http: istio.HTTPRoute = { headers: convertHeaders(rule.filters) }
  for (const filter of rule.filters ?? []) {
    if (filter.type === 'URLRewrite') http.rewrite = convertRewrite(filter.urlRewrite)
    if (filter.type === 'RequestRedirect') http.redirect = convertRedirect(filter.requestRedirect)
    if (filter.type === 'CORS') http.corsPolicy = convertCORS(filter.cors)
    if (filter.type === 'RequestMirror') {
      http.mirrors = [...(http.mirrors ?? []), ...convertMirror(filter.requestMirror, context)]
    }
  }
  const retries = convertRetry(rule)
  const { request, backendRequest } = rule.timeouts ?? {}
  // backendRequest is the timeout of a try where there are retries, and else the timeout of the whole.
  const timeout = retries ? request : (backendRequest ?? request)
  if (timeout) http.timeout = timeout
  if (retries) http.retries = retries
  const backendRefs = (rule.backendRefs ?? []).filter(({ weight }) => weight !== 0)
  if (backendRefs.length === 0 && !http.redirect) return { ...http, directResponse: { status: 500 } }
  http.route = backendRefs.map(ref => ({
    destination: convertBackendRef(ref, context),
    weight: ref.weight ?? 1,
    headers: convertHeaders(ref.filters),
  }))
  return http
}

/** Istio always adds the four conditions on connections. */
function convertRetry({ retry, timeouts }: gateway.HTTPRouteRule): istio.HTTPRetry | undefined {
  if (!retry) return undefined
  const { attempts = 2, backoff, codes = [] } = retry
  const perTryTimeout = timeouts?.backendRequest
  return {
    attempts,
    retryOn: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', ...codes].join(),
    ...(backoff ? { backoff } : {}),
    ...(perTryTimeout ? { perTryTimeout } : {}),
  }
}

const notGranted = 'not.granted'

/** A backend in another namespace without a ReferenceGrant there is answered with 500 in its place. */
export function convertBackendRef(
  { name, namespace, port, group = '', kind = 'Service' }: gateway.HTTPBackendRef,
  { namespace: own, routeKind, referenceGrants }: ConversionContext,
): istio.Destination {
  const granted = referenceGrants?.some(
    ({ metadata, spec }) =>
      metadata.namespace === namespace &&
      spec.from.some(({ kind, namespace }) => kind === routeKind && namespace === own) &&
      spec.to.some(to => to.kind === kind && to.group === group && (to.name ?? name) === name),
  )
  if (namespace && namespace !== own && granted === false) return { host: notGranted }
  const host = kind === 'Service' ? `${name}.${namespace || own}.svc.cluster.local` : name
  return { host, ...(port ? { port: { number: port } } : {}) }
}

/**
 * `createMirrorFilter`: a percentage, or a fraction of 100 when it has no denominator. A mirror that may not be referred
 * to is left out, and the rule stays.
 */
function convertMirror({ backendRef, percent, fraction }: gateway.HTTPRequestMirrorFilter, context: ConversionContext) {
  const destination = convertBackendRef(backendRef, context)
  if (isInvalid(backendRef) || destination.host === notGranted) return []
  const value = fraction ? (100 * fraction.numerator) / (fraction.denominator ?? 100) : percent
  return [{ destination, ...(value === undefined ? {} : { percentage: { value } }) }]
}

/**
 * `createCorsFilter`. `*` becomes a regex over schemes, so that the opaque origin is none of them; 5 seconds are the
 * CRD's default; preflights of other origins do not go on to the application.
 */
function convertCORS(filter: gateway.HTTPCORSFilter): istio.CorsPolicy {
  const { allowOrigins = [], allowCredentials, allowMethods, allowHeaders, exposeHeaders, maxAge = 5 } = filter
  const origin = (text: string): istio.StringMatch => {
    if (text === '*') return { regex: 'https?://.*' }
    return text.includes('*') ? { regex: text.split('*').map(quoted).join('.*') } : { exact: text }
  }
  return {
    allowOrigins: allowOrigins.map(origin),
    ...(allowCredentials ? { allowCredentials } : {}),
    ...(allowMethods ? { allowMethods } : {}),
    ...(allowHeaders ? { allowHeaders } : {}),
    ...(exposeHeaders ? { exposeHeaders } : {}),
    ...(maxAge > 0 ? { maxAge: `${maxAge}s` } : {}),
    unmatchedPreflights: 'IGNORE',
  }
}

function quoted(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}

/** `createRewriteFilter`: the last slash of a replacement goes, and `/` means "remove the prefix". */
function convertRewrite({ path, hostname }: gateway.HTTPURLRewriteFilter): istio.HTTPRewrite {
  const rewrite: istio.HTTPRewrite = hostname ? { authority: hostname } : {}
  if (path?.type === 'ReplacePrefixMatch') rewrite.uri = withoutLastSlash(path.replacePrefixMatch) || '/'
  if (path?.type === 'ReplaceFullPath') rewrite.uriRegexRewrite = { match: '/.*', rewrite: path.replaceFullPath }
  return rewrite
}

/** `createRedirectFilter`; the code 302 is the CRD's default. */
function convertRedirect(filter: gateway.HTTPRequestRedirectFilter): istio.HTTPRedirect {
  const { scheme, hostname, port, path, statusCode = 302 } = filter
  return {
    redirectCode: statusCode,
    ...(hostname ? { authority: hostname } : {}),
    ...(scheme ? { scheme } : {}),
    ...(port ? { port } : { derivePort: scheme ? 'FROM_PROTOCOL_DEFAULT' : 'FROM_REQUEST_PORT' }),
    ...(path?.type === 'ReplaceFullPath' ? { uri: path.replaceFullPath } : {}),
    ...(path?.type === 'ReplacePrefixMatch' ? { prefixRewrite: path.replacePrefixMatch } : {}),
  }
}

/** `createHeadersFilter`: of equal names the first counts. */
function convertHeaders(filters: gateway.HTTPRouteFilter[] = []): istio.Headers {
  const headers: istio.Headers = {}
  const values = (list: gateway.HTTPHeader[] = []) =>
    Object.fromEntries(list.toReversed().map(({ name, value }) => [name.toLowerCase(), value]))
  const operations = ({ set, add, remove = [] }: gateway.HTTPHeaderFilter): istio.HeaderOperations => {
    return { set: values(set), add: values(add), remove }
  }
  for (const filter of filters) {
    if (filter.type === 'RequestHeaderModifier') headers.request = operations(filter.requestHeaderModifier)
    if (filter.type === 'ResponseHeaderModifier') headers.response = operations(filter.responseHeaderModifier)
  }
  return headers
}
