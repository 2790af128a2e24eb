// Kubeflow's profile-controller, as far as it writes what sidestep rewrites: the Namespace and its owner's policy.
// Keeps the behaviour of kubeflow/dashboard, components/profile-controller/controllers/profile_controller.go
// (Reconcile, setNamespaceLabels, updateIstioAuthorizationPolicy): read, compare, write the whole object.
// Left out: the Profile itself, which it PUTs at every reconcile, and the ServiceAccounts, RoleBindings and quota.
import { isDeepStrictEqual } from 'node:util'
import { type Desired, keep, type Replacement } from './keep.ts'
import { isServed, type Owner } from './owner.ts'
import type { Send } from './send.ts'

export interface Profile {
  name: string
  /** The person it belongs to. */
  owner: string
  /** What stands in for the Profile itself; without it, nothing goes when the Profile goes. */
  standIn?: Owner
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
  /** More of its file namespace-labels.yaml: a label that is missing is added, one that is there and `''` here goes. */
  moreLabels?: Record<string, string>
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
  if (profile.standIn && !(await isServed(controller.send, profile.standIn))) return []
  return [...(await reconcileNamespace(controller, profile)), ...(await reconcilePolicy(controller, profile))]
}

export function reconcileNamespace(controller: ProfileController, profile: Profile): Promise<string[]> {
  const { send, moreLabels } = controller
  return keep(send, namespaceOf(profile, moreLabels), stored => labelled(stored, controller, profile))
}

function labelled(stored: Desired, controller: ProfileController, { owner }: Profile): Desired | undefined {
  const { meshLabels, moreLabels } = controller
  if (stored.metadata.annotations?.owner !== owner)
    throw new Error('namespace already exist, but not owned by profile creator')
  // Labels that are there keep their values.
  const labels: Record<string, string> = { ...namespaceLabels, ...moreLabels, ...stored.metadata.labels }
  for (const [label, value] of Object.entries(moreLabels ?? {})) if (value === '') delete labels[label]
  if (meshLabels === 'always') {
    labels['istio-injection'] = 'enabled'
    for (const label of ambientLabels) delete labels[label]
  }
  if (isDeepStrictEqual(labels, stored.metadata.labels)) return undefined
  return { ...stored, metadata: { ...stored.metadata, labels } }
}

export function reconcilePolicy(controller: ProfileController, profile: Profile): Promise<string[]> {
  const { send, policyFields, moreRules } = controller
  const replacement: Replacement = (stored, { spec }) =>
    isDeepStrictEqual(read(stored.spec, policyFields), spec) ? undefined : { ...stored, spec }
  return keep(send, ownerPolicyOf(profile, moreRules), replacement)
}

/** A spec as the types of its client hold it: without what they do not know, and with ALLOW as the zero that it is. */
function read({ action, ...spec }: Desired['spec'], policyFields: ProfileController['policyFields']) {
  const { targetRef: _, targetRefs: __, ...older } = spec
  const known = policyFields === 'before targetRefs' ? older : spec
  return action === undefined || action === 'ALLOW' ? known : { ...known, action }
}

export function namespaceOf({ name, owner, standIn }: Profile, moreLabels: Record<string, string> = {}) {
  const labels = { 'istio-injection': 'enabled', ...namespaceLabels, ...moreLabels }
  for (const [label, value] of Object.entries(moreLabels)) if (value === '') delete labels[label as keyof typeof labels]
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, annotations: { owner }, labels, ...ownerReferencesOf(standIn) },
  }
}

function ownerReferencesOf(standIn: Owner | undefined) {
  return standIn && { ownerReferences: [standIn.reference] }
}

/** Without `action`: ALLOW is the zero of its enum, which is not sent. */
export function ownerPolicyOf({ name, owner, standIn }: Profile, moreRules: object[] = []) {
  return {
    apiVersion: 'security.istio.io/v1beta1',
    kind: 'AuthorizationPolicy',
    metadata: {
      name: 'ns-owner-access-istio',
      namespace: name,
      annotations: { user: owner, role: 'admin' },
      ...ownerReferencesOf(standIn),
    },
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
