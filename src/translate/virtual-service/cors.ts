// spec.http[].corsPolicy -> CORS (research/virtualservice.md 1.2 and 10). Origins are texts, or a scheme and a wildcard;
// of other patterns nobody could say which origins they mean, and an origin too many is a hole.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import type { Capabilities } from '../snapshot.ts'
import { headerName } from './headers.ts'
import { standardMethods } from './match.ts'
import { parseDuration } from './timeout.ts'

// The limits of the CRD (gateway-api v1.6 HTTPCORSFilter).
const acceptedOrigin = /^(\*|https?:\/\/((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?)$/
const originLimit = 253
const listLimit = 64
const maxAgeLimit = 2 ** 31 - 1

/** The filter of an entry; undefined when the policy does nothing. */
export function corsFilter(
  policy: istio.CorsPolicy,
  field: string,
  { httpRoute }: Capabilities,
  report: Report,
): gateway.HTTPRouteFilter | undefined {
  const matches = originMatches(policy, field)
  const isIgnoring = policy.unmatchedPreflights === 'IGNORE'
  if (matches.length === 0 && !isIgnoring) {
    // Envoy adds nothing where no origin is allowed.
    if (Object.keys(policy).length > 0) report('VS-CORS-EMPTY', field)
    return undefined
  }
  if (!httpRoute.cors) report('VS-CORS', field)
  if (matches.length === 0) report('VS-CORS-ORIGIN', `${field}.allowOrigins`, { origin: 'an empty list' })
  const allowOrigins = originsOf(matches, field, report)
  // Istio makes every HTTPRoute answer preflights of origins that are not allowed itself (`createCorsFilter`).
  if (!isIgnoring) report('VS-CORS-PREFLIGHT', field)
  const allowMethods = names(policy.allowMethods, standardMethods, `${field}.allowMethods`, report)
  const allowHeaders = names(policy.allowHeaders, headerName, `${field}.allowHeaders`, report)
  const exposeHeaders = names(policy.exposeHeaders, headerName, `${field}.exposeHeaders`, report)
  const maxAge = maxAgeOf(policy, field, report)
  const cors: gateway.HTTPCORSFilter = {
    allowOrigins,
    ...(policy.allowCredentials ? { allowCredentials: true } : {}),
    ...(allowMethods.length > 0 ? { allowMethods } : {}),
    ...(allowHeaders.length > 0 ? { allowHeaders } : {}),
    ...(exposeHeaders.length > 0 ? { exposeHeaders } : {}),
    ...(maxAge === undefined ? {} : { maxAge }),
  }
  return { type: 'CORS', cors }
}

// Origins ----------------------------------------------------------------------------------------------------------

type OriginMatch = [origin: istio.StringMatch, field: string]

/** `TranslateCORSPolicy`: the deprecated list of texts counts only without the other. */
function originMatches({ allowOrigins = [], allowOrigin = [] }: istio.CorsPolicy, field: string): OriginMatch[] {
  if (allowOrigins.length === 0) return allowOrigin.map((exact, i) => [{ exact }, `${field}.allowOrigin[${i}]`])
  return allowOrigins.map((origin, i) => [origin, `${field}.allowOrigins[${i}]`])
}

function originsOf(matches: OriginMatch[], field: string, report: Report): string[] {
  const origins = new Set(matches.flatMap(([origin, here]) => originsOfMatch(origin, here, report)))
  if (origins.size > listLimit) report('VS-MATCH-LIMIT', field, { limit: `${listLimit} origins` })
  // The CRD wants `*` alone, and beside others it means no less.
  return origins.has('*') ? ['*'] : [...origins]
}

function originsOfMatch(origin: istio.StringMatch, field: string, report: Report): string[] {
  const { exact, prefix, regex } = origin
  if ([exact, prefix, regex].filter(text => text !== undefined).length === 1) {
    if (exact === '*' || (regex !== undefined && /^\^?\.[*+]\$?$/.test(regex))) {
      report('VS-CORS-NULL-ORIGIN', field)
      return ['*']
    }
    // A wildcard inside an exact origin is a character like others in Istio, and no browser sends it.
    if (exact !== undefined && isAccepted(exact) && !exact.includes('*')) return [exact]
    if (prefix === 'https://' || prefix === 'http://') {
      report('VS-CORS-WILDCARD', field, { origin: `${prefix}*` })
      return [`${prefix}*`]
    }
    const origins = regex === undefined ? [] : subdomains(regex)
    if (origins.length > 0 && origins.every(isAccepted)) return origins
  }
  const shown = exact ?? prefix ?? regex ?? ''
  report('VS-CORS-ORIGIN', field, { origin: shown.slice(0, 60) || '""' })
  return []
}

/** `https?://.*\.example\.com` as `http://*.example.com` and its sister with https; nothing for any other regex. */
function subdomains(regex: string): string[] {
  const [, scheme, host = '', port = ''] =
    /^\^?(https\?|https|http):\/\/\.[*+]((?:\\\.[a-zA-Z0-9-]+)+)(:[0-9]+)?\$?$/.exec(regex) ?? []
  if (scheme === undefined) return []
  const schemes = scheme === 'https?' ? ['http', 'https'] : [scheme]
  return schemes.map(scheme => `${scheme}://*${host.replaceAll('\\', '')}${port}`)
}

function isAccepted(origin: string): boolean {
  return acceptedOrigin.test(origin) && origin.length <= originLimit
}

// The rest ---------------------------------------------------------------------------------------------------------

/** A list of methods or header names without repetitions; `*` stands for all and alone. */
function names(list: string[] = [], accepted: RegExp | string[], field: string, report: Report): string[] {
  const isOne = (name: string) => (Array.isArray(accepted) ? accepted.includes(name) : accepted.test(name))
  for (const [i, name] of list.entries()) {
    const isAlone = name !== '*' || list.length === 1
    if (!isAlone || name.length > 256 || !(name === '*' || isOne(name)))
      report('VS-CORS-NAME', `${field}[${i}]`, { name: name.slice(0, 40) || '""' })
  }
  const different = [...new Set(list)]
  if (different.length > listLimit) report('VS-MATCH-LIMIT', field, { limit: `${listLimit} headers` })
  return different
}

function maxAgeOf({ maxAge }: istio.CorsPolicy, field: string, report: Report): number | undefined {
  if (!maxAge) {
    report('VS-CORS-MAX-AGE', field)
    return undefined
  }
  const seconds = (parseDuration(maxAge) ?? 0) / 1000
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > maxAgeLimit)
    report('VS-CORS-SECONDS', `${field}.maxAge`, { maxAge: maxAge.slice(0, 40) })
  return seconds
}
