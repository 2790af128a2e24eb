// Namespace: sidecar injection off, ambient on, and the waypoint that serves it (research/policies.md, section 3).
// Being served by a waypoint comes last: from then on pods see the waypoint as their caller, so every policy has to be
// where it will be enforced before (design.md section 5).
import type { KubernetesObject, Namespace } from '../../apis/core.ts'
import type * as gateway from '../../apis/gateway.ts'
import { translateAuthorizationPolicy } from '../authorization-policy/index.ts'
import { isEqual } from '../canonical.ts'
import { companionMetadata, isCompanion } from '../companion.ts'
import { restoreOriginal, withField } from '../original.ts'
import { createReport, type Report } from '../report.ts'
import { translateRequestAuthentication } from '../request-authentication/index.ts'
import type { Settings, WaypointRule } from '../settings.ts'
import { type ClusterSnapshot, inNamespace } from '../snapshot.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import {
  dataplaneModeLabel,
  ingressUseWaypointLabel,
  namespaceRule,
  useWaypointLabel,
  useWaypointNamespaceLabel,
  waypointAt,
  waypointClass,
} from '../waypoint.ts'

const injectionLabel = 'istio-injection'
const revisionLabel = 'istio.io/rev'
/** istio-cni leaves out kube-system only; the others hold what ambient itself runs on. */
const systemNamespaces = ['kube-system', 'kube-public', 'kube-node-lease']

