// A rule in words: what it asks of a request, and what it does with it. One form for both APIs, so that before and after can
// be compared by eye.
import type * as gateway from '../apis/gateway.ts'
import type * as istio from '../apis/istio.ts'
import type { Settings } from '../translate/settings.ts'
import type { HTTPEntry } from '../translate/virtual-service/delegates.ts'
import { everything, type PlannedMatch } from '../translate/virtual-service/match.ts'

// What is asked ----------------------------------------------------------------------------------------------------

/** `GET /jupyter/ (prefix)`, with whatever else is asked behind it. */
export function matchText(request: istio.HTTPMatchRequest | PlannedMatch): string {
  if ('path' in request) return plannedText(request)
  const { uri, method, headers = {}, withoutHeaders = {}, queryParams = {}, authority, ignoreUriCase } = request
  const { exact, regex, prefix = '/' } = uri ?? {}
  const path =
    exact !== undefined ? `${exact} (exact)` : regex !== undefined ? `${regex} (regex)` : `${prefix} (prefix)`
  return [
    ...(method ? [stringText(method)] : []),
    path,
    ...(ignoreUriCase ? ['in any case'] : []),
    ...(authority ? [`for host ${stringText(authority)}`] : []),
    ...Object.entries(headers).map(([name, value]) => `with ${name}: ${stringText(value)}`),
    ...Object.entries(withoutHeaders).map(([name, value]) => `without ${name}: ${stringText(value)}`),
    ...Object.entries(queryParams).map(([name, value]) => `with ?${name}=${stringText(value)}`),
  ].join(' ')
}

function stringText({ exact, prefix, regex }: istio.StringMatch): string {
  if (exact !== undefined) return exact
  if (prefix !== undefined) return `${prefix}*`
  return regex === undefined ? '*' : `~${regex}`
}

const pathTypes = { Exact: 'exact', PathPrefix: 'prefix', RegularExpression: 'regex' } as const

function plannedText({ path, method, headers, queryParams }: PlannedMatch): string {
  const value = ({ type, value }: gateway.HTTPHeaderMatch) => (type === 'RegularExpression' ? `~${value}` : value)
  return [
    ...(method ? [method] : []),
    `${path.match.value} (${pathTypes[path.match.type]})`,
    ...headers.map(header => `with ${header.name}: ${value(header)}`),
    ...queryParams.map(parameter => `with ?${parameter.name}=${value(parameter)}`),
  ].join(' ')
}

type RouteMatch = gateway.HTTPRouteMatch | NonNullable<gateway.GRPCRouteRule['matches']>[number]

/** A match of a route as the core compares it. One of gRPC is the path that it stands for. */
export function requestOf(match: RouteMatch): PlannedMatch {
  const { headers = [], method } = match
  const path = 'path' in match && match.path ? match.path : typeof method === 'object' ? grpcPath(method) : {}
  const { type, value } = { ...everything.path.match, ...path }
  const kind = type === 'RegularExpression' ? 'regex' : type === 'Exact' ? 'exact' : 'prefix'
  return {
    path: { match: { type, value }, kind, text: value },
    headers,
    queryParams: ('queryParams' in match && match.queryParams) || [],
    ...(typeof method === 'string' ? { method } : {}),
  }
}

function grpcPath({ service, method }: { service?: string; method?: string }): gateway.HTTPPathMatch {
  if (service && method) return { type: 'Exact', value: `/${service}/${method}` }
  if (service) return { type: 'PathPrefix', value: `/${service}/` }
  return { type: 'RegularExpression', value: `/[^/]+/${method}` }
}

/** What Istio moves behind everything else on its host (`SortVHostRoutes`). */
export function isCatchAll({ uri, ...rest }: istio.HTTPMatchRequest): boolean {
  const asks = Object.entries(rest).some(
    ([name, value]) => name !== 'name' && name !== 'statPrefix' && value !== undefined && value !== false,
  )
  return !asks && (!uri || uri.prefix === '/' || uri.regex === '.*' || Object.keys(uri).length === 0)
}

// What is done -----------------------------------------------------------------------------------------------------

/** `jupyter-web-app.kubeflow:80`, or what is answered without asking anybody. */
export function answerText({ http, namespace }: HTTPEntry, { clusterDomain }: Settings): string {
  const { redirect, directResponse, route = [], rewrite } = http
  if (redirect) {
    const { redirectCode = 301, scheme, authority, uri, prefixRewrite } = redirect
    return redirectText(redirectCode, scheme, authority, uri ?? (prefixRewrite && `${prefixRewrite}…`))
  }
  if (directResponse) return `answers ${directResponse.status}`
  const isSplit = route.length > 1
  const destinations = route.map(({ destination = {}, weight = 0 }) => {
    const { host = '', subset, port } = destination
    const short = host.includes('.')
      ? host.replace(`.svc.${clusterDomain}`, '').replace(/\.svc$/, '')
      : `${host}.${namespace}`
    const text = `${short}${port?.number ? `:${port.number}` : ''}${subset ? ` subset ${subset}` : ''}`
    return isSplit ? `${text} (${weight})` : text
  })
  const path = rewrite?.uri ?? rewrite?.uriRegexRewrite?.rewrite
  return destinationText(destinations, path, rewrite?.authority)
}

/** The same of a rule of HTTPRoute or GRPCRoute. */
export function backendText(
  { filters = [], backendRefs = [] }: gateway.HTTPRouteRule | gateway.GRPCRouteRule,
  namespace: string,
): string {
  for (const filter of filters) {
    if (filter.type !== 'RequestRedirect') continue
    const { statusCode = 302, scheme, hostname, path } = filter.requestRedirect
    return redirectText(statusCode, scheme, hostname, path && pathText(path))
  }
  const isSplit = backendRefs.length > 1
  const destinations = backendRefs.map(({ name, namespace: its = namespace, port, weight = 1 }) => {
    const text = `${name}.${its}${port ? `:${port}` : ''}`
    return isSplit ? `${text} (${weight})` : text
  })
  if (destinations.length === 0) return 'answers 500'
  const rewrite = filters.find(filter => filter.type === 'URLRewrite')?.urlRewrite
  const path = rewrite?.path
  return destinationText(
    destinations,
    path && (path.type === 'ReplaceFullPath' ? path.replaceFullPath : path.replacePrefixMatch),
    rewrite?.hostname,
  )
}

function pathText(path: gateway.HTTPPathModifier): string {
  return path.type === 'ReplaceFullPath' ? path.replaceFullPath : `${path.replacePrefixMatch}…`
}

function redirectText(code: number, scheme = '', host = '', path = ''): string {
  const place = `${scheme ? `${scheme}://` : ''}${host || (scheme ? '…' : '')}${path}`
  return `redirects (${code})${place ? ` to ${place}` : ''}`
}

function destinationText(destinations: string[], path?: string, host?: string): string {
  const parts = [
    destinations.join(', '),
    ...(path === undefined ? [] : [`path becomes ${path}`]),
    ...(host === undefined ? [] : [`host becomes ${host}`]),
  ]
  return parts.join('; ')
}
