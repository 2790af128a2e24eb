// Why an API server would refuse an HTTPRoute: the schema and the CEL rules of the CRD that Istio does not check again.
// Source: gateway-api v1.6 config/crd/standard/gateway.networking.k8s.io_httproutes.yaml and apis/v1/httproute_types.go.
import type * as gateway from '../../src/apis/gateway.ts'
import { durationMs } from './policies.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']
const hostname = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const headerName = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}$/
const duration = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/
const pathCharacters = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/
const corsOrigin = /^(\*|https?:\/\/(\*|(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*)(:\d+)?)$/
const forbiddenInPaths = ['//', '/./', '/../', '%2f', '%2F', '#']

/** What is wrong with a route, one sentence each; nothing for one that the API server would store. */
export function refusals({ spec }: gateway.HTTPRoute, experimental = false): string[] {
  const rules = spec.rules ?? []
  const matches = rules.flatMap(rule => rule.matches ?? [])
  return [
    ...wrong(rules.length < 1 || rules.length > 16, 'rules: 1 to 16'),
    ...wrong(matches.length > 128, 'at most 128 matches in all'),
    ...wrong((spec.hostnames ?? []).length > 16, 'at most 16 hostnames'),
    ...wrong((spec.parentRefs ?? []).length > 32, 'at most 32 parentRefs'),
    ...(spec.hostnames ?? []).flatMap(name => wrong(!hostname.test(name.replace(/^\*\./, '')), `hostname ${name}`)),
    ...wrong(!areDistinct(spec.parentRefs ?? []), 'parentRefs to one parent need a sectionName or a port each'),
    ...rules.flatMap(rule => refusalsOfRule(rule, experimental)),
  ]
}

/** CEL of CommonRouteSpec: of several references to one parent none may stand for all of it. */
function areDistinct(parentRefs: gateway.ParentReference[]): boolean {
  const parents = parentRefs.map(({ kind = 'Gateway', namespace = '', name }) => [kind, namespace, name].join())
  const sections = parentRefs.map(({ sectionName = '', port = '' }) => [sectionName, port].join())
  return parentRefs.every((_, i) => {
    const same = parentRefs.flatMap((_, j) => (parents[i] === parents[j] ? [sections[j]] : []))
    return same.length === 1 || (new Set(same).size === same.length && !same.includes(','))
  })
}

function refusalsOfRule(rule: gateway.HTTPRouteRule, experimental: boolean): string[] {
  const { matches = [], filters = [], backendRefs = [], timeouts = {}, retry } = rule
  const { request, backendRequest } = timeouts
  const types = filters.map(({ type }) => type)
  const paths = matches.map(({ path }) => path?.type ?? 'PathPrefix')
  const onePrefix = matches.length === 0 || (matches.length === 1 && paths[0] === 'PathPrefix')
  return [
    ...wrong(matches.length > 64, 'at most 64 matches in a rule'),
    ...wrong(backendRefs.length > 16, 'at most 16 backendRefs'),
    ...wrong(filters.length > 16, 'at most 16 filters'),
    ...wrong(
      types.some((type, i) => type !== 'RequestMirror' && types.indexOf(type) !== i),
      'a filter may not be repeated',
    ),
    ...wrong(retry !== undefined && !experimental, 'the standard channel would drop retry in silence'),
    ...wrong(retry?.attempts !== undefined && retry.attempts < 1, 'retry.attempts: at least 1'),
    ...wrong(retry?.backoff !== undefined && !duration.test(retry.backoff), 'retry.backoff: no duration'),
    ...wrong(
      (retry?.codes ?? []).some(code => code < 400 || code > 599),
      'retry.codes: 400 to 599',
    ),
    ...wrong(
      request !== undefined &&
        backendRequest !== undefined &&
        durationMs(request) > 0 &&
        durationMs(backendRequest) > durationMs(request),
      'timeouts.backendRequest is longer than request',
    ),
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
  if (filter.type === 'RequestMirror') return refusalsOfMirror(filter.requestMirror)
  if (filter.type === 'CORS') return refusalsOfCors(filter.cors)
  const { scheme = 'http', hostname: host, port = 1, statusCode = 302 } = filter.requestRedirect
  return [
    ...wrong(!['http', 'https'].includes(scheme), `scheme ${scheme}`),
    ...wrong(host !== undefined && !hostname.test(host), `hostname ${host}`),
    ...wrong(port < 1 || port > 65_535, `port ${port}`),
    ...wrong(![301, 302, 303, 307, 308].includes(statusCode), `statusCode ${statusCode}`),
  ]
}

function refusalsOfMirror({ percent, fraction }: gateway.HTTPRequestMirrorFilter): string[] {
  const { numerator = 0, denominator = 100 } = fraction ?? {}
  return [
    ...wrong(percent !== undefined && fraction !== undefined, 'percent and fraction together'),
    ...wrong(percent !== undefined && !(Number.isInteger(percent) && percent >= 0 && percent <= 100), 'percent'),
    ...wrong(!Number.isInteger(numerator) || !Number.isInteger(denominator), 'fraction of whole numbers'),
    ...wrong(numerator < 0 || denominator < 1 || numerator > denominator, 'fraction from 0 to 1'),
  ]
}

function refusalsOfCors({ allowOrigins = [], allowMethods = [], maxAge = 5 }: gateway.HTTPCORSFilter): string[] {
  return [
    ...wrong(allowOrigins.includes('*') && allowOrigins.length > 1, 'origin * beside others'),
    ...allowOrigins.flatMap(origin => wrong(!corsOrigin.test(origin), `origin ${origin}`)),
    ...allowMethods.flatMap(method => wrong(method !== '*' && !methods.includes(method), `CORS method ${method}`)),
    ...wrong(allowMethods.includes('*') && allowMethods.length > 1, 'method * beside others'),
    ...wrong(!Number.isInteger(maxAge) || maxAge < 1, 'maxAge: at least 1'),
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
