// Arbitrary sets of policies for the landscape, and arbitrary HTTP parts of requests.
import fc from 'fast-check'
import type * as istio from '../../src/apis/istio.ts'
import { externalRules, issuer, methods, rules, tokenRules } from './generate-rules.ts'
import { type Landscape, landscapeOf } from './landscape.ts'
import type { HTTP, Token } from './request.ts'

/** One set: what the translator gets, and what the cluster is asked with. */
export interface Case {
  landscape: Landscape
  policies: istio.AuthorizationPolicy[]
  requestAuthentications: istio.RequestAuthentication[]
  https: HTTP[]
}

// Policies ------------------------------------------------------------------------------------------------------------

type Place = { namespace: string; selector?: Record<string, string> }
const places: [Place, number][] = [
  [{ namespace: 'team-a' }, 4],
  [{ namespace: 'team-a', selector: { app: 'api' } }, 5],
  [{ namespace: 'team-a', selector: { version: 'v2' } }, 1],
  [{ namespace: 'team-a', selector: { app: 'notebook' } }, 5],
  [{ namespace: 'team-a', selector: { tier: 'web' } }, 2],
  [{ namespace: 'team-a', selector: { app: 'db' } }, 1],
  [{ namespace: 'team-a', selector: { app: 'worker' } }, 1],
  [{ namespace: 'team-a', selector: { app: 'absent' } }, 1],
  [{ namespace: 'kubeflow' }, 2],
  [{ namespace: 'kubeflow', selector: { app: 'ml-pipeline' } }, 3],
  [{ namespace: 'kubeflow', selector: { app: 'ml-pipeline-ui' } }, 3],
  [{ namespace: 'kubeflow', selector: { suite: 'pipelines' } }, 2],
  [{ namespace: 'kubeflow', selector: { app: 'metadata' } }, 2],
  [{ namespace: 'istio-system' }, 1],
  [{ namespace: 'istio-system', selector: { app: 'notebook' } }, 2],
]
const place = fc.oneof(...places.map(([place, weight]) => ({ arbitrary: fc.constant(place), weight })))

const action = fc.constantFrom<NonNullable<istio.AuthorizationPolicySpec['action']>[]>(
  'ALLOW',
  'ALLOW',
  'ALLOW',
  'DENY',
  'DENY',
)
const policySpec = fc.oneof(
  { arbitrary: fc.record({ action, rules }), weight: 12 },
  { arbitrary: fc.record({ action: fc.constant('AUDIT' as const), rules }), weight: 1 },
  { arbitrary: fc.record({ action: fc.constant('CUSTOM' as const), rules: externalRules }), weight: 1 },
)

interface Draft {
  place: Place
  spec: istio.AuthorizationPolicySpec
}

const applicationPolicy: fc.Arbitrary<Draft> = fc.record({ place, spec: policySpec.map(withoutUndefined) })

const ingressPlace: fc.Arbitrary<Place> = fc.constantFrom(
  { namespace: 'istio-system', selector: { app: 'istio-ingressgateway' } },
  { namespace: 'istio-system', selector: { istio: 'ingressgateway' } },
)

const ingressPolicy: fc.Arbitrary<Draft> = fc.record({
  place: ingressPlace,
  spec: fc.oneof(
    fc.record({ action: fc.constantFrom('ALLOW', 'DENY', 'CUSTOM'), rules: externalRules }),
    fc.record({ action: fc.constantFrom('ALLOW', 'DENY'), rules: tokenRules }),
  ),
})

/** A root namespace that allows nothing, mostly with the ingress opened as Kubeflow opens it. */
const root: fc.Arbitrary<Draft[]> = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.array(ingressPolicy, { maxLength: 2 }))
  .map(([kind, policies]) => [
    ...(kind > 1 ? [allowNothing] : []),
    ...(kind === 0 || kind === 3 ? [] : [openIngress]),
    ...policies,
  ])
const allowNothing: Draft = { place: { namespace: 'istio-system' }, spec: {} }
const openIngress: Draft = {
  place: { namespace: 'istio-system', selector: { app: 'istio-ingressgateway' } },
  spec: { action: 'ALLOW', rules: [{}] },
}

function policyOf({ place: { namespace, selector }, spec }: Draft, name: string): istio.AuthorizationPolicy {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace },
    spec: { ...(selector ? { selector: { matchLabels: selector } } : {}), ...provided(spec) },
  }
}

function provided(spec: istio.AuthorizationPolicySpec): istio.AuthorizationPolicySpec {
  return spec.action === 'CUSTOM' ? { ...spec, provider: { name: 'authorizer' } } : spec
}

function withoutUndefined<T extends object>(part: T): istio.AuthorizationPolicySpec {
  return Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined))
}

const requestAuthentication = fc.oneof({ arbitrary: place, weight: 3 }, { arbitrary: ingressPlace, weight: 1 }).map(
  ({ namespace, selector }): istio.RequestAuthentication => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'tokens', namespace },
    spec: { ...(selector ? { selector: { matchLabels: selector } } : {}), jwtRules: [{ issuer }] },
  }),
)

// Requests and whole sets ---------------------------------------------------------------------------------------------

const tokens: (Token | undefined)[] = [
  undefined,
  { issuer, subject: 'alice', claims: { group: ['admins'] } },
  { issuer: 'https://other', subject: 'carol', claims: { group: 'users' } },
]

const http: fc.Arbitrary<HTTP> = fc
  .record({
    method: fc.constantFrom(...methods),
    host: fc.constantFrom('host.example', 'name.other'),
    path: fc.constantFrom('/a', '/a/z', '/b'),
    headers: fc.constantFrom<HTTP['headers'][]>({}, { 'x-user': 'alice' }, { 'x-user': 'carol' }),
    token: fc.constantFrom(...tokens),
    externalAuthorizer: fc.constantFrom<HTTP['externalAuthorizer'][]>('allows', 'denies'),
  })
  .map(({ token, ...rest }) => (token ? { ...rest, token } : rest))

/** Mostly the mesh's own trust domain is the usual one, and no Service opts out. */
const landscape = fc
  .record({
    ingress: fc.constantFrom('old' as const, 'both' as const, 'new' as const),
    trustDomain: fc.constantFrom('cluster.local', 'cluster.local', 'cluster.local', 'mesh.example'),
    mapped: fc.constantFrom(false, false, true),
    optedOut: fc.constantFrom(undefined, undefined, undefined, 'team-a/api-v2', 'team-a/notebook'),
  })
  .map(landscapeOf)

export const cases: fc.Arbitrary<Case> = fc
  .record({
    applications: fc.array(applicationPolicy, { minLength: 1, maxLength: 5 }),
    root,
    requestAuthentications: fc.array(requestAuthentication, { maxLength: 1 }),
    landscape,
    https: fc.array(http, { minLength: 1, maxLength: 3 }),
  })
  .map(({ applications, root, ...rest }) => ({
    ...rest,
    policies: [...applications, ...root].map((draft, i) => policyOf(draft, `policy-${i + 1}`)),
  }))
