// KServe's ConfigMap: how InferenceServices are deployed when they do not say so, and who makes their ingress.
import type * as core from '../../apis/core.ts'
import { isRecord } from '../fate.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { type ClusterSnapshot, inferenceServiceConfig } from '../snapshot.ts'
import type { Context } from '../translation.ts'

/** What of it matters here. A key that is missing, or no JSON, says nothing. */
export interface Deploying {
  defaultDeploymentMode: string | undefined
  enableGatewayApi: boolean | undefined
  kserveIngressGateway: string | undefined
}

export function deployingOf({ data = {} }: core.ConfigMap): Deploying {
  const { defaultDeploymentMode } = parsed(data.deploy) ?? {}
  const ingress = parsed(data.ingress)
  const { kserveIngressGateway } = ingress ?? {}
  return {
    defaultDeploymentMode: typeof defaultDeploymentMode === 'string' ? defaultDeploymentMode : undefined,
    // It is off unless it is on (KServe's IngressConfig).
    enableGatewayApi: ingress && ingress.enableGatewayApi === true,
    kserveIngressGateway: typeof kserveIngressGateway === 'string' ? kserveIngressGateway : undefined,
  }
}

/** The ConfigMap of the cluster, in whatever namespace KServe's controller runs; of several nothing can be said. */
export function configIn({ inferenceServiceConfigs }: ClusterSnapshot): core.ConfigMap | undefined {
  const [config, ...others] = [...inferenceServiceConfigs.values()].flatMap(configs => [...configs.values()])
  return others.length > 0 ? undefined : config
}

/** `Knative` is the newer name (KServe 0.16). */
export function isServerless(mode: string | undefined): boolean {
  return mode === 'Serverless' || mode === 'Knative'
}

export function isRaw(mode: string | undefined): boolean {
  return mode === 'RawDeployment' || mode === 'Standard'
}

export function checkConfig(config: core.ConfigMap, { cluster, settings, report }: Context): void {
  const { defaultDeploymentMode, enableGatewayApi, kserveIngressGateway } = deployingOf(config)
  if (isServerless(defaultDeploymentMode)) report('KS-CONFIG-SERVERLESS', 'data.deploy')
  if (enableGatewayApi === false) report('KS-CONFIG-INGRESS', 'data.ingress')
  const [mapped, ...others] = settings.gateways.map(mapping => gatewayOf(mapping).key)
  if (!enableGatewayApi || !kserveIngressGateway || !mapped) return
  // A Gateway that is there may well be meant.
  const [namespace = '', name = ''] = kserveIngressGateway.split('/')
  const isKnown = [mapped, ...others].includes(kserveIngressGateway) || cluster.gateways.get(namespace)?.has(name)
  if (!isKnown) report('KS-CONFIG-GATEWAY', 'data.ingress', { gateway: kserveIngressGateway.slice(0, 80), mapped })
}

export function isConfig({ metadata }: core.KubernetesObject): boolean {
  return metadata.name === inferenceServiceConfig
}

/** JSON in a value of a ConfigMap. */
function parsed(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}
