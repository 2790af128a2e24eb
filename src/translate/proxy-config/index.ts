// ProxyConfig: how a proxy starts. Pods in ambient have none; gateways and waypoints have (research/policies.md, section 2).
import type * as istio from '../../apis/istio.ts'
import { inspect } from '../fate.ts'
import { selectsAmbient } from '../gateway-pods.ts'
import { namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientNamespaces } from '../waypoint.ts'
import { proxyConfigFates, shapeCodes } from './fates.ts'

export function examineProxyConfig(object: istio.ProxyConfig, context: Context): void {
  const { cluster, settings, report } = context
  const namespace = namespaceOf(object)
  if (ambientNamespaces(namespace, cluster, settings).length === 0) return
  const { spec = {} } = object
  if (!inspect(spec, proxyConfigFates, 'spec', shapeCodes, report)) return
  const labels = spec.selector?.matchLabels ?? {}
  if (Object.keys(labels).length === 0) report('PC-PROXIES', 'spec')
  else if (selectsAmbient(namespace, labels, context)) report('PC-SELECTOR', 'spec.selector')
}
