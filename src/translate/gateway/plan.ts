// What one mapping asks for, of all its Istio Gateways together: they share one Kubernetes Gateway.
import type { KubernetesObject } from '../../apis/core.ts'
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { companionMetadata, infrastructureAnnotations, isCompanion } from '../companion.ts'
import { isSelected } from '../labels.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { modeFor } from '../mode.ts'
import { createReport, type Report } from '../report.ts'
import type { GatewayMapping } from '../settings.ts'
import { byKey, type ClusterSnapshot } from '../snapshot.ts'
import { allowedRoutes, listenersOf, type PlannedListener, type Source } from './listeners.ts'
import { redirectRoute } from './redirect.ts'

export interface Plan {
  /** The Istio Gateway that the companions are kept for: the first of the mapping that is there. */
  source: Source | undefined
  listeners: PlannedListener[]
  companions: KubernetesObject[]
  /** The first Istio Gateway of which something cannot be translated; with one, nothing is kept. */
  refused: Source | undefined
}

/**
 * Plans a mapping. One of its Istio Gateways may be given as it is about to be stored, with a report for what is found in
 * it; what is found in the others is for their own translation to say.
 */
export function planOf(
  mapping: GatewayMapping,
  cluster: ClusterSnapshot,
  given?: { key: string; istioGateway: istio.Gateway; report: Report },
): Plan {
  const sources = mapping.istioGateways.flatMap((key): Source[] => {
    if (key === given?.key) return [given]
    const istioGateway = byKey(cluster.istioGateways, key)
    if (!istioGateway || modeFor(istioGateway, cluster, { mode: 'enforce' }) === 'off') return []
    return [{ key, istioGateway, report: createReport({ severities: {} }) }]
  })
  const listeners = listenersOf(sources, mapping, cluster)
  for (const source of sources) checkPods(source, listeners, mapping)
  const [source] = sources
  if (listeners.length > 64) source?.report('GW-LISTENERS-LIMIT', 'spec.servers', { count: String(listeners.length) })
  const isWhole = !sources.some(({ report }) => report.untranslatable)
  const companions = source && isWhole ? companionsOf(source, sources.length, listeners, mapping) : []
  for (const companion of companions) checkPlace(companion, cluster, source?.report)
  return { source, listeners, companions, refused: sources.find(({ report }) => report.untranslatable) }
}

/** What the new pods are to others: to the old selector, which must not pick them, and to policies, which must know them. */
function checkPods({ istioGateway, report }: Source, listeners: PlannedListener[], mapping: GatewayMapping): void {
  const { addresses, labels = {}, serviceAccounts, gatewayClassName = 'istio' } = mapping
  if (report.untranslatable) return
  // On the old pods Istio merges plain HTTP servers with listeners, and of all others serves the older one only.
  const isShared = addresses
    ? listeners.some(({ listener }) => listener.protocol !== 'HTTP')
    : isSelected(labels, istioGateway.spec.selector ?? {})
  if (isShared) report('GW-SELECTOR-PODS', 'spec.selector', { gateway: mapping.gateway })
  // `GetDefaultName` (istio/istio pilot/pkg/config/kube/gatewaycommon).
  const account = `${mapping.gateway}-${gatewayClassName}`
  if (!addresses && !serviceAccounts.new.includes(account)) report('GW-SERVICE-ACCOUNT', 'spec.selector', { account })
}

/** The Kubernetes Gateway, and an HTTPRoute for each of its listeners that redirects. */
function companionsOf(
  { istioGateway, report }: Source,
  sourceCount: number,
  listeners: PlannedListener[],
  mapping: GatewayMapping,
): KubernetesObject[] {
  const { gatewayClassName = 'istio', labels, addresses } = mapping
  const { namespace, name } = gatewayOf(mapping)
  const metadata = (itsName: string) => {
    const { ownerReferences, ...rest } = companionMetadata(istioGateway, itsName, namespace)
    // With several sources nobody owns it: its address must not go because the first of them does.
    return { ...rest, ...(ownerReferences && sourceCount === 1 ? { ownerReferences } : {}) }
  }
  const kubernetesGateway: gateway.Gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: metadata(name),
    spec: {
      gatewayClassName,
      ...(addresses
        ? { addresses: addresses.map(value => ({ type: 'Hostname', value })) }
        : { infrastructure: { ...(labels ? { labels } : {}), annotations: infrastructureAnnotations } }),
      listeners: listeners.map(planned => ({
        ...planned.listener,
        allowedRoutes: { namespaces: allowedRoutes(planned, namespace) },
      })),
    },
  }
  const redirects = listeners.filter(planned => planned.redirects)
  const routes = redirects.map((planned): gateway.HTTPRoute => {
    const { name: itsName, spec, port } = redirectRoute(planned, listeners, { namespace, name })
    report('GW-REDIRECT-KEPT', 'spec.servers', { route: `${namespace}/${itsName}` })
    if (port) report('GW-REDIRECT-PORT', 'spec.servers', { port: String(port) })
    return { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', metadata: metadata(itsName), spec }
  })
  return [kubernetesGateway, ...routes]
}

/** Reports a companion whose place is taken by an object that is not ours: it is never taken over. */
function checkPlace({ kind, metadata }: KubernetesObject, cluster: ClusterSnapshot, report?: Report): void {
  const key = `${metadata.namespace}/${metadata.name}`
  const there = kind === 'Gateway' ? byKey(cluster.gateways, key) : byKey(cluster.httpRoutes, key)
  if (there && !isCompanion(there)) report?.('GW-COMPANION-FOREIGN', 'spec', { companion: `${kind} ${key}` })
}
