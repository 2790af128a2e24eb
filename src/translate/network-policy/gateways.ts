// The ingress gateway that the settings replace: its pods are new, and policies look for the old ones.
import type * as core from '../../apis/core.ts'
import { labelsText } from '../labels.ts'
import { byKey, namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientRule } from '../waypoint.ts'
import { hbonePort } from './ingress.ts'
import { admits, fits, hasPort, labelsFor, podIn, policiesFor, rulesOf, selects } from './isolation.ts'
import { type Replaced, replacedGateways } from './pods.ts'

export function checkGateways(policy: core.NetworkPolicy, context: Context): void {
  const { cluster } = context
  const rules = rulesOf(policy, 'Ingress')
  if (!rules) return
  for (const replaced of replacedGateways(context)) {
    checkPeers(policy, replaced, context)
    if (namespaceOf(policy) !== replaced.pod.namespace || !selects(policy, replaced.pod.labels)) continue
    const policies = policiesFor(replaced.pod, 'Ingress', cluster, policy)
    const ports = portsOf(replaced, context)
    const isOpen = policies
      .flatMap(each => rulesOf(each, 'Ingress') ?? [])
      .some(
        rule =>
          ports.some(port => hasPort(rule.ports, port)) &&
          (rule.peers.length === 0 || rule.peers.some(({ ipBlock }) => ipBlock)),
      )
    if (policies[0] === policy && !isOpen)
      context.report('NP-GATEWAY-CALLERS', 'spec.podSelector', { gateway: replaced.gateway })
  }
}

/** Reports each peer that means the old gateway, where nothing admits the new one. */
function checkPeers(policy: core.NetworkPolicy, { gateway, mapping, old, pod }: Replaced, context: Context): void {
  const { cluster, settings, report } = context
  const own = namespaceOf(policy)
  const isCaptured = ambientRule(own, cluster, settings) !== undefined
  const selected = podIn(own, labelsFor(policy.spec?.podSelector ?? {}), cluster)
  const policies = policiesFor(selected, 'Ingress', cluster, policy)
  for (const [i, { peers, ports }] of (rulesOf(policy, 'Ingress') ?? []).entries()) {
    const [{ port } = {}] = ports
    const wanted = isCaptured ? hbonePort : typeof port === 'number' ? port : 0
    for (const [j, peer] of peers.entries()) {
      if (peer.ipBlock || !fits(peer, own, old) || fits(peer, own, pod)) continue
      if (admits(policies, 'Ingress', pod, wanted)) continue
      const labels = labelsText(peer.podSelector ? labelsFor(peer.podSelector) : mapping.pods.labels).slice(0, 80)
      const selector = peer.podSelector ? 'podSelector' : 'namespaceSelector'
      report('NP-GATEWAY-PEER', `spec.ingress[${i}].from[${j}].${selector}`, { gateway, labels })
    }
  }
}

/** The ports of the new gateway's pods, which istiod lets listen on those of its listeners. */
function portsOf({ gateway, mapping }: Replaced, { cluster }: Context): number[] {
  const listeners = byKey(cluster.gateways, gateway)?.spec?.listeners?.map(({ port }) => port) ?? []
  if (listeners.length > 0) return listeners
  const servers = mapping.istioGateways.flatMap(key => byKey(cluster.istioGateways, key)?.spec?.servers ?? [])
  const numbers = servers.flatMap(({ port }) => port?.number ?? [])
  return numbers.length > 0 ? numbers : [80, 443]
}
