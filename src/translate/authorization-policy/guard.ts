// The policies that sidestep keeps beside an AuthorizationPolicy (research/policies.md 1.5 D and 10).
// A waypoint checks what ztunnel cannot, but then ztunnel sees the waypoint as the caller: so the one has to hold the
// whole policy, and the other has to admit the waypoint and nobody new.
import type * as istio from '../../apis/istio.ts'
import { beside } from '../attachment.ts'
import { isCompanion } from '../companion.ts'
import { principalOf } from '../identities.ts'
import type { DirectCaller, Settings } from '../settings.ts'
import { type ClusterSnapshot, inNamespace } from '../snapshot.ts'
import type { Waypoint } from '../waypoint.ts'
import { isL4 } from './attributes.ts'

/**
 * The guard: the L4 policy at ztunnel that lets the waypoint through, with the rules that ztunnel can check itself, so
 * that callers who were admitted without HTTP attributes still reach pods directly. Without a waypoint it admits these only.
 */
export function guard(
  policy: istio.AuthorizationPolicy,
  rules: istio.Rule[],
  waypoint: Waypoint | undefined,
  directCallers: DirectCaller[],
  { trustDomain }: Settings,
): istio.AuthorizationPolicy {
  const { selector } = policy.spec
  return beside(policy, 'guard', {
    ...(selector ? { selector } : {}),
    action: 'ALLOW',
    rules: [
      ...rules.filter(isL4),
      ...(waypoint ? [admitting(waypoint, trustDomain)] : []),
      ...directCallers.map(directCallerRule),
    ],
  })
}

function admitting({ serviceAccount }: Waypoint, trustDomain: string): istio.Rule {
  return { from: [{ source: { principals: [principalOf(serviceAccount, trustDomain)] } }] }
}

/**
 * Whether ztunnel denies by default in the Namespace, whatever becomes of one more policy: by "allow nothing" for the
 * whole mesh, or by a guard for the whole Namespace. Then a policy may leave its selector before its own guard stands,
 * and what is missing for that moment is an admission, never a refusal.
 */
export function isClosed(namespace: string, cluster: ClusterSnapshot, { rootNamespace }: Settings): boolean {
  const standing = [
    ...inNamespace(cluster.authorizationPolicies, rootNamespace).filter(({ spec }) => (spec?.rules ?? []).length === 0),
    ...inNamespace(cluster.authorizationPolicies, namespace).filter(isCompanion),
  ]
  return standing.some(
    ({ spec }) =>
      (spec?.action ?? 'ALLOW') === 'ALLOW' &&
      !spec?.selector &&
      !spec?.targetRef &&
      (spec?.targetRefs ?? []).length === 0,
  )
}

/**
 * The rules of a DENY for ztunnel, where the waypoint must not be taken for one of the callers that they mean: by a
 * `not` list, a star, a namespace or an address they could all match it. One condition mends every rule (10.1).
 */
export function sparingWaypoint(rules: istio.Rule[], waypoint: Waypoint, { trustDomain }: Settings): istio.Rule[] {
  const condition = { key: 'source.principal', notValues: [principalOf(waypoint.serviceAccount, trustDomain)] }
  return rules.map(rule => (namesCallersExactly(rule) ? rule : { ...rule, when: [...(rule.when ?? []), condition] }))
}

/** Whether every source is a list of whole principals, which no waypoint happens to be in. */
function namesCallersExactly({ from = [] }: istio.Rule): boolean {
  return (
    from.length > 0 &&
    from.every(
      ({ source: { principals = [], ...others } = {} }) =>
        principals.length > 0 && principals.every(name => !name.includes('*')) && Object.keys(others).length === 0,
    )
  )
}

function directCallerRule({ principals, namespaces, ports }: DirectCaller): istio.Rule {
  return {
    ...(principals || namespaces
      ? { from: [{ source: { ...(principals ? { principals } : {}), ...(namespaces ? { namespaces } : {}) } }] }
      : {}),
    ...(ports ? { to: [{ operation: { ports } }] } : {}),
  }
}
