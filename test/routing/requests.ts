// The requests that can tell two answers apart: around the literal path of every match, with its conditions fulfilled,
// broken one by one, and fulfilled together with those of every other match.
import type * as istio from '../../src/apis/istio.ts'
import type { Ingress, Request } from './answer.ts'
import type { Configuration } from './configuration.ts'

const hosts = ['app.example.com', 'www.example.com', 'example.org']

/** The hosts to ask a gateway for: with a port where that can matter, and a Service's name where one is written. */
export function gatewayHosts({ virtualServices }: Configuration, { port }: Ingress): string[] {
  const https = virtualServices.flatMap(({ spec }) => spec.http ?? [])
  const readsPort = https.some(({ match = [], redirect }) => redirect ?? match.some(({ authority }) => authority))
  const namesService = virtualServices.some(({ spec }) => spec.hosts?.some(host => !host.includes('.') && host !== '*'))
  return [
    ...hosts,
    ...(readsPort ? [`app.example.com:${port}`] : []),
    ...(namesService ? ['one.a.svc.cluster.local'] : []),
  ]
}

/** About `limit` requests, chosen evenly from all; each to every host. */
export function requestsFor({ virtualServices }: Configuration, hosts: string[], limit: number): Request[] {
  const https = virtualServices.flatMap(({ spec }) => spec.http ?? [])
  const matches = https.flatMap(({ match }) => (match?.length ? match : [{}]))
  const alone = matches.flatMap(match =>
    [fulfilling(match), ...breaking(match)].map(conditions => ({ conditions, paths: pathsAround([match]) })),
  )
  const pairs = matches.flatMap((match, i) => matches.slice(i + 1).map(other => ({ match, other })))
  const together = evenly(pairs, Math.min(limit, 90)).map(({ match, other }) => ({
    conditions: merge(fulfilling(match), fulfilling(other)),
    paths: pathsAround([match, other]),
  }))
  const all = [...alone, ...together].flatMap(({ conditions, paths }) =>
    paths.map((path): [string, Conditions] => [path, conditions]),
  )
  const chosen = evenly(all, Math.ceil(limit / hosts.length))
  return chosen.flatMap(([path, conditions]) => hosts.map(host => ({ host, path, ...conditions })))
}

/** Steps of a prime number visit everything once, and neighbours far apart. */
function evenly<T>(all: T[], limit: number): T[] {
  return Array.from({ length: Math.min(limit, all.length) }, (_, i) => all[(i * 7919) % all.length]).filter(
    chosen => chosen !== undefined,
  )
}

/** The literal path of each match: it, it with a slash, with more of the same element, and with one more element. */
function pathsAround(matches: istio.HTTPMatchRequest[]): string[] {
  const key = matches.map(({ uri, ignoreUriCase }) => `${literal(uri)}${ignoreUriCase ? ' in any case' : ''}`).join()
  const known = paths.get(key)
  if (known) return known
  const literals = matches.map(({ uri }) => literal(uri))
  const bare = literals.map(path => (path.endsWith('/') ? path.slice(0, -1) : path))
  const around = bare.flatMap(path => [path, `${path}/`, `${path}x`, `${path}/x`])
  const shouted = matches.some(({ ignoreUriCase }) => ignoreUriCase)
    ? bare.flatMap(path => [path.toUpperCase(), `${path.toUpperCase()}/x`])
    : []
  const all = [...new Set([...literals, ...around, ...shouted, '/', '/b'])].filter(path => path.startsWith('/'))
  paths.set(key, all)
  return all
}

const paths = new Map<string, string[]>()

function literal(uri: istio.StringMatch | undefined): string {
  return uri?.exact ?? uri?.prefix ?? (uri?.regex ? '/a' : '/')
}

type Conditions = Omit<Request, 'host' | 'path'>

function fulfilling({ method, headers = {}, queryParams = {} }: istio.HTTPMatchRequest): Conditions {
  return {
    method: method?.exact ?? (method?.prefix ? 'POST' : 'GET'),
    headers: Object.fromEntries(valuesOf(headers).map(([name, value]) => [name.toLowerCase(), value])),
    queryParams: Object.fromEntries(valuesOf(queryParams)),
  }
}

function valuesOf(conditions: Record<string, istio.StringMatch>): [string, string][] {
  return Object.entries(conditions).map(([name, value]) => [name, value.exact ?? 'v1'])
}

/** Each condition broken, by itself: other methods, one header or parameter less, another value, a header too many. */
function breaking(match: istio.HTTPMatchRequest): Conditions[] {
  const met = fulfilling(match)
  const broken = (values: Record<string, string>) =>
    Object.keys(values).flatMap(name => {
      const { [name]: _, ...others } = values
      return [others, { ...others, [name]: 'v9' }, { ...others, [name]: 'w' }]
    })
  const unwanted = valuesOf(match.withoutHeaders ?? {}).map(([name, value]) => ({ [name.toLowerCase()]: value }))
  return [
    ...['GET', 'POST', 'PUT'].filter(method => method !== met.method).map(method => ({ ...met, method })),
    ...broken(met.headers).map(headers => ({ ...met, headers })),
    ...unwanted.map(headers => ({ ...met, headers: { ...met.headers, ...headers } })),
    ...broken(met.queryParams).map(queryParams => ({ ...met, queryParams })),
  ]
}

function merge(a: Conditions, b: Conditions): Conditions {
  return {
    method: b.method === 'GET' ? a.method : b.method,
    headers: { ...a.headers, ...b.headers },
    queryParams: { ...a.queryParams, ...b.queryParams },
  }
}
