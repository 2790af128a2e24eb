// The matching language of policies: a rule as clauses of matches of terms, and when one term holds (1.1).
import type * as istio from '../../src/apis/istio.ts'
import type { View } from './request.ts'

/** Terms are ANDed. */
export type Match = Term[]
/** Matches are ORed; the clauses of a rule (`from`, `to`, each `when`) are ANDed. */
export type Clause = Match[]

export interface Term {
  /** The key that `when` has for it, or `host`, `method`, `path`. */
  attribute: string
  negated: boolean
  values: string[]
  ztunnel: ZtunnelFate
}

/** 1.1, column "ztunnel": reads it, strips it as an HTTP attribute, or drops it without a word. */
export type ZtunnelFate = 'read' | 'stripped' | 'dropped'

const sourceFields: [keyof istio.Source, keyof istio.Source, string, ZtunnelFate][] = [
  ['principals', 'notPrincipals', 'source.principal', 'read'],
  ['namespaces', 'notNamespaces', 'source.namespace', 'read'],
  ['serviceAccounts', 'notServiceAccounts', 'source.serviceAccount', 'read'],
  ['ipBlocks', 'notIpBlocks', 'source.ip', 'read'],
  ['trustDomains', 'notTrustDomains', 'source.trustDomain', 'dropped'],
  ['requestPrincipals', 'notRequestPrincipals', 'request.auth.principal', 'stripped'],
  ['remoteIpBlocks', 'notRemoteIpBlocks', 'remote.ip', 'stripped'],
]

const operationFields: [keyof istio.Operation, keyof istio.Operation, string, ZtunnelFate][] = [
  ['ports', 'notPorts', 'destination.port', 'read'],
  ['hosts', 'notHosts', 'host', 'stripped'],
  ['methods', 'notMethods', 'method', 'stripped'],
  ['paths', 'notPaths', 'path', 'stripped'],
]

/** 1.1, `l4WhenAttributes`: the same attribute can be read under `from` and not under `when`. */
const l4Keys = ['source.ip', 'source.namespace', 'source.principal', 'destination.ip', 'destination.port']

/** The clauses of a rule; none for `{}`, which matches everything. A bare service account is one of `namespace`. */
export function clausesOf({ from, to, when = [] }: istio.Rule, namespace: string): Clause[] {
  const clauses: Clause[] = []
  if (from?.length) clauses.push(from.map(({ source = {} }) => terms(qualified(source, namespace), sourceFields)))
  if (to?.length) clauses.push(to.map(({ operation = {} }) => terms(operation, operationFields)))
  return [...clauses, ...when.map(condition => [conditionTerms(condition)])]
}

function qualified(source: istio.Source, namespace: string): istio.Source {
  const { serviceAccounts, notServiceAccounts } = source
  const qualify = (name: string) => (name.includes('/') ? name : `${namespace}/${name}`)
  return {
    ...source,
    ...(serviceAccounts ? { serviceAccounts: serviceAccounts.map(qualify) } : {}),
    ...(notServiceAccounts ? { notServiceAccounts: notServiceAccounts.map(qualify) } : {}),
  }
}

function terms<T extends object>(part: T, fields: [keyof T, keyof T, string, ZtunnelFate][]): Match {
  const known = fields.flat()
  const unknown = Object.keys(part).find(field => !known.includes(field as keyof T))
  if (unknown) throw new Error(`unmodelled field ${unknown}`)
  const match = fields.flatMap(([positive, negative, attribute, ztunnel]) => [
    ...term(attribute, false, part[positive], ztunnel),
    ...term(attribute, true, part[negative], ztunnel),
  ])
  if (match.length === 0) throw new Error('unmodelled: an empty source or operation, which Istio refuses')
  return match
}

function conditionTerms({ key = '', values, notValues }: istio.AuthorizationCondition): Match {
  const ztunnel = l4Keys.includes(key) ? 'read' : 'stripped'
  return [...term(key, false, values, ztunnel), ...term(key, true, notValues, ztunnel)]
}

function term(attribute: string, negated: boolean, values: unknown, ztunnel: ZtunnelFate): Term[] {
  return Array.isArray(values) && values.length > 0 ? [{ attribute, negated, values, ztunnel }] : []
}

