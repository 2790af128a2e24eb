// Where pods are written down: a Pod itself, and the pod templates of the controllers that Kubernetes brings.
import type * as core from '../../apis/core.ts'
import { isRecord, type Shape } from '../fate.ts'
import { kindKey, namespaceOf, type Workload } from '../snapshot.ts'

/** The path of a kind's pod template. */
const paths: Record<string, string[]> = {
  'Pod/': [],
  'Deployment/apps': ['spec', 'template'],
  'StatefulSet/apps': ['spec', 'template'],
  'DaemonSet/apps': ['spec', 'template'],
  'ReplicaSet/apps': ['spec', 'template'],
  'Job/batch': ['spec', 'template'],
  'CronJob/batch': ['spec', 'jobTemplate', 'spec', 'template'],
}

/** A pod as somebody wrote it. */
export interface Written {
  template: core.PodTemplateSpec
  /** Where it stands, for example `spec.template`; empty for a Pod. */
  field: string
}

/** The pod of an object, if it is of a kind that has one. */
export function templateOf(object: core.KubernetesObject): Written | undefined {
  const path = pathOf(object)
  const template = path?.reduce<unknown>((here, name) => (isRecord(here) ? here[name] : undefined), object)
  return path && isRecord(template) ? { template, field: path.join('.') } : undefined
}

/** Whether a controller with a pod template made the object: then that template says all there is to say. */
export function isMadeFromTemplate({ metadata }: core.KubernetesObject): boolean {
  return (metadata.ownerReferences ?? []).some(owner => owner.controller && pathOf({ ...owner, metadata: {} }))
}

/** The shape of a kind whose pod template has the given one. */
export function shapeAt(object: core.KubernetesObject, template: Shape): Shape {
  return (pathOf(object) ?? []).reduceRight<Shape>(
    (inner, name) => ({ fields: { [name]: ['translated', inner] } }),
    template,
  )
}

function pathOf(object: core.KubernetesObject): string[] | undefined {
  const key = kindKey(object)
  return Object.hasOwn(paths, key) ? paths[key] : undefined
}

/**
 * Whether all containers of a Pod have ended for good, as a Job's do (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase).
 * It keeps its labels and annotations, and nobody calls it or is called by it.
 */
export function hasEnded({ status }: core.Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

/** Undefined for what runs no pods, and for a Pod that has ended. */
export function workloadOf(object: core.KubernetesObject): Workload | undefined {
  const { template } = templateOf(object) ?? {}
  if (!template || (object.kind === 'Pod' && hasEnded(object as core.Pod))) return undefined
  const namespace = namespaceOf(object)
  const { labels = {}, annotations = {} } = template.metadata ?? {}
  const containers = template.spec?.containers ?? []
  return {
    namespace,
    name: `${object.kind}/${object.metadata.name}`,
    labels,
    serviceAccount: `${namespace}/${template.spec?.serviceAccountName || 'default'}`,
    ports: containers.flatMap(({ ports = [] }) => ports),
    state: stateOf(labels, annotations, containers),
    isOptedOut: labels['istio.io/dataplane-mode'] === 'none' || template.spec?.hostNetwork === true,
  }
}

/**
 * A gateway is recognised as istiod does it (the label that Gateway API deployments carry), or by a pod whose only
 * container is istio-proxy, which is how every chart builds the classic one. `sidecar` and `ambient` are what the
 * injector and the CNI wrote onto a running Pod (research/policies.md 1.5); a template has neither yet.
 */
function stateOf(
  labels: Record<string, string>,
  annotations: Record<string, string>,
  containers: core.Container[],
): Workload['state'] {
  if (labels['gateway.networking.k8s.io/gateway-name']) return 'gateway'
  if (containers.length === 1 && containers[0]?.name === 'istio-proxy') return 'gateway'
  if (annotations['sidecar.istio.io/status']) return 'sidecar'
  if (annotations['ambient.istio.io/redirection'] === 'enabled') return 'ambient'
  return 'plain'
}
