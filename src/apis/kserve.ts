// The parts of KServe's API that sidestep reads, in its spelling. Types only.
import type { KubernetesObject } from './core.ts'

export interface InferenceService extends KubernetesObject {
  kind: 'InferenceService'
  status?: { deploymentMode?: string }
}
