// translate(): the one entry of the core, a table from kind to translator.
import type { KubernetesObject } from '../apis/core.ts'
import { translateAuthorizationPolicy } from './authorization-policy/index.ts'
import { isCompanion } from './companion.ts'
import { translateNamespace } from './namespace/index.ts'
import { translateRequestAuthentication } from './request-authentication/index.ts'
import { translateService } from './service/index.ts'
import type { Settings } from './settings.ts'
import type { ClusterSnapshot } from './snapshot.ts'
import { leave, type Translate, type Translation } from './translation.ts'
import { translateVirtualService } from './virtual-service/index.ts'

const translators = {
  'networking.istio.io/VirtualService': translateVirtualService,
  'security.istio.io/AuthorizationPolicy': translateAuthorizationPolicy,
  'security.istio.io/RequestAuthentication': translateRequestAuthentication,
  '/Namespace': translateNamespace,
  '/Service': translateService,
}

/** Whether translate() has a translator for the object's kind; every other kind passes through unchanged. */
export function isTranslated(object: KubernetesObject): boolean {
  return translatorFor(object) !== undefined
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
  const translator = translatorFor(object)
  return translator && !isCompanion(object) ? translator(object, cluster, settings) : leave(object)
}

/** The table is keyed by the very kind that the translator takes, which is more than the compiler can follow. */
function translatorFor<K extends KubernetesObject>({ apiVersion, kind }: K): Translate<K> | undefined {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
  const key = `${group}/${kind}`
  return Object.hasOwn(translators, key)
    ? (translators[key as keyof typeof translators] as unknown as Translate<K>)
    : undefined
}
