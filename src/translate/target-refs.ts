// targetRefs: what they may name, and whether an Envoy reads what is attached there (istiod's ShouldAttachPolicy in
// pilot/pkg/model/policyattachment.go; research/policies.md 2 and 6). Six kinds have them, with the same meaning.
import type { KubernetesObject } from '../apis/core.ts'
import type * as istio from '../apis/istio.ts'
import { listOf } from './fate.ts'
import { gatewayOf } from './mapped-gateway.ts'
import { hasAddress } from './policy/targets.ts'
import type { Settings } from './settings.ts'
import { read } from './shapes.ts'
import { byKey, type ClusterSnapshot, namespaceOf } from './snapshot.ts'
import type { Context } from './translation.ts'
import { ambientRule, isSame, ruledWaypoint, serviceWaypoint, waypointClass } from './waypoint.ts'

const targetRef = read({ group: 'string', kind: 'string', name: 'string', namespace: 'string' })
/** The fields of a spec, for kinds of which only a part is read. */
export const targetRefShapes = { targetRef, targetRefs: listOf(targetRef) }

/** One target, as the field that names it, and what it is called in a message. */
interface Target {
  ref: istio.PolicyTargetReference
  field: string
  target: string
}

export function targetsOf({ targetRef, targetRefs = [] }: istio.WorkloadTarget): Target[] {
  const named = (ref: istio.PolicyTargetReference, field: string): Target => ({
    ref,
    field,
    target: `${ref.kind ?? ''} ${ref.name ?? ''}`.slice(0, 80),
  })
  return [
    ...targetRefs.map((ref, i) => named(ref, `spec.targetRefs[${i}]`)),
    ...(targetRef ? [named(targetRef, 'spec.targetRef')] : []),
  ]
}

/** Reports each target of an object by which nothing comes to read it. */
export function checkTargets(
  object: KubernetesObject & { spec?: istio.WorkloadTarget },
  code: 'WP-TARGET-UNBOUND' | 'EF-TARGET-UNBOUND' | 'TM-TARGET-UNBOUND',
  { cluster, settings, report }: Context,
): void {
  const own = namespaceOf(object)
  for (const { ref, field, target } of targetsOf(object.spec ?? {})) {
    const why = whyInvalid(ref, own, settings) ?? whyUnbound(ref, own, cluster, settings)
    if (why) report(code, field, { target, why })
  }
}

const kinds = [
  '/Service',
  'core/Service',
  'networking.istio.io/ServiceEntry',
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
]

/** Why a target of an object in the Namespace `own` can be none, whatever there is in the cluster. */
export function whyInvalid(
  { group = '', kind = '', name, namespace }: istio.PolicyTargetReference,
  own: string,
  { rootNamespace }: Settings,
): string | undefined {
  if (!kinds.includes(`${group}/${kind}`)) return 'only Service, ServiceEntry, Gateway and GatewayClass can be one'
  if (namespace) return 'a policy reaches targets of its own Namespace only, so leave `namespace` empty'
  if (kind !== 'GatewayClass') return undefined
  if (own !== rootNamespace) return `a GatewayClass is named from ${rootNamespace} only`
  return name === waypointClass ? undefined : `of all classes only ${waypointClass} is looked for`
}

const absent = 'it is not there; make it, or correct the name'

/**
 * Why nobody serves a target that can be one, and the way out. What files lack may well be in the cluster, so that only a
 * snapshot that is complete says of something that it is not there.
 */
export function whyUnbound(
  { kind, name = '' }: istio.PolicyTargetReference,
  own: string,
  cluster: ClusterSnapshot,
  settings: Settings,
): string | undefined {
  const { isComplete } = cluster
  const key = `${own}/${name}`
  if (kind === 'GatewayClass')
    return isComplete && !hasWaypoints(cluster, settings)
      ? 'there is no waypoint; make one, or name a Gateway'
      : undefined
  if (kind === 'Gateway') {
    const isThere = byKey(cluster.gateways, key) !== undefined
    return isComplete && !isThere && !isCreated(own, name, cluster, settings) ? absent : undefined
  }
  const service = kind === 'Service' ? byKey(cluster.services, key) : undefined
  const target = service ?? (kind === 'ServiceEntry' ? byKey(cluster.serviceEntries, key) : undefined)
  if (!target) return isComplete ? absent : undefined
  if (!ambientRule(own, cluster, settings)) return undefined
  if (service && !hasAddress(service))
    return 'it has no address, so nothing for it goes through a waypoint; name another'
  return serviceWaypoint(target, cluster, settings)
    ? undefined
    : 'no waypoint serves it; enrol it in one in the settings'
}

function hasWaypoints({ gateways }: ClusterSnapshot, { namespaces }: Settings): boolean {
  if (namespaces.some(({ waypoint }) => waypoint)) return true
  for (const its of gateways.values())
    for (const { spec } of its.values()) if (spec?.gatewayClassName === waypointClass) return true
  return false
}

/** Whether sidestep makes the Gateway, so that it will be there. */
function isCreated(namespace: string, name: string, cluster: ClusterSnapshot, settings: Settings): boolean {
  if (settings.gateways.some(mapping => mapping.create && gatewayOf(mapping).key === `${namespace}/${name}`))
    return true
  const own = ambientRule(namespace, cluster, settings)
  return settings.namespaces.some(rule => {
    const { waypoint } = rule
    // A rule that says no namespace means that of each of its users.
    if (!waypoint?.create || (!waypoint.namespace && rule !== own)) return false
    return isSame(ruledWaypoint(waypoint, namespace), { namespace, name })
  })
}
