// Which attributes ztunnel can check (L4) and which only an Envoy can (L7): research/policies.md 1.1, from istiod's
// `httpOperations`, `httpSources` and `l4WhenAttributes`. Judged per entry of a rule, never by a search for words.
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'

const l7Callers = ['requestPrincipals', 'notRequestPrincipals', 'remoteIpBlocks', 'notRemoteIpBlocks']
const l7Operations = ['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths']
// Trust domains are L4 by nature, but istiod does not send them to ztunnel, which would decide without them.
const l7Fields = [...l7Callers, 'trustDomains', 'notTrustDomains', ...l7Operations]
const l4Keys = ['source.ip', 'source.namespace', 'source.principal', 'destination.ip', 'destination.port']
// Two of these are L4 by nature, but ztunnel is not told of them.
const l7Keys = ['source.serviceAccount', 'source.trustDomain', 'remote.ip', 'connection.sni', 'request.auth.principal']
const l7KeyPattern =
  /^(request\.headers\[.+\]|request\.auth\.(audiences|presenter|claims\[.+\])|experimental\.envoy\.filters\..+)$/

/** The attributes of `when` that Istio has; the pattern is for those with a name in brackets. */
export const attributeNames: readonly string[] = [...l4Keys, ...l7Keys]
export const attributePattern = l7KeyPattern.source

/** ztunnel knows a star at either end only; a namespace with one in between would match nothing there. */
function isEnvoyOnly(values: string[] = []): boolean {
  return values.some(value => value.slice(1, -1).includes('*'))
}

/** What ztunnel reads of an entry of `from` or `to`: the fields that it knows and that say anything. */
function readOf<T extends istio.Source | istio.Operation>(part: T): Partial<T> {
  const fields = Object.entries(part).filter(
    ([name, values]) =>
      isListed(values) &&
      !l7Fields.includes(name) &&
      !((name === 'namespaces' || name === 'notNamespaces') && isEnvoyOnly(values)),
  )
  return Object.fromEntries(fields) as Partial<T>
}

function isRead(part: istio.Source | istio.Operation): boolean {
  return Object.keys(readOf(part)).length === Object.values(part).filter(isListed).length
}

function isReadCondition({ key = '', values, notValues }: istio.AuthorizationCondition): boolean {
  return l4Keys.includes(key) && !(key === 'source.namespace' && (isEnvoyOnly(values) || isEnvoyOnly(notValues)))
}

/** Whether ztunnel can check the rule. `{}` matches everything and is L4. */
export function isL4({ from = [], to = [], when = [] }: istio.Rule): boolean {
  return (
    from.every(({ source = {} }) => isRead(source)) &&
    to.every(({ operation = {} }) => isRead(operation)) &&
    when.every(isReadCondition)
  )
}

/**
 * The part of a rule that ztunnel can check: it matches nothing that the rule does not. Undefined when no part is left.
 * Entries of a clause are alternatives, so one that ztunnel cannot check takes only itself away.
 */
export function innerAtPods(rule: istio.Rule): istio.Rule | undefined {
  if (isL4(rule)) return rule
  const { from = [], to = [], when = [] } = rule
  const readFrom = from.filter(({ source = {} }) => isRead(source))
  const readTo = to.filter(({ operation = {} }) => isRead(operation))
  const isEmptied = (from.length > 0 && readFrom.length === 0) || (to.length > 0 && readTo.length === 0)
  if (isEmptied || !when.every(isReadCondition)) return undefined
  return clauses(readFrom, readTo, when)
}

/** The outline of a rule that ztunnel can check: it matches all that the rule does, and more where HTTP decides. */
export function outerAtPods(rule: istio.Rule): istio.Rule {
  if (isL4(rule)) return rule
  const { from = [], to = [], when = [] } = rule
  const sources = from.map(({ source = {} }) => ({ source: readOf(source) }))
  const operations = to.map(({ operation = {} }) => ({ operation: readOf(operation) }))
  // An alternative without conditions holds always, and then so does its clause.
  return clauses(
    sources.every(({ source }) => isSet(source)) ? sources : [],
    operations.every(({ operation }) => isSet(operation)) ? operations : [],
    when.filter(isReadCondition),
  )
}

/** Whether ztunnel never matches a rule of a DENY: a clause of which it reads nothing holds for nobody (1.2). */
export function isLostAtPods({ from = [], to = [], when = [] }: istio.Rule): boolean {
  return (
    (from.length > 0 && !from.some(({ source = {} }) => isSent(source))) ||
    (to.length > 0 && !to.some(({ operation = {} }) => isSent(operation))) ||
    !when.every(({ key = '' }) => l4Keys.includes(key))
  )
}

/** Whether istiod sends ztunnel anything of an entry, be it read there as meant or not. */
function isSent(part: istio.Source | istio.Operation): boolean {
  return Object.entries(part).some(([name, values]) => isListed(values) && !l7Fields.includes(name))
}

function clauses(
  from: NonNullable<istio.Rule['from']>,
  to: NonNullable<istio.Rule['to']>,
  when: istio.AuthorizationCondition[],
): istio.Rule {
  return {
    ...(from.length > 0 ? { from } : {}),
    ...(to.length > 0 ? { to } : {}),
    ...(when.length > 0 ? { when } : {}),
  }
}