/** Whether a term holds. `notX` is the negation of `x`, so it holds for whoever has no such attribute at all. */
export function holds({ attribute, negated, values }: Term, view: View, proxy: 'envoy' | 'ztunnel'): boolean {
  const reads = readers[attribute]?.(view) ?? readKeyed(attribute, view)
  const matches = values.some(value => reads.some(actual => matchesValue(attribute, value, actual, view, proxy)))
  return matches !== negated
}

/** What the view has of an attribute: nothing, or the values of which one must match. */
const readers: Record<string, (view: View) => string[]> = {
  'source.ip': ({ source }) => [source.ip],
  'source.principal': ({ source: { identity: id } }) =>
    id ? [`${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`] : [],
  'source.namespace': ({ source: { identity } }) => (identity ? [identity.namespace] : []),
  'source.serviceAccount': ({ source: { identity } }) =>
    identity ? [`${identity.namespace}/${identity.serviceAccount}`] : [],
  'source.trustDomain': ({ source: { identity } }) => (identity ? [identity.trustDomain] : []),
  // 1.1: X-Forwarded-For as sent, or else the connection's peer.
  'remote.ip': ({ externalIp, http, source }) => [externalIp ?? http.forwardedFor ?? source.ip],
  'destination.port': ({ port }) => [String(visible(port))],
  'destination.ip': ({ destinationIp }) => [destinationIp],
  'request.auth.principal': ({ token }) => (token ? [`${token.issuer}/${token.subject}`] : []),
  host: ({ http }) => [http.host],
  method: ({ http }) => [http.method],
  path: ({ http }) => [http.path],
}

function readKeyed(attribute: string, { http, token }: View): string[] {
  const [, kind, name = ''] = /^request\.(headers|auth\.claims)\[([^\][]+)\]$/.exec(attribute) ?? []
  if (kind === 'headers') return [http.headers[name.toLowerCase()]].filter(value => value !== undefined)
  if (kind === 'auth.claims') return [token?.claims[name] ?? []].flat()
  throw new Error(`unmodelled attribute ${attribute}`)
}

function visible<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('unmodelled: not to be seen at this proxy')
  return value
}

function matchesValue(attribute: string, wanted: string, actual: string, view: View, proxy: 'envoy' | 'ztunnel') {
  if (attribute.endsWith('.ip')) return matchesBlock(wanted, actual)
  if (attribute === 'destination.port') return wanted === actual
  if (attribute === 'path' && /[{}]/.test(wanted)) throw new Error(`unmodelled: path template ${wanted}`)
  if (attribute === 'host') return matchesText(wanted.toLowerCase(), actual.toLowerCase())
  // 1.1: Envoy takes a star anywhere in a namespace; ztunnel takes it literally unless first or last.
  if (attribute === 'source.namespace' && proxy === 'envoy') return matchesStars(wanted, actual)
  // 1.3, trust domain: Envoy reads `cluster.local` as the mesh's own; ztunnel compares it letter by letter. istiod does so
  // for whole principals only, of five parts (pilot/pkg/security/trustdomain, `isTrustDomainBeingEnforced`).
  const isWhole = wanted.startsWith('cluster.local/') && wanted.split('/').length === 5
  if (attribute === 'source.principal' && proxy === 'envoy' && isWhole)
    return matchesText(wanted.replace('cluster.local', view.mesh.trustDomain), actual)
  return matchesText(wanted, actual)
}

/** `*` for anything but nothing, `p*`, `*s`, or the very text. */
function matchesText(wanted: string, actual: string): boolean {
  if (wanted === '*') return actual !== ''
  if (wanted.startsWith('*')) return actual.endsWith(wanted.slice(1))
  if (wanted.endsWith('*')) return actual.startsWith(wanted.slice(0, -1))
  return wanted === actual
}

function matchesStars(wanted: string, actual: string): boolean {
  const parts = wanted.split('*').map(part => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(actual)
}

/** An IPv4 address or CIDR block. */
function matchesBlock(block: string, ip: string): boolean {
  const [network = '', bits = '32'] = block.split('/')
  const size = 2 ** (32 - Number(bits))
  return Math.floor(numberOf(network) / size) === Math.floor(numberOf(ip) / size)
}

function numberOf(ip: string): number {
  const parts = ip.split('.').map(Number)
  if (parts.length !== 4 || parts.some(Number.isNaN)) throw new Error(`unmodelled address ${ip}`)
  return parts.reduce((sum, part) => sum * 256 + part, 0)
}
