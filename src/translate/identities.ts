// Who calls: principals are `<trust domain>/ns/<namespace>/sa/<service account>` (research/policies.md 1.4).
// A policy that names the old ingress gateway has to name the new one too, or requests through it change their fate.
import type * as istio from '../apis/istio.ts'
import type { Report } from './report.ts'
import type { Settings } from './settings.ts'

/** The principal of a service account, given as `namespace/name`. */
export function principalOf(serviceAccount: string, trustDomain: string): string {
  const [namespace, name] = serviceAccount.split('/')
  return `${trustDomain}/ns/${namespace}/sa/${name}`
}

/**
 * The rules with the new gateways' service accounts beside the old ones, in positive lists and in `not` lists alike, and
 * the very same rules when nothing is added. Appending twice adds nothing.
 */
export function withNewGateways(rules: istio.Rule[], settings: Settings, report: Report): istio.Rule[] {
  return mapChanged(rules, (rule, i) => {
    const from =
      rule.from &&
      mapChanged(rule.from, (entry, j) => {
        const field = `spec.rules[${i}].from[${j}].source`
        const source = entry.source && sourceWithNewGateways(entry.source, field, settings, report)
        return source === entry.source ? entry : { ...entry, source: source ?? {} }
      })
    const when =
      rule.when &&
      mapChanged(rule.when, (condition, j) =>
        conditionWithNewGateways(condition, `spec.rules[${i}].when[${j}]`, settings, report),
      )
    if (from === rule.from && when === rule.when) return rule
    return { ...rule, ...(from ? { from } : {}), ...(when ? { when } : {}) }
  })
}

function sourceWithNewGateways(source: istio.Source, field: string, settings: Settings, report: Report): istio.Source {
  let changed = source
  for (const name of ['principals', 'notPrincipals', 'serviceAccounts', 'notServiceAccounts'] as const) {
    const values = source[name]
    const extended = values && withCounterparts(values, `${field}.${name}`, settings, report)
    if (extended && extended !== values) changed = { ...changed, [name]: extended }
  }
  return changed
}

function conditionWithNewGateways(
  condition: istio.AuthorizationCondition,
  field: string,
  settings: Settings,
  report: Report,
): istio.AuthorizationCondition {
  if (condition.key !== 'source.principal' && condition.key !== 'source.serviceAccount') return condition
  let changed = condition
  for (const name of ['values', 'notValues'] as const) {
    const values = condition[name]
    const extended = values && withCounterparts(values, `${field}.${name}`, settings, report)
    if (extended && extended !== values) changed = { ...changed, [name]: extended }
  }
  return changed
}

/** The list with the new gateway's name after each old one, in the same form: principal, or service account. */
function withCounterparts(given: string[], field: string, settings: Settings, report: Report): string[] {
  const { gateways } = settings
  const values = mapChanged(given, value => inTrustDomain(value, settings))
  const added = gateways.flatMap(({ serviceAccounts }) =>
    values.flatMap(value => {
      const old = serviceAccounts.old.find(account => value === account || value.endsWith(suffixOf(account)))
      if (old === undefined) return []
      const counterparts = serviceAccounts.new.map(account =>
        value === old ? account : `${value.slice(0, -suffixOf(old).length)}${suffixOf(account)}`,
      )
      const missing = counterparts.filter(counterpart => !values.includes(counterpart))
      for (const counterpart of missing) report('AP-PRINCIPAL-ADDED', field, { added: counterpart, old: value })
      return missing
    }),
  )
  return added.length > 0 ? [...values, ...new Set(added)] : values
}

/** Envoy reads `cluster.local` as the mesh's trust domain, ztunnel literally: the real name means the same to both. */
function inTrustDomain(principal: string, { trustDomain }: Settings): string {
  const alias = 'cluster.local/'
  return principal.startsWith(alias) ? `${trustDomain}/${principal.slice(alias.length)}` : principal
}

/** The end of a principal that names the account; what stands before is its trust domain, which stays. */
function suffixOf(serviceAccount: string): string {
  return principalOf(serviceAccount, '')
}

/** Like Array.map, but gives the very same array when every item is equal. */
function mapChanged<T>(items: T[], change: (item: T, i: number) => T): T[] {
  const mapped = items.map(change)
  return mapped.every((item, i) => item === items[i]) ? items : mapped
}

/** Whether some rule admits one of the mapped gateways by name. */
export function namesGateway({ from = [] }: istio.Rule, { gateways }: Settings): boolean {
  const accounts = gateways.flatMap(({ serviceAccounts }) => [...serviceAccounts.old, ...serviceAccounts.new])
  return from.some(({ source = {} }) =>
    [...(source.principals ?? []), ...(source.serviceAccounts ?? [])].some(value =>
      accounts.some(account => value === account || value.endsWith(suffixOf(account))),
    ),
  )
}
