// Arbitrary sets of policies for the landscape, and arbitrary HTTP parts of requests.
import fc from 'fast-check'
import type * as core from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { DirectCaller } from '../../src/translate/settings.ts'
import {
  allowRules,
  customRules,
  denyRules,
  externalRules,
  forwardedFor,
  issuer,
  methods,
  tokenRules,
} from './generate-rules.ts'
import { at, type Landscape, landscapeOf, usual, type Variation } from './landscape.ts'
import type { HTTP, Token } from './request.ts'

/** One set: what the translator gets, and what the cluster is asked with. */
export interface Case {
  landscape: Landscape
  policies: istio.AuthorizationPolicy[]
  requestAuthentications: istio.RequestAuthentication[]
  https: HTTP[]
}

/** What SIDESTEP_WITHOUT names stays usual: fields of a landscape, of a way, or of a policy. */
const leftOut = (process.env.SIDESTEP_WITHOUT ?? '').split(',')

export function onlyLeftOut<T extends object>(usual: T): Partial<T> {
  return Object.fromEntries(Object.entries(usual).filter(([name]) => leftOut.includes(name))) as Partial<T>
}

// Policies ------------------------------------------------------------------------------------------------------------

export type Place = { namespace: string; selector?: Record<string, string> }
const places: [Place, number][] = [
  [{ namespace: 'team-a' }, 5],
  [{ namespace: 'team-a', selector: { app: 'api' } }, 6],
  [{ namespace: 'team-a', selector: { version: 'v2' } }, 1],
  [{ namespace: 'team-a', selector: { app: 'notebook' } }, 6],
  [{ namespace: 'team-a', selector: { tier: 'web' } }, 2],
  [{ namespace: 'team-a', selector: { app: 'db' } }, 1],
  [{ namespace: 'team-a', selector: { app: 'worker' } }, 1],
  [{ namespace: 'team-a', selector: { app: 'absent' } }, 1],
  [{ namespace: 'team-b' }, 1],
  [{ namespace: 'team-b', selector: { app: 'notebook' } }, 2],
  [{ namespace: 'kubeflow' }, 3],
  [{ namespace: 'kubeflow', selector: { app: 'ml-pipeline' } }, 3],
  [{ namespace: 'kubeflow', selector: { app: 'ml-pipeline-ui' } }, 3],
  [{ namespace: 'kubeflow', selector: { suite: 'pipelines' } }, 2],
  [{ namespace: 'kubeflow', selector: { app: 'metadata' } }, 2],
  [{ namespace: 'istio-system' }, 2],
  [{ namespace: 'istio-system', selector: { app: 'notebook' } }, 2],
  [{ namespace: 'istio-system', selector: { app: 'api' } }, 1],
  [{ namespace: 'istio-system', selector: { suite: 'pipelines' } }, 1],
]
const place = fc.oneof(...places.map(([place, weight]) => ({ arbitrary: fc.constant(place), weight })))

const policySpec: fc.Arbitrary<istio.AuthorizationPolicySpec> = fc
  .oneof(
    { arbitrary: fc.record({ action: fc.constant('ALLOW'), rules: allowRules }), weight: 6 },
    { arbitrary: fc.record({ action: fc.constant('DENY'), rules: denyRules }), weight: 5 },
    { arbitrary: fc.record({ action: fc.constant('CUSTOM'), rules: customRules }), weight: 2 },
    { arbitrary: fc.record({ action: fc.constant('AUDIT'), rules: denyRules }), weight: 1 },
  )
  .map(withoutUndefined)

/** A policy without its name. */
export interface Draft {
  place: Place
  spec: istio.AuthorizationPolicySpec
  /** The value of the annotation, where there is one. */
  dryRun?: string
}

const dryRun = fc.nat({ max: 19 }).map(kind => [{ dryRun: 'true' }, { dryRun: 'false' }][kind] ?? {})

/** Istio knows no dry run of CUSTOM. */
export const applicationPolicy: fc.Arbitrary<Draft> = fc
  .record({ place, spec: policySpec, annotations: dryRun })
  .map(({ place, spec, annotations }) => ({ place, spec, ...(spec.action === 'CUSTOM' ? {} : annotations) }))
  .map(draft => (leftOut.includes('dryRun') ? { place: draft.place, spec: draft.spec } : draft))

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

