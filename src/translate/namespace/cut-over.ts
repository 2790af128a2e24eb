// From sidecars to ambient: whether a Namespace has gone over, and whether its owner lets it go while sidecars still run.
import type { Namespace } from '../../apis/core.ts'
import { originalAnnotation } from '../original.ts'
import type { Report } from '../report.ts'
import type { ClusterSnapshot } from '../snapshot.ts'
import { dataplaneModeLabel } from '../waypoint.ts'
import { injectionOf } from './injection.ts'

/**
 * `true`: injection may go although pods run sidecars. It says what taking the injection label off says, but leaves the
 * label to whoever writes it, so that a controller that writes it again is undisturbed and a revert brings it back.
 */
export const cutOverAnnotation = 'sidestep.dev/cut-over'

/** Any other value says nothing, and is told. */
export function isToBeCutOver({ metadata: { annotations = {} } }: Namespace, report: Report): boolean {
  const value = annotations[cutOverAnnotation]
  if (value !== undefined && value !== 'true')
    report('NS-CUT-OVER-UNKNOWN', `metadata.annotations[${cutOverAnnotation}]`, { value: value.slice(0, 40) || '""' })
  return value === 'true'
}

/**
 * Whether the Namespace as it is stored is ambient and injects nothing, or is ambient and sidestep has had a hand in it,
 * which it has only from then on. Then injection that comes back is taken off again, whoever writes it, and be it while
 * nobody answered for the webhook: pods without sidecars would leave ambient otherwise, and nobody would check their
 * callers.
 */
export function isCutOver(name: string, { namespaces }: ClusterSnapshot): boolean {
  const namespace = namespaces.get(name)
  if (!namespace) return false
  const { labels = {}, annotations = {} } = namespace.metadata
  return labels[dataplaneModeLabel] === 'ambient' && (!injectionOf(labels) || originalAnnotation in annotations)
}

/** Whether pods without sidecars are in ambient, and none gets a sidecar any more. */
export function isCaptured({ metadata: { labels = {} } }: Namespace): boolean {
  return labels[dataplaneModeLabel] === 'ambient' && !injectionOf(labels)
}
