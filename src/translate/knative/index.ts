// Knative: net-istio writes VirtualServices for its own gateways and knows nothing of ambient
// (https://github.com/knative-extensions/net-istio/issues/1360). Said once, of what its user wrote.
import type { KubernetesObject } from '../../apis/core.ts'
import { kindKey, namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientRule } from '../waypoint.ts'

const owners = ['InferenceService/serving.kserve.io', 'Service/serving.knative.dev', 'Route/serving.knative.dev']

export function examineKnative(object: KubernetesObject, { cluster, settings, report }: Context): void {
  if (!ambientRule(namespaceOf(object), cluster, settings)) return
  const { ownerReferences = [] } = object.metadata
  if (ownerReferences.some(owner => owners.includes(kindKey({ ...owner, metadata: {} })))) return
  report('KN-AMBIENT', 'spec')
}
