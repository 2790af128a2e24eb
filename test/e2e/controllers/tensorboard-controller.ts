// Kubeflow's tensorboard-controller. Keeps the behaviour of kubeflow/notebooks (branch notebooks-v1),
// components/tensorboard-controller/controllers/tensorboard_controller.go (Reconcile, CopyDeploymentSetFields,
// generateService, generateVirtualService). It watches its Deployment only: what happens to the others it sees late.
import { isDeepStrictEqual } from 'node:util'
import { keep, type Replacement, withMetadata } from './keep.ts'
import { isServed, type Owner } from './owner.ts'
import { hasForeignMetadata, serviceReplacement, virtualServiceReplacement } from './reconcilehelper.ts'
import type { Send } from './send.ts'

export interface Tensorboard {
  namespace: string
  name: string
  owner: Owner
}

/** One Reconcile. Returns what it has written, as `verb kind`. */
export async function reconcileTensorboard(send: Send, tensorboard: Tensorboard): Promise<string[]> {
  if (!(await isServed(send, tensorboard.owner))) return []
  return [
    ...(await keep(send, deploymentOf(tensorboard), deploymentReplacement)),
    ...(await keep(send, serviceOf(tensorboard), serviceReplacement)),
    ...(await keep(send, virtualServiceOf(tensorboard), virtualServiceReplacement)),
  ]
}

/** Labels, replicas and affinity; annotations, which Kubernetes' own controller sets, it leaves. */
const deploymentReplacement: Replacement = (stored, desired) => {
  const { annotations, ...metadata } = stored.metadata
  const { affinity } = desired.spec.template.spec
  const isSame =
    !hasForeignMetadata({ ...stored, metadata }, desired) &&
    stored.spec.replicas === desired.spec.replicas &&
    isDeepStrictEqual(stored.spec.template.spec.affinity, affinity)
  if (isSame) return undefined
  const template = { ...stored.spec.template, spec: { ...stored.spec.template.spec, affinity } }
  const put = withMetadata(stored, desired)
  return {
    ...put,
    metadata: { ...put.metadata, ...(annotations && { annotations }) },
    spec: { ...stored.spec, replicas: desired.spec.replicas, template },
  }
}

function metadataOf({ namespace, name, owner }: Tensorboard) {
  return { name, namespace, ownerReferences: [owner.reference] }
}

function deploymentOf(tensorboard: Tensorboard) {
  const labels = { app: tensorboard.name }
  const container = { name: 'tensorboard', image: 'tensorflow/tensorflow:2.5.1', ports: [{ containerPort: 6006 }] }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadataOf(tensorboard),
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { affinity: {}, containers: [container] } },
    },
  }
}

/** The port has no protocol, which the API server adds: the two are never equal, so that it is PUT at every reconcile. */
function serviceOf(tensorboard: Tensorboard) {
  const { name } = tensorboard
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(tensorboard),
    spec: {
      type: 'ClusterIP',
      selector: { app: name },
      ports: [{ name: `http-${name}`, port: 80, targetPort: 6006 }],
    },
  }
}

/** It has the Tensorboard's own name, which may be that of another VirtualService. */
function virtualServiceOf(tensorboard: Tensorboard) {
  const { namespace, name } = tensorboard
  return {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'VirtualService',
    metadata: metadataOf(tensorboard),
    spec: {
      gateways: ['kubeflow/kubeflow-gateway'],
      hosts: ['*'],
      http: [
        {
          match: [{ uri: { prefix: `/tensorboard/${namespace}/${name}/` } }],
          rewrite: { uri: '/' },
          route: [{ destination: { host: `${name}.${namespace}.svc.cluster.local`, port: { number: 80 } } }],
          timeout: '300s',
        },
      ],
    },
  }
}
