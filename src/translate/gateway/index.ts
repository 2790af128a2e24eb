// Istio Gateway -> Kubernetes Gateway beside it, where the settings say `create: true` (docs/mapping.md).
// The Istio Gateway itself is never changed and never refused: on its old pods it goes on serving what is not parked.
// Either all servers of a mapping are translated or none: a Gateway that lacks one refuses its clients.
import type * as istio from '../../apis/istio.ts'
import { nameOf } from '../companion.ts'
import { createReport } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import { planOf } from './plan.ts'

export function translateGateway(
  object: istio.Gateway,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<istio.Gateway> {
  const key = `${namespaceOf(object)}/${nameOf(object)}`
  const mapping = settings.gateways.find(({ create, istioGateways }) => create && istioGateways.includes(key))
  if (!mapping) return leave(object)
  const report = createReport(settings)
  const { source, companions, refused } = planOf(mapping, cluster, { key, istioGateway: object, report })
  if (refused && !report.untranslatable) report('GW-COMPANION-REFUSED', 'spec', { source: refused.key })
  if (report.untranslatable) return leave(object, report)
  const { gateway, addresses } = mapping
  if (source && source.key !== key) {
    report('GW-COMPANION-SHARED', 'spec', { gateway, source: source.key })
    return leave(object, report)
  }
  const pods = addresses ? `the pods of ${addresses.join(' and ')}` : 'pods and an address of its own'
  report('GW-COMPANION-KEPT', 'spec', { gateway, pods })
  return conclude(object, object, companions, report)
}
