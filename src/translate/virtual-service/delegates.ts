// spec.http[].delegate -> the rules of another VirtualService, merged into this one as istiod does before it makes routes
// (`MergeHTTPRoutes`, istio/istio pilot/pkg/model/virtualservice.go, and virtualservice_controller.go beside it).
// Loses nothing: what Istio leaves out of the merge today is left out, and reported.
import type * as istio from '../../apis/istio.ts'
import { inspect } from '../fate.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { gatewayKey } from './doors.ts'
import { sizeLimit } from './effort.ts'
import { httpFates, shapeCodes, virtualServiceFates } from './fates.ts'

/** One `http` entry that routes: the VirtualService's own, or a delegate's merged with the root's entry. */
export interface HTTPEntry {
  http: istio.HTTPRoute
  /** Where it stands in the YAML of the VirtualService that is translated. */
  field: string
  /** Where the short names of its destinations are looked up: a delegate's are in the delegate's namespace. */
  namespace: string
}

/** A VirtualService without hosts does nothing by itself: others take its rules in. */
export function isDelegate({ spec }: istio.VirtualService): boolean {
  const hosts: unknown = spec?.hosts
  return spec !== undefined && (hosts === undefined || (Array.isArray(hosts) && hosts.length === 0))
}

/**
 * Every entry that routes, in order, with each `delegate` replaced by what it stands for. Undefined, with a report, when
 * that makes more matches than are compared: those of a root and of its delegates are multiplied.
 */
export function httpEntries(
  virtualService: istio.VirtualService,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): HTTPEntry[] | undefined {
  const namespace = namespaceOf(virtualService)
  let count = 0
  const entries = (virtualService.spec.http ?? []).flatMap((http, i) => {
    const field = `spec.http[${i}]`
    if (!http.delegate) return [{ http, field, namespace }]
    const delegate = delegateOf(http, `${field}.delegate`, namespace, cluster, report)
    if (!delegate) return []
    const root = withFullNames(http, namespace, settings)
    return (delegate.spec.http ?? []).flatMap((leaf, k) => {
      count += Math.max(http.match?.length ?? 0, 1) * Math.max(leaf.match?.length ?? 0, 1)
      if (count > sizeLimit) return []
      const here = `${field}.delegate.http[${k}]`
      const merged = mergedEntry(root, withFullNames(leaf, namespaceOf(delegate), settings))
      if (leaf.delegate) report('VS-DELEGATE', `${here}.delegate`)
      else if (merged) inspect(leaf, httpFates, here, shapeCodes, report)
      else report('VS-DELEGATE-CONFLICT', here)
      return merged && !leaf.delegate ? [{ http: merged, field: here, namespace: namespaceOf(delegate) }] : []
    })
  })
  if (count <= sizeLimit) return entries
  report('VS-SPEC-SIZE', 'spec.http', { what: `${count} matches of delegates` })
  return undefined
}

/** The delegate that an entry names, when it is there and open to the root. Without it Istio skips the entry. */
function delegateOf(
  { delegate = {}, route = [], redirect }: istio.HTTPRoute,
  field: string,
  namespace: string,
  cluster: ClusterSnapshot,
  report: Report,
): istio.VirtualService | undefined {
  // Istio refuses such an entry, so that nobody can say what it means.
  if (route.length > 0 || redirect) report('VS-DELEGATE', field)
  const key = `${delegate.namespace || namespace}/${delegate.name ?? ''}`
  const found = byKey(cluster.virtualServices, key)
  if (!found || !isDelegate(found)) {
    // A delegate that a cluster lacks is as good as an empty one. One that files lack may well be in the cluster, and
    // an HTTPRoute without its rules would go into a repository.
    const code = cluster.isComplete ? 'VS-DELEGATE-ABSENT' : 'VS-DELEGATE-UNKNOWN'
    report(code, field, { delegate: key.slice(0, 80) })
    return undefined
  }
  const { exportTo, http } = found.spec
  const isTyped = (to: Report) => inspect({ exportTo, http }, virtualServiceFates, field, shapeCodes, to)
  if (!isTyped(createReport({ severities: {} })) && !isTyped(report)) return undefined
  const isOpen = (to: string) => to === '*' || to === namespace || (to === '.' && namespaceOf(found) === namespace)
  if (!exportTo || exportTo.length === 0 || exportTo.some(isOpen)) return found
  report('VS-DELEGATE-EXPORT', field, { delegate: key.slice(0, 80), namespace })
  return undefined
}

