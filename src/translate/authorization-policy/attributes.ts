// Which attributes ztunnel can check (L4) and which only an Envoy can (L7): research/policies.md 1.1, from istiod's
// `httpOperations`, `httpSources` and `l4WhenAttributes`. Judged per rule, never by a search for words.
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'

// `trustDomains` is L4 by nature, but istiod does not send it to ztunnel, which would decide without it.
const l7Sources = [
  'requestPrincipals',
  'notRequestPrincipals',
  'remoteIpBlocks',
  'notRemoteIpBlocks',
  'trustDomains',
  'notTrustDomains',
] as const
const l7Operations = ['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths'] as const
const l4Keys = ['source.ip', 'source.namespace', 'source.principal', 'destination.ip', 'destination.port']
// Two of these are L4 by nature, but ztunnel is not told of them.
const l7Keys = ['source.serviceAccount', 'source.trustDomain', 'remote.ip', 'connection.sni', 'request.auth.principal']
const l7KeyPattern =
  /^(request\.headers\[.+\]|request\.auth\.(audiences|presenter|claims\[.+\])|experimental\.envoy\.filters\..+)$/

/** ztunnel knows a star at either end only; a namespace with one in between would match nothing there. */
function isEnvoyOnly(values: string[] = []): boolean {
  return values.some(value => value.slice(1, -1).includes('*'))
}

/** Whether ztunnel can check the rule. `{}` matches everything and is L4. */
export function isL4({ from = [], to = [], when = [] }: istio.Rule): boolean {
  const hasL7Source = from.some(
    ({ source = {} }) =>
      l7Sources.some(name => isListed(source[name])) ||
      isEnvoyOnly(source.namespaces) ||
      isEnvoyOnly(source.notNamespaces),
  )
  const hasL7Operation = to.some(({ operation = {} }) => l7Operations.some(name => isListed(operation[name])))
  return (
    !hasL7Source &&
    !hasL7Operation &&
    when.every(
      ({ key = '', values, notValues }) =>
        l4Keys.includes(key) && !(key === 'source.namespace' && (isEnvoyOnly(values) || isEnvoyOnly(notValues))),
    )
  )
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

/** The ports that a rule names, in any of the places where it can. */
export function portsOf({ to = [], when = [] }: istio.Rule): string[] {
  const operations = to.flatMap(({ operation = {} }) => [...(operation.ports ?? []), ...(operation.notPorts ?? [])])
  const conditions = when.filter(({ key }) => key === 'destination.port')
  return [...operations, ...conditions.flatMap(({ values = [], notValues = [] }) => [...values, ...notValues])]
}

function isListed(values: string[] | undefined): boolean {
  return values !== undefined && values.length > 0
}
