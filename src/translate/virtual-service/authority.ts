// match[].authority -> hostnames: an HTTPRoute of its own for the host that is asked for. A name that has a virtual host of
// its own never falls back to a wider one, so every other rule that holds for the host goes into its route as well.
import type * as istio from '../../apis/istio.ts'
import { isCovered, isHostname, overlaps } from '../hostname.ts'
import type { Report } from '../report.ts'
import type { ScopedMatch } from './scopes.ts'

/** Rules that hold for the same hosts; without `hostnames`, for every host. */
export interface HostRules {
  hostnames?: string[]
  /** The hosts out of which these were cut; they were no virtual host before. */
  cutFrom: string[]
  matches: ScopedMatch[]
}

/** The rules by host. Reports an authority that is no host name, and one that a port goes with. */
export function byAuthority(
  hostnames: string[] | undefined,
  matches: ScopedMatch[],
  ports: number[],
  report: Report,
): HostRules[] {
  const wide = hostnames ?? ['*']
  const patterns = new Map<ScopedMatch, string>()
  for (const scoped of matches) {
    const pattern = patternOf(scoped.request.authority)
    if (pattern === undefined) continue
    patterns.set(scoped, pattern)
    const field = `${scoped.field}.authority`
    // Envoy compares the port too, and clients leave out only the ports of http and https.
    const isUsual = ports.every(port => [80, 443].includes(port))
    if (ports.length === 0) report('VS-MATCH-PORT', field, { gateway: 'its Gateways' })
    else if (pattern === '' || !isUsual) report('VS-MATCH-AUTHORITY', field)
    else if (wide.some(host => overlaps(pattern, host))) report('VS-MATCH-AUTHORITY-PORT', field, { host: pattern })
  }
  if (patterns.size === 0) return [{ ...(hostnames ? { hostnames } : {}), cutFrom: [], matches }]

  const cut = [...new Set(patterns.values())].filter(
    pattern => !wide.includes(pattern) && wide.some(host => isCovered(pattern, host)),
  )
  const groups = new Map<string, HostRules & { hostnames: string[] }>()
  for (const host of [...wide, ...cut]) {
    const here = matches.filter(scoped => isCovered(host, patterns.get(scoped) ?? '*'))
    const key = here.map(({ field }) => field).join()
    const group = groups.get(key) ?? { hostnames: [], cutFrom: [], matches: here.map(withoutAuthority) }
    const cutFrom = cut.includes(host) ? wide.filter(other => isCovered(host, other)) : []
    groups.set(key, { ...group, hostnames: [...group.hostnames, host].sort(), cutFrom: [...group.cutFrom, ...cutFrom] })
  }
  return [...groups.values()].map(({ hostnames, ...rules }) =>
    hostnames.includes('*') ? rules : { hostnames, ...rules },
  )
}

/** The host that is asked for, `*.name` for `.*\.name`; empty when it is something else, undefined when nothing is asked. */
function patternOf(authority: istio.StringMatch | undefined): string | undefined {
  if (!authority || Object.keys(authority).length === 0) return undefined
  const { exact = '', regex = '' } = authority
  const suffix = /^\^?\.[*+]((?:\\\.[-a-z0-9]+)+)\$?$/i.exec(regex)?.[1]?.replaceAll('\\.', '.').slice(1)
  const host = (suffix ?? exact).toLowerCase()
  if (!isHostname(host)) return ''
  return suffix === undefined ? host : `*.${host}`
}

function withoutAuthority({ request, ...scoped }: ScopedMatch): ScopedMatch {
  const { authority, ...rest } = request
  return { ...scoped, request: rest, ...(authority ? { asksMore: true } : {}) }
}
