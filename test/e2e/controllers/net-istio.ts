// Knative's net-istio. Keeps the behaviour of knative-extensions/net-istio,
// pkg/reconciler/accessor/istio/virtualservice.go (ReconcileVirtualService, hasDesiredDiff), for what
// pkg/reconciler/ingress/resources/virtual_service.go makes of one route; the second rule of each path, for Knative's own
// probes, is left out. Each of its PUTs comes with an Event "Updated", which is left out too.
import { isDeepStrictEqual } from 'node:util'
import { keep, type Replacement, withMetadata } from './keep.ts'
import { isServed, type Owner } from './owner.ts'
import type { Send } from './send.ts'

export interface KnativeIngress {
  namespace: string
  name: string
  owner: Owner
}

const localGateway = 'knative-serving/knative-local-gateway'
const ingressGateway = 'kubeflow/kubeflow-gateway'

/** One Reconcile. Returns what it has written, as `verb kind`. */
export async function reconcileKnativeIngress(send: Send, ingress: KnativeIngress): Promise<string[]> {
  if (!(await isServed(send, ingress.owner))) return []
  const { namespace, name } = ingress
  const inCluster = `${name}.${namespace}`
  const hosts = [inCluster, `${inCluster}.svc`, `${inCluster}.svc.cluster.local`]
  const outside = `${inCluster}.example.com`
  return [
    ...(await keep(send, virtualServiceOf(ingress, 'mesh', hosts, [[inCluster, 'mesh']]), replacement)),
    ...(await keep(
      send,
      virtualServiceOf(
        ingress,
        'ingress',
        [...hosts, outside],
        [
          [inCluster, localGateway],
          [outside, ingressGateway],
        ],
      ),
      replacement,
    )),
  ]
}

/** Spec, labels and annotations to the last key; no map at all is not an empty one (`cmp.Equal`). */
const replacement: Replacement = (stored, desired) => {
  const isSame =
    isDeepStrictEqual(stored.spec, desired.spec) &&
    isDeepStrictEqual(stored.metadata.labels, desired.metadata.labels) &&
    isDeepStrictEqual(stored.metadata.annotations, desired.metadata.annotations)
  return isSame ? undefined : { ...withMetadata(stored, desired), spec: desired.spec }
}

/** The labels of the Ingress but for two, and its annotations. */
function virtualServiceOf(ingress: KnativeIngress, suffix: string, hosts: string[], routes: [string, string][]) {
  const { namespace, name, owner } = ingress
  const host = `${name}-00001.${namespace}.svc.cluster.local`
  const { uid } = owner.reference
  return {
    apiVersion: 'networking.istio.io/v1beta1',
    kind: 'VirtualService',
    metadata: {
      name: `${name}-${suffix}`,
      namespace,
      labels: { 'networking.internal.knative.dev/ingress': name, 'serving.knative.dev/service': name },
      annotations: {
        'networking.knative.dev/ingress.class': 'istio.ingress.networking.knative.dev',
        'serving.knative.dev/creator': 'system:serviceaccount:kserve:kserve-controller-manager',
      },
      // The real kind, by which sidestep tells it. The garbage collector does not know it, and so leaves the object.
      ownerReferences: [
        {
          apiVersion: 'networking.internal.knative.dev/v1alpha1',
          kind: 'Ingress',
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      gateways: routes.map(([, gateway]) => gateway),
      hosts,
      http: routes.map(([prefix, gateway]) => ({
        match: [{ authority: { prefix }, gateways: [gateway] }],
        retries: {},
        route: [
          {
            destination: { host, port: { number: 80 } },
            headers: { request: { set: { 'Knative-Serving-Namespace': namespace } } },
            weight: 100,
          },
        ],
      })),
    },
  }
}
