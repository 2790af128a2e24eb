// Istio's API (istio.io/api v1.31.1), every field of the kinds that sidestep rewrites, in its spelling. Types only.
// Import by namespace (`import type * as istio`): Gateway API has a Gateway and an HTTPRoute too.
// Sources: istio.io/api kubernetes/customresourcedefinitions.gen.yaml; `test/fates.test.ts` holds the two equal.
import type { KubernetesObject } from './core.ts'

export type * from './istio-proxies.ts'

export interface VirtualService extends KubernetesObject {
  kind: 'VirtualService'
  spec: VirtualServiceSpec
}

export interface VirtualServiceSpec {
  hosts?: string[]
  gateways?: string[]
  exportTo?: string[]
  http?: HTTPRoute[]
  tls?: TLSRoute[]
  tcp?: TCPRoute[]
}

/** One entry of `spec.http`. Not Gateway API's HTTPRoute. */
export interface HTTPRoute {
  name?: string
  match?: HTTPMatchRequest[]
  route?: HTTPRouteDestination[]
  redirect?: HTTPRedirect
  directResponse?: HTTPDirectResponse
  delegate?: { name?: string; namespace?: string }
  rewrite?: HTTPRewrite
  timeout?: string | null
  retries?: HTTPRetry
  fault?: HTTPFaultInjection
  mirror?: Destination
  mirrorPercent?: number
  mirror_percent?: number
  mirrorPercentage?: Percent
  mirrors?: { destination?: Destination; percentage?: Percent }[]
  corsPolicy?: CorsPolicy
  headers?: Headers
}

export interface HTTPMatchRequest {
  name?: string
  uri?: StringMatch
  scheme?: StringMatch
  method?: StringMatch
  authority?: StringMatch
  headers?: Record<string, StringMatch>
  withoutHeaders?: Record<string, StringMatch>
  queryParams?: Record<string, StringMatch>
  port?: number
  sourceLabels?: Record<string, string>
  sourceNamespace?: string
  gateways?: string[]
  ignoreUriCase?: boolean
  statPrefix?: string
}

export interface StringMatch {
  exact?: string
  prefix?: string
  regex?: string
}

export interface HTTPRouteDestination {
  destination?: Destination
  weight?: number
  headers?: Headers
}

export interface Destination {
  host?: string
  subset?: string
  port?: { number?: number }
}

export interface Headers {
  request?: HeaderOperations
  response?: HeaderOperations
}

export interface HeaderOperations {
  set?: Record<string, string>
  add?: Record<string, string>
  remove?: string[]
}

export interface HTTPRewrite {
  uri?: string
  authority?: string
  uriRegexRewrite?: { match?: string; rewrite?: string }
}

export interface HTTPRedirect {
  uri?: string
  authority?: string
  port?: number
  derivePort?: 'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT'
  scheme?: string
  redirectCode?: number
  prefixRewrite?: string
}

export interface HTTPDirectResponse {
  status?: number
  body?: { string?: string; bytes?: string }
}

export interface HTTPRetry {
  attempts?: number
  perTryTimeout?: string
  retryOn?: string
  retryRemoteLocalities?: boolean
  retryIgnorePreviousHosts?: boolean
  backoff?: string
}

export interface HTTPFaultInjection {
  delay?: { percent?: number; fixedDelay?: string; exponentialDelay?: string; percentage?: Percent }
  abort?: { httpStatus?: number; grpcStatus?: string; http2Error?: string; percentage?: Percent }
}

export interface Percent {
  value?: number
}

export interface CorsPolicy {
  allowOrigin?: string[]
  allowOrigins?: StringMatch[]
  allowMethods?: string[]
  allowHeaders?: string[]
  exposeHeaders?: string[]
  maxAge?: string
  allowCredentials?: boolean
  unmatchedPreflights?: 'UNSPECIFIED' | 'FORWARD' | 'IGNORE'
}

export interface TLSRoute {
  match?: {
    sniHosts?: string[]
    destinationSubnets?: string[]
    port?: number
    sourceLabels?: Record<string, string>
    sourceNamespace?: string
    gateways?: string[]
  }[]
  route?: RouteDestination[]
}

export interface TCPRoute {
  match?: {
    destinationSubnets?: string[]
    port?: number
    sourceLabels?: Record<string, string>
    sourceNamespace?: string
    sourceSubnet?: string
    gateways?: string[]
  }[]
  route?: RouteDestination[]
}

export interface RouteDestination {
  destination?: Destination
  weight?: number
}

export interface Gateway extends KubernetesObject {
  kind: 'Gateway'
  spec: GatewaySpec
}

export interface GatewaySpec {
  selector?: Record<string, string>
  servers?: Server[]
}

