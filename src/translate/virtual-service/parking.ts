// Parking: one label makes istiod pass over a VirtualService whose routes serve, and its spec stays as it is
// (design.md section 2, fact 6). Never done before the route is accepted, never to a policy.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { contains } from '../canonical.ts'
import { isCompanion, revisionLabel } from '../companion.ts'
import { withField } from '../original.ts'
import type { Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import type { ClusterSnapshot } from '../snapshot.ts'

/** What stands for a VirtualService, all of it or nothing. */
export type Route = gateway.HTTPRoute | gateway.TLSRoute | gateway.TCPRoute | gateway.GRPCRoute

/** No revision of istiod is called so. */
export const parkedRevision = 'sidestep-parked'

/** The VirtualService as it should be stored: parked once all its routes are accepted, else as it came. */
export function park(
  virtualService: istio.VirtualService,
  routes: Route[],
  cluster: ClusterSnapshot,
  { virtualServices, revision }: Settings,
  report: Report,
): istio.VirtualService {
  if (virtualServices === 'keep' || routes.length === 0) return virtualService
  if (revision === '') {
    report('VS-PARKING-REVISION', 'metadata.labels')
    return virtualService
  }
  if (!routes.every(route => isServing(route, cluster))) return virtualService
  return withField(virtualService, ['metadata', 'labels', revisionLabel], parkedRevision)
}

/** Whether the route is there as planned and every parent it names has accepted it. */
export function isServing(route: Route, cluster: ClusterSnapshot): boolean {
  if (cluster.statuses === 'assumed') return true
  const observed = observedRoute(route, cluster)
  if (!observed || !isCompanion(observed) || !contains(observed.spec, route.spec)) return false
  const { parents = [] } = observed.status ?? {}
  return (route.spec.parentRefs ?? []).every(parentRef =>
    parents.some(
      ({ parentRef: its, conditions = [] }) =>
        its.name === parentRef.name &&
        its.namespace === parentRef.namespace &&
        its.sectionName === parentRef.sectionName &&
        its.port === parentRef.port &&
        conditions.some(({ type, status }) => type === 'Accepted' && status === 'True') &&
        !conditions.some(({ type, status }) => type === 'ResolvedRefs' && status === 'False'),
    ),
  )
}

const collections = {
  HTTPRoute: 'httpRoutes',
  TLSRoute: 'tlsRoutes',
  TCPRoute: 'tcpRoutes',
  GRPCRoute: 'grpcRoutes',
} as const

/** What stands in the place of a route: it, or another of its kind and name. */
export function observedRoute({ kind, metadata }: Route, cluster: ClusterSnapshot): Route | undefined {
  return cluster[collections[kind]].get(metadata.namespace ?? 'default')?.get(metadata.name ?? '')
}
