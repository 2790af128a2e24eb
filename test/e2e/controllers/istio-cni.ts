// istio-cni's node agent. Keeps the behaviour of istio/istio, cni/pkg/nodeagent (informers.go, and PodRedirectionEnabled in
// cni/pkg/util/podutil.go): an annotation on each pod that it has captured, taken away when it lets go of it.
import type { Namespace, Pod } from '../../../src/apis/core.ts'
import { pathOf } from '../../../src/reconciler/paths.ts'
import { type Send, succeeded } from './send.ts'

const redirection = 'ambient.istio.io/redirection'
const modeLabel = 'istio.io/dataplane-mode'

/** Captures the pods of ambient Namespaces, and releases those of others. */
export async function reconcileCapture(send: Send): Promise<void> {
  const namespaces: Namespace[] = succeeded(await send('GET', '/api/v1/namespaces')).body.items
  const pods: Pod[] = succeeded(await send('GET', '/api/v1/pods')).body.items
  for (const pod of pods.filter(({ metadata }) => !metadata.deletionTimestamp)) {
    const namespace = namespaces.find(({ metadata }) => metadata.name === pod.metadata.namespace)
    const isCaptured = pod.metadata.annotations?.[redirection] === 'enabled'
    if (!namespace || isCaptured === isToCapture(pod, namespace)) continue
    const { resourceVersion } = pod.metadata
    const annotations = { [redirection]: isCaptured ? null : 'enabled' }
    const path = pathOf({ apiVersion: 'v1', kind: 'Pod', metadata: pod.metadata })
    succeeded(await send('PATCH', path, { metadata: { resourceVersion, annotations } }))
  }
}

/** The pod's own label counts before its Namespace's; a sidecar, or the network of the host, counts before both. */
function isToCapture({ metadata, spec }: Pod, namespace: Namespace): boolean {
  if (metadata.namespace === 'kube-system' || spec?.hostNetwork || metadata.annotations?.['sidecar.istio.io/status'])
    return false
  return (metadata.labels?.[modeLabel] ?? namespace.metadata.labels?.[modeLabel]) === 'ambient'
}
