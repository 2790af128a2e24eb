// headers.request and headers.response -> RequestHeaderModifier and ResponseHeaderModifier (section 1.2). Loses nothing.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { isHostname } from '../hostname.ts'
import type { Report } from '../report.ts'

/** RFC 9110 token: what Gateway API takes as a header name. */
export const headerName = /^[A-Za-z0-9!#$%&'*+\-.^_|~`]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const controlCharacters = /[\x00-\x1f\x7f]/

/** What `headers` becomes: filters, and the host name when the request's Host is set (urlRewrite.hostname). */
export interface HeaderFilters {
  filters: gateway.HTTPRouteFilter[]
  hostname?: string
}

/** The filters for one `headers` block, of a rule or of a single destination. `{}` gives none. */
export function headerFilters(headers: istio.Headers, field: string, report: Report): HeaderFilters {
  const { set = {}, ...request } = headers.request ?? {}
  const host = Object.keys(set).find(name => [':authority', 'host'].includes(name.toLowerCase()))
  const { [host ?? '']: hostname, ...others } = set
  const filters: gateway.HTTPRouteFilter[] = []
  const requestHeaderModifier = modifier({ ...request, set: others }, `${field}.request`, report)
  if (requestHeaderModifier) filters.push({ type: 'RequestHeaderModifier', requestHeaderModifier })
  const responseHeaderModifier = modifier(headers.response ?? {}, `${field}.response`, report)
  if (responseHeaderModifier) filters.push({ type: 'ResponseHeaderModifier', responseHeaderModifier })
  if (hostname === undefined) return { filters }
  if (!isHostname(hostname.toLowerCase())) report('VS-REWRITE-AUTHORITY', `${field}.request.set[${host}]`)
  return { filters, hostname: hostname.toLowerCase() }
}

function modifier(
  operations: istio.HeaderOperations,
  field: string,
  report: Report,
): gateway.HTTPHeaderFilter | undefined {
  const set = headerList(operations.set ?? {}, `${field}.set`, report)
  const add = headerList(operations.add ?? {}, `${field}.add`, report)
  const remove = operations.remove ?? []
  for (const [i, name] of remove.entries())
    if (!headerName.test(name) || i > 15) report('VS-HEADERS', `${field}.remove[${i}]`, { name: shown(name) })
  if (set.length + add.length + remove.length === 0) return undefined
  return {
    ...(set.length > 0 ? { set } : {}),
    ...(add.length > 0 ? { add } : {}),
    ...(remove.length > 0 ? { remove: [...remove] } : {}),
  }
}

function headerList(headers: Record<string, string>, field: string, report: Report): gateway.HTTPHeader[] {
  const names = Object.keys(headers).sort()
  return names.map((name, i) => {
    const value = headers[name] ?? ''
    const isStorable = headerName.test(name) && name.length <= 256 && value.length <= 4096 && i < 16
    if (!isStorable || value === '' || controlCharacters.test(value))
      report('VS-HEADERS', `${field}[${name}]`, { name: shown(name) })
    return { name, value }
  })
}

function shown(name: string): string {
  return name.length > 40 ? `${name.slice(0, 40)}…` : name
}
