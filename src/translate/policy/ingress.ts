// The policies of one ingress move together (research/policies.md 1.5 B and 10.9): on the Gateway that takes over, whatever
// refuses stands before anything admits, and nobody behind it admits its callers before both stand. All of it is read
// from what is stored.
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import { isCompanion, nameOf } from '../companion.ts'
import { isSelected } from '../labels.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { restoreOriginal } from '../original.ts'
import { createReport } from '../report.ts'
import type { GatewayMapping, Settings } from '../settings.ts'
import { type ClusterSnapshot, inNamespace } from '../snapshot.ts'
import { storedOf, twin } from './companions.ts'
import { isByPort, readAt } from './ports.ts'
import { gatewayRef, ingressOf, type Policy } from './targets.ts'

/** What has to stand on the Gateway: what refuses, every AuthorizationPolicy, or the RequestAuthentications as well. */
export type Wanted = 'refusals' | 'policies' | 'everything'

/** The first policy of the ingress that does not stand on its Gateway yet, as `Kind name`. In files all of them do. */
export function missingAtIngress(
  mapping: GatewayMapping,
  wanted: Wanted,
  cluster: ClusterSnapshot,
  settings: Settings,
): string | undefined {
  if (cluster.statuses === 'assumed') return undefined
  const { namespace } = gatewayOf(mapping)
  const policies: Policy[] = inNamespace(cluster.authorizationPolicies, namespace).filter(({ spec }) =>
    wanted === 'refusals' ? spec?.action === 'DENY' || spec?.action === 'CUSTOM' : spec?.action !== 'AUDIT',
  )
  const tokens = wanted === 'everything' ? inNamespace(cluster.requestAuthentications, namespace) : []
  const missing = [...policies, ...tokens].find(
    policy => !isCompanion(policy) && isOfIngress(policy, mapping, settings) && !isOnGateway(policy, mapping, cluster),
  )
  return missing && `${missing.kind} ${nameOf(missing)}`
}

function isOfIngress(policy: Policy, mapping: GatewayMapping, settings: Settings): boolean {
  const { metadata, spec } = restoreOriginal(policy)
  const labels = spec?.selector?.matchLabels ?? {}
  return Object.keys(labels).length > 0 && ingressOf(metadata.namespace ?? '', labels, settings) === mapping
}

/** Whether the new gateway enforces a policy: it is attached there itself, or its twin is. */
export function isOnGateway(policy: Policy, mapping: GatewayMapping, cluster: ClusterSnapshot): boolean {
  const { name } = refOf(mapping)
  if ((policy.spec?.targetRefs ?? []).some(ref => ref.kind === 'Gateway' && ref.name === name)) return true
  const wanted = gatewayTwin(policy, mapping, cluster)
  const object = wanted && storedOf(wanted, cluster)
  return object !== undefined && isCompanion(object) && isEqual(object.spec, wanted?.spec)
}

/** The twin of a policy of the ingress on the Gateway that takes over; none when its ports cannot be told. */
export function gatewayTwin<P extends Policy>(policy: P, mapping: GatewayMapping, cluster: ClusterSnapshot) {
  const { targetRefs: _, ...spec } = (policy.spec ?? {}) as istio.WorkloadTarget
  const read = atGateway({ ...policy, spec } as P, mapping, cluster)
  return read && twin(read, 'gateway', [refOf(mapping)])
}

/**
 * A policy of the ingress as the new gateway reads it: it listens on the ports of the Service that led to the old one's
 * pods, which saw their own (1.3). Undefined when a rule is by port and there is no such Service.
 */
export function atGateway<P extends Policy>(policy: P, mapping: GatewayMapping, cluster: ClusterSnapshot) {
  const { action = 'ALLOW', rules = [] } = (policy.spec ?? {}) as istio.AuthorizationPolicySpec
  if (!rules.some(isByPort)) return policy
  const { namespace, labels } = mapping.pods
  const service = inNamespace(cluster.services, namespace).find(
    ({ spec }) => Object.keys(spec?.selector ?? {}).length > 0 && isSelected(labels, spec?.selector ?? {}),
  )
  if (!service) return undefined
  const read = readAt(rules, service, action === 'ALLOW', cluster, createReport({ severities: {} }))
  return { ...policy, spec: { ...policy.spec, rules: read } }
}

export function refOf(mapping: GatewayMapping): istio.PolicyTargetReference {
  return gatewayRef(gatewayOf(mapping).name)
}
