// The VirtualServices that share a gateway and a host with one, for order.ts. What each of them plans is kept by object
// identity: an object of a snapshot never changes, it is replaced.
import type * as istio from '../../apis/istio.ts'
import { inspect } from '../fate.ts'
import { createReport } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { shapeCodes, virtualServiceFates } from './fates.ts'
import { everything, plannedMatches } from './match.ts'
import type { Entry } from './order.ts'
import { gatewayKey } from './parents.ts'

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
      if (!place.hosts.some(host => own.hosts.includes(host))) continue
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
      // Another VirtualService's entry, unread: it equals nothing of ours, except an entry copied word for word.
      action: { namespace, ...action },
      field: `spec.http[${i}]`,
      owner: `${namespace}/${metadata.name ?? ''}`,
      ...(creationTimestamp ? { creationTimestamp } : {}),
    }))
  })
  return { gateways, hosts: (spec.hosts ?? []).map(host => host.toLowerCase()), entries }
}

function isSame(a: istio.VirtualService, b: istio.VirtualService): boolean {
  return a.metadata.name === b.metadata.name && namespaceOf(a) === namespaceOf(b)
}
