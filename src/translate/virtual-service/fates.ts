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
  subset: ['VS-DESTINATION-SUBSET', 'string'],
  port: ['translated', table<{ number?: number }>({ number: ['translated', 'integer'] })],
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
  scheme: ['VS-MATCH-SCHEME', stringMatch],
  port: ['VS-MATCH-PORT', 'integer'],
  authority: ['VS-MATCH-AUTHORITY', stringMatch],
  gateways: ['VS-MATCH-GATEWAYS', listOf('string')],
  ignoreUriCase: ['VS-MATCH-URI-CASE', 'boolean'],
  sourceLabels: ['VS-MATCH-SOURCE', mapOf('string')],
  sourceNamespace: ['VS-MATCH-SOURCE', 'string'],
  withoutHeaders: ['VS-MATCH-WITHOUT-HEADERS', mapOf(stringMatch)],
})

export const httpFates = table<istio.HTTPRoute>({
  name: ['harmless', 'string'],
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
  directResponse: ['VS-DIRECT-RESPONSE', 'any'],
  delegate: ['VS-DELEGATE', 'any'],
  rewrite: [
    'translated',
    table<istio.HTTPRewrite>({
      uri: ['translated', 'string'],
      authority: ['translated', 'string'],
      uriRegexRewrite: ['VS-REWRITE-REGEX', 'any'],
    }),
  ],
  timeout: ['translated', 'string'],
  retries: ['VS-RETRIES', 'any'],
  fault: ['VS-FAULT', 'any'],
  mirror: ['VS-MIRROR', 'any'],
  mirrorPercent: ['VS-MIRROR', 'integer'],
  mirror_percent: ['VS-MIRROR', 'integer'],
  mirrorPercentage: ['VS-MIRROR', 'any'],
  mirrors: ['VS-MIRROR', 'any'],
  corsPolicy: ['VS-CORS', 'any'],
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
