// What a Kubernetes Gateway of Istio's answers from HTTPRoutes (research/virtualservice.md 2.2, 1.3, 4, 10). As istiod
// does it: every match becomes an entry of a VirtualService, sorted by specificity, and that becomes Envoy routes.
// Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go and route_collections.go, the functions named below.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Answer, Ingress, Request } from './answer.ts'
import { answerOf, type Route, routeFor, type VirtualHost } from './envoy.ts'
import { type RouteContext, routeAction, routeMatch, withoutLastSlash } from './istio-routes.ts'
import { compareTexts, virtualHostsOf } from './virtual-hosts.ts'

/** A listener of a Kubernetes Gateway that admits the routes of all namespaces. */
export interface KubernetesIngress extends Ingress {
  /** `namespace/name` of the Kubernetes Gateway. */
  gateway: string
  listener: string
  services: core.Service[]
  referenceGrants: gateway.ReferenceGrant[]
}

/** One match of one rule, as the entry of a VirtualService that istiod makes of it. */
interface Entry {
  object: string
  namespace: string
  rule: number
  position: number
  http: istio.HTTPRoute
  match: istio.HTTPMatchRequest
}

export function answerFromHTTPRoutes(
  routes: gateway.HTTPRoute[],
  ingress: KubernetesIngress,
  request: Request,
): Answer {
  return answerOf(routeFor(virtualHostsOfHTTPRoutes(routes, ingress), request, ingress), request, ingress)
}

/**
 * `mergeHTTPRoutes`: the routes with the same text as hostname are put together by age, then namespace, then name, and
 * sorted. `*.example.com` of one and `*` of another, cut down by the listener, are not sorted together.
 */
export function virtualHostsOfHTTPRoutes(routes: gateway.HTTPRoute[], ingress: KubernetesIngress): VirtualHost[] {
  const entriesByHostname = new Map<string, Entry[]>()
  for (const route of routes.filter(route => isAttached(route, ingress)).sort(compareAge)) {
    for (const hostname of route.spec.hostnames?.length ? route.spec.hostnames : ['*']) {
      entriesByHostname.set(hostname, [...(entriesByHostname.get(hostname) ?? []), ...entriesOf(route, ingress)])
    }
  }
  return virtualHostsOf(
    [...entriesByHostname].map(([hostname, entries]) => ({
      hosts: [hostname],
      routes: entries.sort(compareSpecificity).map(entry => routeOf(entry, ingress)),
    })),
    ingress.hosts,
  )
}

function isAttached({ spec, metadata }: gateway.HTTPRoute, { gateway, listener, port }: KubernetesIngress): boolean {
  return (spec.parentRefs ?? []).some(
    ({ namespace = metadata.namespace, name, ...ref }) =>
      `${namespace}/${name}` === gateway && (ref.sectionName ?? listener) === listener && (ref.port ?? port) === port,
  )
}

function compareAge({ metadata: a }: gateway.HTTPRoute, { metadata: b }: gateway.HTTPRoute): number {
  const key = ({ creationTimestamp = '', namespace = '', name = '' }: core.ObjectMeta) => [
    creationTimestamp,
    namespace,
    name,
  ]
  return compareTexts(key(a), key(b))
}

/** `convertRules`: one rule that cannot be converted takes all rules of the HTTPRoute with it. */
function entriesOf(route: gateway.HTTPRoute, ingress: KubernetesIngress): Entry[] {
  const { namespace = 'default', name } = route.metadata
  const object = `${namespace}/${name}`
  const rules = route.spec.rules ?? []
  if (rules.some(rule => (rule.backendRefs ?? []).some(isInvalid))) return []
  return rules.flatMap((rule, index) => {
    const http = convertRule(rule, namespace, ingress)
    // The CRD's default for a rule without matches, and for a match without a path, is PathPrefix `/`.
    const matches = rule.matches?.length ? rule.matches : [{}]
    return matches.map((match, position) => {
      return { object, namespace, rule: index, position, http, match: convertMatch(match) }
    })
  })
}

