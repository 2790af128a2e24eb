// Arbitrary configurations. The alphabets are small and chosen so that paths overlap, collide and differ by a slash.
import fc from 'fast-check'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { type Configuration, keyOf, namespaces, type PortName } from './configuration.ts'

/** Fragments of an object, put together. The first alternative of each is what a failure shrinks to. */
function assembled<T extends object>(...fragments: fc.Arbitrary<Partial<T>>[]): fc.Arbitrary<T> {
  return fc.tuple(...fragments).map(parts => Object.assign({}, ...parts) as T)
}

/** The fragment in `percent` of the cases, and nothing in the others. */
function sometimes<T extends object>(percent: number, fragment: fc.Arbitrary<T>): fc.Arbitrary<Partial<T>> {
  return fc.oneof(
    { weight: 100 - percent, arbitrary: fc.constant<Partial<T>>({}) },
    { weight: percent, arbitrary: fragment },
  )
}

const prefixes = ['/', '/a', '/a/', '/ab', '/a/b', '/a/b/', '/a.b']
const exacts = ['/a', '/a/', '/ab', '/a/b', '/a/b/', '/a.b', '/']
const regexes = ['/a.*', '/a/.*', '/a[^/].*', '/[ab]', '/a(/.*)?', '/a/b.*', '/.*', '.*']

function uriWith(chosen: Feature[]): fc.Arbitrary<istio.StringMatch> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.record({ prefix: fc.constantFrom(...prefixes) }) },
    { weight: 15, arbitrary: fc.record({ exact: fc.constantFrom(...exacts) }) },
    // An order that nothing but regexes can keep is seldom one without any.
    {
      weight: chosen.some(feature => ['regexes', 'rule order'].includes(feature)) ? 40 : 5,
      arbitrary: fc.record({ regex: fc.constantFrom(...regexes) }),
    },
    // Never matches a request: no leading slash.
    { weight: 1, arbitrary: fc.constant({ prefix: 'a' }) },
  )
}

const value: fc.Arbitrary<istio.StringMatch> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ exact: fc.constantFrom('v1', 'v2') }) },
  { weight: 1, arbitrary: fc.constant({ prefix: 'v' }) },
  { weight: 1, arbitrary: fc.record({ regex: fc.constantFrom('v.', 'v1|w') }) },
  { weight: 1, arbitrary: fc.constant({}) },
)

/**
 * What a configuration may hold beside paths, methods, headers and ordinary actions. Each configuration has at most two of
 * them, and those often, so that the others show what an ordinary VirtualService becomes.
 */
export const features = [
  'authority',
  'case',
  'cors',
  'delegates',
  'direct responses',
  'exportTo',
  'faults',
  'foreign routes',
  'gateways',
  'grants',
  'hosts',
  'internal gateway',
  'listeners',
  'mesh',
  'methods',
  'mirrors',
  'ports',
  'prefix redirects',
  'regex rewrites',
  'regexes',
  'retries',
  'rule order',
  'scheme',
  'scopes',
  'sources',
  'subsets',
  'tcp',
  'tls',
  'without headers',
  'zero weights',
] as const
export type Feature = (typeof features)[number]

type Conditions = Partial<istio.HTTPMatchRequest>

/** Conditions that only some configurations have. */
const conditions: Partial<Record<Feature, fc.Arbitrary<Conditions>>> = {
  authority: fc.constantFrom<Conditions[]>(
    { authority: { exact: 'app.example.com' } },
    { authority: { exact: 'www.example.com' } },
    { authority: { prefix: 'app.' } },
    { authority: { regex: '.*\\.example\\.com' } },
  ),
  case: fc.constant<Conditions>({ ignoreUriCase: true }),
  gateways: fc.constantFrom<Conditions[]>(
    { gateways: ['istio-system/public'] },
    { gateways: ['istio-system/internal'] },
    { gateways: ['mesh'] },
  ),
  methods: fc.constantFrom<Conditions[]>(
    { method: { regex: 'GET|POST' } },
    { method: { regex: 'P.*' } },
    { method: { prefix: 'P' } },
    { method: { exact: 'PURGE' } },
    { method: { exact: 'get' } },
    { method: {} },
  ),
  ports: fc.constantFrom<Conditions[]>({ port: 80 }, { port: 443 }, { port: 8080 }, { port: 9999 }),
  scheme: fc.constantFrom<Conditions[]>(
    { scheme: { exact: 'https' } },
    { scheme: { exact: 'http' } },
    { scheme: { prefix: 'http' } },
    { scheme: { prefix: 'https' } },
  ),
  sources: fc.constantFrom<Conditions[]>(
    { sourceNamespace: 'istio-system' },
    { sourceNamespace: 'a' },
    { sourceLabels: { istio: 'public-gateway' } },
    { sourceLabels: { app: 'client' } },
  ),
  'without headers': fc.constantFrom<Conditions[]>(
    { withoutHeaders: { 'x-a': { exact: 'v1' } } },
    { withoutHeaders: { 'x-a': {} } },
    { withoutHeaders: { 'X-B': { regex: 'v.' } } },
  ),
}

