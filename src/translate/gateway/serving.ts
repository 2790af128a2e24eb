// On which listeners of a Kubernetes Gateway the routes of an Istio Gateway belong.
import type * as gateway from '../../apis/gateway.ts'
import { isCompanion } from '../companion.ts'
import type { GatewayMapping } from '../settings.ts'
import { byKey, type ClusterSnapshot } from '../snapshot.ts'
import { planOf } from './plan.ts'

export interface ServingListeners {
  /** The listeners on which routes of these Istio Gateways are served today. Empty: on none, every request is redirected. */
  serving: gateway.Listener[]
  /** The rest: what only redirects to HTTPS, and what stands for servers of other Istio Gateways alone. */
  others: gateway.Listener[]
}

/**
 * The listeners of the mapping's Kubernetes Gateway, parted by where the routes of `istioGateways` (`namespace/name`, by
 * default all of the mapping) are served today. A VirtualService that names an Istio Gateway whose only port is 443 must
 * not be served in clear text because its Kubernetes Gateway has a listener on 80 as well; nor may it answer on a listener
 * that redirects, where its hostnames would outrank the redirect's.
 *
 * - `others` is empty: a parentRef without `sectionName` will do.
 * - `others` is not: the route needs a parentRef with the `sectionName` of each serving listener, at least of those
 *   whose hostname overlaps the route's. A Gateway named twice needs distinct sectionNames on both (CEL).
 * - undefined: it cannot be told, since sidestep does not keep the Gateway and it is not in the snapshot or has other
 *   ports, or sidestep would keep it and cannot (the Istio Gateway says why). Whoever has `tls.httpsRedirect` in a server
 *   then may not attach to the whole Gateway.
 *
 * A mapping with a `#sectionName` has made the choice itself: do not ask then.
 */
export function servingListeners(
  mapping: GatewayMapping,
  cluster: ClusterSnapshot,
  istioGateways: readonly string[] = mapping.istioGateways,
): ServingListeners | undefined {
  const plan = planOf(mapping, cluster)
  const serves = plan.listeners.filter(
    ({ redirects, sources }) => !redirects && sources.some(({ key }) => istioGateways.includes(key)),
  )
  const there = byKey(cluster.gateways, mapping.gateway)
  if (mapping.create && (!there || isCompanion(there))) {
    if (plan.refused || plan.listeners.length === 0) return undefined
    return part(
      plan.listeners.map(({ listener }) => listener),
      ({ name }) => serves.some(({ listener }) => listener.name === name),
    )
  }
  // Somebody else's listeners have names and hosts of their own, and are known by their ports.
  const listeners = there?.spec?.listeners ?? []
  const isKnown = plan.listeners.every(({ listener }) => listeners.some(other => isAlike(listener, other)))
  if (!isKnown || plan.listeners.length === 0) return undefined
  return part(listeners, other => serves.some(({ listener }) => isAlike(listener, other)))
}

function isAlike(a: gateway.Listener, b: gateway.Listener): boolean {
  return a.port === b.port && a.protocol === b.protocol
}

function part(listeners: gateway.Listener[], serves: (listener: gateway.Listener) => boolean): ServingListeners {
  return { serving: listeners.filter(serves), others: listeners.filter(listener => !serves(listener)) }
}
