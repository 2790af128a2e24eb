// spec.http[].redirect -> RequestRedirect (research/virtualservice.md 1.2 and 10).
// The three variants of derivePort write the same Location on Istio when scheme and port are left away.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import { isHostname } from './hosts.ts'
import type { PlannedPath } from './match.ts'

const statusCodes = [301, 302, 303, 307, 308]

/** The filter of a redirecting rule. The default of Istio is 301 and that of Gateway API 302, so the code is always said. */
export function redirectFilter(
  redirect: istio.HTTPRedirect,
  path: PlannedPath,
  field: string,
  report: Report,
): gateway.HTTPRouteFilter {
  const { authority, scheme, derivePort, redirectCode } = redirect
  const statusCode = redirectCode || 301
  if (!statusCodes.includes(statusCode))
    report('VS-REDIRECT-CODE', `${field}.redirectCode`, { statusCode: String(statusCode) })
  const requestRedirect: gateway.HTTPRequestRedirectFilter = { statusCode }
  if (scheme) requestRedirect.scheme = scheme.toLowerCase()
  if (authority) Object.assign(requestRedirect, hostAndPort(authority, `${field}.authority`, report))
  if (redirect.port) requestRedirect.port = redirect.port
  if (derivePort === 'FROM_REQUEST_PORT' && scheme) report('VS-REDIRECT-PORT', `${field}.derivePort`)
  const modifier = pathModifier(redirect, path, field, report)
  if (modifier) requestRedirect.path = modifier
  return { type: 'RequestRedirect', requestRedirect }
}

function hostAndPort(authority: string, field: string, report: Report): { hostname?: string; port?: number } {
  const [, hostname = '', port] = /^(.*?)(?::([0-9]{1,5}))?$/.exec(authority) ?? []
  if (!isHostname(hostname) || Number(port ?? 1) > 65535 || Number(port ?? 1) < 1) {
    report('VS-REDIRECT-AUTHORITY', field, { authority: authority.slice(0, 60) })
    return {}
  }
  return port ? { hostname: hostname.toLowerCase(), port: Number(port) } : { hostname: hostname.toLowerCase() }
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
