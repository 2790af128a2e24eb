// spec.http[].redirect -> RequestRedirect (research/virtualservice.md 1.2 and 10).
// Without scheme and port Istio writes the listener's port into the Location of an HTTPRoute, unless it is the usual one.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { isHostname } from '../hostname.ts'
import type { Report } from '../report.ts'
import type { Surroundings } from './backends.ts'
import type { PlannedPath } from './match.ts'

const statusCodes = [301, 302, 303, 307, 308]

/** The filter of a redirecting rule. The default of Istio is 301 and that of Gateway API 302, so the code is always said. */
export function redirectFilter(
  redirect: istio.HTTPRedirect,
  path: PlannedPath,
  field: string,
  { cluster, listeners = [] }: Surroundings,
  report: Report,
): gateway.HTTPRouteFilter {
  const { authority, scheme, redirectCode } = redirect
  const statusCode = redirectCode || 301
  if (!statusCodes.includes(statusCode))
    report('VS-REDIRECT-CODE', `${field}.redirectCode`, { statusCode: String(statusCode) })
  else if (statusCode > 302 && !cluster.capabilities.httpRoute.redirectCodes)
    report('VS-REDIRECT-CODE-CRD', `${field}.redirectCode`, { statusCode: String(statusCode) })
  const requestRedirect: gateway.HTTPRequestRedirectFilter = { statusCode }
  if (scheme) requestRedirect.scheme = scheme.toLowerCase()
  if (authority) Object.assign(requestRedirect, hostAndPort(authority, `${field}.authority`, report))
  const port = redirect.port || requestRedirect.port || derivedPort(redirect, listeners, field, report)
  if (port) requestRedirect.port = port
  const modifier = pathModifier(redirect, path, field, report)
  if (modifier) requestRedirect.path = modifier
  return { type: 'RequestRedirect', requestRedirect }
}

function hostAndPort(authority: string, field: string, report: Report): { hostname?: string; port?: number } {
  const [, hostname = '', port] = /^(.*?)(?::([0-9]{1,5}))?$/.exec(authority) ?? []
  if (!isHostname(hostname.toLowerCase()) || Number(port ?? 1) > 65535 || Number(port ?? 1) < 1) {
    report('VS-REDIRECT-AUTHORITY', field, { authority: authority.slice(0, 60) })
    return {}
  }
  return port ? { hostname: hostname.toLowerCase(), port: Number(port) } : { hostname: hostname.toLowerCase() }
}

/**
 * The port that has to be written for the Location to stay as it is. A port that is usual for the scheme stands for none
 * (`ApplyRedirect`, istio/istio pilot/pkg/networking/core/route); then the client's own, in the Host, is kept.
 */
function derivedPort(
  { scheme, derivePort }: istio.HTTPRedirect,
  listeners: gateway.Listener[],
  field: string,
  report: Report,
): number | undefined {
  const ports = new Set(listeners.map(({ port }) => port))
  if (derivePort === 'FROM_REQUEST_PORT') {
    if (!scheme) return undefined
    const [only] = ports
    if (ports.size !== 1) report('VS-REDIRECT-PORT', `${field}.derivePort`)
    return only
  }
  // With a scheme Istio leaves the port alone, and on the usual ports it has none to add.
  const unusual = listeners.find(({ port, protocol }) => port !== usualPort(protocol))
  if (scheme || !unusual) return undefined
  const [usual, ...others] = new Set(listeners.map(({ protocol }) => usualPort(protocol)))
  if (others.length === 0) return usual
  report('VS-REDIRECT-PORT-ADDED', field, { port: String(unusual.port) })
  return undefined
}

function usualPort(protocol: string): number {
  return protocol === 'HTTPS' ? 443 : 80
}

function pathModifier(
  { uri, prefixRewrite }: istio.HTTPRedirect,
  path: PlannedPath,
  field: string,
  report: Report,
): gateway.HTTPPathModifier | undefined {
  if (uri) return { type: 'ReplaceFullPath', replaceFullPath: uri }
  if (!prefixRewrite) return undefined
  const { base, text } = path
  if (path.kind === 'exact' && base !== undefined)
    return { type: 'ReplaceFullPath', replaceFullPath: prefixRewrite + text.slice(base.length) }
  const replacePrefixMatch = path.match.type === 'PathPrefix' ? replacementOf(path, prefixRewrite) : undefined
  if (replacePrefixMatch === undefined) {
    report('VS-REDIRECT-PREFIX', `${field}.prefixRewrite`)
    return undefined
  }
  return { type: 'ReplacePrefixMatch', replacePrefixMatch }
}

/**
 * The replacement loses a slash where the prefix does, as a path element; undefined where that gives another path. Istio
 * does not trim the slash of a redirect's replacement itself, as it does for rewrites.
 */
function replacementOf({ kind, text, base = text }: PlannedPath, prefixRewrite: string): string | undefined {
  if (kind !== 'prefix') return undefined
  const replaced = prefixRewrite + text.slice(base.length)
  if (text === '' || text === '/') return text === replaced ? replaced : undefined
  if (!text.endsWith('/')) return replaced
  return replaced.endsWith('/') && replaced.length > 1 ? replaced.slice(0, -1) : undefined
}
