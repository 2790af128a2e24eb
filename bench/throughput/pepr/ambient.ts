// The same rewrite as an author of a pepr module would write it.
import { a, Capability, type PeprMutateRequest, RegisterKind } from 'pepr'

class VirtualService extends a.GenericKind {}
RegisterKind(VirtualService, {
  group: 'networking.istio.io',
  version: 'v1',
  kind: 'VirtualService',
  plural: 'virtualservices',
})

// pepr marks what it has seen with this name, see peprMark in ../payloads.ts.
export const Ambient = new Capability({ name: 'ambient', description: 'Moves objects from sidecars to ambient' })
const { When } = Ambient

const originalAnnotation = 'sidestep.dev/original'

When(VirtualService)
  .IsCreatedOrUpdated()
  .Mutate(request => rewriteLabels(request, { 'istio.io/rev': 'sidestep-parked' }))

When(a.Namespace)
  .IsCreatedOrUpdated()
  .WithLabel('app.kubernetes.io/part-of', 'kubeflow-profile')
  .Mutate(request => rewriteLabels(request, { 'istio-injection': undefined, 'istio.io/dataplane-mode': 'ambient' }))

type Request = PeprMutateRequest<a.GenericKind>

/** Sets labels, or removes those without a value, and records what stood there (src/translate/original.ts has the form). */
function rewriteLabels(request: Request, wanted: Record<string, string | undefined>): void {
  const labels = request.Raw.metadata?.labels ?? {}
  const record: Record<string, { was?: string; wrote?: string }> = {}
  for (const [label, value] of Object.entries(wanted)) {
    const was = labels[label]
    if (was === value) continue
    record[`metadata/labels/${label}`] = {
      ...(was === undefined ? {} : { was }),
      ...(value === undefined ? {} : { wrote: digest(value) }),
    }
    if (value === undefined) request.RemoveLabel(label)
    else request.SetLabel(label, value)
  }
  if (Object.keys(record).length > 0) request.SetAnnotation(originalAnnotation, JSON.stringify(record))
}

/** The digest of src/translate/canonical.ts: FNV-1a of the JSON text, with two seeds. */
function digest(value: string): string {
  const text = JSON.stringify(value)
  return fnv1a(text, 0x811c9dc5) + fnv1a(text, 0x01000193)
}

function fnv1a(text: string, seed: number): string {
  let hash = seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}
