// What goes into the evaluators and what comes out of both of them: plain data, so that two worlds can be compared. What
// an answer holds is what Envoy is told, with every default filled in, so that two spellings of one thing are one value.

export interface Request {
  /** As the client writes it: with a port when it writes one. */
  host: string
  /** Without the query, which Envoy leaves out when it matches and rewrites paths. */
  path: string
  method: string
  /** Names in lower case. */
  headers: Record<string, string>
  queryParams: Record<string, string>
}

/** Where requests come in: a port of a gateway, or of a Service in the mesh. */
export interface Ingress {
  port: number
  scheme: 'http' | 'https'
}

/**
 * What becomes of each header, by name in lower case: `-` when it is removed, `=value` when it is set, and `+value` for
 * each value that is added. What Istio drops (`Host`, pseudo headers) is left out.
 */
export type HeaderEffects = Record<string, string[]>

export interface Destination {
  /** The pods that answer, and their port: `namespace{app=x}:8080`, whichever Service selects them. */
  service: string
  /** Share of the requests: weights divided by their greatest common divisor; 1 for a destination that is alone. */
  weight: number
  /** The Host that the destination sees. */
  host: string
  request: HeaderEffects
  response: HeaderEffects
}

/** The retry policy; undefined when Envoy does not retry at all. */
export type Retries =
  | {
      attempts: number
      /** Conditions by name, sorted, without `retriable-status-codes`, which is there when codes are. */
      retryOn: string[]
      codes: number[]
      /** 0 when there is none. */
      perTryTimeoutMs: number
      /** 0 for Envoy's own. */
      backoffMs: number
      avoidsPreviousHosts: boolean
      avoidsPreviousPriorities: boolean
    }
  | undefined

export interface Mirror {
  service: string
  /** Share of the requests that is copied, in millionths. */
  millionths: number
}

export interface Cors {
  /** Of `sampleOrigins`, those that are allowed. */
  origins: string[]
  credentials: boolean
  methods: string
  headers: string
  exposed: string
  /** Seconds, as the browser reads them; undefined when nothing is said. */
  maxAge: string | undefined
  /** Whether a preflight of another origin goes on to the application. */
  forwardsUnmatchedPreflights: boolean
}

/** Origins that tell one way of allowing from another: schemes, ports, subdomains, and the opaque one. */
export const sampleOrigins = [
  'null',
  'https://example.com',
  'http://example.com',
  'https://example.com:8443',
  'https://app.example.com',
  'https://a.app.example.com',
  'http://app.example.com',
  'https://app.example.com.evil.org',
  'https://notexample.com',
  'https://other.org',
]

export interface Fault {
  delay: { ms: number; millionths: number } | undefined
  abort: { status: string; millionths: number } | undefined
}

/** What Envoy's filters do before the router, whatever the route does. */
export interface Filtered {
  cors: Cors | undefined
  fault: Fault | undefined
}

export type Answer =
  /** 404: no virtual host, or no route in it. */
  | { kind: 'none' }
  | ({ kind: 'response'; status: number; body: string; response: HeaderEffects } & Filtered)
  | ({
      kind: 'redirect'
      code: number
      /** `host` with the port that the browser reads, if any. */
      location: { scheme: string; host: string; path: string }
      response: HeaderEffects
    } & Filtered)
  | ({
      kind: 'route'
      destinations: Destination[]
      path: string
      /** 0 when there is none. */
      timeoutMs: number
      retries: Retries
      mirrors: Mirror[]
    } & Filtered)