function matchWith(chosen: Feature[]): fc.Arbitrary<istio.HTTPMatchRequest> {
  return assembled<istio.HTTPMatchRequest>(
    sometimes(85, fc.record({ uri: uriWith(chosen) })),
    sometimes(15, fc.record({ method: fc.record({ exact: fc.constantFrom('GET', 'POST') }) })),
    sometimes(
      25,
      fc.record({ headers: fc.dictionary(fc.constantFrom('x-a', 'X-B'), value, { minKeys: 1, maxKeys: 2 }) }),
    ),
    sometimes(
      10,
      fc.record({ queryParams: fc.dictionary(fc.constantFrom('q', 'r'), value, { minKeys: 1, maxKeys: 2 }) }),
    ),
    ...chosen.flatMap(feature => {
      const condition = conditions[feature]
      return condition ? [sometimes(35, condition)] : []
    }),
  )
}

const operations: fc.Arbitrary<istio.HeaderOperations> = assembled<istio.HeaderOperations>(
  sometimes(60, fc.record({ set: fc.constantFrom({ 'x-set': '1' }, { 'X-Set': '2', 'x-more': '3' }) })),
  sometimes(30, fc.record({ add: fc.constantFrom({ 'x-add': '1' }, { 'x-set': '4' }) })),
  sometimes(30, fc.record({ remove: fc.constantFrom(['x-gone'], ['X-Gone', 'x-set']) })),
)

const requestOperations = fc.oneof(
  { weight: 9, arbitrary: operations },
  { weight: 1, arbitrary: fc.constant<istio.HeaderOperations>({ set: { Host: 'in.example.com' } }) },
)

const headers: fc.Arbitrary<istio.Headers> = assembled<istio.Headers>(
  sometimes(60, fc.record({ request: requestOperations })),
  sometimes(40, fc.record({ response: operations })),
)

function destinationWith(chosen: Feature[]): fc.Arbitrary<istio.Destination> {
  return fc.oneof(
    { weight: 24, arbitrary: fc.record({ host: fc.constantFrom('one', 'other') }) },
    {
      weight: 12,
      arbitrary: fc.record({ host: fc.constant('several'), port: fc.record({ number: fc.constantFrom(80, 81) }) }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        host: fc.constantFrom('one.a.svc.cluster.local', 'other.b.svc.cluster.local'),
        port: fc.constant({ number: 8080 }),
      }),
    },
    { weight: 1, arbitrary: fc.constantFrom({ host: 'several' }, { host: 'one.a' }) },
    ...(chosen.includes('subsets')
      ? [
          {
            weight: 30,
            arbitrary: fc.constantFrom<istio.Destination[]>(
              { host: 'one', subset: 'v1' },
              { host: 'one', subset: 'v2' },
              { host: 'several.a.svc.cluster.local', subset: 'v1', port: { number: 80 } },
              { host: 'several', subset: 'v2', port: { number: 81 } },
              { host: 'one', subset: 'v9' },
              { host: 'other', subset: 'v1' },
            ),
          },
        ]
      : []),
  )
}

