// The parts of the Kubernetes core API that sidestep reads, in its spelling. Types only.

/** What every object has. `spec` and the rest are typed by the kind that extends this. */
export interface KubernetesObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

export interface ObjectMeta {
  name?: string
  generateName?: string
  namespace?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  managedFields?: ManagedFieldsEntry[]
  creationTimestamp?: string
  deletionTimestamp?: string
  generation?: number
  resourceVersion?: string
  uid?: string
}

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

/** https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management */
export interface ManagedFieldsEntry {
  manager?: string
  operation?: 'Apply' | 'Update'
  subresource?: string
  fieldsV1?: Record<string, unknown>
}

export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string
  message?: string
  observedGeneration?: number
}

export interface Namespace extends KubernetesObject {
  kind: 'Namespace'
}

export interface Service extends KubernetesObject {
  kind: 'Service'
  spec?: {
    type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
    clusterIP?: string
    externalName?: string
    selector?: Record<string, string>
    ports?: ServicePort[]
    publishNotReadyAddresses?: boolean
  }
}

export interface ServicePort {
  name?: string
  port: number
  protocol?: string
  appProtocol?: string
  targetPort?: number | string
  nodePort?: number
}

export interface PodTemplateSpec {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> }
  spec?: PodSpec
}

export interface PodSpec {
  serviceAccountName?: string
  hostNetwork?: boolean
  initContainers?: Container[]
  containers?: Container[]
}

export interface Container {
  name: string
  command?: string[]
  args?: string[]
  env?: { name: string; value?: string }[]
  lifecycle?: { postStart?: LifecycleHandler; preStop?: LifecycleHandler }
  ports?: { name?: string; containerPort: number; protocol?: string }[]
}

export interface LifecycleHandler {
  exec?: { command?: string[] }
}

export interface Pod extends KubernetesObject {
  kind: 'Pod'
  spec?: PodSpec
  status?: { phase?: string }
}

export interface ConfigMap extends KubernetesObject {
  kind: 'ConfigMap'
  data?: Record<string, string>
}

export interface NetworkPolicy extends KubernetesObject {
  kind: 'NetworkPolicy'
  spec?: {
    podSelector?: LabelSelector
    policyTypes?: string[]
    ingress?: { from?: NetworkPolicyPeer[]; ports?: NetworkPolicyPort[] }[]
    egress?: { to?: NetworkPolicyPeer[]; ports?: NetworkPolicyPort[] }[]
  }
}

export interface NetworkPolicyPeer {
  podSelector?: LabelSelector
  namespaceSelector?: LabelSelector
  ipBlock?: { cidr?: string; except?: string[] }
}

/** Without a port: all of the protocol, which is TCP unless it says otherwise. */
export interface NetworkPolicyPort {
  protocol?: string
  port?: number | string
  endPort?: number
}

/** Where the API server finds a webhook or an aggregated API; the port is 443 unless it says otherwise. */
export interface ServiceReference {
  namespace?: string
  name?: string
  port?: number
}

export interface WebhookConfiguration extends KubernetesObject {
  kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration'
  webhooks?: { clientConfig?: { service?: ServiceReference } }[]
}

export interface APIService extends KubernetesObject {
  kind: 'APIService'
  spec?: { service?: ServiceReference }
}

export interface CustomResourceDefinition extends KubernetesObject {
  kind: 'CustomResourceDefinition'
  spec?: { conversion?: { strategy?: string; webhook?: { clientConfig?: { service?: ServiceReference } } } }
}