/** The rules with every service account named with its namespace; the very same rules when all are. */
export function withNamespaces(rules: istio.Rule[], namespace: string): istio.Rule[] {
  const isBare = ({ source: { serviceAccounts = [], notServiceAccounts = [] } = {} }: { source?: istio.Source }) =>
    [...serviceAccounts, ...notServiceAccounts].some(account => !account.includes('/'))
  if (!rules.some(({ from = [] }) => from.some(isBare))) return rules
  const qualify = (accounts: string[]) => accounts.map(name => (name.includes('/') ? name : `${namespace}/${name}`))
  return rules.map(rule => ({
    ...rule,
    ...(rule.from
      ? {
          from: rule.from.map(entry => {
            const { serviceAccounts, notServiceAccounts } = entry.source ?? {}
            if (!serviceAccounts && !notServiceAccounts) return entry
            return {
              source: {
                ...entry.source,
                ...(serviceAccounts ? { serviceAccounts: qualify(serviceAccounts) } : {}),
                ...(notServiceAccounts ? { notServiceAccounts: qualify(notServiceAccounts) } : {}),
              },
            }
          }),
        }
      : {}),
  }))
}

/**
 * The rules with `when: source.serviceAccount` as a condition on the principal, which ztunnel can check; under `when` it
 * is not told of service accounts (1.1). Only rules that ztunnel can then check whole: of any other it has to know
 * nothing. The very same rules when there is none.
 */
export function withPrincipals(rules: istio.Rule[], namespace: string): istio.Rule[] {
  const changed = rules.map(rule => {
    if (!rule.when?.some(isByAccount)) return rule
    const readable = { ...rule, when: rule.when.map(each => (isByAccount(each) ? byPrincipal(each, namespace) : each)) }
    return isL4(readable) ? readable : rule
  })
  return changed.every((rule, i) => rule === rules[i]) ? rules : changed
}

/** A star in the name of a service account would stand in the middle of a principal. */
function isByAccount({ key, values = [], notValues = [] }: istio.AuthorizationCondition): boolean {
  return key === 'source.serviceAccount' && ![...values, ...notValues].some(value => value.includes('*'))
}

function byPrincipal(
  { values, notValues }: istio.AuthorizationCondition,
  namespace: string,
): istio.AuthorizationCondition {
  const principal = (account: string) => {
    const [name = '', its = namespace] = account.split('/').reverse()
    return `*/ns/${its}/sa/${name}`
  }
  return {
    key: 'source.principal',
    ...(values ? { values: values.map(principal) } : {}),
    ...(notValues ? { notValues: notValues.map(principal) } : {}),
  }
}

/** Reports conditions on attributes that Istio does not have: no Envoy and no ztunnel would know what to do. */
export function checkAttributes(rules: istio.Rule[], report: Report): void {
  for (const [i, { when = [] }] of rules.entries()) {
    for (const [j, { key = '' }] of when.entries()) {
      if (l4Keys.includes(key) || l7Keys.includes(key) || l7KeyPattern.test(key)) continue
      report('AP-WHEN-UNKNOWN', `spec.rules[${i}].when[${j}].key`, { key: key.slice(0, 60) || '""' })
    }
  }
}

/**
 * The rules of an ALLOW with a condition by HTTP that every request meets, where ztunnel would read a caller otherwise than
 * Envoys do and admit more: by trust domain, or by a star within a namespace. For that condition it leaves the whole rule
 * out (1.2). The very same rules when there is no such caller.
 */
export function withoutMisreading(rules: istio.Rule[]): istio.Rule[] {
  if (!rules.some(isMisread)) return rules
  return rules.map(rule => {
    if (!isMisread(rule)) return rule
    const { to = [{ operation: {} }] } = rule
    return { ...rule, to: to.map(({ operation = {} }) => ({ operation: { paths: ['*'], ...operation } })) }
  })
}

/** Whether ztunnel reads the rule, and one of its callers otherwise than it is meant. */
function isMisread({ from = [], to = [], when = [] }: istio.Rule): boolean {
  const isLeftOut =
    from.some(({ source = {} }) => hasField(source, l7Callers)) ||
    to.some(({ operation = {} }) => hasField(operation, l7Operations)) ||
    !when.every(({ key = '' }) => l4Keys.includes(key))
  const isOther =
    from.some(
      ({ source: { notNamespaces, trustDomains, notTrustDomains } = {} }) =>
        isEnvoyOnly(notNamespaces) || isListed(trustDomains) || isListed(notTrustDomains),
    ) || when.some(({ key, notValues }) => key === 'source.namespace' && isEnvoyOnly(notValues))
  return isOther && !isLeftOut
}

function hasField(part: object, names: string[]): boolean {
  return Object.entries(part).some(([name, values]) => isListed(values) && names.includes(name))
}

function isSet(part: object): boolean {
  return Object.keys(part).length > 0
}

function isListed(values: unknown): values is string[] {
  return Array.isArray(values) && values.length > 0
}
