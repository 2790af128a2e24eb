// Whom the rules of a guard admit, in words.
import type * as istio from '../../apis/istio.ts'
import { principalOf } from '../identities.ts'
import type { Settings } from '../settings.ts'
import type { Waypoint } from '../waypoint.ts'
import { listText } from './words.ts'

/** `Namespace team-a and waypoint team-a/waypoint`; rules that are no plain list of callers are counted. */
export function callersIn(rules: istio.Rule[], waypoints: Waypoint[], settings: Settings): string {
  const names = new Map(
    waypoints.map(waypoint => [
      principalOf(waypoint.serviceAccount, settings.trustDomain),
      `waypoint ${waypoint.namespace}/${waypoint.name}`,
    ]),
  )
  const callers = rules.map(rule => callersOf(withoutSparing(rule, names), names))
  const others = callers.filter(each => each === undefined).length
  const known = [...new Set(callers.flatMap(each => each ?? []))]
  const rest = others === 0 ? [] : [`callers of ${others} ${others === 1 ? 'rule' : 'rules'} with more conditions`]
  return listText([...known, ...rest]) || 'nobody'
}

/** The rule without the condition that keeps a waypoint from being taken for one of its callers. */
function withoutSparing(rule: istio.Rule, names: Map<string, string>): istio.Rule {
  const isSparing = ({ key, values, notValues = [] }: istio.AuthorizationCondition) =>
    key === 'source.principal' && !values && notValues.length > 0 && notValues.every(name => names.has(name))
  return { ...rule, when: (rule.when ?? []).filter(condition => !isSparing(condition)) }
}

function callersOf({ from = [], to = [], when = [] }: istio.Rule, names: Map<string, string>): string[] | undefined {
  if (from.length + when.length === 0) return withPorts(['everybody'], to)
  if (from.length > 0 && when.length > 0) return undefined
  const [condition, ...more] = when
  const lists = condition
    ? [
        more.length === 0 && !condition.notValues
          ? words(kinds[condition.key ?? ''], condition.values, names)
          : undefined,
      ]
    : from.map(({ source = {} }) => {
        const [[field = '', values] = [], ...others] = Object.entries(source)
        return others.length === 0 ? words(kinds[field], values, names) : undefined
      })
  const callers = lists.flatMap(list => list ?? [])
  return lists.includes(undefined) ? undefined : withPorts(callers, to)
}

const kinds: Record<string, 'principal' | 'account' | 'namespace' | 'address'> = {
  principals: 'principal',
  'source.principal': 'principal',
  serviceAccounts: 'account',
  namespaces: 'namespace',
  'source.namespace': 'namespace',
  ipBlocks: 'address',
  'source.ip': 'address',
}

function words(
  kind: (typeof kinds)[string] | undefined,
  values: string[] = [],
  names: Map<string, string>,
): string[] | undefined {
  switch (kind) {
    case 'principal':
      return values.map(value => names.get(value) ?? value.replace(/^.*\/ns\/([^/]+)\/sa\//, '$1/'))
    case 'account':
      return values
    case 'namespace':
      return values.map(value => `Namespace ${value}`)
    case 'address':
      return values.map(value => `address ${value}`)
    default:
      return undefined
  }
}

function withPorts(callers: string[], to: NonNullable<istio.Rule['to']>): string[] | undefined {
  if (to.length === 0) return callers
  const isPlain = to.every(({ operation = {} }) => Object.keys(operation).join() === 'ports')
  const ports = to.flatMap(({ operation }) => operation?.ports ?? [])
  return isPlain ? callers.map(caller => `${caller} on port ${ports.join(', ')}`) : undefined
}
