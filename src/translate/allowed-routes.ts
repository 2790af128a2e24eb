// `allowedRoutes` of a listener: which namespaces may use its Gateway, for routes and, at a waypoint, for their Services.
import type * as gateway from '../apis/gateway.ts'
import { isMatched } from './labels.ts'
import type { ClusterSnapshot } from './snapshot.ts'

export const namespaceNameLabel = 'kubernetes.io/metadata.name'

/** Whether a listener admits a namespace; unless it says otherwise, that of its Gateway only. */
export function admits(
  { allowedRoutes: { namespaces = {} } = {} }: { allowedRoutes?: gateway.Listener['allowedRoutes'] },
  own: string,
  namespace: string,
  cluster: ClusterSnapshot,
): boolean {
  const { from = 'Same', selector } = namespaces
  if (from === 'All') return true
  if (from !== 'Selector') return namespace === own
  // The API server sets this label on every Namespace; files do not carry it.
  const labels = { ...cluster.namespaces.get(namespace)?.metadata.labels, [namespaceNameLabel]: namespace }
  return isMatched(labels, selector)
}
