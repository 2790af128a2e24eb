// Names of targets and lists, and why a policy stays as it is.
import { isL4 } from '../authorization-policy/attributes.ts'
import { isRecord } from '../fate.ts'
import { labelsText } from '../labels.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import type { Place, Policy, Target } from '../policy/targets.ts'
import type { Diagnostic } from '../report.ts'
import type { Settings } from '../settings.ts'
import { namespaceOf } from '../snapshot.ts'
import { dataplaneModeLabel } from '../waypoint.ts'
import type { Subject } from './index.ts'

/** What a policy is for, by its fields, and with its target more exactly. The fields of a denied one may be anything. */
export function appliesTo(policy: Policy, { rootNamespace }: Settings, target?: Target): string {
  const spec: Record<string, unknown> = isRecord(policy.spec) ? policy.spec : {}
  const refs = [spec.targetRefs, spec.targetRef].flat().filter(isRecord)
  if (refs.length > 0 && (!target || target.kind === 'given'))
    return listText(refs.map(({ kind, name }) => `${kind} ${name}`))
  const labels = selectorText(policy)
  if (target?.kind === 'ingress')
    return `the ingress: pods with ${labels}, and Gateway ${gatewayOf(target.mapping).key}`
  const isRoot = namespaceOf(policy) === rootNamespace
  if (isRoot) return labels ? `pods with ${labels} of every Namespace` : 'every workload of the mesh'
  return podsOf({ namespace: namespaceOf(policy), labels })
}

/** `pods with app=web of Namespace team-a`, or `every pod of Namespace team-a` */
export function podsOf(place: Pick<Place, 'namespace'> & ({ labels: string } | Pick<Place, 'selector'>)): string {
  const labels = 'labels' in place ? place.labels : labelsText(place.selector)
  return labels ? `pods with ${labels} of Namespace ${place.namespace}` : `every pod of Namespace ${place.namespace}`
}

/** The labels of a policy's selector, `app=web,tier=front`. */
export function selectorText({ spec }: Policy): string {
  const selector: unknown = isRecord(spec) ? spec.selector : undefined
  const labels = isRecord(selector) ? selector.matchLabels : undefined
  return isRecord(labels) ? labelsText(labels) : ''
}

/** Why sidestep makes nothing of a policy, in the place of the finding that says so. */
export function whyUnchanged({ policy, target, cluster }: Subject, diagnostics: Diagnostic[]): string {
  const said = diagnostics.find(({ code }) => /^(AP|RA)-(WORKLOAD-NONE|GUARD-GIVEN|GATEWAY-UNMAPPED)$/.test(code))
  if (said) return said.message
  const namespace = namespaceOf(policy)
  switch (target.kind) {
    case 'given':
      return 'its author wrote its targets, which stay'
    case 'outside': {
      const isOut = cluster.namespaces.get(namespace)?.metadata.labels?.[dataplaneModeLabel] === 'none'
      return isOut
        ? `Namespace ${namespace} stays out of ambient, by its label ${dataplaneModeLabel}: none`
        : `no rule of the settings makes Namespace ${namespace} ambient`
    }
    default:
      return isForZtunnel(policy)
        ? 'ztunnel can check all of it, and no waypoint comes between'
        : 'ztunnel cannot check all of it, and no Service is known at which a waypoint would'
  }
}

function isForZtunnel(policy: Policy): boolean {
  if (policy.kind === 'RequestAuthentication') return false
  const { action = 'ALLOW', rules = [] } = policy.spec
  return (action === 'ALLOW' || action === 'DENY') && rules.every(isL4)
}

/** `a, b and c`; of many only some. */
export function listText(names: readonly string[], most = 6): string {
  const shown = names.length > most ? [...names.slice(0, most), `${names.length - most} more`] : names
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`
}

export function count(items: readonly unknown[], noun: string): string {
  return `${items.length} ${noun}${items.length === 1 ? '' : 's'}`
}