function routeWith(chosen: Feature[]): fc.Arbitrary<istio.HTTPRouteDestination[]> {
  const destination = destinationWith(chosen)
  // Among several, none is written as 0 or not at all.
  const hasZero = chosen.includes('zero weights')
  const weights = hasZero ? [50, 10, 1, 0] : [50, 10, 1]
  return fc.oneof(
    {
      weight: 5,
      arbitrary: fc.tuple(
        assembled<istio.HTTPRouteDestination>(
          fc.record({ destination }),
          sometimes(20, fc.record({ weight: fc.constantFrom(100, 0) })),
          sometimes(10, fc.record({ headers })),
        ),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.array(
        assembled<istio.HTTPRouteDestination>(
          fc.record({ destination }),
          sometimes(hasZero ? 90 : 100, fc.record({ weight: fc.constantFrom(...weights) })),
          sometimes(15, fc.record({ headers })),
        ),
        { minLength: 2, maxLength: 3 },
      ),
    },
  )
}

const rewrite: fc.Arbitrary<istio.HTTPRewrite> = assembled<istio.HTTPRewrite>(
  sometimes(95, fc.record({ uri: fc.constantFrom('/', '/a', '/a/', '/ab', '/b', '/b/', '/a/b', '/a/b/') })),
  sometimes(15, fc.record({ authority: fc.constant('in.example.com') })),
)

const redirect: fc.Arbitrary<istio.HTTPRedirect> = redirectTo(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant({}) },
    { weight: 5, arbitrary: fc.record({ uri: fc.constantFrom('/a/', '/b') }) },
    { weight: 1, arbitrary: prefixRewrite() },
  ),
)

function prefixRewrite(): fc.Arbitrary<istio.HTTPRedirect> {
  return fc.record({ prefixRewrite: fc.constantFrom('/b', '/b/', '/') })
}

function redirectTo(path: fc.Arbitrary<istio.HTTPRedirect>): fc.Arbitrary<istio.HTTPRedirect> {
  return assembled<istio.HTTPRedirect>(
    path,
    fc.oneof(
      { weight: 7, arbitrary: fc.constant({}) },
      { weight: 2, arbitrary: fc.record({ port: fc.constantFrom(443, 8443) }) },
      {
        weight: 1,
        arbitrary: fc.record({ derivePort: fc.constantFrom('FROM_REQUEST_PORT', 'FROM_PROTOCOL_DEFAULT') }),
      },
    ),
    sometimes(30, fc.record({ authority: fc.constant('new.example.com') })),
    sometimes(30, fc.record({ scheme: fc.constantFrom('https', 'http') })),
    sometimes(50, fc.record({ redirectCode: fc.constantFrom(301, 302, 303, 307, 308) })),
  )
}

const origin = fc.constantFrom<istio.StringMatch[]>(
  { exact: 'https://app.example.com' },
  { exact: 'http://example.com' },
  { exact: '*' },
  { regex: 'https://.*\\.example\\.com' },
  { prefix: 'https://' },
  { prefix: 'https://app.' },
  { regex: '.*' },
)

const corsPolicy: fc.Arbitrary<istio.CorsPolicy> = assembled<istio.CorsPolicy>(
  fc.oneof(
    { weight: 9, arbitrary: fc.record({ allowOrigins: fc.uniqueArray(origin, { minLength: 1, maxLength: 2 }) }) },
    { weight: 1, arbitrary: fc.constant<istio.CorsPolicy>({ allowOrigin: ['https://example.com'] }) },
  ),
  sometimes(50, fc.record({ allowMethods: fc.constantFrom(['GET'], ['GET', 'POST'], ['*'], ['PURGE']) })),
  sometimes(30, fc.record({ allowHeaders: fc.constantFrom(['x-a'], ['x-a', 'x-b'], ['*']) })),
  sometimes(20, fc.record({ exposeHeaders: fc.constant(['x-c']) })),
  sometimes(50, fc.record({ maxAge: fc.constantFrom('24h', '5s', '0s') })),
  sometimes(30, fc.record({ allowCredentials: fc.boolean() })),
  sometimes(30, fc.record({ unmatchedPreflights: fc.constantFrom('FORWARD', 'IGNORE', 'UNSPECIFIED') })),
)

const retries: fc.Arbitrary<istio.HTTPRetry> = assembled<istio.HTTPRetry>(
  fc.record({ attempts: fc.constantFrom(3, 2, 1, 0) }),
  sometimes(60, fc.record({ retryOn: fc.constantFrom(...retryConditions()) })),
  sometimes(40, fc.record({ perTryTimeout: fc.constantFrom('2s', '500ms') })),
  sometimes(20, fc.record({ backoff: fc.constant('100ms') })),
  sometimes(10, fc.record({ retryRemoteLocalities: fc.boolean() })),
  sometimes(10, fc.record({ retryIgnorePreviousHosts: fc.boolean() })),
)

