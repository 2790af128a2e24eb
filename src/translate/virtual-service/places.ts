// Under what a VirtualService, or an HTTPRoute of somebody else, is filed in the routing index.
import type { ObjectMeta } from '../../apis/core.ts'
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { inspect } from '../fate.ts'
import { createReport } from '../report.ts'
import type { RoutingPlace } from '../routing-index.ts'
import type { Settings } from '../settings.ts'
import { gatewayKey } from './doors.ts'
import { tooLarge } from './effort.ts'
import { shapeCodes, virtualServiceFates } from './fates.ts'
import { fullName } from './hosts.ts'
import { everything, plannedMatches } from './match.ts'
import { stemOf } from './meeting.ts'

/**
 * The places of a VirtualService, which hold under any settings: the end of a Service's full name is left away, and what
 * stands for a prefix (`pathPrefixes`) begins with it. None for a delegate, and none for what is no VirtualService.
 */
export function virtualServicePlaces({ spec, metadata }: istio.VirtualService): RoutingPlace[] {
  const silent = createReport({ severities: {} })
  if (!inspect(spec, virtualServiceFates, 'spec', shapeCodes, silent)) return []
  const namespace = metadata.namespace || 'default'
  const { hosts = [], gateways = [], http = [] } = spec
  const doors = (gateways.length > 0 ? gateways : ['mesh']).map(name =>
    name === 'mesh' ? 'mesh' : `gateway ${gatewayKey(name, namespace)}`,
  )
  // Compared with nobody, it counts as everywhere.
  const stems = tooLarge(spec)
    ? ['']
    : http.flatMap(({ match = [] }) =>
        match.length === 0
          ? ['']
          : match.flatMap(request => plannedMatches(request, '', {}, silent).map(({ path }) => stemOf(path))),
      )
  const names = hosts.map(host => fullName(host.toLowerCase(), namespace, '').replace(/\.$/, ''))
  return combined(doors, names, stems)
}

/** The place of routes at a Gateway, or at a Service of the mesh. */
export function routeDoor(kind = 'Gateway', namespace: string | undefined, name: string): string {
  return `${kind === 'Service' ? 'service' : 'route'} ${namespace}/${name}`
}

/** The places of an HTTPRoute at its Gateways and Services. */
export function httpRoutePlaces({ spec = {}, metadata }: gateway.HTTPRoute): RoutingPlace[] {
  const { parentRefs = [], hostnames = [], rules = [] } = spec
  const doors = parentRefs
    .filter(({ kind = 'Gateway' }) => kind === 'Gateway' || kind === 'Service')
    .map(({ kind, namespace = metadata.namespace ?? 'default', name }) => routeDoor(kind, namespace, name))
  const stems = rules.flatMap(({ matches = [{}] }) => matches.map(({ path }) => stemOfRoute(path)))
  // In the mesh hostnames are ignored, and a Service has no other.
  const hosts = hostnames.length > 0 && !doors.some(door => door.startsWith('service ')) ? hostnames : ['*']
  return combined(doors, hosts, stems.length > 0 ? stems : [''])
}

function stemOfRoute(given?: Partial<gateway.HTTPPathMatch>): string {
  const match = { ...everything.path.match, ...given }
  const kind = match.type === 'RegularExpression' ? 'regex' : match.type === 'Exact' ? 'exact' : 'prefix'
  return stemOf({ match, kind, text: match.value })
}

function combined(doors: string[], hosts: string[], stems: string[]): RoutingPlace[] {
  return [...new Set(doors)].flatMap(door =>
    [...new Set(hosts)].flatMap(host => [...new Set(stems)].map(stem => ({ door, host, stem }))),
  )
}

/** Where to look for those who speak for a host: under its name, with and without the cluster's domain, and under every wider one. */
export function doorKeys(
  door: string,
  host: string,
  { clusterDomain }: Pick<Settings, 'clusterDomain'>,
): Omit<RoutingPlace, 'stem'>[] {
  const labels = host.replace(/^\*\.?/, '').split('.')
  const wider = labels.map((_, i) => `*.${labels.slice(i).join('.')}`).filter(name => name !== `*.${host}`)
  const end = `.svc.${clusterDomain}`
  const short = host.endsWith(end) ? [host.slice(0, -clusterDomain.length - 1)] : []
  return [...new Set([host, ...short, ...wider, '*'])].map(name => ({ door, host: name }))
}

/** Istio's order between VirtualServices (`configCompareByCreationTime`): by age, then by name, then by namespace. */
export function compareAges(a: ObjectMeta, b: ObjectMeta): number {
  const key = ({ creationTimestamp = '~', name = '', namespace = '' }: ObjectMeta) => [
    creationTimestamp,
    name,
    namespace,
  ]
  const [left, right] = [key(a), key(b)]
  const i = left.findIndex((text, i) => text !== right[i])
  return i < 0 ? 0 : (left[i] ?? '') < (right[i] ?? '') ? -1 : 1
}
