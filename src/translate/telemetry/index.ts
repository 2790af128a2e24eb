// Telemetry: ztunnel reports connections and reads none of it. Waypoints take what is for their whole namespace, what is
// for the mesh, and what targetRefs attach to them (model/telemetry.go; research/policies.md, section 2).
import type * as istio from '../../apis/istio.ts'
import { inspect, mapOf } from '../fate.ts'
import { selectsAmbient } from '../gateway-pods.ts'
import { read } from '../shapes.ts'
import { namespaceOf } from '../snapshot.ts'
import { checkTargets, targetRefShapes } from '../target-refs.ts'
import type { Context } from '../translation.ts'
import { ambientNamespaces, namespaceWaypoint } from '../waypoint.ts'

const codes = { type: 'TM-FIELD-TYPE' } as const

/** What is read of the spec. */
export const telemetryShape = read({
  selector: read({ matchLabels: mapOf('string') }),
  ...targetRefShapes,
})

export function examineTelemetry(object: istio.Telemetry, context: Context): void {
  const { cluster, settings, report } = context
  const { spec = {} } = object
  if (!inspect(spec, telemetryShape, 'spec', codes, report)) return
  const { selector, targetRef, targetRefs = [] } = spec
  const namespace = namespaceOf(object)
  const labels = selector?.matchLabels ?? {}
  checkTargets(object, 'TM-TARGET-UNBOUND', context)
  if (targetRef || targetRefs.length > 0 || !selectsAmbient(namespace, labels, context)) return
  if (Object.keys(labels).length > 0) {
    report('TM-SELECTOR', 'spec.selector')
    return
  }
  const bare = ambientNamespaces(namespace, cluster, settings).find(
    name => namespaceWaypoint(name, cluster, settings) === undefined,
  )
  if (bare) report('TM-WAYPOINT', 'spec', { namespace: bare })
  else report('TM-REPORTER', 'spec')
}