function retryConditions(): string[] {
  const connections = 'connect-failure,refused-stream,unavailable,cancelled'
  return [
    connections,
    `${connections},503`,
    '503,504',
    'gateway-error',
    '5xx',
    'reset',
    'retriable-4xx,connect-failure',
  ]
}

const fault = fc.constantFrom<istio.HTTPFaultInjection[]>(
  { abort: { httpStatus: 503, percentage: { value: 100 } } },
  { delay: { fixedDelay: '5s', percentage: { value: 0.1 } } },
  // Never happens.
  { abort: { httpStatus: 503 } },
)

const percentage = fc.constantFrom<istio.Percent[]>({ value: 50 }, { value: 0.5 }, { value: 0 }, { value: 100 })

function mirrorsTo(destination: fc.Arbitrary<istio.Destination>): fc.Arbitrary<Partial<istio.HTTPRoute>> {
  return fc.oneof(
    assembled<istio.HTTPRoute>(
      fc.record({ mirror: destination }),
      sometimes(50, fc.record({ mirrorPercentage: percentage })),
      sometimes(10, fc.record({ mirrorPercent: fc.constantFrom(20, 0) })),
    ),
    fc.record({
      mirrors: fc.array(
        assembled<{ destination?: istio.Destination; percentage?: istio.Percent }>(
          fc.record({ destination }),
          sometimes(50, fc.record({ percentage })),
        ),
        { minLength: 1, maxLength: 2 },
      ),
    }),
  )
}

const regexRewrite = fc.constantFrom<istio.HTTPRewrite[]>(
  { uriRegexRewrite: { match: '/a(.*)', rewrite: '/c\\1' } },
  { uriRegexRewrite: { match: '^/a(/|$)(.*)', rewrite: '/\\2' } },
  { uriRegexRewrite: { match: '^/a/(.*)', rewrite: '/\\1' } },
  { uriRegexRewrite: { match: '/a/?(.*)', rewrite: '/\\1' } },
  { uriRegexRewrite: { match: '/.*', rewrite: '/b' } },
  { uriRegexRewrite: { match: '^.*$', rewrite: '/b/' } },
)

function httpWith(chosen: Feature[]): fc.Arbitrary<istio.HTTPRoute> {
  const has = (feature: Feature) => chosen.includes(feature)
  const destination = destinationWith(chosen)
  const routed: fc.Arbitrary<istio.HTTPRoute> = assembled<istio.HTTPRoute>(
    fc.record({ route: routeWith(chosen) }),
    sometimes(has('rule order') ? 10 : 35, fc.record({ rewrite })),
    ...(has('regex rewrites') ? [sometimes(40, fc.record({ rewrite: regexRewrite }))] : []),
    sometimes(20, fc.record({ timeout: fc.constantFrom('1.5s', '300s', null) })),
    ...(has('retries') ? [sometimes(50, fc.record({ retries }))] : []),
    ...(has('mirrors') ? [sometimes(50, mirrorsTo(destination))] : []),
  )
  return assembled<istio.HTTPRoute>(
    sometimes(85, fc.record({ match: fc.array(matchWith(chosen), { minLength: 1, maxLength: 3, size: 'max' }) })),
    fc.oneof(
      { weight: 80, arbitrary: routed },
      { weight: has('ports') ? 30 : 10, arbitrary: fc.record({ redirect }) },
      { weight: has('prefix redirects') ? 60 : 0, arbitrary: fc.record({ redirect: redirectTo(prefixRewrite()) }) },
      ...(has('direct responses')
        ? [
            {
              weight: 30,
              arbitrary: fc.constantFrom<istio.HTTPRoute[]>(
                { directResponse: { status: 403, body: { string: 'no' } } },
                { directResponse: { status: 500 } },
              ),
            },
          ]
        : []),
      ...(has('delegates')
        ? [
            {
              weight: 60,
              arbitrary: fc.constantFrom<istio.HTTPRoute[]>(
                { delegate: { name: 'd', namespace: 'a' } },
                { delegate: { name: 'd', namespace: 'b' } },
                { delegate: { name: 'd' } },
                { delegate: { name: 'd', namespace: 'a' }, timeout: '3s' },
                { delegate: { name: 'd', namespace: 'a' }, headers: { request: { set: { 'x-root': '1' } } } },
              ),
            },
          ]
        : []),
    ),
    sometimes(20, fc.record({ headers })),
    ...(has('cors') ? [sometimes(50, fc.record({ corsPolicy }))] : []),
    ...(has('faults') ? [sometimes(40, fc.record({ fault }))] : []),
  )
}

