// Pods and pod templates: what was written for sidecars, and what it means to ztunnel (research/policies.md, section 2,
// "Injection-era pod metadata"). Nothing is rewritten here: a template belongs to its author, and pods restart for it.
import type * as core from '../../apis/core.ts'
import { inspect } from '../fate.ts'
import { namespaceOf, type Workload } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientRule, dataplaneModeLabel } from '../waypoint.ts'
import { checkCalls } from './calls.ts'
import { checkHostNetwork } from './host-network.ts'
import { checkInjection } from './injection.ts'
import { podShape } from './shape.ts'
import { checkSidecarSettings } from './sidecar-settings.ts'
import { isMadeFromTemplate, shapeAt, templateOf, workloadOf } from './template.ts'
import { checkTraffic } from './traffic.ts'

/** A pod as its author wrote it, and where its parts stand. */
export interface Examined {
  pod: Workload
  labels: Record<string, string>
  annotations: Record<string, string>
  spec: core.PodSpec
  /** The path of a part, such as `spec.template.metadata.labels[app]`. */
  fieldOf(part: string): string
}

export function examineWorkload(object: core.KubernetesObject, context: Context): void {
  const { cluster, settings, report } = context
  if (!ambientRule(namespaceOf(object), cluster, settings) || isMadeFromTemplate(object)) return
  if (!inspect(object, shapeAt(object, podShape), '', { type: 'POD-FIELD-TYPE' }, report)) return
  const written = templateOf(object)
  const pod = workloadOf(object)
  // A gateway is no application. Of a Pod that runs a sidecar its Namespace says so.
  if (!written || !pod || pod.state === 'gateway' || pod.state === 'sidecar') return
  const { template, field } = written
  const { labels = {}, annotations = {} } = template.metadata ?? {}
  const examined: Examined = {
    pod,
    labels,
    annotations,
    spec: template.spec ?? {},
    fieldOf: part => (field ? `${field}.${part}` : part),
  }
  const mode = labels[dataplaneModeLabel]
  if (mode !== undefined && mode !== 'ambient' && mode !== 'none')
    report('POD-DATAPLANE-MODE', examined.fieldOf(`metadata.labels[${dataplaneModeLabel}]`), {
      mode: mode.slice(0, 40) || '""',
    })
  checkInjection(examined, context)
  if (!pod.isOptedOut) checkTraffic(examined, context)
  checkHostNetwork(examined, context)
  checkCalls(examined, report)
  checkSidecarSettings(examined, report)
}
