// The parts of Gateway API (sigs.k8s.io/gateway-api v1.6, gateway.networking.k8s.io/v1) that sidestep reads and writes.
// Import by namespace (`import type * as gateway`): Istio has a Gateway and an HTTPRoute too. Types only.
import type { Condition, KubernetesObject } from './core.ts'

export interface Gateway extends KubernetesObject {
  kind: 'Gateway'
  spec: {
    gatewayClassName: string
    listeners: Listener[]
    addresses?: { type?: string; value: string }[]
    infrastructure?: { labels?: Record<string, string>; annotations?: Record<string, string> }
  }
  status?: { addresses?: { type?: string; value: string }[]; conditions?: Condition[] }
}

export interface Listener {
  name: string
  port: number
  protocol: string
  hostname?: string
  tls?: ListenerTLSConfig
  allowedRoutes?: { namespaces?: RouteNamespaces }
}

export interface RouteNamespaces {
  from?: 'All' | 'Same' | 'Selector'
  selector?: {
    matchLabels?: Record<string, string>
    matchExpressions?: { key: string; operator: string; values?: string[] }[]
  }
}

export interface ListenerTLSConfig {
  mode?: 'Terminate' | 'Passthrough'
  certificateRefs?: { group?: string; kind?: string; name: string; namespace?: string }[]
  options?: Record<string, string>
}

export interface HTTPRoute extends KubernetesObject {
  kind: 'HTTPRoute'
  spec: {
    parentRefs?: ParentReference[]
    hostnames?: string[]
    rules?: HTTPRouteRule[]
  }
  status?: { parents?: { parentRef: ParentReference; controllerName?: string; conditions?: Condition[] }[] }
}

export interface ParentReference {
  group?: string
  kind?: string
  namespace?: string
  name: string
  sectionName?: string
  port?: number
}

export interface HTTPRouteRule {
  name?: string
  matches?: HTTPRouteMatch[]
  filters?: HTTPRouteFilter[]
  backendRefs?: HTTPBackendRef[]
  timeouts?: { request?: string; backendRequest?: string }
  retry?: HTTPRouteRetry
}

/** Experimental channel only, up to v1.6. */
export interface HTTPRouteRetry {
  codes?: number[]
  attempts?: number
  backoff?: string
}

export interface HTTPRouteMatch {
  path?: HTTPPathMatch
  headers?: HTTPHeaderMatch[]
  queryParams?: HTTPHeaderMatch[]
  method?: string
}

export interface HTTPPathMatch {
  type: 'Exact' | 'PathPrefix' | 'RegularExpression'
  value: string
}

/** Headers and query parameters are matched in the same shape. */
export interface HTTPHeaderMatch {
  type: 'Exact' | 'RegularExpression'
  name: string
  value: string
}

export type HTTPRouteFilter =
  | { type: 'RequestHeaderModifier'; requestHeaderModifier: HTTPHeaderFilter }
  | { type: 'ResponseHeaderModifier'; responseHeaderModifier: HTTPHeaderFilter }
  | { type: 'URLRewrite'; urlRewrite: HTTPURLRewriteFilter }
  | { type: 'RequestRedirect'; requestRedirect: HTTPRequestRedirectFilter }
  | { type: 'RequestMirror'; requestMirror: HTTPRequestMirrorFilter }
  | { type: 'CORS'; cors: HTTPCORSFilter }

export interface HTTPRequestMirrorFilter {
  backendRef: BackendObjectReference
  percent?: number
  fraction?: { numerator: number; denominator?: number }
}

/** Standard channel from v1.5, experimental before. */
export interface HTTPCORSFilter {
  allowOrigins?: string[]
  allowCredentials?: boolean
  allowMethods?: string[]
  allowHeaders?: string[]
  exposeHeaders?: string[]
  /** Seconds. The CRD makes 5 of an absent one. */
  maxAge?: number
}

export interface HTTPHeaderFilter {
  set?: HTTPHeader[]
  add?: HTTPHeader[]
  remove?: string[]
}

export interface HTTPHeader {
  name: string
  value: string
}

export interface HTTPURLRewriteFilter {
  hostname?: string
  path?: HTTPPathModifier
}

export interface HTTPRequestRedirectFilter {
  scheme?: string
  hostname?: string
  path?: HTTPPathModifier
  port?: number
  statusCode?: number
}

export type HTTPPathModifier =
  | { type: 'ReplaceFullPath'; replaceFullPath: string }
  | { type: 'ReplacePrefixMatch'; replacePrefixMatch: string }

export interface BackendObjectReference {
  group?: string
  kind?: string
  namespace?: string
  name: string
  port?: number
}

export interface BackendRef extends BackendObjectReference {
  weight?: number
}

export interface HTTPBackendRef extends BackendRef {
  filters?: HTTPRouteFilter[]
}

/** v1 from bundle v1.5. */
export interface TLSRoute extends KubernetesObject {
  kind: 'TLSRoute'
  spec: { parentRefs?: ParentReference[]; hostnames?: string[]; rules: { name?: string; backendRefs: BackendRef[] }[] }
  status?: HTTPRoute['status']
}

/** v1 from bundle v1.6. */
export interface TCPRoute extends KubernetesObject {
  kind: 'TCPRoute'
  spec: { parentRefs?: ParentReference[]; rules: { name?: string; backendRefs: BackendRef[] }[] }
  status?: HTTPRoute['status']
}

export interface GRPCRoute extends KubernetesObject {
  kind: 'GRPCRoute'
  spec: { parentRefs?: ParentReference[]; hostnames?: string[]; rules?: GRPCRouteRule[] }
  status?: HTTPRoute['status']
}

export interface GRPCRouteRule {
  name?: string
  matches?: {
    method?: { type: 'Exact'; service?: string; method?: string }
    headers?: HTTPHeaderMatch[]
  }[]
  filters?: HTTPRouteFilter[]
  backendRefs?: HTTPBackendRef[]
}

/** v1beta1: permission, given in the namespace of the target, for routes of another namespace to refer to it. */
export interface ReferenceGrant extends KubernetesObject {
  kind: 'ReferenceGrant'
  spec: {
    from: { group: string; kind: string; namespace: string }[]
    to: { group: string; kind: string; name?: string }[]
  }
}