const meshHosts = [['one'], ['one.a.svc.cluster.local'], ['several'], ['one', 'other'], ['*.a.svc.cluster.local']]

/** Where a VirtualService is bound, and for which hosts. */
function boundWith(chosen: Feature[]): fc.Arbitrary<Pick<istio.VirtualServiceSpec, 'hosts' | 'gateways'>> {
  const has = (feature: Feature) => chosen.includes(feature)
  const outside = fc.record({
    hosts: fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom<string[][]>(['*'], ['app.example.com'], ['*.example.com']) },
      { weight: 1, arbitrary: fc.constant<string[]>(['app.example.com', '*.example.com']) },
      ...(has('hosts')
        ? [
            {
              weight: 6,
              arbitrary: fc.constantFrom<string[][]>(
                ['one'],
                ['App.Example.com'],
                ['www.example.com', 'example.org'],
                ['one.a.svc.cluster.local', 'app.example.com'],
                ['example.net'],
              ),
            },
          ]
        : []),
    ),
    gateways: fc.oneof(
      { weight: 60, arbitrary: fc.constant<string[]>(['istio-system/public']) },
      { weight: 1, arbitrary: fc.constantFrom<string[][]>(['istio-system/unknown'], ['public']) },
      ...(has('internal gateway') || has('gateways')
        ? [
            {
              weight: 60,
              arbitrary: fc.constantFrom<string[][]>(
                ['istio-system/internal'],
                ['istio-system/public', 'istio-system/internal'],
                ['istio-system/internal', 'istio-system/public'],
              ),
            },
          ]
        : []),
    ),
  })
  if (!has('mesh')) return outside
  const inside = fc.oneof(
    fc.record({ hosts: fc.constantFrom(...meshHosts) }),
    fc.record({ hosts: fc.constantFrom(...meshHosts), gateways: fc.constant<string[]>(['mesh']) }),
    fc.record({
      hosts: fc.constantFrom<string[][]>(['one', 'app.example.com'], ['one.a.svc.cluster.local', 'app.example.com']),
      gateways: fc.constant<string[]>(['mesh', 'istio-system/public']),
    }),
  )
  return fc.oneof({ weight: 1, arbitrary: outside }, { weight: 3, arbitrary: inside })
}

const l4Destination = fc.constantFrom<istio.Destination[]>(
  { host: 'one' },
  { host: 'other' },
  { host: 'several', port: { number: 81 } },
  { host: 'one.b.svc.cluster.local', port: { number: 8080 } },
)

const l4Route: fc.Arbitrary<istio.RouteDestination[]> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.record({ destination: l4Destination })) },
  {
    weight: 1,
    arbitrary: fc.array(fc.record({ destination: l4Destination, weight: fc.constantFrom(50, 10, 0) }), {
      minLength: 2,
      maxLength: 2,
    }),
  },
)

const tls: fc.Arbitrary<istio.TLSRoute[]> = fc.array(
  fc.record({
    match: fc.tuple(
      assembled<NonNullable<istio.TLSRoute['match']>[number]>(
        fc.record({
          sniHosts: fc.constantFrom(
            ['app.example.com'],
            ['*.example.com'],
            ['app.example.com', 'www.example.com'],
            ['*'],
          ),
        }),
        sometimes(20, fc.record({ port: fc.constantFrom(15443, 443) })),
        sometimes(10, fc.constant({ gateways: ['istio-system/public'] })),
      ),
    ),
    route: l4Route,
  }),
  { minLength: 1, maxLength: 2 },
)

const tcp: fc.Arbitrary<istio.TCPRoute[]> = fc.array(
  assembled<istio.TCPRoute>(
    fc.record({ route: l4Route }),
    sometimes(50, fc.record({ match: fc.tuple(fc.record({ port: fc.constantFrom(31400, 443) })) })),
  ),
  { minLength: 1, maxLength: 2 },
)

