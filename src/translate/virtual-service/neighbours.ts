// The VirtualServices that share a gateway and a host with one, for order.ts. What each of them plans is kept by object
// identity: an object of a snapshot never changes, it is replaced.
import type * as istio from '../../apis/istio.ts'
import { inspect } from '../fate.ts'
import { createReport } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { shapeCodes, virtualServiceFates } from './fates.ts'
import { hostnamesFor } from './hosts.ts'
import { everything, plannedMatches } from './match.ts'
import type { Entry } from './order.ts'
import { gatewayKey, parentsOf } from './parents.ts'

/** The entries of all other VirtualServices on the same Kubernetes Gateways whose hosts meet. */
export function* neighboursOf(
  virtualService: istio.VirtualService,
  cluster: ClusterSnapshot,
  settings: Settings,
): Generator<Entry> {
  const own = placeOf(virtualService, settings)
  for (const inNamespace of cluster.virtualServices.values()) {
    for (const other of inNamespace.values()) {
      if (isSame(other, virtualService)) continue
      const place = placeOf(other, settings)
      if (!place.gateways.some(gateway => own.gateways.includes(gateway))) continue
      if (!place.hosts.some(host => own.hosts.some(ours => isOverlapping(host, ours)))) continue
      // Hosts that differ in text are virtual hosts of their own, unless the Gateways cut them to the same.
      const cut = () => new Set(hostnamesOf(virtualService, cluster, settings))
      const isShared = (hosts: string[], ours: Set<string>) => hosts.some(host => ours.has(host))
      if (!isShared(place.hosts, new Set(own.hosts)) && !isShared(hostnamesOf(other, cluster, settings), cut()))
        continue
      yield* place.entries
    }
  }
}

interface Place {
  gateways: string[]
  hosts: string[]
  entries: Entry[]
}

const places = new WeakMap<istio.VirtualService, { settings: Settings; place: Place }>()

function placeOf(virtualService: istio.VirtualService, settings: Settings): Place {
  const known = places.get(virtualService)
  if (known?.settings === settings) return known.place
  const place = readPlace(virtualService, settings)
  places.set(virtualService, { settings, place })
  return place
}

function readPlace(virtualService: istio.VirtualService, settings: Settings): Place {
  const silent = createReport({ severities: {} })
  const { metadata, spec } = virtualService
  if (!inspect(spec, virtualServiceFates, 'spec', shapeCodes, silent)) return { gateways: [], hosts: [], entries: [] }
  const namespace = namespaceOf(virtualService)
  const gateways = (spec.gateways ?? []).map(name => {
    const key = gatewayKey(name, namespace)
    return settings.gateways.find(({ istioGateways }) => istioGateways.includes(key))?.gateway ?? key
  })
  const { creationTimestamp } = metadata
  const entries = (spec.http ?? []).flatMap((http, i) => {
    const { match = [], ...action } = http
    const matches =
      match.length === 0
        ? [everything]
        : match.flatMap((request, j) =>
            plannedMatches(request, `spec.http[${i}].match[${j}]`, settings.pathPrefixes, silent),
          )
    return matches.map(match => ({
      match,
      // Another VirtualService's entry, unread: it equals nothing of ours.
      action: { namespace, ...action },
      field: `spec.http[${i}]`,
      owner: `${namespace}/${metadata.name ?? ''}`,
      ...(creationTimestamp ? { creationTimestamp } : {}),
    }))
  })
  return { gateways, hosts: (spec.hosts ?? []).map(host => fullName(host.toLowerCase(), namespace, settings)), entries }
}

/** The host names of its HTTPRoutes, `*` for every one. */
function hostnamesOf(virtualService: istio.VirtualService, cluster: ClusterSnapshot, settings: Settings): string[] {
  const silent = createReport({ severities: {} })
  const { hosts = [] } = virtualService.spec
  const namespace = namespaceOf(virtualService)
  return parentsOf(virtualService, namespace, cluster, settings, silent).flatMap(
    parent => hostnamesFor(hosts, namespace, settings.clusterDomain, parent, silent) ?? ['*'],
  )
}

/** As Istio reads a short name, and hosts.ts with it. */
function fullName(host: string, namespace: string, { clusterDomain }: Settings): string {
  return host.includes('*') || host.includes('.') ? host : `${host}.${namespace}.svc.${clusterDomain}`
}

/** Whether some name matches both patterns. */
function isOverlapping(a: string, b: string): boolean {
  const [tailA, tailB] = [a.replace(/^\*/, ''), b.replace(/^\*/, '')]
  return a === b || (a !== tailA && tailB.endsWith(tailA)) || (b !== tailB && tailA.endsWith(tailB))
}

function isSame(a: istio.VirtualService, b: istio.VirtualService): boolean {
  return a.metadata.name === b.metadata.name && namespaceOf(a) === namespaceOf(b)
}
