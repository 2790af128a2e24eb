// What refuses callers of a pod that no sidecar protected: the policies that ztunnel enforces as soon as it is captured.
import type * as istio from '../../apis/istio.ts'
import { authorizationPolicyFates } from '../authorization-policy/fates.ts'
import { inspect } from '../fate.ts'
import { isSelected } from '../labels.ts'
import { modeOf, policiesFor } from '../peer-authentication/levels.ts'
import { isDryRun } from '../policy/companions.ts'
import { createReport } from '../report.ts'
import { inNamespace, keyOf, type Workload } from '../snapshot.ts'
import type { Context } from '../translation.ts'

type Pod = Pick<Workload, 'namespace' | 'labels'>

/**
 * Who refuses whom at a pod, or at one port of it, in words; undefined when everybody gets in as before.
 * Of several policies one is named: whoever reads it looks at the others then.
 */
export function refusalsAt(pod: Pod, port: number | undefined, context: Context): string | undefined {
  const policies = policiesOf(pod, context)
  const denying = policies.find(({ spec }) => spec.action === 'DENY' && (spec.rules ?? []).length > 0)
  const allowing = policies.filter(({ spec }) => (spec.action ?? 'ALLOW') === 'ALLOW')
  const [first] = allowing
  if (first && !allowing.some(({ spec }) => (spec.rules ?? []).some(rule => admitsAll(rule, port)))) {
    const nearest = allowing.find(({ spec }) => (spec.rules ?? []).length > 0) ?? first
    const whom = nearest.spec.rules?.length ? 'all whom it does not name' : 'all callers'
    return `AuthorizationPolicy ${keyOf(nearest)} refuses ${whom}`
  }
  if (denying) return `AuthorizationPolicy ${keyOf(denying)} refuses whom it names`
  const levels = policiesFor(pod, context.cluster, context.settings)
  if (modeOf(levels, port) !== 'STRICT') return undefined
  const strict = levels.find(level => modeOf([level], port) === 'STRICT')
  return strict && `PeerAuthentication ${keyOf(strict)} refuses callers without mTLS`
}

/** The policies that ztunnel asks for a pod; those with targets are for waypoints and gateways. */
function policiesOf(
  { namespace, labels }: Pod,
  { cluster, settings: { rootNamespace } }: Context,
): istio.AuthorizationPolicy[] {
  return [...new Set([namespace, rootNamespace])]
    .flatMap(name => inNamespace(cluster.authorizationPolicies, name))
    .filter(policy => {
      if (!isReadable(policy) || isDryRun(policy)) return false
      const { selector, targetRef, targetRefs = [] } = policy.spec
      return !targetRef && targetRefs.length === 0 && isSelected(labels, selector?.matchLabels ?? {})
    })
}

const silent = createReport({ severities: {} })

function isReadable({ spec }: istio.AuthorizationPolicy): boolean {
  return inspect(spec, authorizationPolicyFates, 'spec', { type: 'AP-FIELD-TYPE' }, silent)
}

/** Whether a rule admits whoever comes, to this port. */
function admitsAll({ from = [], to = [], when = [] }: istio.Rule, port: number | undefined): boolean {
  if (from.length > 0 || when.length > 0) return false
  return (
    to.length === 0 ||
    to.some(({ operation = {} }) =>
      Object.entries(operation).every(
        ([name, values]) => name === 'ports' && port !== undefined && (values as string[]).includes(String(port)),
      ),
    )
  )
}