function virtualServiceWith(chosen: Feature[]): fc.Arbitrary<istio.VirtualService> {
  const has = (feature: Feature) => chosen.includes(feature)
  const http = httpWith(chosen)
  return fc.record({
    apiVersion: fc.constant('networking.istio.io/v1'),
    kind: fc.constant('VirtualService' as const),
    metadata: assembled<istio.VirtualService['metadata']>(
      fc.record({ name: fc.constantFrom('x', 'y', 'z'), namespace: fc.constantFrom(...namespaces) }),
      sometimes(80, fc.record({ creationTimestamp: fc.constantFrom('2024-01-01T00:00:00Z', '2024-01-02T00:00:00Z') })),
    ),
    spec: assembled<istio.VirtualServiceSpec>(
      boundWith(chosen),
      fc.record({
        http: fc.oneof(
          { weight: 5, arbitrary: fc.array(http, { minLength: 1, maxLength: 2, size: 'max' }) },
          { weight: 2, arbitrary: fc.array(http, { minLength: 3, maxLength: 4, size: 'max' }) },
        ),
      }),
      ...(has('tls') ? [sometimes(60, fc.record({ tls }))] : []),
      ...(has('tcp') ? [sometimes(60, fc.record({ tcp }))] : []),
      ...(has('exportTo')
        ? [
            sometimes(
              60,
              fc.record({ exportTo: fc.constantFrom<string[][]>(['.'], ['*'], ['istio-system'], ['a'], ['~']) }),
            ),
          ]
        : []),
    ),
  })
}

/** Without hosts, and without delegates of its own. */
function delegateWith(chosen: Feature[]): fc.Arbitrary<istio.VirtualService> {
  const others = chosen.filter(feature => feature !== 'delegates')
  return fc.record({
    apiVersion: fc.constant('networking.istio.io/v1'),
    kind: fc.constant('VirtualService' as const),
    metadata: fc.record({ name: fc.constant('d'), namespace: fc.constantFrom(...namespaces) }),
    spec: assembled<istio.VirtualServiceSpec>(
      fc.record({ http: fc.array(httpWith(others), { minLength: 1, maxLength: 2, size: 'max' }) }),
      sometimes(20, fc.record({ exportTo: fc.constantFrom<string[][]>(['.'], ['a'], ['*']) })),
    ),
  })
}

/** An HTTPRoute that stands on the new Gateway already. */
const foreign: fc.Arbitrary<gateway.HTTPRoute> = fc.record({
  apiVersion: fc.constant('gateway.networking.k8s.io/v1'),
  kind: fc.constant('HTTPRoute' as const),
  metadata: fc.record({
    name: fc.constant('theirs'),
    namespace: fc.constantFrom(...namespaces),
    creationTimestamp: fc.constantFrom('2023-01-01T00:00:00Z', '2033-01-01T00:00:00Z'),
  }),
  spec: assembled<gateway.HTTPRoute['spec']>(
    fc.record({
      parentRefs: fc.constant([{ namespace: 'istio-system', name: 'ingress' }]),
      rules: fc.array(
        assembled<gateway.HTTPRouteRule>(
          fc.constant({ backendRefs: [{ name: 'several', port: 81 }] }),
          sometimes(
            80,
            fc.record({
              matches: fc.tuple(
                fc.record({
                  path: fc.constantFrom<gateway.HTTPPathMatch[]>(
                    { type: 'PathPrefix', value: '/a' },
                    { type: 'PathPrefix', value: '/theirs' },
                    { type: 'Exact', value: '/a/b' },
                    { type: 'RegularExpression', value: '/a.*' },
                  ),
                }),
              ),
            }),
          ),
        ),
        { minLength: 1, maxLength: 2 },
      ),
    }),
    sometimes(60, fc.record({ hostnames: fc.constantFrom(['app.example.com'], ['*.example.com'], ['theirs.org']) })),
  ),
})

/** Entries whose answers differ in a response header, so that none can stand in for another unnoticed. */
function told({ metadata, spec, ...rest }: istio.VirtualService): istio.VirtualService {
  const http = (spec.http ?? []).map(({ headers, ...entry }, i) => {
    const response = { ...headers?.response, set: { ...headers?.response?.set, 'x-entry': `${metadata.name}-${i}` } }
    return { ...entry, headers: { ...headers, response } }
  })
  return { ...rest, metadata, spec: { ...spec, http } }
}