/** istiod completes names before it merges: what is inherited keeps the meaning that it has in the root's namespace. */
function withFullNames(http: istio.HTTPRoute, namespace: string, { clusterDomain }: Settings): istio.HTTPRoute {
  const full = <D extends istio.Destination>(destination: D): D =>
    !destination.host || destination.host.includes('.')
      ? destination
      : { ...destination, host: `${destination.host}.${namespace}.svc.${clusterDomain}` }
  const { match, mirror, mirrors } = http
  return {
    ...http,
    ...(match ? { match: match.map(request => withGatewayKeys(request, namespace)) } : {}),
    ...(mirror ? { mirror: full(mirror) } : {}),
    ...(mirrors
      ? { mirrors: mirrors.map(each => (each.destination ? { ...each, destination: full(each.destination) } : each)) }
      : {}),
  }
}

function withGatewayKeys(request: istio.HTTPMatchRequest, namespace: string): istio.HTTPMatchRequest {
  const { gateways } = request
  if (!gateways) return request
  return { ...request, gateways: gateways.map(name => (name === 'mesh' ? name : gatewayKey(name, namespace))) }
}

/** The delegate's entry with what it does not say itself taken from the root's; undefined when their matches conflict. */
function mergedEntry(root: istio.HTTPRoute, leaf: istio.HTTPRoute): istio.HTTPRoute | undefined {
  const match = mergedMatches(root.match ?? [], leaf.match ?? [])
  if (!match) return undefined
  const { delegate: _, route: __, redirect: ___, ...inherited } = root
  const { mirrors, ...own } = leaf
  // Two spellings of one field.
  const hasPercent = own.mirrorPercent !== undefined || own.mirror_percent !== undefined
  const { mirrorPercent, mirror_percent, ...rest } = inherited
  return {
    ...(hasPercent ? rest : inherited),
    ...own,
    ...(mirrors && mirrors.length > 0 ? { mirrors } : {}),
    ...mergedName(root, leaf),
    match,
  }
}

/**
 * The product of both lists without the pairs that conflict. Undefined when one of the delegate's matches finds no
 * partner at all: then Istio drops the whole entry, with the matches that did.
 */
function mergedMatches(
  root: istio.HTTPMatchRequest[],
  leaf: istio.HTTPMatchRequest[],
): istio.HTTPMatchRequest[] | undefined {
  if (root.length === 0) return leaf
  if (leaf.length === 0) return root
  const product = leaf.map(ours =>
    root.filter(theirs => !hasConflict(theirs, ours)).map(theirs => mergedMatch(theirs, ours)),
  )
  return product.every(matches => matches.length > 0) ? product.flat() : undefined
}

const mapFields = ['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const

function mergedMatch(root: istio.HTTPMatchRequest, leaf: istio.HTTPMatchRequest): istio.HTTPMatchRequest {
  // In a protobuf message 0, '' and an empty list are the same as nothing.
  const own = Object.fromEntries(
    Object.entries(leaf).filter(([, value]) => value && !(Array.isArray(value) && value.length === 0)),
  )
  const maps = mapFields.flatMap(field =>
    root[field] || leaf[field] ? [[field, { ...root[field], ...leaf[field] }] as const] : [],
  )
  return { ...root, ...own, ...Object.fromEntries(maps), ...mergedName(root, leaf) }
}

function mergedName(root: { name?: string }, leaf: { name?: string }): { name?: string } {
  const name = [root.name, leaf.name].filter(Boolean).join('-')
  return name ? { name } : {}
}

/** Whether the delegate's match may ask for something that the root's does not let through (`hasConflict`). */
function hasConflict(root: istio.HTTPMatchRequest, leaf: istio.HTTPMatchRequest): boolean {
  if ((['uri', 'scheme', 'method', 'authority'] as const).some(field => isBeyond(root[field], leaf[field]))) return true
  for (const field of ['headers', 'withoutHeaders', 'queryParams'] as const) {
    const limits = new Map(Object.entries(root[field] ?? {}))
    if (Object.entries(leaf[field] ?? {}).some(([name, wanted]) => isBeyond(limits.get(name), wanted))) return true
  }
  if ((root.ignoreUriCase ?? false) !== (leaf.ignoreUriCase ?? false)) return true
  if (root.port && leaf.port && root.port !== leaf.port) return true
  if (root.sourceNamespace && root.sourceNamespace !== leaf.sourceNamespace) return true
  const labels = new Map(Object.entries(root.sourceLabels ?? {}))
  if (Object.entries(leaf.sourceLabels ?? {}).some(([name, value]) => (labels.get(name) ?? value) !== value))
    return true
  const { gateways = [] } = root
  return gateways.length > 0 && (leaf.gateways ?? []).some(name => !gateways.includes(name))
}

/** Istio compares exact texts and prefixes only: a regex, or presence, conflicts with everything (`stringMatchConflict`). */
function isBeyond(root: istio.StringMatch | undefined, leaf: istio.StringMatch | undefined): boolean {
  if (!root || !leaf) return false
  if (root.exact) return leaf.exact !== root.exact
  if (root.prefix) return !(leaf.prefix || leaf.exact || '').startsWith(root.prefix)
  return true
}
