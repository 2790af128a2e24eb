// Who calls: principals are `<trust domain>/ns/<namespace>/sa/<service account>` (research/policies.md 1.4).
// A policy that names the old ingress gateway has to name the new one too, or requests through it change their fate.
import type * as istio from '../apis/istio.ts'
import { isCompanion, sourceAnnotation, sourceKey } from './companion.ts'
import { gatewayOf } from './mapped-gateway.ts'
import { modeFor } from './mode.ts'
import { storedOf } from './policy/companions.ts'
import { missingAtIngress } from './policy/ingress.ts'
import { isOldRunning } from './policy/targets.ts'
import type { GatewayMapping, Settings } from './settings.ts'
import { byKey, type ClusterSnapshot, inNamespace, namespaceOf } from './snapshot.ts'
import type { Context } from './translation.ts'

/** The principal of a service account, given as `namespace/name`. */
export function principalOf(serviceAccount: string, trustDomain: string): string {
  const [namespace, name] = serviceAccount.split('/')
  return `${trustDomain}/ns/${namespace}/sa/${name}`
}

/** A list of callers in a rule. To name one more in it either lets more requests pass, or fewer. */
interface List {
  values: string[]
  field: string
  isAdmitting: boolean
}

/**
 * The rules with the callers as ambient knows them, and the very same rules when nothing changes: principals in each of
 * the mesh's trust domains, and the new gateways' service accounts beside the old ones, or instead of them once the old
 * gateway is gone. Doing it twice changes nothing.
 */
export function withNewIdentities(policy: istio.AuthorizationPolicy, context: Context): istio.Rule[] | undefined {
  const { action = 'ALLOW', rules } = policy.spec
  const moves = movesFor(policy, context)
  const change = ({ values, field, isAdmitting }: List) => {
    checkTrustDomains(values, field, context)
    const known = distinct(values.flatMap(value => inTrustDomains(value, context.settings)))
    return moves.reduce(
      (list, move) => withGateway({ values: list, field, isAdmitting }, move, context),
      known.length === values.length && known.every((value, i) => value === values[i]) ? values : known,
    )
  }
  return rules && mapChanged(rules, (rule, i) => withCallers(rule, `spec.rules[${i}]`, action === 'ALLOW', change))
}

/** A rule with every list of callers changed. */
function withCallers(rule: istio.Rule, field: string, isAllow: boolean, change: (list: List) => string[]): istio.Rule {
  const changed = <T extends object>(part: T, names: [name: keyof T, isPositive: boolean][], where: string): T => {
    const lists = names.flatMap(([name, isPositive]) => {
      const values = part[name] as string[] | undefined
      if (!values) return []
      const after = change({ values, field: `${where}.${String(name)}`, isAdmitting: isPositive === isAllow })
      return after === values ? [] : [[name, after]]
    })
    return lists.length > 0 ? { ...part, ...Object.fromEntries(lists) } : part
  }
  const from =
    rule.from &&
    mapChanged(rule.from, (entry, i) => {
      const source = entry.source && changed(entry.source, sourceLists, `${field}.from[${i}].source`)
      return source === entry.source ? entry : { ...entry, source: source ?? {} }
    })
  const when =
    rule.when &&
    mapChanged(rule.when, (condition, i) =>
      condition.key === 'source.principal' || condition.key === 'source.serviceAccount'
        ? changed(condition, conditionLists, `${field}.when[${i}]`)
        : condition,
    )
  if (from === rule.from && when === rule.when) return rule
  return { ...rule, ...(from ? { from } : {}), ...(when ? { when } : {}) }
}

/** Every list of callers in a policy. */
function listsOf({ spec }: istio.AuthorizationPolicy): List[] {
  const { action = 'ALLOW', rules = [] } = spec ?? {}
  const lists: List[] = []
  const take = (list: List) => {
    lists.push(list)
    return list.values
  }
  for (const rule of rules) withCallers(rule, '', action === 'ALLOW', take)
  return lists
}

