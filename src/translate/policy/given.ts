// A policy whose author wrote its targets: they stay, in the form that is not deprecated, and what Istio would ignore
// without a word is said (research/policies.md 4 and 6).
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { ambientRule, serviceWaypoint, waypointClass } from '../waypoint.ts'
import { hasAddress, type Policy } from './targets.ts'

interface Context {
  cluster: ClusterSnapshot
  settings: Settings
  report: Report
}

/** The policy with `targetRefs` in place of the singular. Targets that cannot be, or that nobody serves, are reported. */
export function checkGiven<P extends Policy>(policy: P, kind: 'AP' | 'RA', context: Context): P {
  const { targetRef, targetRefs = [] } = policy.spec
  const field = targetRef ? 'spec.targetRef' : 'spec.targetRefs'
  const refs = [...targetRefs, ...(targetRef ? [targetRef] : [])]
  if (refs.length > 16) context.report(`${kind}-TARGETS-LIMIT`, field, { count: String(refs.length) })
  for (const [i, ref] of refs.entries()) checkRef(ref, targetRef ? field : `${field}[${i}]`, policy, kind, context)
  if (!targetRef || targetRefs.length > 0) return policy
  const { targetRef: _, ...spec } = policy.spec
  return { ...policy, spec: { ...spec, targetRefs: [targetRef] } }
}

const kinds = [
  '/Service',
  'core/Service',
  'networking.istio.io/ServiceEntry',
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
]

function checkRef(
  ref: istio.PolicyTargetReference,
  field: string,
  policy: Policy,
  kind: 'AP' | 'RA',
  { cluster, settings, report }: Context,
): void {
  const { kind: its = '', name = '' } = ref
  const target = `${its} ${name}`.slice(0, 80)
  const own = namespaceOf(policy)
  const why = problemOf(ref, own, settings)
  if (why) report(`${kind}-TARGET-INVALID`, field, { target, why })
  if (its !== 'Service' || !ambientRule(own, cluster, settings)) return
  const service = byKey(cluster.services, `${own}/${name}`)
  if (service && (!hasAddress(service) || !serviceWaypoint(service, cluster, settings)))
    report(`${kind}-TARGET-UNBOUND`, field, { target })
}

function problemOf(
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
