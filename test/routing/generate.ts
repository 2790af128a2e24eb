// Arbitrary configurations. The alphabets are small and chosen so that paths overlap, collide and differ by a slash.
import fc from 'fast-check'
import type * as istio from '../../src/apis/istio.ts'
import { type Configuration, keyOf, namespaces } from './configuration.ts'

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
const regexes = ['/a.*', '/a/.*', '/a[^/].*', '/[ab]', '/a(/.*)?', '/.*', '.*']

const uri: fc.Arbitrary<istio.StringMatch> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ prefix: fc.constantFrom(...prefixes) }) },
  { weight: 15, arbitrary: fc.record({ exact: fc.constantFrom(...exacts) }) },
  { weight: 5, arbitrary: fc.record({ regex: fc.constantFrom(...regexes) }) },
  // Never matches a request: no leading slash.
  { weight: 1, arbitrary: fc.constant({ prefix: 'a' }) },
)

const value: fc.Arbitrary<istio.StringMatch> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ exact: fc.constantFrom('v1', 'v2') }) },
  { weight: 1, arbitrary: fc.constant({ prefix: 'v' }) },
  { weight: 1, arbitrary: fc.record({ regex: fc.constantFrom('v.', 'v1|w') }) },
  { weight: 1, arbitrary: fc.constant({}) },
)

/** Conditions that no HTTPRoute has: now and then, so that translated and refused VirtualServices share a host. */
const inexpressible: fc.Arbitrary<Partial<istio.HTTPMatchRequest>> = fc.constantFrom<Partial<istio.HTTPMatchRequest>[]>(
  { withoutHeaders: { 'x-a': { exact: 'v1' } } },
  { ignoreUriCase: true },
  { port: 80 },
  { port: 443 },
  { scheme: { exact: 'https' } },
  { authority: { exact: 'app.example.com' } },
  { sourceNamespace: 'a' },
  { gateways: ['istio-system/public'] },
  { method: { exact: 'PURGE' } },
)

const match: fc.Arbitrary<istio.HTTPMatchRequest> = assembled<istio.HTTPMatchRequest>(
  sometimes(85, fc.record({ uri })),
  sometimes(
    15,
    fc.record({
      method: fc.oneof(
        { weight: 6, arbitrary: fc.record({ exact: fc.constantFrom('GET', 'POST') }) },
        { weight: 1, arbitrary: fc.constant({ regex: 'GET|POST' }) },
      ),
    }),
  ),
  sometimes(
    25,
    fc.record({ headers: fc.dictionary(fc.constantFrom('x-a', 'X-B'), value, { minKeys: 1, maxKeys: 2 }) }),
  ),
  sometimes(
    10,
    fc.record({ queryParams: fc.dictionary(fc.constantFrom('q', 'r'), value, { minKeys: 1, maxKeys: 2 }) }),
  ),
  sometimes(2, inexpressible),
)

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

const destination: fc.Arbitrary<istio.Destination> = fc.oneof(
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
  { weight: 1, arbitrary: fc.constantFrom({ host: 'several' }, { host: 'one.a' }, { host: 'one', subset: 'v1' }) },
)

const route: fc.Arbitrary<istio.HTTPRouteDestination[]> = fc.oneof(
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
        sometimes(90, fc.record({ weight: fc.constantFrom(50, 10, 1, 0) })),
        sometimes(15, fc.record({ headers })),
      ),
      { minLength: 2, maxLength: 3 },
    ),
  },
)

const rewrite: fc.Arbitrary<istio.HTTPRewrite> = assembled<istio.HTTPRewrite>(
  sometimes(95, fc.record({ uri: fc.constantFrom('/', '/a', '/a/', '/ab', '/b', '/b/', '/a/b', '/a/b/') })),
  sometimes(15, fc.record({ authority: fc.constant('in.example.com') })),
  sometimes(1, fc.constant({ uriRegexRewrite: { match: '/a(.*)', rewrite: '/c\\1' } })),
)

