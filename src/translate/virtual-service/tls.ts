// spec.tls[] -> TLSRoute, one for each entry and the listeners that pass TLS on under the same names
// (research/virtualservice.md 1.4). Order does not matter: the most specific name wins in both worlds.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { companionMetadata, companionName, nameOf } from '../companion.ts'
import { isHostname, overlaps } from '../hostname.ts'
import type { Report } from '../report.ts'
import { backendRefs, type Surroundings } from './backends.ts'
import { type Claim, checkOthers, type Place, placesOf, routePlans, withoutDead } from './connections.ts'
import type { Door } from './doors.ts'

export function tlsRoutes(
  virtualService: istio.VirtualService,
  doors: Door[],
  surroundings: Surroundings,
  report: Report,
): gateway.TLSRoute[] {
  const { tls = [] } = virtualService.spec
  if (tls.length === 0) return []
  const claims = tlsClaims(virtualService, doors, surroundings, report)
  checkOthers(claims, virtualService, tlsClaims, surroundings, report)
  const plans = routePlans(claims, 'spec.tls', report)
  if (plans.length > 0 && !surroundings.cluster.capabilities.tlsRoute)
    report('VS-ROUTE-CRD', 'spec.tls', { kind: 'TLSRoute', version: 'v1.5' })
  return plans.map(({ entry, isMesh, parentRefs, hostnames }, n) => {
    const granted = isMesh ? { mesh: {} } : { from: 'TLSRoute' as const }
    const field = `spec.tls[${entry}].route`
    const refs = backendRefs(tls[entry]?.route ?? [], field, { ...surroundings, ...granted }, report)
    return {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'TLSRoute',
      metadata: companionMetadata(virtualService, companionName(nameOf(virtualService), 'tls', String(n))),
      spec: { parentRefs, hostnames, rules: [{ backendRefs: refs }] },
    }
  })
}

/** What each match takes where it holds. Reports entries that nothing takes, and names that a TLSRoute cannot have. */
function tlsClaims(
  virtualService: istio.VirtualService,
  doors: Door[],
  surroundings: Surroundings,
  report: Report,
): Claim[] {
  const claims = (virtualService.spec.tls ?? []).flatMap(({ match = [], route = [] }, entry) => {
    const field = `spec.tls[${entry}]`
    if (route.length === 0) report('VS-ROUTE-EMPTY', field)
    if (match.length === 0) report('VS-MATCH-SNI', field, { host: 'no host' })
    const ofEntry = match.flatMap((request, i) => {
      const here = `${field}.match[${i}]`
      const names = sniNames(request.sniHosts ?? [], `${here}.sniHosts`, report)
      const sought = { ...request, names, field: `${here}.sniHosts` }
      const places = placesOf(sought, 'tls', virtualService, doors, surroundings, report)
      return arriving(places, names, `${here}.sniHosts`, report).map(place => ({ place, names, entry, field: here }))
    })
    if (ofEntry.length === 0 && !report.untranslatable) report('VS-ROUTE-UNREACHED', field)
    return ofEntry
  })
  return withoutDead(claims, report)
}

/** Names as TLSRoute takes them. The bare `*` is none of them: connections without SNI would be lost. */
function sniNames(sniHosts: string[], field: string, report: Report): string[] {
  if (sniHosts.length === 0) report('VS-MATCH-SNI', field, { host: 'no host' })
  return sniHosts.map((host, i) => {
    const name = host.toLowerCase()
    if (!isHostname(name.replace(/^\*\./, ''))) report('VS-MATCH-SNI', `${field}[${i}]`, { host: host.slice(0, 60) })
    return name
  })
}

/**
 * The places where any of the names arrives. A waypoint does not look at SNI: it applies the route of a Service when the
 * Service's name is all that it asks for (`getTLSRouteMatch`).
 */
function arriving(places: Place[], names: string[], field: string, report: Report): Place[] {
  const here = places.filter(({ isMesh, hostname }) =>
    isMesh ? names.length === 1 && names[0] === hostname : names.some(name => overlaps(name, hostname)),
  )
  const [service] = places.filter(({ isMesh }) => isMesh)
  if (service && !here.some(({ isMesh }) => isMesh)) report('VS-MATCH-SNI-MESH', field, { host: service.hostname })
  return here
}
