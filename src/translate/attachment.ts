// Policies on targets instead of selectors: what AuthorizationPolicy and RequestAuthentication share.
import type * as istio from '../apis/istio.ts'
import { isEqual } from './canonical.ts'
import { companionMetadata, companionName, isCompanion, nameOf } from './companion.ts'
import type { Report } from './report.ts'
import { type ByNamespace, byKey, type ClusterSnapshot } from './snapshot.ts'

type Policy = istio.AuthorizationPolicy | istio.RequestAuthentication

/** A policy that is kept beside another, and why, as its author reads it. */
export interface Kept<P extends Policy> {
  policy: P
  purpose: string
}

/** What a policy becomes: the policy, and what stands beside it in the order of applying. */
export interface Outcome<P extends Policy> {
  policy: P
  kept: Kept<P>[]
}

/** The policy on targets instead of a selector; the CRD allows only one of the two. */
export function attached<P extends Policy>(policy: P, targetRefs: istio.PolicyTargetReference[]): P {
  const { selector: _, targetRef: __, ...spec } = policy.spec
  return { ...policy, spec: { ...spec, targetRefs } }
}

/** The same policy attached elsewhere, under a name that says where. */
export function twin<P extends Policy>(policy: P, suffix: string, targetRefs: istio.PolicyTargetReference[]): P {
  return beside(policy, suffix, attached(policy, targetRefs).spec)
}

/** A companion of the same kind as its source. */
export function beside<P extends Policy>(policy: P, suffix: string, spec: P['spec']): P {
  const { apiVersion, kind } = policy
  return { apiVersion, kind, metadata: companionMetadata(policy, companionName(nameOf(policy), suffix)), spec } as P
}

/** Whether a companion is there as planned, so that the next step may rest on it. */
export function isInPlace<P extends Policy>(companion: P, there: ByNamespace<P>, cluster: ClusterSnapshot): boolean {
  if (cluster.statuses === 'assumed') return true
  const { namespace = 'default', name = '' } = companion.metadata
  const object = there.get(namespace)?.get(name)
  return object !== undefined && isCompanion(object) && isEqual(object.spec, companion.spec)
}

/** Reports a companion whose place is taken by an object that is not ours: it is never taken over. */
export function checkPlace<P extends Policy>(
  { policy }: Kept<P>,
  kind: 'AP' | 'RA',
  there: ByNamespace<P>,
  report: Report,
): void {
  const object = byKey(there, keyOf(policy))
  if (object && !isCompanion(object)) report(`${kind}-COMPANION-FOREIGN`, 'metadata.name', { policy: keyOf(policy) })
}

/** Says what is kept beside a policy, and why. */
export function reportKept<P extends Policy>({ policy, purpose }: Kept<P>, kind: 'AP' | 'RA', report: Report): void {
  report(`${kind}-COMPANION-KEPT`, 'spec', { policy: keyOf(policy), purpose })
}

function keyOf({ metadata: { namespace = 'default', name = '' } }: Policy): string {
  return `${namespace}/${name}`
}
