// The contract of the core: every translator is a pure function of an object, a snapshot and the settings.
import type { KubernetesObject } from '../apis/core.ts'
import { recordOriginal } from './original.ts'
import { createReport, type Diagnostic, type Report } from './report.ts'
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

/** What the parts of a translator look at beside the object, and where they report what they find. */
export interface Context {
  cluster: ClusterSnapshot
  settings: Settings
  report: Report
}

/** Judges an object that stays as it is, whatever is reported about it. */
export type Examine<K extends KubernetesObject> = (object: K, context: Context) => void

/** The translator of a kind that is only judged. */
export function examining<K extends KubernetesObject>(examine: Examine<K>): Translate<K> {
  return (object, cluster, settings) => {
    const report = createReport(settings)
    examine(object, { cluster, settings, report })
    return leave(object, report)
  }
}

/** What a translator gives for an object that it leaves alone, whatever was reported about it. */
export function leave<K extends KubernetesObject>(object: K, report?: Report): Translation<K> {
  const diagnostics = report?.diagnostics ?? []
  const reasons = diagnostics.filter(({ severity }) => severity === 'denial')
  const warnings = diagnostics.filter(({ severity }) => severity !== 'denial')
  return { object, companions: [], warnings, ...(reasons.length > 0 ? { denial: { reasons } } : {}) }
}

/**
 * The result of a translation: the rewritten object with the record of its original, or, when anything reported makes the
 * object untranslatable, the original and nothing beside it. Never half of a translation.
 */
export function conclude<K extends KubernetesObject>(
  original: K,
  rewritten: K,
  companions: KubernetesObject[],
  report: Report,
): Translation<K> {
  if (report.untranslatable) return leave(original, report)
  return { object: recordOriginal(original, rewritten), companions, warnings: [...report.diagnostics] }
}
