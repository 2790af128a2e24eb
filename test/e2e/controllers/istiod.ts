// istiod, as far as sidestep reads it: it programs Gateways. Keeps the behaviour of istio/istio,
// pilot/pkg/config/kube/gateway/conversion.go (reportGatewayStatus): `Programmed` once there is an address, written only
// when something changes.
import type * as gateway from '../../../src/apis/gateway.ts'
import { pathOf } from '../paths.ts'
import { type Send, succeeded } from './send.ts'

/** Programs every Gateway that is not yet. Returns their names. */
export async function reconcileGateways(send: Send): Promise<string[]> {
  const { body } = succeeded(await send('GET', '/apis/gateway.networking.k8s.io/v1/gateways'))
  const pending = (body.items as gateway.Gateway[]).filter(({ status }) => !status?.addresses)
  for (const { metadata } of pending) {
    const path = pathOf({ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', metadata })
    const condition = (type: string) => ({
      type,
      status: 'True',
      reason: type,
      message: 'by the test',
      observedGeneration: metadata.generation,
      lastTransitionTime: metadata.creationTimestamp,
    })
    const status = {
      addresses: [{ type: 'Hostname', value: `${metadata.name}.${metadata.namespace}.svc.cluster.local` }],
      conditions: [condition('Accepted'), condition('Programmed')],
    }
    succeeded(await send('PATCH', `${path}/status`, { status }))
  }
  return pending.map(({ metadata }) => metadata.name ?? '')
}
