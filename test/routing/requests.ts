// The requests that can tell two answers apart: around the literal path of every match, with its conditions fulfilled,
// broken one by one, and fulfilled together with those of every other match.
import type * as istio from '../../src/apis/istio.ts'
import type { Request } from './answer.ts'
import type { Configuration } from './configuration.ts'

const hosts = ['app.example.com', 'www.example.com', 'example.org']

/** About `limit` requests, chosen evenly from all; each to every host. */
export function requestsFor({ virtualServices }: Configuration, limit = 90): Request[] {
  const https = virtualServices.flatMap(({ spec }) => spec.http ?? [])
  const matches = https.flatMap(({ match }) => (match?.length ? match : [{}]))
  const alone = matches.flatMap(match =>
    [fulfilling(match), ...breaking(match)].map(conditions => ({ conditions, paths: pathsAround([match]) })),
  )
  const pairs = matches.flatMap((match, i) => matches.slice(i + 1).map(other => ({ match, other })))
  const together = evenly(pairs, limit).map(({ match, other }) => ({
    conditions: merge(fulfilling(match), fulfilling(other)),
    paths: pathsAround([match, other]),
  }))
  const all = [...alone, ...together].flatMap(({ conditions, paths }) => paths.map(path => ({ path, conditions })))
  const chosen = evenly(all, Math.ceil(limit / hosts.length))
  return chosen.flatMap(({ path, conditions }) => hosts.map(host => ({ host, path, ...conditions })))
}

/** Steps of a prime number visit everything once, and neighbours far apart. */
function evenly<T>(all: T[], limit: number): T[] {
  return Array.from({ length: Math.min(limit, all.length) }, (_, i) => all[(i * 7919) % all.length]).filter(
    chosen => chosen !== undefined,
  )
}

/** The literal path of each match: it, it with a slash, with more of the same element, and with one more element. */
function pathsAround(matches: istio.HTTPMatchRequest[]): string[] {
  const literals = matches.map(({ uri }) => uri?.exact ?? uri?.prefix ?? (uri?.regex ? '/a' : '/'))
  const bare = literals.map(path => (path.endsWith('/') ? path.slice(0, -1) : path))
  const around = bare.flatMap(path => [path, `${path}/`, `${path}x`, `${path}/x`])
  const beyond = ['/', '/b']
  return [...new Set([...literals, ...around, ...beyond])].filter(path => path.startsWith('/'))
}

type Conditions = Pick<Request, 'method' | 'headers' | 'queryParams'>

function fulfilling({ method, headers = {}, queryParams = {} }: istio.HTTPMatchRequest): Conditions {
  const values = (conditions: Record<string, istio.StringMatch>) =>
    Object.entries(conditions).map(([name, value]): [string, string] => [name, value.exact ?? 'v1'])
  return {
    method: method?.exact ?? 'GET',
    headers: Object.fromEntries(values(headers).map(([name, value]) => [name.toLowerCase(), value])),
    queryParams: Object.fromEntries(values(queryParams)),
  }
}

/** Each condition broken, by itself: another method, one header or parameter less, another value. */
function breaking(match: istio.HTTPMatchRequest): Conditions[] {
  const met = fulfilling(match)
  const broken = (values: Record<string, string>) =>
    Object.keys(values).flatMap(name => {
      const { [name]: _, ...others } = values
      return [others, { ...others, [name]: 'v9' }, { ...others, [name]: 'w' }]
    })
  return [
    { ...met, method: met.method === 'GET' ? 'POST' : 'GET' },
    ...broken(met.headers).map(headers => ({ ...met, headers })),
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