const sourceLists: [keyof istio.Source, boolean][] = [
  ['principals', true],
  ['notPrincipals', false],
  ['serviceAccounts', true],
  ['notServiceAccounts', false],
]
const conditionLists: [keyof istio.AuthorizationCondition, boolean][] = [
  ['values', true],
  ['notValues', false],
]

// Ingress gateways -------------------------------------------------------------------------------------------------

/** The move from one gateway to the other, as far as callers are concerned. */
interface Move {
  mapping: GatewayMapping
  /** How far it is. Asked only where the old gateway is named, since every policy of the ingress has a say in it. */
  phase(): Phase
}

interface Phase {
  /** What has to stand on the new gateway before anybody admits it. */
  missing: string | undefined
  /** Whether requests come from the new one alone. In files nobody can tell. */
  isOver: boolean
}

function movesFor(policy: istio.AuthorizationPolicy, context: Context): Move[] {
  return context.settings.gateways.map(mapping => {
    let known: Phase | undefined
    const phase = () => {
      known ??= phaseOf(mapping, policy, context)
      return known
    }
    return { mapping, phase }
  })
}

function phaseOf(mapping: GatewayMapping, policy: istio.AuthorizationPolicy, { cluster, settings }: Context): Phase {
  const gateway = byKey(cluster.gateways, gatewayOf(mapping).key)
  const isProgrammed = (gateway?.status?.conditions ?? []).some(
    ({ type, status }) => type === 'Programmed' && status === 'True',
  )
  const missing = admitsNew(policy, mapping, cluster)
    ? undefined
    : missingAtIngress(mapping, 'everything', cluster, settings)
  const isOver = cluster.statuses === 'observed' && isProgrammed && !isOldRunning(mapping, cluster)
  return { missing, isOver: isOver && missing === undefined }
}

/**
 * Whether the policy, as it is stored or by what stands beside it, admits the new gateway already: then it goes on, whatever
 * is added to the ingress. To name it among those who are refused admits nobody.
 */
function admitsNew(policy: istio.AuthorizationPolicy, { serviceAccounts }: GatewayMapping, cluster: ClusterSnapshot) {
  const stored = storedOf(policy, cluster)
  const key = sourceKey(policy)
  const isBeside = (each: istio.AuthorizationPolicy) =>
    isCompanion(each) && each.metadata.annotations?.[sourceAnnotation] === key
  const its = inNamespace(cluster.authorizationPolicies, namespaceOf(policy)).filter(isBeside)
  return [...(stored ? [stored] : []), ...its].some(each =>
    listsOf(each).some(({ values, isAdmitting }) => isAdmitting && isNamed(serviceAccounts.new, values)),
  )
}

function withGateway({ values, field, isAdmitting }: List, move: Move, { report }: Context): string[] {
  const { old, new: its } = move.mapping.serviceAccounts
  const isOld = (value: string) => old.some(account => isAccount(value, account))
  const counterparts = distinct(
    values.filter(isOld).flatMap(value => {
      const account = old.find(each => isAccount(value, each)) ?? ''
      return its.map(each => (value === account ? each : value.slice(0, -suffixOf(account).length) + suffixOf(each)))
    }),
  )
  if (counterparts.length === 0) return values
  const phase = move.phase()
  const names = values.filter(isOld).join(' and ')
  const missing = counterparts.filter(counterpart => !values.includes(counterpart))
  if (isAdmitting && phase.missing !== undefined) {
    report('AP-PRINCIPAL-PENDING', field, { added: counterparts.join(' and '), old: names, missing: phase.missing })
    return values
  }
  if (isAdmitting && phase.isOver) {
    report('AP-PRINCIPAL-REPLACED', field, { new: counterparts.join(' and '), old: names })
    return distinct(values.flatMap(value => (isOld(value) ? counterparts : [value])))
  }
  for (const added of missing) report('AP-PRINCIPAL-ADDED', field, { added, old: names })
  return missing.length > 0 ? [...values, ...missing] : values
}

