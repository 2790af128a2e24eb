// The labels of a Namespace that make istiod inject sidecars (research/policies.md, section 3).
import type { Namespace } from '../../apis/core.ts'
import type * as gateway from '../../apis/gateway.ts'
import { revisionLabel } from '../companion.ts'
import { withField } from '../original.ts'
import type { Report } from '../report.ts'

const injectionLabel = 'istio-injection'

/** The label that puts sidecars into new pods, as `name=value`. With `istio-injection` set, the revision injects nothing. */
export function injectionOf(labels: Record<string, string>): string | undefined {
  if (labels[injectionLabel] === 'enabled') return `${injectionLabel}=enabled`
  const revision = labels[revisionLabel]
  return labels[injectionLabel] === undefined && revision !== undefined ? `${revisionLabel}=${revision}` : undefined
}

/**
 * The Namespace without both: a pod with a sidecar is left out of ambient. The revision goes over to the waypoint, whose
 * Gateway carries it to say which istiod runs it.
 */
export function withoutInjection(
  namespace: Namespace,
  waypoint: gateway.Gateway | undefined,
  report: Report,
): Namespace {
  const labels = namespace.metadata.labels ?? {}
  let without = namespace
  if (labels[injectionLabel] === 'enabled') {
    report('NS-INJECTION-REMOVED', `metadata.labels[${injectionLabel}]`, { label: `${injectionLabel}=enabled` })
    without = withField(without, ['metadata', 'labels', injectionLabel], undefined)
  }
  const revision = labels[revisionLabel]
  if (revision !== undefined) {
    const field = `metadata.labels[${revisionLabel}]`
    const label = `${revisionLabel}=${revision}`
    if (waypoint) {
      const { namespace: place, name } = waypoint.metadata
      report('NS-REVISION-MOVED', field, { label, gateway: `${place}/${name}` })
    } else report('NS-INJECTION-REMOVED', field, { label })
    without = withField(without, ['metadata', 'labels', revisionLabel], undefined)
  }
  return without
}
