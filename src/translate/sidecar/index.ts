// Sidecar: which Services a sidecar knew, and what it listened to. Neither ztunnel nor a waypoint reads it (IST0167 of
// `istioctl analyze`; research/policies.md, section 2).
import type * as istio from '../../apis/istio.ts'
import { inspect } from '../fate.ts'
import { namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientNamespaces } from '../waypoint.ts'
import { shapeCodes, sidecarFates } from './fates.ts'

export function examineSidecar(object: istio.Sidecar, { cluster, settings, report }: Context): void {
  if (ambientNamespaces(namespaceOf(object), cluster, settings).length === 0) return
  const { spec = {} } = object
  if (!inspect(spec, sidecarFates, 'spec', shapeCodes, report)) return
  const { ingress = [], egress = [], outboundTrafficPolicy } = spec
  for (const [i, listener] of ingress.entries()) if (isInTheWay(listener)) report('SC-LISTENER', `spec.ingress[${i}]`)
  for (const [i, { bind, captureMode }] of egress.entries())
    if (bind || captureMode === 'NONE') report('SC-LISTENER', `spec.egress[${i}]`)
  // A policy without a mode is REGISTRY_ONLY, the first of the enumeration.
  const isRestricted = outboundTrafficPolicy && (outboundTrafficPolicy.mode ?? 'REGISTRY_ONLY') === 'REGISTRY_ONLY'
  if (isRestricted) report('SC-OUTBOUND-REGISTRY', 'spec.outboundTrafficPolicy')
  else if (egress.some(({ hosts = [] }) => !hosts.includes('*/*'))) report('SC-HOSTS', 'spec.egress')
}

/** Whether what arrives goes elsewhere than to the port of the pod that was called, or through TLS that the sidecar ends. */
function isInTheWay({ port, bind, defaultEndpoint, tls }: istio.IstioIngressListener): boolean {
  if (tls || bind) return true
  return Boolean(defaultEndpoint) && !['0.0.0.0', '[::]'].some(any => defaultEndpoint === `${any}:${port?.number}`)
}
