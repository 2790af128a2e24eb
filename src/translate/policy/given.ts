// A policy whose author wrote its targets: they stay, in the form that is not deprecated, and what Istio would ignore
// without a word is said (research/policies.md 4 and 6).
import { namespaceOf } from '../snapshot.ts'
import { targetsOf, whyInvalid, whyUnbound } from '../target-refs.ts'
import type { Context } from '../translation.ts'
import type { Policy } from './targets.ts'

/** The policy with `targetRefs` in place of the singular. Targets that cannot be, or that nobody serves, are reported. */
export function checkGiven<P extends Policy>(policy: P, kind: 'AP' | 'RA', context: Context): P {
  const { targetRef, targetRefs = [] } = policy.spec
  const { cluster, settings, report } = context
  const own = namespaceOf(policy)
  const targets = targetsOf(policy.spec)
  const count = String(targets.length)
  if (targets.length > 16) report(`${kind}-TARGETS-LIMIT`, targetRef ? 'spec.targetRef' : 'spec.targetRefs', { count })
  for (const { ref, field, target } of targets) {
    const invalid = whyInvalid(ref, own, settings)
    const unbound = invalid ? undefined : whyUnbound(ref, own, cluster, settings)
    if (invalid) report(`${kind}-TARGET-INVALID`, field, { target, why: invalid })
    if (unbound) report(`${kind}-TARGET-UNBOUND`, field, { target, why: unbound })
  }
  if (!targetRef || targetRefs.length > 0) return policy
  const { targetRef: _, ...spec } = policy.spec
  return { ...policy, spec: { ...spec, targetRefs: [targetRef] } }
}
