// What makes the pods of a namespace anew: who owns them, whether a rollout does it, and how far one is.
import type * as core from '../apis/core.ts'
import { namespaceOf } from './snapshot.ts'
import { hasEnded, workloadOf } from './workload/template.ts'

/** A workload some of whose pods have to be made anew. */
export interface Restart {
  kind: string
  namespace: string
  name: string
  /** How many pods of it have to be. */
  pods: number
  /** What a person has to do where no rollout helps. */
  byHand?: string
}

interface Owner {
  kind: string
  name: string
}

/** The kinds that `kubectl rollout restart` knows. */
export const rolledKinds = ['Deployment', 'StatefulSet', 'DaemonSet']

/** Whether a pod runs a sidecar, and is no gateway. */
export function hasSidecar(pod: core.Pod): boolean {
  return workloadOf(pod)?.state === 'sidecar'
}

const injectLabel = 'sidecar.istio.io/inject'

/**
 * Whether ztunnel has captured the pod, and a restart would give it a sidecar. Who is marked to get none had none before,
 * and nothing checked its callers then.
 */
export function isBare(pod: core.Pod): boolean {
  const { labels = {}, annotations = {} } = pod.metadata
  if (annotations['ambient.istio.io/redirection'] === undefined || annotations['sidecar.istio.io/status']) return false
  if (hasEnded(pod)) return false
  return labels[injectLabel] !== 'false' && annotations[injectLabel] !== 'false'
}

/** What to restart so that a pod is made anew: a Deployment rather than its ReplicaSet, else the Pod itself. */
export function ownerOf({ metadata: { name = '', labels, ownerReferences = [] } }: core.Pod): Owner {
  const owner = ownerReferences.find(({ controller }) => controller) ?? ownerReferences[0]
  if (!owner) return { kind: 'Pod', name }
  const hash = labels?.['pod-template-hash']
  if (owner.kind === 'ReplicaSet' && hash && owner.name.endsWith(`-${hash}`))
    return { kind: 'Deployment', name: owner.name.slice(0, -hash.length - 1) }
  return { kind: owner.kind, name: owner.name }
}

export function ownerText({ kind, name }: Owner): string {
  return `${kind} ${name}`
}

/**
 * The owners of pods, by kind and name, each with how its pods are made anew.
 * @param toSidecars whether they are to come back with a sidecar
 */
export function restartsOf(
  pods: readonly core.Pod[],
  workloads: readonly core.KubernetesObject[],
  { toSidecars = false }: { toSidecars?: boolean } = {},
): Restart[] {
  const groups = new Map<string, core.Pod[]>()
  for (const pod of pods) {
    const owner = ownerOf(pod)
    const key = `${owner.kind}/${namespaceOf(pod)}/${owner.name}`
    groups.set(key, [...(groups.get(key) ?? []), pod])
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, its]) => {
      const [kind = '', namespace = '', name = ''] = key.split('/')
      const isIt = (each: core.KubernetesObject) =>
        each.kind === kind && each.metadata.name === name && namespaceOf(each) === namespace
      const byHand = byHandOf({ kind, name }, workloads.find(isIt), toSidecars)
      return { kind, namespace, name, pods: its.length, ...(byHand === undefined ? {} : { byHand }) }
    })
}

function byHandOf(
  { kind }: Owner,
  workload: core.KubernetesObject | undefined,
  toSidecars: boolean,
): string | undefined {
  if (kind === 'Pod') return 'nobody makes it again: delete it and create it anew'
  if (kind === 'Job') return 'wait for its end, or delete it'
  if (!rolledKinds.includes(kind))
    return `only its controller knows how: delete its pods, or restart it as a ${kind} is`
  if (!workload) return 'it is gone, or may not be read: delete its pods'
  const { paused, updateStrategy, template } = (workload as Rolled).spec ?? {}
  if (paused) return 'it is paused: kubectl rollout resume, then restart it'
  if (updateStrategy?.type === 'OnDelete') return 'its updateStrategy is OnDelete: delete its pods'
  if (updateStrategy?.rollingUpdate?.partition) return 'its updateStrategy keeps a partition back: delete its pods'
  // The label of a pod goes before its namespace's, so that a rollout would bring back what is to go.
  if (!toSidecars && template?.metadata?.labels?.[injectLabel] === 'true')
    return `its template demands a sidecar: take the label ${injectLabel} off`
  return undefined
}

// Rollouts ---------------------------------------------------------------------------------------------------------

interface Rolled extends core.KubernetesObject {
  spec?: {
    replicas?: number
    paused?: boolean
    template?: core.PodTemplateSpec
    updateStrategy?: { type?: string; rollingUpdate?: { partition?: number } }
  }
  status?: {
    observedGeneration?: number
    replicas?: number
    updatedReplicas?: number
    availableReplicas?: number
    readyReplicas?: number
    currentRevision?: string
    updateRevision?: string
    desiredNumberScheduled?: number
    updatedNumberScheduled?: number
    numberAvailable?: number
    conditions?: { type: string; reason?: string; message?: string }[]
  }
}

/**
 * What a rollout still waits for; undefined when it is done. As `kubectl rollout status` has it
 * (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go).
 */
export function rolloutLack(workload: core.KubernetesObject): string | undefined {
  const { kind, metadata, spec = {}, status = {} } = workload as Rolled
  if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0)) return 'its controller has not seen it yet'
  const { replicas = 1 } = spec
  switch (kind) {
    case 'Deployment': {
      const { updatedReplicas = 0, availableReplicas = 0 } = status
      const late = status.conditions?.find(({ reason }) => reason === 'ProgressDeadlineExceeded')
      if (late) return `it makes no progress: ${late.message ?? ''}`
      if (updatedReplicas < replicas) return `${updatedReplicas} of ${replicas} pods are new`
      if ((status.replicas ?? 0) > updatedReplicas) return 'old pods are about to go'
      return availableReplicas < updatedReplicas ? `${availableReplicas} of ${updatedReplicas} pods run` : undefined
    }
    case 'StatefulSet': {
      const { readyReplicas = 0, updatedReplicas = 0, updateRevision, currentRevision } = status
      if (readyReplicas < replicas) return `${readyReplicas} of ${replicas} pods run`
      return updateRevision === currentRevision ? undefined : `${updatedReplicas} of ${replicas} pods are new`
    }
    default: {
      const { desiredNumberScheduled: wanted = 0, updatedNumberScheduled = 0, numberAvailable = 0 } = status
      if (updatedNumberScheduled < wanted) return `${updatedNumberScheduled} of ${wanted} pods are new`
      return numberAvailable < wanted ? `${numberAvailable} of ${wanted} pods run` : undefined
    }
  }
}