/**
 * The first stored policy that keeps the old gateway out by name and not yet the new one, as `Kind name`: until then the
 * new one must not let anybody in. In files none is missing.
 */
export function missingRestriction(mapping: GatewayMapping, cluster: ClusterSnapshot, settings: Settings) {
  if (cluster.statuses === 'assumed') return undefined
  const { old, new: its } = mapping.serviceAccounts
  const isMissing = (policy: istio.AuthorizationPolicy) =>
    listsOf(policy).some(({ values, isAdmitting }) => !isAdmitting && isNamed(old, values) && !isNamed(its, values))
  for (const [namespace, policies] of cluster.authorizationPolicies) {
    for (const policy of policies.values())
      if (policy.spec?.action !== 'AUDIT' && modeFor(policy, cluster, settings) === 'enforce' && isMissing(policy))
        return `AuthorizationPolicy ${namespace}/${policy.metadata.name}`
  }
  return undefined
}

/** Whether some rule admits one of the mapped gateways by name. */
export function namesGateway({ from = [] }: istio.Rule, { gateways }: Settings): boolean {
  const accounts = gateways.flatMap(({ serviceAccounts }) => [...serviceAccounts.old, ...serviceAccounts.new])
  return from.some(({ source = {} }) =>
    [...(source.principals ?? []), ...(source.serviceAccounts ?? [])].some(value =>
      accounts.some(account => isAccount(value, account)),
    ),
  )
}

function isNamed(accounts: string[], values: string[]): boolean {
  return accounts.some(account => values.some(value => isAccount(value, account)))
}

/** Whether a caller in a rule is this account, by itself or as a principal of whatever trust domain. */
function isAccount(value: string, account: string): boolean {
  return value === account || value.endsWith(suffixOf(account))
}

/** The end of a principal that names the account; what stands before is its trust domain, which stays. */
function suffixOf(serviceAccount: string): string {
  return principalOf(serviceAccount, '')
}

// Trust domains ----------------------------------------------------------------------------------------------------

/**
 * A principal in every trust domain that Envoy takes for the same: the mesh's own, its aliases, and `cluster.local`, which
 * always means the mesh's own. ztunnel compares them literally (1.3). Only whole principals are read so, and of stars one
 * that begins the trust domain.
 */
export function inTrustDomains(value: string, settings: Settings): string[] {
  const [its = '', ...rest] = value.split('/')
  if (rest.length !== 4) return [value]
  const all = [settings.trustDomain, ...settings.trustDomainAliases]
  const known = [...all, 'cluster.local']
  const isStarred = its.startsWith('*') && its.length > 1
  const isMeant = isStarred ? known.some(name => name.endsWith(its.slice(1))) : known.includes(its)
  if (!isMeant) return [value]
  const named = all.map(name => [name, ...rest].join('/'))
  return isStarred ? [value, ...named] : named
}

function checkTrustDomains(values: string[], field: string, { settings, report }: Context): void {
  const { trustDomain, trustDomainAliases } = settings
  for (const value of values) {
    const slash = value.indexOf('/ns/')
    const its = value.slice(0, slash)
    if (slash < 0 || its.includes('*') || [trustDomain, ...trustDomainAliases, 'cluster.local'].includes(its)) continue
    report('AP-TRUST-DOMAIN', field, { principal: value.slice(0, 100), trustDomain })
  }
}

function distinct(values: string[]): string[] {
  return [...new Set(values)]
}

/** Like Array.map, but gives the very same array when every item is equal. */
function mapChanged<T>(items: T[], change: (item: T, i: number) => T): T[] {
  const mapped = items.map(change)
  return mapped.every((item, i) => item === items[i]) ? items : mapped
}
