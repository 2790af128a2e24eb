// Istio's kinds that configure proxies, in API spelling. sidestep reads them and writes none.
import type { KubernetesObject } from './core.ts'
import type { PolicyTargetReference, WorkloadTarget } from './istio.ts'

export interface ProxyConfig extends KubernetesObject {
  kind: 'ProxyConfig'
  spec?: ProxyConfigSpec
}

export interface ProxyConfigSpec {
  selector?: { matchLabels?: Record<string, string> }
  concurrency?: number
  environmentVariables?: Record<string, string>
  image?: { imageType?: string }
}

export interface Sidecar extends KubernetesObject {
  kind: 'Sidecar'
  spec?: SidecarSpec
}

export interface SidecarSpec {
  workloadSelector?: { labels?: Record<string, string> }
  ingress?: IstioIngressListener[]
  egress?: IstioEgressListener[]
  inboundConnectionPool?: unknown
  outboundTrafficPolicy?: { mode?: string; egressProxy?: unknown }
}

export interface IstioIngressListener {
  port?: SidecarPort
  bind?: string
  captureMode?: string
  defaultEndpoint?: string
  tls?: unknown
  connectionPool?: unknown
}

export interface IstioEgressListener {
  port?: SidecarPort
  bind?: string
  captureMode?: string
  hosts?: string[]
}

export interface SidecarPort {
  number?: number
  protocol?: string
  name?: string
  targetPort?: number
}

/** Only what says whom it patches. */
export interface EnvoyFilter extends KubernetesObject {
  kind: 'EnvoyFilter'
  spec?: {
    workloadSelector?: { labels?: Record<string, string> }
    targetRefs?: PolicyTargetReference[]
    configPatches?: { match?: { context?: string } }[]
  }
}

/** Only what says where it runs, and when. */
export interface WasmPlugin extends KubernetesObject {
  kind: 'WasmPlugin'
  spec?: WorkloadTarget & { phase?: string }
}

export interface TrafficExtension extends KubernetesObject {
  kind: 'TrafficExtension'
  spec?: WorkloadTarget & { phase?: string }
}

/** Only what says for whom it is. */
export interface Telemetry extends KubernetesObject {
  kind: 'Telemetry'
  spec?: WorkloadTarget
}

/** Only what makes a machine of it. */
export interface WorkloadEntry extends KubernetesObject {
  kind: 'WorkloadEntry'
  spec?: { serviceAccount?: string }
}

export interface WorkloadGroup extends KubernetesObject {
  kind: 'WorkloadGroup'
}
