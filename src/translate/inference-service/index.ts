// KServe: models that Knative deploys, which ambient does not carry, and models whose ingress only the old gateway reads
// (research/kubeflow.md, e). Its own objects, VirtualServices and HTTPRoutes, are left to its controller.
import type * as core from '../../apis/core.ts'
import type * as kserve from '../../apis/kserve.ts'
import { inspect } from '../fate.ts'
import { configMapShape, read } from '../shapes.ts'
import { keyOf, namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientNamespaces, ambientRule } from '../waypoint.ts'
import { checkConfig, configIn, deployingOf, isConfig, isRaw, isServerless } from './config.ts'

const modeAnnotation = 'serving.kserve.io/deploymentMode'
const shape = read({ status: read({ deploymentMode: 'string' }) })

export function examineInferenceService(object: kserve.InferenceService, context: Context): void {
  const { cluster, settings, report } = context
  if (!ambientRule(namespaceOf(object), cluster, settings)) return
  if (!inspect(object, shape, '', { type: 'KS-FIELD-TYPE' }, report)) return
  const config = configIn(cluster)
  const { defaultDeploymentMode, enableGatewayApi } = config ? deployingOf(config) : {}
  const said = object.metadata.annotations?.[modeAnnotation]
  // KServe keeps to the mode in which it has deployed it once, whatever is written later.
  const kept = object.status?.deploymentMode
  const mode = kept ?? said ?? defaultDeploymentMode
  const written = said === undefined ? 'metadata.annotations' : `metadata.annotations[${modeAnnotation}]`
  const field = said !== undefined && kept !== undefined && said !== kept ? 'status.deploymentMode' : written
  if (isServerless(mode)) report('KS-MODE-SERVERLESS', field, { annotation: modeAnnotation })
  else if (isRaw(mode) && config && enableGatewayApi === false)
    report('KS-MODE-INGRESS', field, { config: keyOf(config) })
}

/** The ConfigMap of KServe holds for all namespaces. All others are none of our business. */
export function examineConfigMap(object: core.ConfigMap, context: Context): void {
  const { cluster, settings, report } = context
  if (!isConfig(object)) return
  const isAnywhere = ambientNamespaces(settings.rootNamespace, cluster, settings).length > 0
  if (!isAnywhere || !inspect(object, configMapShape, '', { type: 'KS-FIELD-TYPE' }, report)) return
  checkConfig(object, context)
}