/** `buildDestination`: "port is required in backendRef", "service name invalid"; weight 0 is not looked at. */
function isInvalid({ weight, port, name, kind = 'Service' }: gateway.HTTPBackendRef): boolean {
  return weight !== 0 && (port === undefined || (kind === 'Service' && name.includes('.')))
}

/** `createURIMatch`, `createHeadersMatch`, `createQueryParamsMatch`, `createMethodMatch`. */
function convertMatch({ path, headers, queryParams, method }: gateway.HTTPRouteMatch): istio.HTTPMatchRequest {
  const { type, value } = path ?? { type: 'PathPrefix', value: '/' }
  const values = (list: gateway.HTTPHeaderMatch[] = []) =>
    Object.fromEntries(
      list.map(({ name, type, value }): [string, istio.StringMatch] => [
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
function convertRule(rule: gateway.HTTPRouteRule, namespace: string, ingress: KubernetesIngress): istio.HTTPRoute {
  const http: istio.HTTPRoute = { headers: convertHeaders(rule.filters) }
  for (const filter of rule.filters ?? []) {
    if (filter.type === 'URLRewrite') http.rewrite = convertRewrite(filter.urlRewrite)
    if (filter.type === 'RequestRedirect') http.redirect = convertRedirect(filter.requestRedirect)
  }
  const { request, backendRequest } = rule.timeouts ?? {}
  const timeout = backendRequest ?? request
  if (timeout) http.timeout = timeout
  const backendRefs = (rule.backendRefs ?? []).filter(({ weight }) => weight !== 0)
  if (backendRefs.length === 0 && !http.redirect) return { ...http, directResponse: { status: 500 } }
  http.route = backendRefs.map(ref => ({
    destination: convertBackendRef(ref, namespace, ingress),
    weight: ref.weight ?? 1,
    headers: convertHeaders(ref.filters),
  }))
  return http
}

/** A backend in another namespace without a ReferenceGrant there is answered with 500 in its place. */
function convertBackendRef(
  { name, namespace = '', port, group = '', kind = 'Service' }: gateway.HTTPBackendRef,
  routeNamespace: string,
  { referenceGrants }: KubernetesIngress,
): istio.Destination {
  const granted = referenceGrants.some(
    ({ metadata, spec }) =>
      metadata.namespace === namespace &&
      spec.from.some(({ kind, namespace }) => kind === 'HTTPRoute' && namespace === routeNamespace) &&
      spec.to.some(to => to.kind === kind && to.group === group && (to.name ?? name) === name),
  )
  if (namespace && namespace !== routeNamespace && !granted) return { host: '500.not-granted' }
  const host = kind === 'Service' ? `${name}.${namespace || routeNamespace}.svc.cluster.local` : name
  return { host, ...(port ? { port: { number: port } } : {}) }
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

/** `sortHTTPRoutes`: Exact > Prefix > Regex, length, method, number of headers, of query parameters; else as it was. */
function compareSpecificity({ match: a }: Entry, { match: b }: Entry): number {
  const key = ({ uri = {}, method, headers = {}, queryParams = {} }: istio.HTTPMatchRequest): number[] => [
    uri.exact !== undefined ? 3 : uri.prefix !== undefined ? 2 : 1,
    Buffer.byteLength(uri.exact ?? uri.prefix ?? uri.regex ?? ''),
    method ? 1 : 0,
    Object.keys(headers).length,
    Object.keys(queryParams).length,
  ]
  const [left, right] = [key(a), key(b)]
  return left.map((value, i) => (right[i] ?? 0) - value).find(difference => difference !== 0) ?? 0
}

function routeOf({ object, namespace, rule, position, http, match }: Entry, ingress: KubernetesIngress): Route {
  const context: RouteContext = { object, namespace, ingress, services: ingress.services, gatewaySemantics: true }
  const translated = routeMatch(match, context)
  return {
    origin: { object, entry: rule, match: position },
    match: translated,
    action: routeAction(http, translated, context),
  }
}
