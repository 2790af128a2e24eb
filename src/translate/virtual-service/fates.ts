// What becomes of every field of a VirtualService (research/virtualservice.md, section 1).
import type * as istio from '../../apis/istio.ts'
import { listOf, mapOf, table } from '../fate.ts'

export const shapeCodes = { unknown: 'VS-FIELD-UNKNOWN', type: 'VS-FIELD-TYPE' } as const

const stringMatch = table<istio.StringMatch>({
  exact: ['translated', 'string'],
  prefix: ['translated', 'string'],
  regex: ['translated', 'string'],
})

const destination = table<istio.Destination>({
  host: ['translated', 'string'],
  subset: ['translated', 'string'],
  port: ['translated', table<{ number?: number }>({ number: ['translated', 'integer'] })],
})

const percent = table<istio.Percent>({ value: ['translated', 'number'] })

const corsPolicy = table<istio.CorsPolicy>({
  allowOrigin: ['translated', listOf('string')],
  allowOrigins: ['translated', listOf(stringMatch)],
  allowMethods: ['translated', listOf('string')],
  allowHeaders: ['translated', listOf('string')],
  exposeHeaders: ['translated', listOf('string')],
  maxAge: ['translated', 'string'],
  allowCredentials: ['translated', 'boolean'],
  unmatchedPreflights: ['translated', 'string'],
})

const retries = table<istio.HTTPRetry>({
  attempts: ['translated', 'integer'],
  perTryTimeout: ['translated', 'string'],
  retryOn: ['translated', 'string'],
  retryRemoteLocalities: ['translated', 'boolean'],
  retryIgnorePreviousHosts: ['translated', 'boolean'],
  backoff: ['translated', 'string'],
})

const headerOperations = table<istio.HeaderOperations>({
  set: ['translated', mapOf('string')],
  add: ['translated', mapOf('string')],
  remove: ['translated', listOf('string')],
})

const headers = table<istio.Headers>({
  request: ['translated', headerOperations],
  response: ['translated', headerOperations],
})

export const httpMatchFates = table<istio.HTTPMatchRequest>({
  uri: ['translated', stringMatch],
  method: ['translated', stringMatch],
  headers: ['translated', mapOf(stringMatch)],
  queryParams: ['translated', mapOf(stringMatch)],
  name: ['harmless', 'string'],
  statPrefix: ['VS-MATCH-STAT-PREFIX', 'string'],
  scheme: ['translated', stringMatch],
  port: ['translated', 'integer'],
  authority: ['translated', stringMatch],
  gateways: ['translated', listOf('string')],
  ignoreUriCase: ['translated', 'boolean'],
  sourceLabels: ['translated', mapOf('string')],
  sourceNamespace: ['translated', 'string'],
  withoutHeaders: ['translated', mapOf(stringMatch)],
})

export const httpFates = table<istio.HTTPRoute>({
  name: ['translated', 'string'],
  match: ['translated', listOf(httpMatchFates)],
  route: [
    'translated',
    listOf(
      table<istio.HTTPRouteDestination>({
        destination: ['translated', destination],
        weight: ['translated', 'integer'],
        headers: ['translated', headers],
      }),
    ),
  ],
  redirect: [
    'translated',
    table<istio.HTTPRedirect>({
      uri: ['translated', 'string'],
      authority: ['translated', 'string'],
      port: ['translated', 'integer'],
      derivePort: ['translated', 'string'],
      scheme: ['translated', 'string'],
      redirectCode: ['translated', 'integer'],
      prefixRewrite: ['translated', 'string'],
    }),
  ],
  directResponse: [
    'translated',
    table<istio.HTTPDirectResponse>({
      status: ['translated', 'integer'],
      body: [
        'translated',
        table<{ string?: string; bytes?: string }>({
          string: ['translated', 'string'],
          bytes: ['translated', 'string'],
        }),
      ],
    }),
  ],
  delegate: [
    'translated',
    table<{ name?: string; namespace?: string }>({
      name: ['translated', 'string'],
      namespace: ['translated', 'string'],
    }),
  ],
  rewrite: [
    'translated',
    table<istio.HTTPRewrite>({
      uri: ['translated', 'string'],
      authority: ['translated', 'string'],
      uriRegexRewrite: [
        'translated',
        table<{ match?: string; rewrite?: string }>({
          match: ['translated', 'string'],
          rewrite: ['translated', 'string'],
        }),
      ],
    }),
  ],
  timeout: ['translated', 'string'],
  retries: ['translated', retries],
  fault: ['VS-FAULT', 'any'],
  mirror: ['translated', destination],
  mirrorPercent: ['translated', 'integer'],
  mirror_percent: ['translated', 'integer'],
  mirrorPercentage: ['translated', percent],
  mirrors: [
    'translated',
    listOf(
      table<{ destination?: istio.Destination; percentage?: istio.Percent }>({
        destination: ['translated', destination],
        percentage: ['translated', percent],
      }),
    ),
  ],
  corsPolicy: ['translated', corsPolicy],
  headers: ['translated', headers],
})

const route = listOf(
  table<istio.RouteDestination>({ destination: ['translated', destination], weight: ['translated', 'integer'] }),
)

export const tlsFates = table<istio.TLSRoute>({
  match: [
    'translated',
    listOf(
      table<NonNullable<istio.TLSRoute['match']>[number]>({
        sniHosts: ['translated', listOf('string')],
        port: ['translated', 'integer'],
        gateways: ['translated', listOf('string')],
        destinationSubnets: ['VS-MATCH-SUBNET', listOf('string')],
        sourceLabels: ['VS-MATCH-SOURCE', mapOf('string')],
        sourceNamespace: ['VS-MATCH-SOURCE', 'string'],
      }),
    ),
  ],
  route: ['translated', route],
})

export const tcpFates = table<istio.TCPRoute>({
  match: [
    'translated',
    listOf(
      table<NonNullable<istio.TCPRoute['match']>[number]>({
        port: ['translated', 'integer'],
        gateways: ['translated', listOf('string')],
        destinationSubnets: ['VS-MATCH-SUBNET', listOf('string')],
        sourceSubnet: ['VS-MATCH-SOURCE', 'string'],
        sourceLabels: ['VS-MATCH-SOURCE', mapOf('string')],
        sourceNamespace: ['VS-MATCH-SOURCE', 'string'],
      }),
    ),
  ],
  route: ['translated', route],
})

export const virtualServiceFates = table<istio.VirtualServiceSpec>({
  hosts: ['translated', listOf('string')],
  gateways: ['translated', listOf('string')],
  exportTo: ['translated', listOf('string')],
  http: ['translated', listOf(httpFates)],
  tls: ['translated', listOf(tlsFates)],
  tcp: ['translated', listOf(tcpFates)],
})