export function policyOf({ place, spec, dryRun }: Draft, name: string): istio.AuthorizationPolicy {
  const { namespace, selector } = place
  const annotations = dryRun === undefined ? {} : { annotations: { 'istio.io/dry-run': dryRun } }
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace, ...annotations },
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
    forwardedFor: fc.constantFrom(undefined, ...forwardedFor),
    token: fc.constantFrom(...tokens),
    externalAuthorizer: fc.constantFrom<HTTP['externalAuthorizer'][]>('allows', 'denies'),
  })
  .map(({ token, forwardedFor, ...rest }) => ({
    ...rest,
    ...(token ? { token } : {}),
    ...(forwardedFor ? { forwardedFor } : {}),
  }))

/** Mostly everything is as in KEP-2676: one thing or another differs. */
const landscape: fc.Arbitrary<Landscape> = fc
  .record({
    ingress: fc.constantFrom('old', 'both', 'new'),
    ingressPort: rarely(8080, 80),
    trustDomain: rarely('mesh.example', 'cluster.local'),
    ports: mappings(),
    optedOut: seldom('team-a/api-v2', 'team-a/notebook', 'team-a/api', 'kubeflow/ml-pipeline'),
    copies: fc.nat({ max: 29 }).map(kind => (kind === 0 ? 17 : 0)),
    other: seldom([at(80, 8080)], [at(8080, 9090), at(9090, 8080)], [at(80, 'port-8080'), at(81, 9090)]),
    waypoint: fc.constantFrom('each', 'each', 'each', 'each', 'each', 'apart', 'neighbour'),
    enrolled: rarely<Variation['enrolled']>(['api', 'notebook'], 'all'),
    ingressUseWaypoint: fc.record({ kubeflow: rarely(true, false), teams: rarely(false, true) }),
    directCallers: fc
      .tuple(fc.nat({ max: 4 }), directCaller())
      .map(([kind, caller]): DirectCaller[] => (kind === 0 ? [caller] : [])),
  })
  .map(variation => landscapeOf({ ...(variation as Variation), ...onlyLeftOut(usual) }))

function rarely<T>(rare: T, usual: T): fc.Arbitrary<T> {
  return fc.constantFrom(usual, usual, usual, usual, rare)
}

function seldom<T>(...values: T[]): fc.Arbitrary<T | undefined> {
  return fc.oneof(
    { arbitrary: fc.constant(undefined), weight: 3 },
    { arbitrary: fc.constantFrom(...values), weight: 1 },
  )
}

/** 1.3, "Consequences": other numbers, names, two for one, the one for the other, and ports that no Service has. */
function mappings(): fc.Arbitrary<Variation['ports']> {
  const pools: Record<string, core.ServicePort[][]> = {
    'team-a/api': [
      [at(80, 8080), at(9090)],
      [at(80, 'port-8080'), at(9090)],
      [at(80, 8080), at(81, 8080)],
      [at(8080, 9090), at(9090, 8080)],
      [at(8080)],
    ],
    'team-a/api-v2': [[at(8080, 9090)], [at(80, 'port-9090')]],
    'team-a/notebook': [[at(80, 8888)], [at(8888, 'port-8888')], [at(80, 8888), at(8888)]],
    'team-b/notebook': [[at(80, 8888)]],
    'kubeflow/ml-pipeline': [[at(80, 8888)], [at(8888, 8887), at(8887, 8888)]],
  }
  const chosen = Object.entries(pools).map(([key, pool]) => [key, seldom(...pool)] as const)
  return fc
    .record(Object.fromEntries(chosen))
    .map(ports => Object.fromEntries(Object.entries(ports).flatMap(([key, list]) => (list ? [[key, list]] : []))))
}

function directCaller(): fc.Arbitrary<DirectCaller> {
  return fc.constantFrom<DirectCaller[]>(
    { namespaces: ['team-b'] },
    { principals: ['cluster.local/ns/legacy/sa/batch'] },
    { ports: ['8080', '8888'] },
    { namespaces: ['legacy', 'kubeflow'], ports: ['8888'] },
  )
}

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
