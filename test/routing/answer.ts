// What goes into the evaluators and what comes out of both of them: plain data, so that two worlds can be compared.

export interface Request {
  host: string
  /** Without the query, which Envoy leaves out when it matches and rewrites paths. */
  path: string
  method: string
  /** Names in lower case. */
  headers: Record<string, string>
  queryParams: Record<string, string>
}

/** Where requests come in: the server of the Istio Gateway, or the listener of the Kubernetes Gateway in its place. */
export interface Ingress {
  port: number
  scheme: 'http' | 'https'
  /** The hosts that the server or listener takes; `*` for all. */
  hosts: string[]
}

/** Header names in lower case, sorted; what Istio drops (`Host`, pseudo headers) is left out. */
export interface HeaderOperations {
  set: [name: string, value: string][]
  add: [name: string, value: string][]
  remove: string[]
}

export interface Destination {
  /** `namespace/name:port`, or the host as it stands when it is no Service's full name. */
  service: string
  /** Share of the requests: weights divided by their greatest common divisor; 1 for a destination that is alone. */
  weight: number
  /** The Host that the destination sees. */
  host: string
  request: HeaderOperations
  response: HeaderOperations
}

export type Answer =
  /** 404: no virtual host, or no route in it. */
  | { kind: 'none' }
  | { kind: 'response'; status: number; response: HeaderOperations }
  | {
      kind: 'redirect'
      code: number
      location: { scheme: string; host: string; port?: number; path: string }
      response: HeaderOperations
    }
  | {
      kind: 'route'
      destinations: Destination[]
      path: string
      /** 0 when there is none. */
      timeoutMs: number
      request: HeaderOperations
      response: HeaderOperations
      /** JSON of what no HTTPRoute that sidestep writes can say: retries, fault, mirrors, corsPolicy. */
      other: string
    }
