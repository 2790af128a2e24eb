// backendRefs of other namespaces -> a ReferenceGrant there, where the settings allow it (research/virtualservice.md 4.5).
// It is a decision of the Service's owner; an administrator who sets `referenceGrants: create` takes it for all of them.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { companionMetadata, companionName, isCompanion, nameOf } from '../companion.ts'
import type { Report } from '../report.ts'
import { byKey, type ClusterSnapshot, inNamespace, namespaceOf } from '../snapshot.ts'
import type { Route } from './parking.ts'
import type { ServiceName } from './service-name.ts'

/** Whether the owner of a Service lets routes of a namespace refer to it. Our own grants say nothing of the owner. */
export function isGranted(
  { namespace, name }: ServiceName,
  kind: string,
  from: string,
  cluster: ClusterSnapshot,
): boolean {
  return inNamespace(cluster.referenceGrants, namespace).some(
    grant =>
      !isCompanion(grant) &&
      grant.spec?.from?.some(source => source.kind === kind && source.namespace === from) &&
      grant.spec?.to?.some(target => target.kind === 'Service' && (!target.name || target.name === name)),
  )
}

/** One grant in each namespace that the routes refer to, for what its owners have not granted themselves. */
export function referenceGrants(
  source: istio.VirtualService,
  routes: Route[],
  cluster: ClusterSnapshot,
  report: Report,
): gateway.ReferenceGrant[] {
  const wanted = new Map<string, { from: Map<string, { kind: string; namespace: string }>; to: Set<string> }>()
  for (const route of routes) {
    const from = { kind: route.kind, namespace: namespaceOf(route) }
    for (const { kind = 'Service', namespace = from.namespace, name } of backendsOf(route)) {
      if (kind !== 'Service' || namespace === from.namespace) continue
      if (isGranted({ namespace, name }, from.kind, from.namespace, cluster)) continue
      const grant = wanted.get(namespace) ?? { from: new Map(), to: new Set() }
      wanted.set(namespace, grant)
      grant.from.set(from.kind, from)
      grant.to.add(name)
    }
  }
  // A namespace has no dot, so the name is of this source alone.
  const name = companionName(`${namespaceOf(source)}.${nameOf(source)}`)
  return [...wanted.keys()].sort().map(namespace => {
    const { from, to } = wanted.get(namespace) ?? { from: new Map(), to: new Set() }
    const there = byKey(cluster.referenceGrants, `${namespace}/${name}`)
    if (there && !isCompanion(there))
      report('VS-COMPANION-TAKEN', 'spec.http', { companion: `ReferenceGrant ${namespace}/${name}` })
    return {
      apiVersion: 'gateway.networking.k8s.io/v1beta1',
      kind: 'ReferenceGrant',
      metadata: companionMetadata(source, name, namespace),
      spec: {
        from: [...from.keys()].sort().map(kind => ({ group, kind, namespace: namespaceOf(source) })),
        to: [...to].sort().map(service => ({ group: '', kind: 'Service', name: service })),
      },
    }
  })
}

const group = 'gateway.networking.k8s.io'

/** Every backend of a route at a Gateway, mirrors too. In the mesh Istio asks for no grant (`enforceRefGrant`). */
function backendsOf({ spec }: Route): gateway.BackendObjectReference[] {
  if (!(spec.parentRefs ?? []).some(({ kind = 'Gateway' }) => kind === 'Gateway')) return []
  const rules: { backendRefs?: gateway.HTTPBackendRef[]; filters?: gateway.HTTPRouteFilter[] }[] = spec.rules ?? []
  return rules.flatMap(({ backendRefs = [], filters = [] }) => [
    ...backendRefs,
    ...[...filters, ...backendRefs.flatMap(({ filters: its = [] }) => its)].flatMap(filter =>
      filter.type === 'RequestMirror' ? [filter.requestMirror.backendRef] : [],
    ),
  ])
}
