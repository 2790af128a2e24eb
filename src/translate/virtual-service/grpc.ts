// An HTTPRoute that asks for gRPC methods alone -> GRPCRoute, for those who opt in (settings `grpcRoutes`).
// Istio serves both alike (`convertGRPCRoute`, istio/istio pilot/pkg/config/kube/gateway), so nothing is lost by staying.
import type * as gateway from '../../apis/gateway.ts'
import type { Surroundings } from './backends.ts'

/** The route as GRPCRoute where it can be said so, else as it is. */
export function grpcRoute(
  route: gateway.HTTPRoute,
  { cluster, settings }: Surroundings,
): gateway.HTTPRoute | gateway.GRPCRoute {
  if (!settings.grpcRoutes || !cluster.capabilities.grpcRoute) return route
  const { rules = [], ...spec } = route.spec
  const converted = rules.flatMap(rule => grpcRule(rule) ?? [])
  if (rules.length === 0 || converted.length < rules.length) return route
  const { status: _, ...rest } = route
  return { ...rest, kind: 'GRPCRoute', spec: { ...spec, rules: converted } }
}

const knownFilters = ['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror']

/** A rule without backends answers 500, a GRPCRoute's UNAVAILABLE; a grant for an HTTPRoute is none for a GRPCRoute. */
function grpcRule({
  matches = [],
  timeouts,
  retry,
  ...rule
}: gateway.HTTPRouteRule): gateway.GRPCRouteRule | undefined {
  const { filters = [], backendRefs = [] } = rule
  if (timeouts || retry || backendRefs.length === 0) return undefined
  if (filters.some(({ type }) => !knownFilters.includes(type))) return undefined
  const mirrors = filters.flatMap(filter => (filter.type === 'RequestMirror' ? [filter.requestMirror.backendRef] : []))
  if ([...backendRefs, ...mirrors].some(({ namespace }) => namespace !== undefined)) return undefined
  const converted = matches.flatMap(match => grpcMatch(match) ?? [])
  if (matches.length === 0 || converted.length < matches.length) return undefined
  const { name, ...action } = rule
  return { ...(name ? { name } : {}), matches: converted, ...action }
}

/**
 * `/package.Service/Method`, in the letters that the CRD takes. The package is asked for: an ordinary first path element,
 * such as `/jupyter`, would pass for a Service as well.
 */
const methodPath = /^\/([A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_][A-Za-z_0-9]*)+)(?:\/([A-Za-z_][A-Za-z_0-9]*))?$/

function grpcMatch({ path, headers = [], queryParams = [], method }: gateway.HTTPRouteMatch) {
  const [, service, name] = methodPath.exec(path?.value ?? '') ?? []
  const isWhole = path?.type === 'Exact' ? name !== undefined : path?.type === 'PathPrefix' && name === undefined
  if (service === undefined || !isWhole || method || queryParams.length > 0) return undefined
  return {
    method: { type: 'Exact' as const, service, ...(name === undefined ? {} : { method: name }) },
    ...(headers.length > 0 ? { headers } : {}),
  }
}
