// The StatefulSet and Deployment controllers of kube-controller-manager, which do not run here, as far as policies look at
// pods: each has one, made from its template, for as long as it is there. No kubelet ever starts it.
import type { KubernetesObject, PodTemplateSpec } from '../../../src/apis/core.ts'
import { collectionOf, pathOf } from '../../../src/reconciler/paths.ts'
import { type Send, succeeded } from './send.ts'

interface Workload extends KubernetesObject {
  spec: { replicas?: number; template: PodTemplateSpec }
}

/** Makes the pods that are missing. */
export async function reconcileWorkloads(send: Send): Promise<void> {
  for (const kind of ['StatefulSet', 'Deployment']) {
    const collection = collectionOf({ apiVersion: 'apps/v1', kind, metadata: {} })
    const workloads: Workload[] = succeeded(await send('GET', collection)).body.items
    for (const workload of workloads.map(item => ({ ...item, apiVersion: 'apps/v1', kind }))) {
      if (workload.spec.replicas === 0 || workload.metadata.deletionTimestamp) continue
      const pod = podOf(workload)
      const found = await send('GET', pathOf(pod))
      if (found.status === 404) succeeded(await send('POST', collectionOf(pod), pod))
    }
  }
}

function podOf({ apiVersion, kind, metadata: { name = '', namespace = '', uid = '' }, spec }: Workload) {
  const { metadata, spec: podSpec } = spec.template
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: kind === 'StatefulSet' ? `${name}-0` : `${name}-5b8c7d9f4-x2x4z`,
      namespace,
      ...(metadata?.labels && { labels: metadata.labels }),
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      ownerReferences: [{ apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }],
    },
    spec: podSpec,
  }
}
