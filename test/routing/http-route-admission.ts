// Why an API server would refuse an HTTPRoute: the schema and the CEL rules of the CRD that Istio does not check again.
// Source: gateway-api v1.6 config/crd/standard/gateway.networking.k8s.io_httproutes.yaml and apis/v1/httproute_types.go.
import type * as gateway from '../../src/apis/gateway.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']
const hostname = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const headerName = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}$/
const duration = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/
const pathCharacters = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/
const forbiddenInPaths = ['//', '/./', '/../', '%2f', '%2F', '#']

/** What is wrong with a route, one sentence each; nothing for one that the API server would store. */
export function refusals({ spec }: gateway.HTTPRoute): string[] {
  const rules = spec.rules ?? []
  const matches = rules.flatMap(rule => rule.matches ?? [])
  return [
    ...wrong(rules.length < 1 || rules.length > 16, 'rules: 1 to 16'),
    ...wrong(matches.length > 128, 'at most 128 matches in all'),
    ...wrong((spec.hostnames ?? []).length > 16, 'at most 16 hostnames'),
    ...wrong((spec.parentRefs ?? []).length > 32, 'at most 32 parentRefs'),
    ...(spec.hostnames ?? []).flatMap(name => wrong(!hostname.test(name.replace(/^\*\./, '')), `hostname ${name}`)),
    ...rules.flatMap(refusalsOfRule),
  ]
}

function refusalsOfRule(rule: gateway.HTTPRouteRule): string[] {
  const { matches = [], filters = [], backendRefs = [], timeouts = {} } = rule
  const types = filters.map(({ type }) => type)
  const paths = matches.map(({ path }) => path?.type ?? 'PathPrefix')
  const onePrefix = matches.length === 0 || (matches.length === 1 && paths[0] === 'PathPrefix')
  return [
    ...wrong(matches.length > 64, 'at most 64 matches in a rule'),
    ...wrong(backendRefs.length > 16, 'at most 16 backendRefs'),
    ...wrong(new Set(types).size < types.length, 'a filter may not be repeated'),
    ...wrong(types.includes('RequestRedirect') && types.includes('URLRewrite'), 'redirect and rewrite together'),
    ...wrong(types.includes('RequestRedirect') && backendRefs.length > 0, 'redirect and backendRefs together'),
    ...wrong(!onePrefix && filters.some(replacesPrefix), 'ReplacePrefixMatch needs exactly one PathPrefix match'),
    ...wrong(
      Object.values(timeouts).some(timeout => !duration.test(timeout)),
      'timeouts: no duration',
    ),
    ...matches.flatMap(refusalsOfMatch),
    ...filters.flatMap(refusalsOfFilter),
    ...backendRefs.flatMap(({ weight = 1, port = 1, filters = [] }) => [
      ...wrong(!Number.isInteger(weight) || weight < 0 || weight > 1_000_000, `weight ${weight}`),
      ...wrong(port < 1 || port > 65_535, `port ${port}`),
      ...filters.flatMap(refusalsOfFilter),
    ]),
  ]
}

function refusalsOfMatch({ path, headers = [], queryParams = [], method }: gateway.HTTPRouteMatch): string[] {
  const { type, value } = path ?? { type: 'PathPrefix', value: '/' }
  const literal = type !== 'RegularExpression'
  return [
    ...wrong(value.length > 1024, 'path longer than 1024'),
    ...wrong(literal && !value.startsWith('/'), `path ${value} is not absolute`),
    ...wrong(literal && !pathCharacters.test(value), `characters of path ${value}`),
    ...wrong(literal && forbiddenInPaths.some(text => value.includes(text)), `path ${value}`),
    ...wrong(literal && /\/\.\.?$/.test(value), `path ${value} ends in dots`),
    ...wrong(method !== undefined && !methods.includes(method), `method ${method}`),
    ...[headers, queryParams].flatMap(list => [
      ...wrong(list.length > 16, 'at most 16 headers and query parameters'),
      ...wrong(new Set(list.map(({ name }) => name)).size < list.length, 'a name may not be repeated'),
      ...list.flatMap(({ name, value }) => wrong(!headerName.test(name) || !isValue(value), `${name}: ${value}`)),
    ]),
  ]
}

function refusalsOfFilter(filter: gateway.HTTPRouteFilter): string[] {
  if (filter.type === 'RequestHeaderModifier') return refusalsOfHeaders(filter.requestHeaderModifier)
  if (filter.type === 'ResponseHeaderModifier') return refusalsOfHeaders(filter.responseHeaderModifier)
  if (filter.type === 'URLRewrite') {
    return wrong(filter.urlRewrite.hostname !== undefined && !hostname.test(filter.urlRewrite.hostname), 'hostname')
  }
  if (filter.type !== 'RequestRedirect') return []
  const { scheme = 'http', hostname: host, port = 1, statusCode = 302 } = filter.requestRedirect
  return [
    ...wrong(!['http', 'https'].includes(scheme), `scheme ${scheme}`),
    ...wrong(host !== undefined && !hostname.test(host), `hostname ${host}`),
    ...wrong(port < 1 || port > 65_535, `port ${port}`),
    ...wrong(![301, 302, 303, 307, 308].includes(statusCode), `statusCode ${statusCode}`),
  ]
}

function refusalsOfHeaders({ set = [], add = [], remove = [] }: gateway.HTTPHeaderFilter): string[] {
  return [set, add].flatMap(list => [
    ...wrong(list.length > 16 || remove.length > 16, 'at most 16 header operations of a kind'),
    ...wrong(new Set(list.map(({ name }) => name)).size < list.length, 'a header may not be repeated'),
    ...list.flatMap(({ name, value }) => wrong(!headerName.test(name) || !isValue(value), `${name}: ${value}`)),
  ])
}

function replacesPrefix(filter: gateway.HTTPRouteFilter): boolean {
  if (filter.type === 'URLRewrite') return filter.urlRewrite.path?.type === 'ReplacePrefixMatch'
  return filter.type === 'RequestRedirect' && filter.requestRedirect.path?.type === 'ReplacePrefixMatch'
}

function isValue(value: string): boolean {
  return value.length >= 1 && value.length <= 4096
}

function wrong(is: boolean, sentence: string): string[] {
  return is ? [sentence] : []
}