export function translateNamespace(
  object: Namespace,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<Namespace> {
  const report = createReport(settings)
  const original = restoreOriginal(object)
  const { name = '', labels = {} } = original.metadata
  const mode = labels[dataplaneModeLabel]
  const isSystem = name === settings.rootNamespace || systemNamespaces.includes(name)
  const modeField = `metadata.labels[${dataplaneModeLabel}]`
  if (mode !== undefined && mode !== 'ambient' && mode !== 'none')
    report('NS-DATAPLANE-MODE-UNKNOWN', modeField, { mode: mode.slice(0, 40) || '""' })
  if (mode === 'ambient' && isSystem) report('NS-DATAPLANE-MODE-SYSTEM', modeField, { namespace: name })
  const rule = namespaceRule(name, labels, settings)
  if (!rule || isSystem) return leave(original, report)
  if (mode === 'none') {
    report('NS-DATAPLANE-MODE-NONE', modeField)
    return leave(original, report)
  }
  const sidecars = inNamespace(cluster.workloads, name).filter(({ state }) => state === 'sidecar').length
  if (sidecars > 0) report('NS-SIDECARS-RUNNING', 'metadata.labels', { count: String(sidecars) })
  if (report.untranslatable) return leave(original, report)

  const captured = withoutInjection(withLabel(original, dataplaneModeLabel, rule.dataplaneMode), report)
  const { waypoint } = rule
  const companions = waypoint ? waypointGateways(original, waypoint, cluster, report) : []
  return conclude(
    original,
    waypoint ? enrolled(captured, waypoint, cluster, settings, report) : captured,
    companions,
    report,
  )
}

/** Both labels inject sidecars into new pods, and a pod with a sidecar is left out of ambient. */
function withoutInjection(namespace: Namespace, report: Report): Namespace {
  const labels = namespace.metadata.labels ?? {}
  let without = namespace
  if (labels[injectionLabel] === 'enabled') {
    report('NS-INJECTION-REMOVED', `metadata.labels[${injectionLabel}]`, { label: `${injectionLabel}=enabled` })
    without = withLabel(without, injectionLabel, undefined)
  }
  const revision = labels[revisionLabel]
  if (revision !== undefined) {
    report('NS-INJECTION-REMOVED', `metadata.labels[${revisionLabel}]`, { label: `${revisionLabel}=${revision}` })
    without = withLabel(without, revisionLabel, undefined)
  }
  return without
}

/** The waypoint's labels, once every policy of the Namespace is where the waypoint will ask it. */
function enrolled(
  namespace: Namespace,
  waypoint: WaypointRule,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): Namespace {
  if (waypoint.services !== 'all') return namespace
  const { name = '', labels = {} } = namespace.metadata
  const chosen = labels[useWaypointLabel]
  if (chosen !== undefined) {
    report('NS-WAYPOINT-KEPT', `metadata.labels[${useWaypointLabel}]`, { waypoint: chosen })
    return namespace
  }
  // Once served it stays served: taking the waypoint away would cut off everybody whom its policies admit.
  const isServed = cluster.namespaces.get(name)?.metadata.labels?.[useWaypointLabel] === waypoint.name
  const missing = isServed ? undefined : missingForEnrolment(namespace, waypoint, cluster, settings)
  if (missing) {
    report('NS-WAYPOINT-PENDING', 'metadata.labels', {
      waypoint: `${waypoint.namespace ?? name}/${waypoint.name}`,
      missing,
    })
    return namespace
  }
  let served = withLabel(namespace, useWaypointLabel, waypoint.name)
  if (waypoint.namespace && waypoint.namespace !== name)
    served = withLabel(served, useWaypointNamespaceLabel, waypoint.namespace)
  return waypoint.ingressUseWaypoint ? withLabel(served, ingressUseWaypointLabel, 'true') : served
}

/** What still has to be in place before traffic may pass the waypoint; undefined when nothing is missing. */
export function missingForEnrolment(
  namespace: Namespace,
  rule: WaypointRule,
  observed: ClusterSnapshot,
  settings: Settings,
): string | undefined {
  if (observed.statuses === 'assumed') return undefined
  const { name = '' } = namespace.metadata
  // The policies are judged as they will be once the Namespace is stored like this.
  const cluster = { ...observed, namespaces: new Map(observed.namespaces).set(name, namespace) }
  const waypoint = waypointAt(rule.namespace ?? name, rule.name, cluster)
  if (!waypoint.isProgrammed) return `Gateway ${waypoint.namespace}/${waypoint.name}`
  const policies = inNamespace(cluster.authorizationPolicies, name).filter(policy => !isCompanion(policy))
  for (const policy of policies) {
    const { object, companions, denial } = translateAuthorizationPolicy(policy, cluster, settings)
    const isSettled = !denial && isEqual(object.spec, policy.spec) && companions.every(each => isThere(each, cluster))
    if (!isSettled) return `AuthorizationPolicy ${policy.metadata.name}`
  }
  const tokens = inNamespace(cluster.requestAuthentications, name).filter(policy => !isCompanion(policy))
  const waiting = tokens.find(
    policy => !isEqual(translateRequestAuthentication(policy, cluster, settings).object.spec, policy.spec),
  )
  return waiting && `RequestAuthentication ${waiting.metadata.name}`
}

function isThere({ metadata }: KubernetesObject, cluster: ClusterSnapshot): boolean {
  const { namespace = '', name = '' } = metadata
  return cluster.authorizationPolicies.get(namespace)?.has(name) ?? false
}

/** The waypoint itself, when the settings leave it to sidestep and nobody else has made one. */
function waypointGateways(
  namespace: Namespace,
  { name, namespace: itsNamespace, create }: WaypointRule,
  cluster: ClusterSnapshot,
  report: Report,
): gateway.Gateway[] {
  const own = namespace.metadata.name ?? ''
  if (!create || (itsNamespace && itsNamespace !== own)) return []
  const there = cluster.gateways.get(own)?.get(name)
  if (there && !isCompanion(there)) return []
  report('NS-COMPANION-KEPT', 'metadata.labels', { gateway: `${own}/${name}` })
  const metadata = companionMetadata(namespace, name)
  return [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: { ...metadata, labels: { ...metadata.labels, 'istio.io/waypoint-for': 'service' } },
      spec: {
        gatewayClassName: waypointClass,
        listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { namespaces: { from: 'Same' } } }],
      },
    },
  ]
}

function withLabel(namespace: Namespace, label: string, value: string | undefined): Namespace {
  return withField(namespace, ['metadata', 'labels', label], value)
}
