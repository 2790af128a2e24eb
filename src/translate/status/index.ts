// What the status of an object says against it (research/policies.md 4): for what is in ambient already, or on its way.
// Nothing is said of an object without a status, as it comes from files or from an istiod that writes none.

import type { KubernetesObject } from '../../apis/core.ts'
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { isTooDeep, withoutNulls } from '../canonical.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { modeFor } from '../mode.ts'
import { resolveTarget } from '../policy/targets.ts'
import { createReport, type Diagnostic, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { isReadable } from '../shapes.ts'
import { byKey, type ClusterSnapshot, kindKey, namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { dataplaneModeLabel } from '../waypoint.ts'
import { isReady, waypointClass } from '../waypoint-gateway.ts'
import { verdictOf } from './conditions.ts'

/**
 * Findings about a status, of companions too, whose status is the only one that tells whether they hold.
 * @param cluster the cluster as it is; `observed`
 */
export function checkStatus(
  object: KubernetesObject,
  cluster: ClusterSnapshot,
  settings: Settings,
): readonly Diagnostic[] {
  const report = createReport(settings)
  const key = kindKey(object)
  if (!Object.hasOwn(checks, key) || isTooDeep(object)) return []
  const cleaned = withoutNulls(object)
  if (!isReadable(cleaned, key) || modeFor(cleaned, cluster, settings) === 'off') return []
  checks[key]?.(cleaned as never, { cluster, settings, report })
  return report.diagnostics
}

const checks: Record<string, (object: never, context: Context) => void> = {
  'Service/': checkBinding,
  'ServiceEntry/networking.istio.io': checkBinding,
  'WorkloadEntry/networking.istio.io': checkBinding,
  'AuthorizationPolicy/security.istio.io': checkPolicy,
  'Gateway/gateway.networking.k8s.io': checkWaypoint,
}

function checkBinding(object: KubernetesObject, { report }: Context): void {
  reportBad(object, 'istio.io/WaypointBound', 'WaypointAccepted', 'ST-WAYPOINT-UNBOUND', report)
}

function checkPolicy(policy: istio.AuthorizationPolicy, context: Context): void {
  const { report } = context
  const { targetRef, targetRefs = targetRef ? [targetRef] : [] } = policy.spec ?? {}
  if (targetRefs.length === 0) {
    if (isForZtunnel(policy, context)) reportBad(policy, 'ZtunnelAccepted', 'Accepted', 'ST-POLICY-ZTUNNEL', report)
    return
  }
  reportBad(policy, 'WaypointAccepted', 'Accepted', 'ST-POLICY-UNENFORCED', report)
  if (verdictOf(policy, 'WaypointAccepted', 'Accepted')) checkClasses(policy, targetRefs, context)
}

/**
 * istiod resolves a Gateway target among all Gateways that have an address, whatever their class is, and says Accepted of one
 * that another vendor runs.
 */
function checkClasses(
  policy: istio.AuthorizationPolicy,
  targetRefs: istio.PolicyTargetReference[],
  { cluster, settings, report }: Context,
): void {
  const namespace = namespaceOf(policy)
  for (const { kind, name } of targetRefs) {
    const key = `${namespace}/${name}`
    if (kind !== 'Gateway' || settings.gateways.some(mapping => gatewayOf(mapping).key === key)) continue
    const { gatewayClassName: itsClass } = byKey(cluster.gateways, key)?.spec ?? {}
    if (itsClass === undefined || istioClasses.includes(itsClass)) continue
    report('ST-POLICY-CLASS', 'spec.targetRefs', { gateway: key, class: itsClass.slice(0, 40) || 'empty' })
  }
}

/** The classes that istiod makes itself (`builtinClasses`, istio/istio pilot/pkg/config/kube/gateway/deploymentcontroller.go). */
const istioClasses = ['istio', 'istio-remote', 'istio-east-west', waypointClass]

/** istiod judges every policy without targets for ztunnel, even one that picks none of its pods (istio/istio#58316). */
function isForZtunnel(policy: istio.AuthorizationPolicy, { cluster, settings }: Context): boolean {
  const specified = policy.spec ? policy : { ...policy, spec: {} }
  const silent = createReport({ severities: {} })
  const target = resolveTarget(specified, { kind: 'AP', cluster, settings, report: silent })
  if (target.kind !== 'applications' && target.kind !== 'mesh') return false
  return target.places.some(
    ({ namespace }) => cluster.namespaces.get(namespace)?.metadata.labels?.[dataplaneModeLabel] === 'ambient',
  )
}

function checkWaypoint(object: gateway.Gateway, { report }: Context): void {
  if (object.spec?.gatewayClassName !== waypointClass || !object.status || isReady(object)) return
  const lack = (object.status.addresses ?? []).length === 0 ? 'has no address' : 'is not Programmed'
  report('ST-WAYPOINT-DOWN', 'status', { lack })
}

function reportBad(
  object: KubernetesObject,
  type: string,
  good: string,
  code: 'ST-POLICY-UNENFORCED' | 'ST-POLICY-ZTUNNEL' | 'ST-WAYPOINT-UNBOUND',
  report: Report,
): void {
  const verdict = verdictOf(object, type, good)
  if (!verdict || verdict.isGood) return
  report(code, `status.conditions[${type}]`, { condition: verdict.text.replace(/\s+/g, ' ').slice(0, 140) })
}