function configurationWith(chosen: Feature[]): fc.Arbitrary<Configuration> {
  const has = (feature: Feature) => chosen.includes(feature)
  const virtualService = virtualServiceWith(chosen)
  const virtualServices: fc.Arbitrary<istio.VirtualService[]> = fc.oneof(
    // Where somebody else routes for the host, no order by regexes holds.
    { weight: has('rule order') ? 12 : 3, arbitrary: fc.tuple(virtualService) },
    {
      weight: 4,
      arbitrary: fc.uniqueArray(virtualService, { minLength: 2, maxLength: 4, size: 'max', selector: keyOf }),
    },
  )
  const delegates = fc.uniqueArray(delegateWith(chosen), { minLength: 1, maxLength: 2, selector: keyOf })
  return fc
    .record({
      surroundings: assembled<Configuration>(
        fc.record({ granted: fc.boolean() }),
        sometimes(10, fc.constant({ serverHosts: ['*.example.com'] })),
        ...(has('scopes')
          ? [
              fc.record({
                serverHosts: fc.constantFrom<string[][]>(
                  ['a/*'],
                  ['a/*.example.com', 'b/example.org'],
                  ['*/app.example.com'],
                  ['./*'],
                ),
              }),
            ]
          : []),
        ...(has('ports')
          ? [
              fc.record({
                ports: fc.constantFrom<PortName[][]>(
                  ['http', 'https'],
                  ['http', 'https', 'extra'],
                  ['https'],
                  ['extra'],
                ),
              }),
            ]
          : []),
        ...(has('scheme') ? [fc.constant<Partial<Configuration>>({ ports: ['http', 'https'] })] : []),
        ...(has('tls') || has('tcp') ? [fc.constant<Partial<Configuration>>({ ports: ['http', 'tls', 'tcp'] })] : []),
        ...(has('mesh') ? [fc.record({ waypoints: fc.constantFrom<string[][]>(['a', 'b'], ['a'], []) })] : []),
        ...(has('retries') ? [fc.record({ experimental: fc.boolean() })] : []),
        ...(has('foreign routes') ? [fc.record({ httpRoutes: fc.tuple(foreign) })] : []),
        ...(has('listeners')
          ? [
              fc.constantFrom<Partial<Configuration>[]>(
                { listenerHosts: ['*'], serverHosts: ['app.example.com'] },
                { listenerHosts: ['*'], serverHosts: ['a/*.example.com', 'b/example.org'] },
                { ports: ['http', 'https'], redirecting: ['http'] },
                { ports: ['http', 'extra'], redirecting: ['http'], unheard: ['extra'] },
                { ports: ['extra', 'http'], unheard: ['extra'] },
              ),
            ]
          : []),
      ),
      settings: assembled<Settings>(
        ...(has('rule order') ? [fc.constant<Partial<Settings>>({ ruleOrder: 'regex' })] : []),
        ...(has('subsets') ? [sometimes(80, fc.constant<Partial<Settings>>({ subsets: 'services' }))] : []),
        ...(has('grants') ? [fc.constant<Partial<Settings>>({ referenceGrants: 'create' })] : []),
      ),
      virtualServices,
      delegates: has('delegates') ? delegates : fc.constant([]),
      tell: fc.boolean(),
    })
    .map(({ surroundings, settings, virtualServices, delegates, tell }) => {
      const all = [...virtualServices, ...delegates]
      const chosen = Object.keys(settings).length > 0 ? { settings } : {}
      return { ...surroundings, ...chosen, virtualServices: tell ? all.map(told) : all }
    })
}

/** All features, or only those that are named, or all but those that are named with a minus. */
export function configurations(named: readonly string[] = []): fc.Arbitrary<Configuration> {
  const only = named.filter(name => !name.startsWith('-'))
  const wanted = features.filter(name => !named.includes(`-${name}`) && (only.length === 0 || only.includes(name)))
  const pairs = wanted.flatMap((feature, i) => wanted.slice(i + 1).map(other => [feature, other]))
  const plain = { weight: 3 * pairs.length || 1, arbitrary: configurationWith([]) }
  const chosen = [
    ...wanted.map(feature => ({ chosen: [feature], weight: wanted.length })),
    ...pairs.map(chosen => ({ chosen, weight: 1 })),
  ]
  return fc.oneof(plain, ...chosen.map(({ chosen, weight }) => ({ weight, arbitrary: configurationWith(chosen) })))
}
