// The contract of the core: every translator is a pure function of an object, a snapshot and the settings.
import type { KubernetesObject } from '../apis/core.ts'
import type { Diagnostic } from './report.ts'
import type { Settings } from './settings.ts'
import type { ClusterSnapshot } from './snapshot.ts'

export interface Translation<K extends KubernetesObject = KubernetesObject> {
  /** What the API server should store. */
  object: K
  /** What the reconciler keeps beside it, in the order in which it is applied. */
  companions: KubernetesObject[]
  /** Findings that do not stop the object: warnings and notes. */
  warnings: Diagnostic[]
  /** When present, nothing is stored and no companion is kept. */
  denial?: { reasons: Diagnostic[] }
}

export type Translate<K extends KubernetesObject> = (
  object: K,
  cluster: ClusterSnapshot,
  settings: Settings,
) => Translation<K>
