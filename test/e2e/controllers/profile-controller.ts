// Kubeflow's profile-controller, as far as it writes what sidestep rewrites: the Namespace and its owner's policy.
// Keeps the behaviour of kubeflow/dashboard, components/profile-controller/controllers/profile_controller.go
// (Reconcile, setNamespaceLabels, updateIstioAuthorizationPolicy): read, compare, write the whole object.
// Without ownerReferences: the Profile they would name is of a kind that is not installed here.
import { isDeepStrictEqual } from 'node:util'
import { collectionOf, pathOf } from '../paths.ts'
import { type Send, succeeded } from './send.ts'

export interface Profile {
  name: string
  owner: string
}

export interface ProfileController {
  send: Send
  /**
   * Which fields of `spec` its client has. That of v1.10.0 and before was generated in May 2022; what it does not know, it
   * neither compares nor sends back.
   */
  policyFields: 'before targetRefs' | 'with targetRefs'
  /**
   * When it writes the labels of its mode: with the Namespace only, or, as since ServiceMeshMode
   * (setNamespaceLabelsAndServiceMesh), at every reconcile, when the mode for sidecars takes those of ambient away.
   */
  meshLabels: 'at creation' | 'always'
  /** Rules that another version of it writes as well. */
  moreRules?: object[]
}

/** namespace-labels.yaml of kubeflow/manifests. */
const namespaceLabels = {
  'katib.kubeflow.org/metrics-collector-injection': 'enabled',
  'serving.kubeflow.org/inferenceservice': 'enabled',
  'pipelines.kubeflow.org/enabled': 'true',
  'app.kubernetes.io/part-of': 'kubeflow-profile',
  'pod-security.kubernetes.io/enforce': 'baseline',
}
const ambientLabels = [
  'istio.io/dataplane-mode',
  'istio.io/use-waypoint',
  'istio.io/use-waypoint-namespace',
  'istio.io/ingress-use-waypoint',
]
export const ingressPrincipal = 'cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account'
export const pipelinesPrincipal = 'cluster.local/ns/kubeflow/sa/ml-pipeline-ui'

/** One Reconcile. Returns what it has written, as `verb kind`. */
export async function reconcileProfile(controller: ProfileController, profile: Profile): Promise<string[]> {
  return [...(await reconcileNamespace(controller, profile)), ...(await reconcilePolicy(controller, profile))]
}

export async function reconcileNamespace({ send, meshLabels }: ProfileController, { name, owner }: Profile) {
  const namespace = namespaceOf({ name, owner })
  const found = await send('GET', pathOf(namespace))
  if (found.status === 404) {
    succeeded(await send('POST', collectionOf(namespace), namespace))
    return ['create Namespace']
  }
  const stored = succeeded(found).body
  if (stored.metadata.annotations?.owner !== owner)
    throw new Error('namespace already exist, but not owned by profile creator')
  // Labels that are there keep their values.
  const labels: Record<string, string> = { ...namespaceLabels, ...stored.metadata.labels }
  if (meshLabels === 'always') {
    labels['istio-injection'] = 'enabled'
    for (const label of ambientLabels) delete labels[label]
  }
  if (isDeepStrictEqual(labels, stored.metadata.labels)) return []
  succeeded(await send('PUT', pathOf(namespace), { ...stored, metadata: { ...stored.metadata, labels } }))
  return ['update Namespace']
}

export async function reconcilePolicy(controller: ProfileController, profile: Profile) {
  const { send, policyFields, moreRules } = controller
  const policy = ownerPolicyOf(profile, moreRules)
  const found = await send('GET', pathOf(policy))
  if (found.status === 404) {
    succeeded(await send('POST', collectionOf(policy), policy))
    return ['create AuthorizationPolicy']
  }
  const stored = succeeded(found).body
  const { targetRef: _, targetRefs: __, ...older } = stored.spec
  const spec = policyFields === 'before targetRefs' ? older : stored.spec
  if (isDeepStrictEqual(spec, policy.spec)) return []
  succeeded(await send('PUT', pathOf(policy), { ...stored, spec: policy.spec }))
  return ['update AuthorizationPolicy']
}

export function namespaceOf({ name, owner }: Profile) {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, annotations: { owner }, labels: { 'istio-injection': 'enabled', ...namespaceLabels } },
  }
}

/** Without `action`: ALLOW is the zero of its enum, which is not sent. */
export function ownerPolicyOf({ name, owner }: Profile, moreRules: object[] = []) {
  return {
    apiVersion: 'security.istio.io/v1beta1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'ns-owner-access-istio', namespace: name, annotations: { user: owner, role: 'admin' } },
    spec: {
      rules: [
        {
          from: [{ source: { principals: [ingressPrincipal, pipelinesPrincipal] } }],
          when: [{ key: 'request.headers[kubeflow-userid]', values: [owner] }],
        },
        { when: [{ key: 'source.namespace', values: [name] }] },
        { to: [{ operation: { paths: ['/healthz', '/metrics', '/wait-for-drain'] } }] },
        {
          from: [{ source: { principals: ['cluster.local/ns/kubeflow/sa/notebook-controller-service-account'] } }],
          to: [{ operation: { methods: ['GET'], paths: ['*/api/kernels'] } }],
        },
        ...moreRules,
      ],
    },
  }
}
