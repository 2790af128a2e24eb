// Who goes no further before a policy does.
import { gatewayOf } from '../mapped-gateway.ts'
import { storedOf } from '../policy/companions.ts'
import { isOnGateway } from '../policy/ingress.ts'
import type { Subject } from './index.ts'
import type { ExplainedStep } from './steps.ts'
import { listText } from './words.ts'

/** The things that wait for this policy: what admits waits for what refuses, and traffic for all of it. */
export function waitingFor({ policy, target, cluster }: Subject, steps: ExplainedStep[]): string[] {
  if (cluster.statuses === 'assumed') return []
  const isRefusing = policy.kind === 'AuthorizationPolicy' && ['DENY', 'CUSTOM'].includes(policy.spec.action ?? '')
  if (target.kind === 'ingress') {
    const gateway = `Gateway ${gatewayOf(target.mapping).key}`
    const stored = storedOf(policy, cluster)
    if (stored && isOnGateway(stored, target.mapping, cluster)) return []
    return [
      ...(isRefusing ? [`ALLOW policies of the ingress, before they are on ${gateway}`] : []),
      ...(policy.kind === 'AuthorizationPolicy'
        ? [`RequestAuthentications of the ingress, before they are on ${gateway}`]
        : []),
      `policies that name the old gateway as a caller, before they admit ${gateway}`,
    ]
  }
  if (target.kind !== 'applications' && target.kind !== 'mesh') return []
  const open = steps.filter(({ state }) => state === 'next' || state === 'later')
  const isSettled = open.every(({ what }) => / enrolled$|^istiod /.test(what))
  if (isSettled) return []
  const namespaces = target.places.filter(({ waypoints }) => waypoints.length > 0).map(({ namespace }) => namespace)
  const where = listText(namespaces)
  return [
    ...(isRefusing && where ? [`guards of ALLOW policies in ${where}, before they let the waypoint through`] : []),
    ...(where ? [`enrolment in ${where}`] : []),
  ]
}
