// WasmPlugin, and TrafficExtension that follows it: filters of Envoys. Waypoints run those whose targetRefs name them, their
// class or their Services; ztunnel runs none (research/policies.md, section 2).
import type * as istio from '../../apis/istio.ts'
import { inspect, mapOf } from '../fate.ts'
import { selectsAmbient, successorOf } from '../gateway-pods.ts'
import { read } from '../shapes.ts'
import { namespaceOf } from '../snapshot.ts'
import { checkTargets, targetRefShapes } from '../target-refs.ts'
import type { Context } from '../translation.ts'

const codes = { type: 'WP-FIELD-TYPE' } as const

/** What is read of the spec. */
export const wasmPluginShape = read({
  selector: read({ matchLabels: mapOf('string') }),
  ...targetRefShapes,
  phase: 'string',
})

export function examineWasmPlugin(object: istio.WasmPlugin | istio.TrafficExtension, context: Context): void {
  const { report } = context
  const { spec = {} } = object
  if (!inspect(spec, wasmPluginShape, 'spec', codes, report)) return
  const { selector, targetRef, targetRefs = [], phase = '' } = spec
  checkTargets(object, 'WP-TARGET-UNBOUND', context)
  if (targetRef || targetRefs.length > 0) return
  const namespace = namespaceOf(object)
  const labels = selector?.matchLabels ?? {}
  const field = selector ? 'spec.selector' : 'spec'
  const gateway = successorOf(namespace, labels, context)
  if (gateway) report('WP-GATEWAY', field, { gateway })
  if (!selectsAmbient(namespace, labels, context)) return
  if (['AUTHN', 'AUTHZ'].includes(phase)) report('WP-PHASE', 'spec.phase')
  else report('WP-SIDECAR', field)
}
