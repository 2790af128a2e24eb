// spec.tcp[] -> TCPRoute, one for each entry and the listeners that it has first (research/virtualservice.md 1.4).
// A listener passes all its bytes to one route; what comes second gets nothing in both worlds, and is left out.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { companionMetadata, companionName, nameOf } from '../companion.ts'
import type { Report } from '../report.ts'
import { backendRefs, type Surroundings } from './backends.ts'
import { type Claim, checkOthers, placesOf, routePlans, withoutDead } from './connections.ts'
import type { Door } from './doors.ts'

export function tcpRoutes(
  virtualService: istio.VirtualService,
  doors: Door[],
  surroundings: Surroundings,
  report: Report,
): gateway.TCPRoute[] {
  const { tcp = [] } = virtualService.spec
  if (tcp.length === 0) return []
  const claims = tcpClaims(virtualService, doors, surroundings, report)
  checkOthers(claims, virtualService, tcpClaims, surroundings, report)
  const plans = routePlans(
    claims.map(claim => ({ ...claim, place: { ...claim.place, hostname: '*' } })),
    'spec.tcp',
    report,
  )
  if (plans.length > 0 && !surroundings.cluster.capabilities.tcpRoute)
    report('VS-ROUTE-CRD', 'spec.tcp', { kind: 'TCPRoute', version: 'v1.6' })
  return plans.map(({ entry, isMesh, parentRefs }, n) => {
    const granted = isMesh ? { mesh: {} } : { from: 'TCPRoute' as const }
    const field = `spec.tcp[${entry}].route`
    const refs = backendRefs(tcp[entry]?.route ?? [], field, { ...surroundings, ...granted }, report)
    return {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'TCPRoute',
      metadata: companionMetadata(virtualService, companionName(nameOf(virtualService), 'tcp', String(n))),
      spec: { parentRefs, rules: [{ backendRefs: refs }] },
    }
  })
}

/** What each entry takes: whole places. An entry without matches holds wherever its VirtualService does. */
function tcpClaims(
  virtualService: istio.VirtualService,
  doors: Door[],
  surroundings: Surroundings,
  report: Report,
): Claim[] {
  const claims = (virtualService.spec.tcp ?? []).flatMap(({ match = [], route = [] }, entry) => {
    const field = `spec.tcp[${entry}]`
    if (route.length === 0) report('VS-ROUTE-EMPTY', field)
    const places = (match.length === 0 ? [{}] : match).flatMap((request, i) => {
      const sought = { ...request, names: ['*'], field: match.length === 0 ? field : `${field}.match[${i}]` }
      return placesOf(sought, 'tcp', virtualService, doors, surroundings, report)
    })
    if (places.length === 0 && !report.untranslatable) report('VS-ROUTE-UNREACHED', field)
    const distinct = [...new Map(places.map(place => [place.key, place])).values()]
    return distinct.map(place => ({ place, names: ['*'], entry, field }))
  })
  return withoutDead(claims, report)
}
