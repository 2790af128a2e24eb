// What an administrator decides, as plain data. src/settings.ts reads it from file, environment and flags.
import type { Severity } from './diagnostics.ts'

export interface Settings {
  /** `observe` warns and changes nothing; `enforce` rewrites and refuses. A Namespace's `sidestep.dev/mode` overrides it. */
  mode: 'observe' | 'enforce'
  /** Istio's root namespace, whose policies hold for the whole mesh. */
  rootNamespace: string
  /** The mesh's trust domain: the first part of every principal. */
  trustDomain: string
  /** Former trust domains of the mesh (`trustDomainAliases` of MeshConfig), whose principals Envoy takes for its own. */
  trustDomainAliases: string[]
  /** The cluster's DNS domain, the end of every Service's full name. */
  clusterDomain: string
  /** istiod's REVISION. Empty when istiod runs without one, and then a VirtualService cannot be parked. */
  revision: string
  /** What becomes of a VirtualService whose HTTPRoute serves: `park` makes istiod ignore it, `keep` leaves it. */
  virtualServices: 'park' | 'keep'
  /** A destination's subset: `deny` it, or keep a Service for each (`services`). */
  subsets: 'deny' | 'services'
  /** Grants that routes to Services of other namespaces need: `given` by the Services' owners, or `create` them. */
  referenceGrants: 'given' | 'create'
  /**
   * Where Gateway API would sort rules differently: `specificity` refuses, `regex` makes each match of the host a regex
   * whose length keeps the order, which only Istio does.
   */
  ruleOrder: 'specificity' | 'regex'
  /** Whether a VirtualService that matches gRPC methods alone becomes a GRPCRoute in place of an HTTPRoute. */
  grpcRoutes: boolean
  gateways: GatewayMapping[]
  /** The first rule that matches a Namespace holds; a Namespace without one is left alone. */
  namespaces: NamespaceRule[]
  /** `uri.prefix` values that are no path elements, each with the PathPrefix values that stand for it. */
  pathPrefixes: Record<string, string[]>
  /** Severity by code, or by pattern (`VS-*`), which can only raise. */
  severities: Record<string, Severity>
}

/** An ingress: the Istio Gateways that end there, and the Kubernetes Gateway that takes over. */
export interface GatewayMapping {
  /** Istio Gateways, `namespace/name`. */
  istioGateways: string[]
  /** The Kubernetes Gateway, `namespace/name` or `namespace/name#sectionName`. */
  gateway: string
  /** The pods of the old gateway: a policy whose selector matches these labels means this ingress. */
  pods: { namespace: string; labels: Record<string, string> }
  /** Service accounts, `namespace/name`: the old gateway's, and the new one's, which policies must admit too. */
  serviceAccounts: { old: string[]; new: string[] }
  /** Whether sidestep keeps the Kubernetes Gateway, made of the Istio Gateways' servers. By default somebody else does. */
  create?: boolean
  /** The class of the Gateway that sidestep keeps, `istio` by default. */
  gatewayClassName?: string
  /** Labels of its pods (`spec.infrastructure.labels`), for NetworkPolicies that look for the old ones. */
  labels?: Record<string, string>
  /** Host names of Services that lead to pods of somebody's making: then istiod deploys none for it. */
  addresses?: string[]
}

export interface NamespaceRule {
  /** Namespaces by name, or by labels; one of the two. */
  names?: string[]
  matchLabels?: Record<string, string>
  dataplaneMode: 'ambient'
  /** The waypoint that serves the namespace. Without one, only L4 policies can be enforced there. */
  waypoint?: WaypointRule
}

export interface WaypointRule {
  name: string
  /** Where the waypoint runs, when not in the namespace itself. */
  namespace?: string
  /** Whether sidestep keeps the waypoint Gateway, or somebody else does. */
  create: boolean
  /** The Services that traffic reaches through the waypoint: all of the namespace, or these names. */
  services: 'all' | string[]
  /** Whether traffic from ingress gateways goes through the waypoint too. */
  ingressUseWaypoint: boolean
  /** Callers that the guards let through to the pods beside the waypoint. */
  directCallers: DirectCaller[]
}

/** One rule of a guard: who may come, to which container ports. At least one of the lists is not empty. */
export interface DirectCaller {
  principals?: string[]
  namespaces?: string[]
  ports?: string[]
}
