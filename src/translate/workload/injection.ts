// Who gets a sidecar, and who was meant to get none. istiod's webhooks are picked by labels; the annotation only ever keeps a
// sidecar away (pkg/kube/inject/inject.go, `injectRequired`; manifests' mutatingwebhook.yaml, `object.` and `rev.object.`).
import { revisionLabel } from '../companion.ts'
import { isSelected } from '../labels.ts'
import { inNamespace, type Workload } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { dataplaneModeLabel } from '../waypoint.ts'
import type { Examined } from './index.ts'
import { refusalsAt } from './refusals.ts'

export const injectKey = 'sidecar.istio.io/inject'

export function checkInjection({ pod, labels, annotations, fieldOf }: Examined, context: Context): void {
  const { cluster, report } = context
  const said = labels[injectKey] ?? annotations[injectKey]
  const field = fieldOf(`metadata.${labels[injectKey] === undefined ? 'annotations' : 'labels'}[${injectKey}]`)
  // `disabled` on the Namespace keeps both webhooks away; `enabled` goes when it becomes ambient.
  const { 'istio-injection': ofNamespace = 'enabled' } = cluster.namespaces.get(pod.namespace)?.metadata.labels ?? {}
  if (ofNamespace === 'enabled') {
    if (labels[injectKey] === 'true') report('POD-INJECT-TRUE', field)
    if (labels[revisionLabel] !== undefined && said !== 'false')
      report('POD-INJECT-REVISION', fieldOf(`metadata.labels[${revisionLabel}]`))
  }
  if (said !== 'false' || pod.isOptedOut || labels[dataplaneModeLabel] === 'ambient') return
  const refusals = isCalled(pod, context) ? refusalsAt(pod, undefined, context) : undefined
  if (refusals) report('POD-INJECT-REFUSED', field, { refusals })
  else report('POD-INJECT-FALSE', field)
}

/** Whether somebody may call the pod: it names a port, or a Service leads to it. */
function isCalled({ namespace, labels, ports }: Workload, { cluster }: Context): boolean {
  const services = inNamespace(cluster.services, namespace)
  return ports.length > 0 || services.some(({ spec: { selector } = {} }) => selector && isSelected(labels, selector))
}
