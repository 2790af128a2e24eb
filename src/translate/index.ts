// translate(): the one entry of the core, a table from kind to translator.
import type { KubernetesObject } from '../apis/core.ts'
import type { Settings } from './settings.ts'
import type { ClusterSnapshot } from './snapshot.ts'
import type { Translate, Translation } from './translation.ts'

const translators: Record<string, Translate<never>> = {}

/** Whether translate() has a translator for the object's kind; every other kind passes through unchanged. */
export function isTranslated({ apiVersion, kind }: KubernetesObject): boolean {
  return Object.hasOwn(translators, `${groupOf(apiVersion)}/${kind}`)
}

/**
 * What an object becomes in ambient, what is kept beside it, and what its author should know.
 * Pure: equal arguments give equal results, the arguments are never changed, and nothing is thrown for any object.
 */
export function translate<K extends KubernetesObject>(
  object: K,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<K> {
  const key = `${groupOf(object.apiVersion)}/${object.kind}`
  const translator = Object.hasOwn(translators, key) ? (translators[key] as unknown as Translate<K>) : undefined
  return translator ? translator(object, cluster, settings) : { object, companions: [], warnings: [] }
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
}
