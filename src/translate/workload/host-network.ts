// A pod on its host's network never had a sidecar and is never captured: it calls without an identity, before as after.
import { principalOf } from '../identities.ts'
import { inNamespace, keyOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import type { Examined } from './index.ts'

/** Reports a policy that names the pod's service account, which it will never see. */
export function checkHostNetwork({ pod, spec, fieldOf }: Examined, { cluster, settings, report }: Context): void {
  if (!spec.hostNetwork) return
  const names = [pod.serviceAccount, principalOf(pod.serviceAccount, settings.trustDomain)]
  const namespaces = [...cluster.authorizationPolicies.keys()].sort()
  const policies = namespaces.flatMap(namespace => inNamespace(cluster.authorizationPolicies, namespace))
  // The text is enough: a service account stands nowhere else in a rule.
  const policy = policies.find(({ spec }) => {
    const rules = JSON.stringify(spec?.rules ?? [])
    return names.some(name => rules.includes(JSON.stringify(name)))
  })
  if (policy)
    report('POD-HOST-NETWORK', fieldOf('spec.hostNetwork'), { policy: `AuthorizationPolicy ${keyOf(policy)}` })
}
