// DestinationRule: what the caller's sidecar did on the way to a host. ztunnel reads none of it. A waypoint does, but only
// what stands in its namespace, the Service's or the root one; gateways go on as before (research/policies.md, section 2).
import type * as istio from '../../apis/istio.ts'
import { inspect, listOf, mapOf } from '../fate.ts'
import { selectsAmbient } from '../gateway-pods.ts'
import type { Report } from '../report.ts'
import { read } from '../shapes.ts'
import { namespaceOf } from '../snapshot.ts'
import type { Context } from '../translation.ts'
import { ambientNamespaces } from '../waypoint.ts'
import { type Destination, destinationOf } from './host.ts'

const codes = { type: 'DR-FIELD-TYPE' } as const

const tls = read({ mode: 'string', clientCertificate: 'string', privateKey: 'string', caCertificates: 'string' })
/** What is read of the spec. */
export const destinationRuleShape = read({
  host: 'string',
  workloadSelector: read({ matchLabels: mapOf('string') }),
  subsets: listOf(read({ name: 'string' })),
  trafficPolicy: read({ tls, portLevelSettings: listOf(read({ tls })) }),
})

export function examineDestinationRule(object: istio.DestinationRule, context: Context): void {
  const { cluster, settings, report } = context
  const namespace = namespaceOf(object)
  if (ambientNamespaces(namespace, cluster, settings).length === 0) return
  const { spec = {} } = object
  if (!inspect(spec, destinationRuleShape, 'spec', codes, report)) return
  const { host = '', trafficPolicy = {}, subsets = [], workloadSelector } = spec
  const isRoot = namespace === settings.rootNamespace
  if (workloadSelector) {
    if (selectsAmbient(namespace, workloadSelector.matchLabels ?? {}, context))
      report('DR-SELECTOR', 'spec.workloadSelector')
    return
  }
  const destination = destinationOf(host, namespace, context)
  // From the root namespace it is for all callers, and they see no change where the host keeps its sidecars.
  if (isRoot && !destination.isAmbient && !destination.isExternal) return
  if (subsets.length > 0 && destination.isAmbient && settings.subsets === 'deny') report('DR-SUBSETS', 'spec.subsets')
  const { portLevelSettings = [], ...whole } = trafficPolicy
  const scope = { host, namespace, isRoot, destination, report }
  examinePolicy(whole, 'spec.trafficPolicy', scope)
  for (const [i, { port: _, ...policy }] of portLevelSettings.entries())
    examinePolicy(policy, `spec.trafficPolicy.portLevelSettings[${i}]`, scope)
}

interface Scope {
  host: string
  namespace: string
  isRoot: boolean
  destination: Destination
  report: Report
}

function examinePolicy({ tls, ...others }: istio.TrafficPolicy, field: string, scope: Scope): void {
  const { host, namespace, isRoot, destination, report } = scope
  const { waypoint, isAmbient } = destination
  const originates = tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL'
  const hasOthers = Object.keys(others).length > 0
  if (isAmbient && tls?.mode === 'ISTIO_MUTUAL') report('DR-TLS-MUTUAL', `${field}.tls.mode`)
  if (isAmbient && tls?.mode === 'DISABLE') report('DR-TLS-DISABLE', `${field}.tls.mode`, { host })
  if (!hasOthers && !originates) return
  if (!waypoint) {
    if (hasOthers) report('DR-WAYPOINT', field, { host })
    if (originates) report('DR-TLS-ORIGINATION', `${field}.tls`, { host })
    return
  }
  const readers = [waypoint.namespace, destination.namespace ?? namespace]
  if (!isRoot && !readers.includes(namespace)) {
    report('DR-NAMESPACE', field, { host, namespace })
    return
  }
  const { clientCertificate, privateKey, caCertificates } = tls ?? {}
  const files = [clientCertificate, privateKey, caCertificates].filter(file => file && file !== 'system')
  if (originates && files.length > 0) report('DR-TLS-FILES', `${field}.tls`, { host })
}
