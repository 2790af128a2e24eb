// EnvoyFilter: patches of Envoys. Those of gateways stay; pods in ambient have no Envoy, and waypoints are patched by
// targetRefs only (research/policies.md, section 2).
import type * as istio from '../../apis/istio.ts'
import { inspect, listOf, mapOf } from '../fate.ts'
import { selectsAmbient, successorOf } from '../gateway-pods.ts'
import { read } from '../shapes.ts'
import { namespaceOf } from '../snapshot.ts'
import { checkTargets, targetRefShapes } from '../target-refs.ts'
import type { Context } from '../translation.ts'
import { ambientNamespaces } from '../waypoint.ts'

const codes = { type: 'EF-FIELD-TYPE' } as const

/** What is read of the spec. */
export const envoyFilterShape = read({
  workloadSelector: read({ labels: mapOf('string') }),
  targetRefs: targetRefShapes.targetRefs,
  configPatches: listOf(read({ match: read({ context: 'string' }) })),
})

/** Without a context a patch is for every Envoy. */
const ofSidecars = ['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND']

export function examineEnvoyFilter(object: istio.EnvoyFilter, context: Context): void {
  const { cluster, settings, report } = context
  const namespace = namespaceOf(object)
  const { spec = {} } = object
  if (!inspect(spec, envoyFilterShape, 'spec', codes, report)) return
  const { workloadSelector, targetRefs = [], configPatches = [] } = spec
  checkTargets(object, 'EF-TARGET-UNBOUND', context)
  if (targetRefs.length > 0) {
    if (ambientNamespaces(namespace, cluster, settings).length > 0) report('EF-TARGET', 'spec.targetRefs')
    return
  }
  const labels = workloadSelector?.labels ?? {}
  const gateway = successorOf(namespace, labels, context)
  if (gateway) report('EF-GATEWAY', 'spec.workloadSelector', { gateway })
  if (!selectsAmbient(namespace, labels, context)) return
  const contexts = configPatches.map(({ match }) => match?.context ?? 'ANY')
  const lost = contexts.flatMap((each, i) => (ofSidecars.includes(each) ? [`spec.configPatches[${i}]`] : []))
  for (const field of lost.length === contexts.length ? ['spec.configPatches'] : lost) report('EF-SIDECAR', field)
  for (const [i, each] of contexts.entries())
    if (each === 'WAYPOINT') report('EF-WAYPOINT', `spec.configPatches[${i}].match.context`)
}