export interface Server {
  hosts?: string[]
  port?: { number?: number; name?: string; protocol?: string; targetPort?: number }
  tls?: ServerTLSSettings
  name?: string
  bind?: string
  defaultEndpoint?: string
}

export interface ServerTLSSettings {
  httpsRedirect?: boolean
  /** Without one it is PASSTHROUGH, the first of the enum. */
  mode?: string
  credentialName?: string
  credentialNames?: string[]
  cipherSuites?: string[]
  minProtocolVersion?: string
  maxProtocolVersion?: string
  serverCertificate?: string
  privateKey?: string
  caCertificates?: string
  caCrl?: string
  tlsCertificates?: { serverCertificate?: string; privateKey?: string; caCertificates?: string }[]
  caCertCredentialName?: string
  subjectAltNames?: string[]
  verifyCertificateSpki?: string[]
  verifyCertificateHash?: string[]
  insecureSkipVerify?: boolean
}

/** Only what a VirtualService's subsets need, and what of it ends with the sidecars. */
export interface DestinationRule extends KubernetesObject {
  kind: 'DestinationRule'
  spec: {
    host?: string
    subsets?: { name?: string; labels?: Record<string, string>; trafficPolicy?: unknown }[]
    trafficPolicy?: TrafficPolicy & { portLevelSettings?: (TrafficPolicy & { port?: unknown })[] }
    workloadSelector?: { matchLabels?: Record<string, string> }
  }
}

export interface TrafficPolicy {
  tls?: { mode?: string; clientCertificate?: string; privateKey?: string; caCertificates?: string }
}

/** Only what a VirtualService's hosts and destinations need, and what of it ends with the sidecars. */
export interface ServiceEntry extends KubernetesObject {
  kind: 'ServiceEntry'
  spec: {
    hosts?: string[]
    ports?: { number?: number; name?: string; protocol?: string }[]
    resolution?: string
    exportTo?: string[]
  }
}

export interface AuthorizationPolicy extends KubernetesObject {
  kind: 'AuthorizationPolicy'
  spec: AuthorizationPolicySpec
}

export interface AuthorizationPolicySpec extends WorkloadTarget {
  action?: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'
  provider?: { name?: string }
  rules?: Rule[]
}

/** Where a policy applies: `selector` (workloads) or `targetRefs` (Gateways, Services), never both. */
export interface WorkloadTarget {
  selector?: { matchLabels?: Record<string, string> }
  targetRef?: PolicyTargetReference
  targetRefs?: PolicyTargetReference[]
}

export interface PolicyTargetReference {
  group?: string
  kind?: string
  name?: string
  namespace?: string
}

export interface Rule {
  from?: { source?: Source }[]
  to?: { operation?: Operation }[]
  when?: AuthorizationCondition[]
}

export interface Source {
  principals?: string[]
  notPrincipals?: string[]
  requestPrincipals?: string[]
  notRequestPrincipals?: string[]
  namespaces?: string[]
  notNamespaces?: string[]
  serviceAccounts?: string[]
  notServiceAccounts?: string[]
  trustDomains?: string[]
  notTrustDomains?: string[]
  ipBlocks?: string[]
  notIpBlocks?: string[]
  remoteIpBlocks?: string[]
  notRemoteIpBlocks?: string[]
}

export interface Operation {
  hosts?: string[]
  notHosts?: string[]
  ports?: string[]
  notPorts?: string[]
  methods?: string[]
  notMethods?: string[]
  paths?: string[]
  notPaths?: string[]
}

export interface AuthorizationCondition {
  key?: string
  values?: string[]
  notValues?: string[]
}

export interface PeerAuthentication extends KubernetesObject {
  kind: 'PeerAuthentication'
  spec?: PeerAuthenticationSpec
}

export interface PeerAuthenticationSpec {
  selector?: { matchLabels?: Record<string, string> }
  mtls?: MutualTLS
  /** By container port; honoured with a selector only. */
  portLevelMtls?: Record<string, MutualTLS>
}

export interface MutualTLS {
  mode?: 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT'
}

export interface RequestAuthentication extends KubernetesObject {
  kind: 'RequestAuthentication'
  spec: RequestAuthenticationSpec
}

export interface RequestAuthenticationSpec extends WorkloadTarget {
  jwtRules?: JWTRule[]
}

export interface JWTRule {
  issuer?: string
  audiences?: string[]
  jwksUri?: string
  jwks_uri?: string
  jwks?: string
  fromHeaders?: { name?: string; prefix?: string }[]
  fromParams?: string[]
  fromCookies?: string[]
  outputPayloadToHeader?: string
  forwardOriginalToken?: boolean
  outputClaimToHeaders?: { header?: string; claim?: string }[]
  timeout?: string
  spaceDelimitedClaims?: string[]
}
