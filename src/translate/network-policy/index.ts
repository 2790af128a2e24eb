// NetworkPolicy: connections in the mesh arrive on ztunnel's port 15008 and not on the pod's, requests behind a waypoint come
// from its pods, and a new ingress gateway has pods with other labels (research/policies.md, section 3, last paragraph).
import type * as core from '../../apis/core.ts'
import { inspect } from '../fate.ts'
import { networkPolicySpec } from '../shapes.ts'
import { namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientRule } from '../waypoint.ts'
import { checkEgress } from './egress.ts'
import { checkGateways } from './gateways.ts'
import { checkIngress } from './ingress.ts'
import { checkWaypoints } from './waypoints.ts'

export function examineNetworkPolicy(object: core.NetworkPolicy, context: Context): void {
  if (!inspect(object.spec ?? {}, networkPolicySpec, 'spec', { type: 'NP-FIELD-TYPE' }, context.report)) return
  if (ambientRule(namespaceOf(object), context.cluster, context.settings)) {
    checkIngress(object, context)
    checkEgress(object, context)
  }
  // Waypoints may stand in a namespace of their own, and whoever is called by the ingress is seldom told of its new pods.
  checkWaypoints(object, context)
  checkGateways(object, context)
}
