// Arbitrary rules, out of small pools that hold the callers, ports and requests of the landscape.
import fc from 'fast-check'
import type * as istio from '../../src/apis/istio.ts'

const trustDomain = 'cluster.local'
const principal = (namespace: string, name: string) => `${trustDomain}/ns/${namespace}/sa/${name}`

const principals = [
  principal('team-b', 'default-editor'),
  principal('team-a', 'api'),
  principal('team-a', 'default-editor'),
  principal('team-a', 'waypoint'),
  principal('kubeflow', 'ml-pipeline-ui'),
  principal('legacy', 'batch'),
  principal('istio-system', 'istio-ingressgateway-service-account'),
  `${trustDomain}/ns/team-a/*`,
  '*/default-editor',
  '*',
]
const namespaceNames = ['team-a', 'team-b', 'kubeflow', 'legacy', 'istio-system', 'team-*', '*-a', 't*-b', '*']
const serviceAccounts = [
  'team-b/default-editor',
  'api',
  'default-editor',
  'legacy/batch',
  'kubeflow/ml-pipeline-ui',
  'istio-system/istio-ingressgateway-service-account',
]
const ipBlocks = ['10.1.0.0/16', '10.1.0.3', '10.2.0.0/16', '10.1.0.192/26', '10.0.0.0/8', '192.0.2.1', '10.9.0.0/16']
const ports = ['8888', '8887', '9090', '5432', '7000', '80', '8080', '3000']
export const methods = ['GET', 'POST']
const paths = ['/a', '/a/*', '*/z', '*']
export const issuer = 'https://issuer'
const requestPrincipals = [`${issuer}/alice`, `${issuer}/*`, '*']

// Sources, operations, conditions -------------------------------------------------------------------------------------

const values = (pool: string[]) => fc.uniqueArray(fc.constantFrom(...pool), { minLength: 1, maxLength: 2 })
/** One field of a source or an operation, three times out of four the positive one. */
const field = (name: string, pool: string[]) =>
  fc
    .tuple(values(pool), fc.boolean(), fc.boolean())
    .map(([list, a, b]) => ({ [a && b ? `not${name[0]?.toUpperCase()}${name.slice(1)}` : name]: list }))

const l4Source = fc.oneof(
  { arbitrary: field('principals', principals), weight: 4 },
  { arbitrary: field('namespaces', namespaceNames), weight: 4 },
  { arbitrary: field('serviceAccounts', serviceAccounts), weight: 2 },
  { arbitrary: field('ipBlocks', ipBlocks), weight: 2 },
)
const l7Source = field('requestPrincipals', requestPrincipals)
const trustDomains = field('trustDomains', [trustDomain, 'other.example'])
const source = some<istio.Source>([l4Source, l4Source, l4Source, l7Source, trustDomains]).filter(isValidSource)

const l4Operation = field('ports', ports)
const l7Operation = fc.oneof(
  field('methods', methods),
  field('paths', paths),
  field('hosts', ['host.example', '*.other']),
)
const operation = some<istio.Operation>([l4Operation, l4Operation, l7Operation])

const condition = fc.oneof(
  keyed('source.principal', principals),
  keyed('source.namespace', namespaceNames),
  keyed('source.serviceAccount', ['team-b/default-editor', 'legacy/batch']),
  keyed('source.ip', ipBlocks),
  keyed('destination.port', ports),
  keyed('request.headers[x-user]', ['alice', 'bob', '*']),
  keyed('request.auth.claims[group]', ['admins', 'users']),
)

function keyed(key: string, pool: string[]): fc.Arbitrary<istio.AuthorizationCondition> {
  const conditions = fc.tuple(values(pool), fc.boolean(), fc.boolean())
  return conditions.map(([list, a, b]) => (a && b ? { key, notValues: list } : { key, values: list }))
}

/** One field, or now and then two of them in one match. */
function some<T>(fields: fc.Arbitrary<object>[]): fc.Arbitrary<T> {
  const one = fc.oneof(...fields)
  const both = fc.tuple(one, one).map(([a, b]) => ({ ...a, ...b }))
  return fc.oneof({ arbitrary: one, weight: 2 }, { arbitrary: both, weight: 1 }) as fc.Arbitrary<T>
}

/** What the CRD's own rule asks of a source. */
function isValidSource(source: istio.Source): boolean {
  const byAccount = source.serviceAccounts ?? source.notServiceAccounts
  return !(byAccount && (source.principals ?? source.notPrincipals ?? source.namespaces ?? source.notNamespaces))
}

// Rules ------------------------------------------------------------------------------------------------------------------

export const clause = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 2 })
const anyFrom = clause(source.map(source => ({ source })))
const anyTo = clause(operation.map(operation => ({ operation })))
const anyWhen = fc.array(condition, { minLength: 1, maxLength: 2 })

const rule: fc.Arbitrary<istio.Rule> = fc.oneof(
  { arbitrary: fc.constant({}), weight: 1 },
  { arbitrary: fc.record({ from: clause(l4Source.map(source => ({ source }))) }), weight: 4 },
  { arbitrary: fc.record({ to: clause(l4Operation.map(operation => ({ operation }))) }), weight: 2 },
  { arbitrary: fc.record({ to: anyTo }), weight: 2 },
  { arbitrary: fc.record({ from: anyFrom, to: anyTo }), weight: 4 },
  { arbitrary: fc.record({ when: anyWhen }), weight: 2 },
  { arbitrary: fc.record({ from: anyFrom, when: anyWhen }), weight: 2 },
)
export const rules = fc.oneof(
  { arbitrary: fc.constant(undefined), weight: 1 },
  { arbitrary: fc.constant([{}]), weight: 1 },
  { arbitrary: fc.array(rule, { minLength: 1, maxLength: 3 }), weight: 10 },
)

/** What Istio lets a CUSTOM policy match, and all that an ingress can see of a caller outside. */
const externalRule: fc.Arbitrary<istio.Rule> = fc.oneof(
  fc.constant({}),
  fc.record({ to: clause(l7Operation.map(operation => ({ operation }))) }),
  fc.record({ when: clause(keyed('request.headers[x-user]', ['alice', 'bob', '*'])) }),
)
export const externalRules = fc.array(externalRule, { minLength: 1, maxLength: 2 })

/** What a gateway that checks tokens is asked for. */
const tokenRule = fc.oneof(
  fc.record({ from: clause(l7Source.map(source => ({ source }))) }),
  fc.record({ when: clause(keyed('request.auth.claims[group]', ['admins', 'users'])) }),
)
export const tokenRules = clause(tokenRule)
