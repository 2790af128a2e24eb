// WorkloadEntry and WorkloadGroup: a virtual machine is in the mesh by its own sidecar, which ambient has no other form of.
// An entry without identity is an address behind a ServiceEntry, and stays one (research/policies.md, section 2).
import type * as istio from '../../apis/istio.ts'
import { inspect } from '../fate.ts'
import { read } from '../shapes.ts'
import { namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientNamespaces } from '../waypoint.ts'

const codes = { type: 'WE-FIELD-TYPE' } as const

/** istiod writes it on the entries that machines register themselves by. */
const groupAnnotation = 'istio.io/autoRegistrationGroup'

/** What is read of the spec of an entry. */
export const workloadEntryShape = read({ serviceAccount: 'string' })

export function examineWorkloadEntry(object: istio.WorkloadEntry, { cluster, settings, report }: Context): void {
  if (ambientNamespaces(namespaceOf(object), cluster, settings).length === 0) return
  const { metadata, spec = {} } = object
  if (!inspect(spec, workloadEntryShape, 'spec', codes, report)) return
  if (spec.serviceAccount) report('WE-VM', 'spec.serviceAccount')
  else if (metadata.annotations?.[groupAnnotation]) report('WE-VM', `metadata.annotations[${groupAnnotation}]`)
}

export function examineWorkloadGroup(object: istio.WorkloadGroup, { cluster, settings, report }: Context): void {
  if (ambientNamespaces(namespaceOf(object), cluster, settings).length > 0) report('WE-VM', 'spec')
}
