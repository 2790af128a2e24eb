// Arbitrary rules, out of small pools that hold the callers, ports and requests of the landscape.
import fc from 'fast-check'
import type * as istio from '../../src/apis/istio.ts'

const trustDomain = 'cluster.local'
const principal = (namespace: string, name: string) => `${trustDomain}/ns/${namespace}/sa/${name}`

const principals = [
  principal('team-b', 'default-editor'),
  principal('team-a', 'api'),
  principal('team-a', 'default-editor'),
  principal('kubeflow', 'ml-pipeline-ui'),
  principal('legacy', 'batch'),
  principal('istio-system', 'istio-ingressgateway-service-account'),
  'other.example/ns/team-b/sa/default-editor',
  'mesh.example/ns/team-b/sa/default-editor',
  `${trustDomain}/ns/team-a/*`,
  '*/default-editor',
  '*',
]
/** Only in what denies: an ALLOW that names a waypoint is a guard by somebody's hand, which sidestep leaves alone. */
const waypoints = [principal('team-a', 'waypoint'), principal('waypoints', 'waypoint')]
const namespaceNames = ['team-a', 'team-b', 'kubeflow', 'legacy', 'istio-system', 'team-*', '*-a', 't*-b', '*']
const serviceAccounts = [
  'team-b/default-editor',
  'api',
  'default-editor',
  'legacy/batch',
  'kubeflow/ml-pipeline-ui',
  'istio-system/istio-ingressgateway-service-account',
]
const ipBlocks = [
  '10.1.0.0/16',
  '10.1.0.3',
  '10.2.0.0/16',
  '10.1.0.192/26',
  '10.0.0.0/8',
  '192.0.2.1',
  '10.9.0.0/16',
  '10.5.0.0/16',
]
/** Pods, the range of Services, and all of them. */
const destinationIps = ['10.1.0.3', '10.1.0.0/24', '10.3.0.0/16', '10.96.0.0/12', '10.0.0.0/8']
export const forwardedFor = ['198.51.100.9', '203.0.113.7']
const remoteIpBlocks = ['198.51.100.0/24', '203.0.113.0/24', '10.1.0.0/16', '10.2.0.3']
const ports = ['8888', '8887', '9090', '5432', '7000', '80', '81', '8080', '3000']
export const methods = ['GET', 'POST']
const paths = ['/a', '/a/*', '*/z', '*']
export const issuer = 'https://issuer'
const requestPrincipals = [`${issuer}/alice`, `${issuer}/*`, '*']

function clause<T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(item, { minLength: 1, maxLength: 2 })
}

// Sources, operations, conditions -------------------------------------------------------------------------------------

function values(pool: string[]): fc.Arbitrary<string[]> {
  return fc.uniqueArray(fc.constantFrom(...pool), { minLength: 1, maxLength: 2 })
}

/** One field of a source or an operation, three times out of four the positive one. */
function field(name: string, pool: string[]): fc.Arbitrary<object> {
  const negative = `not${name[0]?.toUpperCase()}${name.slice(1)}`
  return fc.tuple(values(pool), fc.nat({ max: 3 })).map(([list, kind]) => ({ [kind === 3 ? negative : name]: list }))
}

type Clauses = Record<'l4From' | 'from' | 'l4To' | 'to' | 'when', fc.Arbitrary<unknown[]>>

const l7Source = fc.oneof(
  { arbitrary: field('requestPrincipals', requestPrincipals), weight: 2 },
  { arbitrary: field('remoteIpBlocks', remoteIpBlocks), weight: 1 },
)
const trustDomains = field('trustDomains', [trustDomain, 'other.example'])
const l4Operation = field('ports', ports)
const l7Operation = fc.oneof(
  field('methods', methods),
  field('paths', paths),
  field('hosts', ['host.example', '*.other']),
)

/** What a rule can ask for, when principals are these. */
function clausesWith(principals: string[]): Clauses {
  const l4Source = fc.oneof(
    { arbitrary: field('principals', principals), weight: 4 },
    { arbitrary: field('namespaces', namespaceNames), weight: 4 },
    { arbitrary: field('serviceAccounts', serviceAccounts), weight: 2 },
    { arbitrary: field('ipBlocks', ipBlocks), weight: 2 },
  )
  const source = some([l4Source, l4Source, l4Source, l7Source, trustDomains]).filter(isValidSource)
  const operation = some([l4Operation, l4Operation, l7Operation])
  const condition = fc.oneof(
    keyed('source.principal', principals),
    keyed('source.namespace', namespaceNames),
    keyed('source.serviceAccount', ['team-b/default-editor', 'legacy/batch']),
    keyed('source.trustDomain', [trustDomain, 'other.example']),
    keyed('source.ip', ipBlocks),
    keyed('remote.ip', remoteIpBlocks),
    keyed('destination.port', ports),
    keyed('destination.ip', destinationIps),
    keyed('request.headers[x-user]', ['alice', 'bob', '*']),
    keyed('request.auth.claims[group]', ['admins', 'users']),
    keyed('request.auth.principal', requestPrincipals),
  )
  return {
    l4From: clause(l4Source.map(source => ({ source }))),
    from: clause(source.map(source => ({ source }))),
    l4To: clause(l4Operation.map(operation => ({ operation }))),
    to: clause(operation.map(operation => ({ operation }))),
    when: clause(condition),
  }
}

