// spec.gateways -> parentRefs, by the gateway map of the settings (research/virtualservice.md, section 3).
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import type { GatewayMapping, Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot } from '../snapshot.ts'

/** A Kubernetes Gateway that the route attaches to, and the hosts it may speak for there. */
export interface Parent {
  parentRef: gateway.ParentReference
  /** What the Istio Gateway's servers admit for this namespace. */
  hosts: string[]
  /** What the Kubernetes Gateway's listeners admit; `*` while the Gateway is not there. */
  listenerHosts: string[]
  /** Those listeners; none while the Gateway is not there. */
  listeners: gateway.Listener[]
}

/** The parents of a VirtualService, one for each Kubernetes Gateway. Reports gateways that have none. */
export function parentsOf(
  virtualService: istio.VirtualService,
  namespace: string,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): Parent[] {
  const gateways = virtualService.spec.gateways ?? []
  // A VirtualService without gateways is one for the mesh.
  if (gateways.length === 0) report('VS-GATEWAYS-MESH', 'spec.gateways')
  const parents = new Map<string, Parent>()
  for (const [i, name] of gateways.entries()) {
    const field = `spec.gateways[${i}]`
    if (name === 'mesh') {
      report('VS-GATEWAYS-MESH', field)
      continue
    }
    const key = gatewayKey(name, namespace)
    const mapping = settings.gateways.find(({ istioGateways }) => istioGateways.includes(key))
    if (!mapping) {
      report('VS-GATEWAYS-UNMAPPED', field, { gateway: key.slice(0, 80) })
      continue
    }
    const servers = byKey(cluster.istioGateways, key)?.spec?.servers ?? [{ hosts: ['*'] }]
    if (servers.some(({ tls }) => tls?.httpsRedirect)) report('VS-GATEWAYS-REDIRECT', field, { gateway: key })
    const known = parents.get(mapping.gateway)
    const hosts = [...(known?.hosts ?? []), ...servers.flatMap(server => serverHosts(server, namespace))]
    parents.set(mapping.gateway, { ...parentOf(mapping, cluster), hosts })
  }
  return [...parents.values()]
}

/** `name` is in the VirtualService's namespace, `namespace/name` is not (`getGatewayNames`, istio/istio pilot/pkg/model). */
export function gatewayKey(name: string, namespace: string): string {
  return name.includes('/') ? name : `${namespace}/${name}`
}

/** The hosts of one server, where `namespace/host` speaks to VirtualServices of that namespace only. */
function serverHosts({ hosts = [] }: istio.Server, namespace: string): string[] {
  return hosts.flatMap(host => {
    const [scope, name] = host.includes('/') ? host.split('/', 2) : ['*', host]
    return (scope === '*' || scope === '.' || scope === namespace) && name ? [name.toLowerCase()] : []
  })
}

function parentOf({ gateway: reference }: GatewayMapping, cluster: ClusterSnapshot): Omit<Parent, 'hosts'> {
  const [key = '', sectionName] = reference.split('#')
  const slash = key.indexOf('/')
  const listeners = byKey(cluster.gateways, key)?.spec?.listeners ?? []
  const ours = sectionName ? listeners.filter(({ name }) => name === sectionName) : listeners
  return {
    parentRef: {
      group: 'gateway.networking.k8s.io',
      kind: 'Gateway',
      namespace: key.slice(0, slash),
      name: key.slice(slash + 1),
      ...(sectionName ? { sectionName } : {}),
    },
    listeners: ours,
    listenerHosts: ours.length > 0 ? ours.map(({ hostname }) => hostname?.toLowerCase() || '*') : ['*'],
  }
}
