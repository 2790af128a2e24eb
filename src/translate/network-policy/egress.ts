// Whom captured pods may call: others on 15008, and waypoints in place of the pods behind them.
import type * as core from '../../apis/core.ts'
import { keyOf as waypointKey } from '../namespace/enrolment.ts'
import { inNamespace, namespaceOf, type Workload } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientRule } from '../waypoint.ts'
import { hbonePort } from './ingress.ts'
import { admits, fits, hasPort, type Pod, podIn, policiesFor, type Rule, rulesOf } from './isolation.ts'
import { capturedPods, servedOf, waypointPod } from './pods.ts'

export function checkEgress(policy: core.NetworkPolicy, context: Context): void {
  const { cluster, report } = context
  const rules = rulesOf(policy, 'Egress') ?? []
  const pods = rules.length > 0 ? capturedPods(policy, context) : []
  for (const [i, rule] of rules.entries()) {
    const called = calledBy(rule, namespaceOf(policy), context)
    for (const pod of pods) {
      const policies = policiesFor(pod, 'Egress', cluster, policy)
      const isShut = (other: Pod) => !admits(policies, 'Egress', other, hbonePort)
      for (const other of called) {
        const { served, isWhole } = servedOf(other, context)
        const waypoint = served.map(({ waypoint }) => waypoint).find(each => isShut(waypointPod(each, cluster)))
        if (waypoint) report('NP-EGRESS-WAYPOINT', `spec.egress[${i}]`, { waypoint: waypointKey(waypoint) })
        else if (!isWhole && isShut(other)) report('NP-EGRESS-HBONE', `spec.egress[${i}].ports`)
      }
    }
  }
}

/** The captured pods that a rule allows to call. Of a rule for all the world, those that have its ports. */
function calledBy({ peers, ports }: Rule, own: string, { cluster, settings }: Context): Pod[] {
  const namespaces = [...cluster.workloads.keys()].sort().filter(name => ambientRule(name, cluster, settings))
  const pods = namespaces
    .flatMap(name => inNamespace(cluster.workloads, name))
    .filter(({ state, isOptedOut }) => state !== 'gateway' && !isOptedOut)
  return pods
    .filter(pod => (pod.ports.length === 0 && peers.length > 0) || isListening(pod, ports))
    .map(({ namespace, labels }) => podIn(namespace, labels, cluster))
    .filter(pod => peers.length === 0 || peers.some(peer => !peer.ipBlock && fits(peer, own, pod)))
}

function isListening({ ports: own }: Workload, ports: core.NetworkPolicyPort[]): boolean {
  return own.some(
    ({ name, containerPort }) =>
      hasPort(ports, containerPort) || ports.some(({ port }) => port !== undefined && port === name),
  )
}