function keyed(key: string, pool: string[]): fc.Arbitrary<istio.AuthorizationCondition> {
  const conditions = fc.tuple(values(pool), fc.nat({ max: 3 }))
  return conditions.map(([list, kind]) => (kind === 3 ? { key, notValues: list } : { key, values: list }))
}

/** One field, or now and then two of them in one match. */
function some(fields: fc.Arbitrary<object>[]): fc.Arbitrary<object> {
  const one = fc.oneof(...fields)
  const both = fc.tuple(one, one).map(([a, b]) => ({ ...a, ...b }))
  return fc.oneof({ arbitrary: one, weight: 2 }, { arbitrary: both, weight: 1 })
}

/** What the CRD's own rule asks of a source. */
function isValidSource(source: istio.Source): boolean {
  const byAccount = source.serviceAccounts ?? source.notServiceAccounts
  return !(byAccount && (source.principals ?? source.notPrincipals ?? source.namespaces ?? source.notNamespaces))
}

// Rules ------------------------------------------------------------------------------------------------------------------

function rulesWith({ l4From, from, l4To, to, when }: Clauses): fc.Arbitrary<istio.Rule[] | undefined> {
  const rule = fc.oneof(
    { arbitrary: fc.constant({}), weight: 1 },
    { arbitrary: fc.record({ from: l4From }), weight: 4 },
    { arbitrary: fc.record({ to: l4To }), weight: 2 },
    { arbitrary: fc.record({ to }), weight: 2 },
    { arbitrary: fc.record({ from, to }), weight: 4 },
    { arbitrary: fc.record({ when }), weight: 2 },
    { arbitrary: fc.record({ from, when }), weight: 2 },
  ) as fc.Arbitrary<istio.Rule>
  return fc.oneof(
    { arbitrary: fc.constant(undefined), weight: 1 },
    { arbitrary: fc.constant<istio.Rule[]>([{}]), weight: 1 },
    { arbitrary: fc.array(rule, { minLength: 1, maxLength: 3 }), weight: 10 },
  )
}

export const allowRules = rulesWith(clausesWith(principals))
export const denyRules = rulesWith(clausesWith([...principals, ...waypoints]))

/** All that an ingress can see of a caller outside. */
const externalRule = fc.oneof(
  { arbitrary: fc.constant({}), weight: 2 },
  { arbitrary: fc.record({ to: clause(l7Operation.map(operation => ({ operation }))) }), weight: 3 },
  { arbitrary: fc.record({ when: clause(keyed('request.headers[x-user]', ['alice', 'bob', '*'])) }), weight: 2 },
  { arbitrary: fc.record({ when: clause(keyed('remote.ip', remoteIpBlocks)) }), weight: 1 },
  { arbitrary: fc.record({ to: clause(field('ports', ['80', '8080']).map(operation => ({ operation }))) }), weight: 1 },
) as fc.Arbitrary<istio.Rule>
export const externalRules = fc.array(externalRule, { minLength: 1, maxLength: 2 })

/** What Istio lets a CUSTOM policy match: nothing that identities or tokens tell. */
const customSource = some([field('ipBlocks', ipBlocks), field('remoteIpBlocks', remoteIpBlocks)])
const customFrom = clause(customSource.map(source => ({ source })))
const customTo = clause(some([l4Operation, l7Operation, l7Operation]).map(operation => ({ operation })))
const customWhen = fc.oneof(
  keyed('request.headers[x-user]', ['alice', 'bob', '*']),
  keyed('source.ip', ipBlocks),
  keyed('destination.port', ports),
)
const customRule = fc.oneof(
  { arbitrary: fc.constant({}), weight: 2 },
  { arbitrary: fc.record({ to: customTo }), weight: 4 },
  { arbitrary: fc.record({ from: customFrom }), weight: 1 },
  { arbitrary: fc.record({ from: customFrom, to: customTo }), weight: 1 },
  { arbitrary: fc.record({ when: clause(customWhen) }), weight: 1 },
) as fc.Arbitrary<istio.Rule>
export const customRules = fc.array(customRule, { minLength: 1, maxLength: 2 })

/** What a gateway that checks tokens is asked for. */
const tokenRule = fc.oneof(
  fc.record({ from: clause(field('requestPrincipals', requestPrincipals).map(source => ({ source }))) }),
  fc.record({ when: clause(keyed('request.auth.claims[group]', ['admins', 'users'])) }),
)
export const tokenRules = clause(tokenRule)
