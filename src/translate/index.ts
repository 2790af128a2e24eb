// translate(): the one entry of the core, a table from kind to translator.
import type { KubernetesObject } from '../apis/core.ts'
import { translateAuthorizationPolicy } from './authorization-policy/index.ts'
import { isTooDeep, withoutNulls } from './canonical.ts'
import { isCompanion } from './companion.ts'
import { inspect } from './fate.ts'
import { translateGateway } from './gateway/index.ts'
import { modeFor } from './mode.ts'
import { translateNamespace } from './namespace/index.ts'
import { translatePeerAuthentication } from './peer-authentication/index.ts'
import { createReport } from './report.ts'
import { translateRequestAuthentication } from './request-authentication/index.ts'
import { translateService } from './service/index.ts'
import type { Settings } from './settings.ts'
import { metadataShape } from './shapes.ts'
import { type ClusterSnapshot, kindKey } from './snapshot.ts'
import { leave, type Translate, type Translation } from './translation.ts'
import { translateVirtualService } from './virtual-service/index.ts'

/** Each kind with its translator and the code for metadata that is none. */
const kinds = {
  'VirtualService/networking.istio.io': [translateVirtualService, 'VS-FIELD-TYPE'],
  'AuthorizationPolicy/security.istio.io': [translateAuthorizationPolicy, 'AP-FIELD-TYPE'],
  'RequestAuthentication/security.istio.io': [translateRequestAuthentication, 'RA-FIELD-TYPE'],
  'PeerAuthentication/security.istio.io': [translatePeerAuthentication, 'PA-FIELD-TYPE'],
  'Namespace/': [translateNamespace, 'NS-FIELD-TYPE'],
  'Service/': [translateService, 'SVC-FIELD-TYPE'],
  'Gateway/networking.istio.io': [translateGateway, 'GW-FIELD-TYPE'],
} as const

/** Whether translate() has a translator for the object's kind; every other kind passes through unchanged. */
export function isTranslated(object: KubernetesObject): boolean {
  return Object.hasOwn(kinds, kindKey(object))
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
  const key = kindKey(object)
  if (!Object.hasOwn(kinds, key)) return leave(object)
  const [translator, type] = kinds[key as keyof typeof kinds]
  const report = createReport(settings)
  if (isTooDeep(object)) {
    report(type, 'spec', { wanted: 'object of at most 200 levels' })
    return leave(object, report)
  }
  const cleaned = withoutNulls(object)
  if (!inspect(cleaned.metadata, metadataShape, 'metadata', { type }, report)) return leave(object, report)
  if (isCompanion(cleaned) || modeFor(cleaned, cluster, settings) === 'off') return leave(object)
  // The table is keyed by the very kind that the translator takes, which is more than the compiler can follow.
  const translation = (translator as unknown as Translate<K>)(cleaned, cluster, settings)
  // What is left alone is left alone to the last null.
  return translation.object === cleaned ? { ...translation, object } : translation
}
