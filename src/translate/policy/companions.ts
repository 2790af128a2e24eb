// What stands beside a policy: the same policy on targets, and for an AuthorizationPolicy its guard at the pods.
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import { companionMetadata, companionName, isCompanion, nameOf, sourceAnnotation, sourceKey } from '../companion.ts'
import { originalAnnotation, restoreOriginal, withField } from '../original.ts'
import type { Report } from '../report.ts'
import { type ByNamespace, byKey, type ClusterSnapshot, keyOf, namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import type { Policy } from './targets.ts'

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
export function twin<P extends Policy>(
  policy: P,
  suffix: string,
  targetRefs: istio.PolicyTargetReference[],
  namespace?: string,
): P {
  return beside(policy, suffix, attached(policy, targetRefs).spec, namespace)
}

/** Evaluated and recorded, but not enforced. */
const dryRunAnnotation = 'istio.io/dry-run'

/** Whether a policy is only tried out, which a CUSTOM cannot be; istiod reads the annotation like any boolean of Go. */
export function isDryRun({ metadata, spec }: Policy): boolean {
  if ((spec as istio.AuthorizationPolicySpec | undefined)?.action === 'CUSTOM') return false
  return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(metadata.annotations?.[dryRunAnnotation] ?? '')
}

/**
 * A companion of the same kind as its source. In another Namespace its name begins with the source's, where no policy of
 * that Namespace can have it.
 */
export function beside<P extends Policy>(policy: P, suffix: string, spec: P['spec'], namespace?: string): P {
  const { apiVersion, kind } = policy
  const own = namespaceOf(policy)
  const isElsewhere = namespace !== undefined && namespace !== own
  const name = companionName(...(isElsewhere ? [own] : []), nameOf(policy), suffix)
  const metadata = companionMetadata(policy, name, isElsewhere ? namespace : undefined)
  const dryRun = policy.metadata.annotations?.[dryRunAnnotation]
  const annotations = { ...metadata.annotations, ...(dryRun === undefined ? {} : { [dryRunAnnotation]: dryRun }) }
  return { apiVersion, kind, metadata: { ...metadata, annotations }, spec } as P
}

/** Whether a companion is there as planned, so that the next step may rest on it. */
export function isInPlace(companion: Policy, cluster: ClusterSnapshot): boolean {
  if (cluster.statuses === 'assumed') return true
  const object = storedOf(companion, cluster)
  return object !== undefined && isCompanion(object) && isEqual(object.spec, companion.spec)
}

/** Reports a companion whose place is taken, by an object that is not ours or by another policy's: never taken over. */
export function checkName<P extends Policy>(
  source: P,
  { policy }: Kept<P>,
  kind: 'AP' | 'RA',
  { cluster, report }: Context,
): void {
  const object = storedOf(policy, cluster)
  if (!object || (isCompanion(object) && object.metadata.annotations?.[sourceAnnotation] === sourceKey(source))) return
  report(`${kind}-COMPANION-FOREIGN`, 'metadata.name', { policy: keyOf(policy) })
}

/** Says what is kept beside a policy, and why: one line for each reason, however many Namespaces it concerns. */
export function reportKept<P extends Policy>(kept: Kept<P>[], kind: 'AP' | 'RA', report: Report): void {
  for (const purpose of new Set(kept.map(each => each.purpose))) {
    const [first, ...others] = kept.filter(each => each.purpose === purpose)
    const more = others.length > 0 ? ` and ${others.length} more` : ''
    if (first) report(`${kind}-COMPANION-KEPT`, 'spec', { policy: `${keyOf(first.policy)}${more}`, purpose })
  }
}

/**
 * What a policy stays as when its surroundings have come to forbid its translation (a Service is gone, say) while it is
 * stored on targets and its author changes nothing: back on its selector it would be enforced less.
 */
export function standing<P extends Policy>(original: P, cluster: ClusterSnapshot): P | undefined {
  const stored = storedOf(original, cluster)
  const record = stored?.metadata.annotations?.[originalAnnotation]
  if (!stored || record === undefined || (stored.spec?.targetRefs ?? []).length === 0) return undefined
  if (!isEqual(restoreOriginal(stored).spec, original.spec)) return undefined
  const annotated = withField(original, ['metadata', 'annotations', originalAnnotation], record)
  return { ...annotated, spec: stored.spec }
}

/** The policy as it is stored under its name. */
export function storedOf<P extends Policy>(policy: P, cluster: ClusterSnapshot): P | undefined {
  const { authorizationPolicies, requestAuthentications } = cluster
  const stored: ByNamespace<Policy> =
    policy.kind === 'AuthorizationPolicy' ? authorizationPolicies : requestAuthentications
  return byKey(stored, keyOf(policy)) as P | undefined
}
