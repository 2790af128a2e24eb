// translate(): the one entry of the core, a table from kind to translator.
import type { KubernetesObject } from '../apis/core.ts'
import { translateAuthorizationPolicy } from './authorization-policy/index.ts'
import { isTooDeep, withoutNulls } from './canonical.ts'
import { isCompanion } from './companion.ts'
import { examineDestinationRule } from './destination-rule/index.ts'
import { examineEnvoyFilter } from './envoy-filter/index.ts'
import { inspect } from './fate.ts'
import { translateGateway } from './gateway/index.ts'
import { examineConfigMap, examineInferenceService } from './inference-service/index.ts'
import { examineKnative } from './knative/index.ts'
import { modeFor } from './mode.ts'
import { translateNamespace } from './namespace/index.ts'
import { examineNetworkPolicy } from './network-policy/index.ts'
import { translatePeerAuthentication } from './peer-authentication/index.ts'
import { examineProxyConfig } from './proxy-config/index.ts'
import { createReport } from './report.ts'
import { translateRequestAuthentication } from './request-authentication/index.ts'
import { translateService } from './service/index.ts'
import { examineServiceEntry } from './service-entry/index.ts'
import type { Settings } from './settings.ts'
import { metadataShape } from './shapes.ts'
import { examineSidecar } from './sidecar/index.ts'
import { type ClusterSnapshot, kindKey } from './snapshot.ts'
import { examineTelemetry } from './telemetry/index.ts'
import { examining, leave, type Translate, type Translation } from './translation.ts'
import { translateVirtualService } from './virtual-service/index.ts'
import { examineWasmPlugin } from './wasm-plugin/index.ts'
import { examineWorkload } from './workload/index.ts'
import { examineWorkloadEntry, examineWorkloadGroup } from './workload-entry/index.ts'

/** Each kind that is rewritten or has companions, with its translator and the code for metadata that is none. */
const translated = {
  'VirtualService/networking.istio.io': [translateVirtualService, 'VS-FIELD-TYPE'],
  'AuthorizationPolicy/security.istio.io': [translateAuthorizationPolicy, 'AP-FIELD-TYPE'],
  'RequestAuthentication/security.istio.io': [translateRequestAuthentication, 'RA-FIELD-TYPE'],
  'PeerAuthentication/security.istio.io': [translatePeerAuthentication, 'PA-FIELD-TYPE'],
  'Namespace/': [translateNamespace, 'NS-FIELD-TYPE'],
  'Service/': [translateService, 'SVC-FIELD-TYPE'],
  'Gateway/networking.istio.io': [translateGateway, 'GW-FIELD-TYPE'],
} as const

const knative = [examining(examineKnative), 'KN-FIELD-TYPE'] as const
const workload = [examining(examineWorkload), 'POD-FIELD-TYPE'] as const

/** Each kind that stays as it is and has no companions: its examiner says what of it ends with the sidecars. */
const examined = {
  'DestinationRule/networking.istio.io': [examining(examineDestinationRule), 'DR-FIELD-TYPE'],
  'EnvoyFilter/networking.istio.io': [examining(examineEnvoyFilter), 'EF-FIELD-TYPE'],
  'ProxyConfig/networking.istio.io': [examining(examineProxyConfig), 'PC-FIELD-TYPE'],
  'ServiceEntry/networking.istio.io': [examining(examineServiceEntry), 'SE-FIELD-TYPE'],
  'Sidecar/networking.istio.io': [examining(examineSidecar), 'SC-FIELD-TYPE'],
  'Telemetry/telemetry.istio.io': [examining(examineTelemetry), 'TM-FIELD-TYPE'],
  'TrafficExtension/extensions.istio.io': [examining(examineWasmPlugin), 'WP-FIELD-TYPE'],
  'WasmPlugin/extensions.istio.io': [examining(examineWasmPlugin), 'WP-FIELD-TYPE'],
  'WorkloadEntry/networking.istio.io': [examining(examineWorkloadEntry), 'WE-FIELD-TYPE'],
  'WorkloadGroup/networking.istio.io': [examining(examineWorkloadGroup), 'WE-FIELD-TYPE'],
  'Pod/': workload,
  'Deployment/apps': workload,
  'StatefulSet/apps': workload,
  'DaemonSet/apps': workload,
  'ReplicaSet/apps': workload,
  'Job/batch': workload,
  'CronJob/batch': workload,
  'InferenceService/serving.kserve.io': [examining(examineInferenceService), 'KS-FIELD-TYPE'],
  'ConfigMap/': [examining(examineConfigMap), 'KS-FIELD-TYPE'],
  'Service/serving.knative.dev': knative,
  'Route/serving.knative.dev': knative,
  'Ingress/networking.internal.knative.dev': knative,
  'NetworkPolicy/networking.k8s.io': [examining(examineNetworkPolicy), 'NP-FIELD-TYPE'],
} as const

const kinds = { ...translated, ...examined }

/** Whether objects of the kind are rewritten or have companions. */
export function isTranslated(object: KubernetesObject): boolean {
  return Object.hasOwn(translated, kindKey(object))
}

/** Whether objects of the kind are judged and left as they are. Every kind that is neither passes through unseen. */
export function isExamined(object: KubernetesObject): boolean {
  return Object.hasOwn(examined, kindKey(object))
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
