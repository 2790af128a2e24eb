// ServiceEntry: ztunnel knows its hosts by DNS, but no exportTo and no wildcards, unless a waypoint resolves them
// (`DYNAMIC_DNS`, Istio 1.28; research/policies.md, section 2).
import type * as istio from '../../apis/istio.ts'
import { inspect, listOf } from '../fate.ts'
import { read } from '../shapes.ts'
import { namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientNamespaces, serviceWaypoint } from '../waypoint.ts'

const codes = { type: 'SE-FIELD-TYPE' } as const

/** What is read of the spec. */
export const serviceEntryShape = read({ hosts: listOf('string'), exportTo: listOf('string'), resolution: 'string' })

export function examineServiceEntry(object: istio.ServiceEntry, { cluster, settings, report }: Context): void {
  if (ambientNamespaces(namespaceOf(object), cluster, settings).length === 0) return
  const { spec = {} } = object
  if (!inspect(spec, serviceEntryShape, 'spec', codes, report)) return
  const { hosts = [], exportTo = [], resolution } = spec
  if (exportTo.length > 0 && !exportTo.includes('*')) report('SE-EXPORT-TO', 'spec.exportTo')
  const isResolved = resolution === 'DYNAMIC_DNS' && serviceWaypoint(object, cluster, settings) !== undefined
  for (const [i, host] of hosts.entries())
    if (host.startsWith('*') && !isResolved) report('SE-HOST-WILDCARD', `spec.hosts[${i}]`, { host })
}
