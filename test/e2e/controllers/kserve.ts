// KServe. Keeps the behaviour of kserve/kserve, pkg/controller/v1beta1/inferenceservice/reconcilers/ingress/:
// ingress_reconciler.go for Serverless mode (Reconcile, reconcileExternalService, routeSemanticEquals) and
// httproute_reconciler.go for raw mode with enableGatewayApi (semanticHttpRouteEquals), with the settings of
// kubeflow/manifests.
import { isDeepStrictEqual } from 'node:util'
import { type Desired, keep, type Replacement, withMetadata } from './keep.ts'
import { isServed, type Owner } from './owner.ts'
import type { Send } from './send.ts'

export interface InferenceService {
  namespace: string
  name: string
  owner: Owner
  mode: 'serverless' | 'raw'
}

const ingressDomain = 'example.com'
const localGateway = 'knative-serving/knative-local-gateway'
const localGatewayService = 'knative-local-gateway.istio-system.svc.cluster.local'
const ingressGateway = 'kubeflow/kubeflow-gateway'

/** One Reconcile. Returns what it has written, as `verb kind`. */
export async function reconcileInferenceService(send: Send, service: InferenceService): Promise<string[]> {
  if (!(await isServed(send, service.owner))) return []
  if (service.mode === 'serverless')
    return [
      ...(await keep(send, externalServiceOf(service), externalServiceReplacement)),
      ...(await keep(send, virtualServiceOf(service), virtualServiceReplacement)),
    ]
  return [
    ...(await keep(send, predictorServiceOf(service), rawServiceReplacement)),
    ...(await keep(send, predictorRouteOf(service), routeReplacement)),
    ...(await keep(send, routeOf(service), routeReplacement)),
  ]
}

// Serverless -------------------------------------------------------------------------------------------------------

/** Spec, labels and annotations, all of them; what is there beside them is replaced. */
const virtualServiceReplacement: Replacement = (stored, desired) => {
  const isSame =
    isDeepStrictEqual(stored.spec, desired.spec) &&
    isSemanticallyEqual(stored.metadata.labels, desired.metadata.labels) &&
    isSemanticallyEqual(stored.metadata.annotations, desired.metadata.annotations)
  return isSame ? undefined : { ...withMetadata(stored, desired), spec: desired.spec }
}

/** The whole objects are compared, which are never equal: what is stored has a uid. So it is PUT at every reconcile. */
const externalServiceReplacement: Replacement = (stored, desired) => ({
  ...withMetadata(stored, desired),
  spec: desired.spec,
})

/** `equality.Semantic.DeepEqual` takes nil for empty. */
function isSemanticallyEqual(one: Record<string, string> = {}, other: Record<string, string> = {}): boolean {
  return isDeepStrictEqual(one, other)
}

function metadataOf({ namespace, name, owner }: InferenceService, itsName = name) {
  return { name: itsName, namespace, ownerReferences: [owner.reference] }
}

function externalServiceOf(service: InferenceService) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(service),
    spec: { type: 'ExternalName', externalName: localGatewayService, sessionAffinity: 'None' },
  }
}

/** Every route leads to Knative's local gateway, in another namespace, by another Host. */
function virtualServiceOf(service: InferenceService) {
  const { namespace, name } = service
  const hosts = [`${name}.${namespace}.svc.cluster.local`, `${name}.${namespace}.${ingressDomain}`, ingressDomain]
  const [inCluster, outside, ofPaths] = hosts.map(host => ({ regex: `^${host.replaceAll('.', '\\.')}(?::\\d{1,5})?$` }))
  const path = `/serving/${namespace}/${name}`
  const gateways = [ingressGateway]
  const set = {
    Host: `${name}-predictor.${namespace}.svc.cluster.local`,
    'KServe-Isvc-Name': name,
    'KServe-Isvc-Namespace': namespace,
  }
  const rest = {
    headers: { request: { set } },
    route: [{ destination: { host: localGatewayService, port: { number: 80 } }, weight: 100 }],
  }
  return {
    apiVersion: 'networking.istio.io/v1beta1',
    kind: 'VirtualService',
    metadata: metadataOf(service),
    spec: {
      gateways: [localGateway, 'mesh', ingressGateway],
      hosts,
      http: [
        {
          ...rest,
          match: [
            { authority: inCluster, gateways: [localGateway, 'mesh'] },
            { authority: outside, gateways },
          ],
        },
        {
          ...rest,
          match: [
            { authority: ofPaths, gateways, uri: { prefix: `${path}/` } },
            { authority: ofPaths, gateways, uri: { exact: path } },
          ],
          rewrite: { uri: '/' },
        },
      ],
    },
  }
}

// Raw --------------------------------------------------------------------------------------------------------------

/** What it wants has to be there, more may be; but when it writes, it writes what it wants and nothing of what it found. */
const routeReplacement: Replacement = (stored, desired) => {
  const backends = ({ spec }: Desired) => spec.rules.map((rule: { backendRefs?: object[] }) => rule.backendRefs?.length)
  const isSame =
    isDerivative(desired.spec, stored.spec) &&
    isDerivative(desired.metadata.labels, stored.metadata.labels) &&
    isDerivative(desired.metadata.annotations, stored.metadata.annotations) &&
    isDeepStrictEqual(backends(desired), backends(stored))
  return isSame ? undefined : wholly(stored, desired)
}

const rawServiceReplacement: Replacement = (stored, desired) => {
  const { selector, ports } = desired.spec
  const isSame = isDerivative(ports, stored.spec.ports) && isDeepStrictEqual(stored.spec.selector, selector)
  return isSame ? undefined : wholly(stored, desired)
}

function wholly({ metadata: { resourceVersion = '' } }: Desired, desired: Desired): Desired {
  return { ...desired, metadata: { ...desired.metadata, resourceVersion } }
}

/** `equality.Semantic.DeepDerivative`: what is unset in `desired` may be anything, and lists may go on. */
function isDerivative(desired: unknown, stored: unknown): boolean {
  if (desired === undefined || desired === null || desired === '' || desired === 0) return true
  if (typeof desired !== 'object') return desired === stored
  if (Object.keys(desired).length === 0) return true
  if (typeof stored !== 'object' || stored === null) return false
  return Object.entries(desired).every(([key, value]) => isDerivative(value, stored[key as keyof typeof stored]))
}

function predictorServiceOf(service: InferenceService) {
  const name = `${service.name}-predictor`
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(service, name),
    spec: {
      type: 'ClusterIP',
      selector: { app: `isvc.${name}` },
      ports: [{ name, port: 80, targetPort: 8080, protocol: 'TCP' }],
    },
  }
}

function predictorRouteOf(service: InferenceService) {
  return httpRouteOf(service, `${service.name}-predictor`)
}

function routeOf(service: InferenceService) {
  return httpRouteOf(service, service.name)
}

function httpRouteOf(service: InferenceService, itsName: string) {
  const { namespace, name } = service
  const set = [
    { name: 'KServe-Isvc-Name', value: name },
    { name: 'KServe-Isvc-Namespace', value: namespace },
  ]
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: metadataOf(service, itsName),
    spec: {
      hostnames: [`${itsName}-${namespace}.${ingressDomain}`],
      parentRefs: [
        { group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'kserve', name: 'kserve-ingress-gateway' },
      ],
      rules: [
        {
          matches: [{ path: { type: 'RegularExpression', value: '^/.*$' } }],
          filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set } }],
          backendRefs: [{ kind: 'Service', name: `${name}-predictor`, namespace, port: 80 }],
          timeouts: { request: '60s' },
        },
      ],
    },
  }
}
