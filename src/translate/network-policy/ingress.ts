// Who may come to captured pods: callers in the mesh on 15008, waypoints, and the kubelet.
import type * as core from '../../apis/core.ts'
import { nameOf } from '../companion.ts'
import { keyOf as waypointKey } from '../namespace/enrolment.ts'
import { namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { admits, hasPort, type Pod, policiesFor, type Rule, rulesOf, stranger } from './isolation.ts'
import { type Captured, capturedPods, meshPods, passesWaypoint, servedOf, servicesOf, waypointPod } from './pods.ts'

export const hbonePort = 15008

export function checkIngress(policy: core.NetworkPolicy, context: Context): void {
  const { cluster, report } = context
  const rules = rulesOf(policy, 'Ingress')
  if (!rules) return
  const limited = rules.flatMap((rule, i) =>
    hasPort(rule.ports, hbonePort) ? [] : [{ rule, i, callers: callersOf(rule, namespaceOf(policy), context) }],
  )
  for (const pod of capturedPods(policy, context)) {
    const policies = policiesFor(pod, 'Ingress', cluster, policy)
    const { served, isWhole } = servedOf(pod, context)
    for (const { rule, i, callers } of limited) {
      if (rule.peers.length === 0 && isForApiServer(rule, pod, context)) continue
      // Behind waypoints only those still come by themselves whom nobody sends through them.
      const coming = isWhole
        ? callers.filter(caller => served.some(({ service }) => !passesWaypoint(caller, service, context)))
        : callers
      if (coming.some(caller => !admits(policies, 'Ingress', caller, hbonePort)))
        report('NP-INGRESS-HBONE', `spec.ingress[${i}].ports`)
    }
    const refused = served.find(({ waypoint }) => {
      return !admits(policies, 'Ingress', waypointPod(waypoint, cluster), hbonePort)
    })
    // Who admitted nobody before loses nobody.
    if (refused && rules.length > 0)
      report('NP-INGRESS-WAYPOINT', 'spec.ingress', {
        service: nameOf(refused.service),
        waypoint: waypointKey(refused.waypoint),
      })
    // Said once for a pod, where most pods are meant.
    if (policies[0] === policy && !policies.some(admitsProbes))
      report('NP-INGRESS-PROBES', policy.spec?.ingress ? 'spec.ingress' : 'spec')
  }
}

/** The callers in the mesh that a rule means. */
export function callersOf({ peers }: Rule, own: string, context: Context): Pod[] {
  return peers.length === 0 ? [stranger] : peers.flatMap(peer => meshPods(peer, own, context))
}

/** Whether a rule is for kube-apiserver, which calls webhooks from outside the mesh, on the ports that they have. */
function isForApiServer({ ports }: Rule, pod: Captured, { cluster }: Context): boolean {
  const calls = [...cluster.apiServerCalls.values()].flat()
  const called = servicesOf(pod, cluster).flatMap(service => {
    const ports = calls.filter(({ namespace, name }) => namespace === pod.namespace && name === nameOf(service))
    return (service.spec?.ports ?? [])
      .filter(({ port }) => ports.some(call => call.port === port))
      .flatMap(({ port, targetPort = port }) => [
        targetPort,
        ...pod.ports.filter(({ name }) => name === targetPort).map(({ containerPort }) => containerPort),
      ])
  })
  return ports.every(({ port }) => port !== undefined && called.includes(port))
}

/** Whether a policy lets in what istio-cni makes of a probe: a connection from its own link-local address. */
function admitsProbes(policy: core.NetworkPolicy): boolean {
  const blocks = (rulesOf(policy, 'Ingress') ?? []).flatMap(({ peers }) =>
    peers.length === 0 ? [{ cidr: '0.0.0.0/0' }] : peers.flatMap(({ ipBlock }) => ipBlock ?? []),
  )
  return blocks.some(
    ({ cidr = '', except = [] }: { cidr?: string; except?: string[] }) =>
      holdsProbes(cidr) && !except.some(holdsProbes),
  )
}

const probes = [169, 254, 7, 127]

function holdsProbes(cidr: string): boolean {
  const [address = '', length = '32'] = cidr.split('/')
  if (address.includes(':')) return length === '0' || address.startsWith('fd16:9254:7127:1337')
  const bits = (bytes: number[]) =>
    bytes
      .map(byte => byte.toString(2).padStart(8, '0'))
      .join('')
      .slice(0, Number(length))
  return bits(address.split('.').map(Number)) === bits(probes)
}