const redirect: fc.Arbitrary<istio.HTTPRedirect> = assembled<istio.HTTPRedirect>(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant({}) },
    { weight: 5, arbitrary: fc.record({ uri: fc.constantFrom('/a/', '/b') }) },
    { weight: 1, arbitrary: fc.record({ prefixRewrite: fc.constantFrom('/b', '/b/', '/') }) },
  ),
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

const unsupported = fc.constantFrom<istio.HTTPRoute[]>(
  { retries: { attempts: 3 } },
  { fault: { abort: { httpStatus: 503, percentage: { value: 100 } } } },
  { mirror: { host: 'other' } },
  { corsPolicy: { allowOrigins: [{ exact: '*' }] } },
)

const routed: fc.Arbitrary<istio.HTTPRoute> = assembled<istio.HTTPRoute>(
  fc.record({ route }),
  sometimes(35, fc.record({ rewrite })),
  sometimes(20, fc.record({ timeout: fc.constantFrom('1.5s', '300s', null) })),
  sometimes(1, unsupported),
)

const http: fc.Arbitrary<istio.HTTPRoute> = assembled<istio.HTTPRoute>(
  sometimes(85, fc.record({ match: fc.array(match, { minLength: 1, maxLength: 3, size: 'max' }) })),
  fc.oneof(
    { weight: 80, arbitrary: routed },
    { weight: 10, arbitrary: fc.record({ redirect }) },
    { weight: 1, arbitrary: fc.constant<istio.HTTPRoute>({ directResponse: { status: 403 } }) },
  ),
  sometimes(20, fc.record({ headers })),
)

const virtualService: fc.Arbitrary<istio.VirtualService> = fc.record({
  apiVersion: fc.constant('networking.istio.io/v1'),
  kind: fc.constant('VirtualService' as const),
  metadata: assembled<istio.VirtualService['metadata']>(
    fc.record({ name: fc.constantFrom('x', 'y', 'z'), namespace: fc.constantFrom(...namespaces) }),
    sometimes(80, fc.record({ creationTimestamp: fc.constantFrom('2024-01-01T00:00:00Z', '2024-01-02T00:00:00Z') })),
  ),
  spec: assembled<istio.VirtualServiceSpec>(
    fc.record({
      hosts: fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom<string[][]>(['*'], ['app.example.com'], ['*.example.com']) },
        { weight: 1, arbitrary: fc.constant<string[]>(['app.example.com', '*.example.com']) },
      ),
      gateways: fc.oneof(
        { weight: 60, arbitrary: fc.constant<string[]>(['istio-system/public']) },
        {
          weight: 1,
          arbitrary: fc.constantFrom<string[][]>(['istio-system/unknown'], ['mesh'], ['mesh', 'istio-system/public']),
        },
      ),
      http: fc.oneof(
        { weight: 5, arbitrary: fc.array(http, { minLength: 1, maxLength: 2, size: 'max' }) },
        { weight: 2, arbitrary: fc.array(http, { minLength: 3, maxLength: 4, size: 'max' }) },
      ),
    }),
    sometimes(2, fc.record({ exportTo: fc.constantFrom(['.'], ['*'], ['istio-system']) })),
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

export const configuration: fc.Arbitrary<Configuration> = fc
  .record({
    virtualServices: fc.oneof(
      { weight: 3, arbitrary: fc.tuple(virtualService) },
      {
        weight: 4,
        arbitrary: fc.uniqueArray(virtualService, { minLength: 2, maxLength: 4, size: 'max', selector: keyOf }),
      },
    ),
    granted: fc.boolean(),
    serverHost: fc.oneof(
      { weight: 9, arbitrary: fc.constant('*' as const) },
      { weight: 1, arbitrary: fc.constant('*.example.com' as const) },
    ),
    tell: fc.boolean(),
  })
  .map(({ virtualServices, tell, ...rest }) => ({
    ...rest,
    virtualServices: tell ? virtualServices.map(told) : virtualServices,
  }))
