// Roots and delegates -> VirtualServices without delegates, as istiod merges them before anything else.
// Source: istio/istio pilot/pkg/model/virtualservice.go and pilot/pkg/config/kube/virtualservice (mergeHTTPRoutes,
// mergeHTTPMatchRequest, hasConflict, stringMatchConflict); research/virtualservice.md 1.2.
import type * as istio from '../../src/apis/istio.ts'
import { fullName } from './clusters.ts'

/** An entry of `spec.http` with the index of the entry that it stands in, and for a delegate's the index in the delegate. */
export interface MergedEntry {
  http: istio.HTTPRoute
  entry: number
  leaf?: number
}

/** A missing, an invisible or a contradicting delegate takes only the one entry with it. */
export function mergedEntries(root: istio.VirtualService, virtualServices: istio.VirtualService[]): MergedEntry[] {
  const namespace = root.metadata.namespace ?? 'default'
  return (root.spec.http ?? []).flatMap((http, entry): MergedEntry[] => {
    if (!http.delegate) return [{ http, entry }]
    const { name, namespace: delegateNamespace = namespace } = http.delegate
    const delegate = virtualServices.find(
      ({ metadata, spec }) => metadata.name === name && metadata.namespace === delegateNamespace && !spec.hosts?.length,
    )
    if (!delegate || !isVisible(delegate, namespace)) return []
    return (delegate.spec.http ?? []).flatMap((leaf, i): MergedEntry[] => {
      const merged = mergeEntry(http, inNamespace(leaf, delegateNamespace))
      return merged ? [{ http: merged, entry, leaf: i }] : []
    })
  })
}

function isVisible({ metadata, spec }: istio.VirtualService, namespace: string): boolean {
  const exportTo = spec.exportTo?.length ? spec.exportTo : ['*']
  return exportTo.some(to => to === '*' || to === namespace || (to === '.' && metadata.namespace === namespace))
}

/** Short names are resolved before the merge, so that the delegate's mean its own namespace. */
function inNamespace(http: istio.HTTPRoute, namespace: string): istio.HTTPRoute {
  const resolved = (destination: istio.Destination) => ({
    ...destination,
    host: fullName(destination.host ?? '', namespace),
  })
  const { route, mirror, mirrors } = http
  return {
    ...http,
    ...(route && { route: route.map(to => ({ ...to, destination: resolved(to.destination ?? {}) })) }),
    ...(mirror && { mirror: resolved(mirror) }),
    ...(mirrors && {
      mirrors: mirrors.map(to => ({ ...to, ...(to.destination && { destination: resolved(to.destination) }) })),
    }),
  }
}

const inherited = [
  'rewrite',
  'directResponse',
  'timeout',
  'retries',
  'fault',
  'mirror',
  'mirrorPercent',
  'mirror_percent',
  'mirrorPercentage',
  'corsPolicy',
  'mirrors',
  'headers',
] as const satisfies (keyof istio.HTTPRoute)[]

function mergeEntry(root: istio.HTTPRoute, leaf: istio.HTTPRoute): istio.HTTPRoute | undefined {
  const match = mergeMatches(root.match ?? [], leaf.match ?? [])
  if (!match) return undefined
  const { match: _, ...action } = leaf
  // What is null is not stored.
  const fromRoot = inherited.filter(field => (leaf[field] ?? undefined) === undefined && root[field] !== undefined)
  return {
    ...action,
    ...Object.fromEntries(fromRoot.map(field => [field, root[field]])),
    ...(match.length > 0 ? { match } : {}),
  }
}

/** Each match of the delegate must fit into some match of the root; else the delegate's entry is dropped. */
function mergeMatches(
  root: istio.HTTPMatchRequest[],
  leaf: istio.HTTPMatchRequest[],
): istio.HTTPMatchRequest[] | undefined {
  if (root.length === 0) return leaf
  if (leaf.length === 0) return root
  const merged = leaf.map(inner =>
    root.filter(outer => !conflicts(outer, inner)).map(outer => mergeMatch(outer, inner)),
  )
  return merged.some(fitting => fitting.length === 0) ? undefined : merged.flat()
}

function mergeMatch(root: istio.HTTPMatchRequest, leaf: istio.HTTPMatchRequest): istio.HTTPMatchRequest {
  const { ignoreUriCase: _, ...outer } = root
  const maps = ['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const
  return {
    ...outer,
    ...leaf,
    ...Object.fromEntries(maps.filter(map => root[map] ?? leaf[map]).map(map => [map, { ...root[map], ...leaf[map] }])),
  }
}

function conflicts(root: istio.HTTPMatchRequest, leaf: istio.HTTPMatchRequest): boolean {
  const single = (['uri', 'scheme', 'method', 'authority'] as const).some(field => apart(root[field], leaf[field]))
  const named = (['headers', 'withoutHeaders', 'queryParams'] as const).some(map =>
    Object.entries(leaf[map] ?? {}).some(([name, value]) => apart(root[map]?.[name], value)),
  )
  const labels = Object.entries(leaf.sourceLabels ?? {}).some(
    ([name, value]) => (root.sourceLabels?.[name] ?? value) !== value,
  )
  const gateways =
    root.gateways?.length && leaf.gateways?.length ? leaf.gateways.some(name => !root.gateways?.includes(name)) : false
  return (
    single ||
    named ||
    labels ||
    gateways ||
    (root.ignoreUriCase ?? false) !== (leaf.ignoreUriCase ?? false) ||
    (root.port !== undefined && leaf.port !== undefined && root.port !== leaf.port) ||
    (root.sourceNamespace !== undefined && leaf.sourceNamespace !== root.sourceNamespace)
  )
}

/** `stringMatchConflict`: a regex or a presence goes with nothing, and the delegate's text must lie within the root's. */
function apart(root: istio.StringMatch | undefined, leaf: istio.StringMatch | undefined): boolean {
  if (!root || !leaf) return false
  if (root.exact) return leaf.prefix ? true : leaf.exact !== root.exact
  const text = leaf.prefix || leaf.exact
  return root.prefix && text ? !text.startsWith(root.prefix) : true
}
