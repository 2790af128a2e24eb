// The HTTPRoutes of a VirtualService: one for each list of rules that a parent and its hosts have in common.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { companionMetadata, companionName, nameOf } from '../companion.ts'
import type { Report } from '../report.ts'
import type { Surroundings } from './backends.ts'
import { hostnamesInChunks, rulesInChunks } from './limits.ts'
import type { Unit } from './neighbours.ts'
import { plannedRules } from './rules.ts'

/** The HTTPRoutes, named after the VirtualService, and where there are several after what tells them apart. */
export function httpRoutes(
  virtualService: istio.VirtualService,
  units: Unit[],
  surroundings: Surroundings,
  report: Report,
): gateway.HTTPRoute[] {
  const served = units.filter(({ entries }) => entries.length > 0)
  const suffixes = [
    ...distinctions(served.filter(({ mesh }) => !mesh)),
    ...served.flatMap(({ mesh }) => meshSuffix(mesh)),
  ]
  return served.flatMap(({ parents, hostnames: all, entries, mesh }, i) => {
    const suffix = suffixes[i] ?? []
    const parentRefs = parents.map(({ parentRef }) => parentRef)
    const listeners = parents.flatMap(parent => parent.listeners)
    return hostnamesInChunks(all).flatMap((hostnames, block) => {
      const parts = block === 0 ? suffix : [...suffix, `hosts${block + 1}`]
      const spec = { parentRefs, ...(hostnames ? { hostnames } : {}) }
      return routesOfUnit(
        virtualService,
        parts,
        spec,
        entries,
        { ...surroundings, listeners, ...(mesh ? { mesh } : {}) },
        report,
      )
    })
  })
}

function meshSuffix(mesh: Unit['mesh']): string[][] {
  if (!mesh) return []
  return [['mesh', ...(mesh.port === undefined ? [] : [`p${mesh.port}`])]]
}

function routesOfUnit(
  virtualService: istio.VirtualService,
  suffix: string[],
  spec: Pick<gateway.HTTPRoute['spec'], 'parentRefs' | 'hostnames'>,
  entries: Unit['entries'],
  surroundings: Surroundings,
  report: Report,
): gateway.HTTPRoute[] {
  const planned = plannedRules(entries, surroundings, report)
  const { matches } = surroundings.cluster.capabilities.httpRoute
  if ((spec.parentRefs ?? []).length > 32) report('VS-MATCH-LIMIT', 'spec.gateways', { limit: '32 parents' })
  return rulesInChunks(planned, matches, report).map((rules, i) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: companionMetadata(
      virtualService,
      companionName(nameOf(virtualService), ...suffix, ...(i === 0 ? [] : [String(i + 1)])),
    ),
    spec: { ...spec, rules },
  }))
}

/** What the routes are called beside each other: by Gateway, by listener, by host, by number, as far as it takes. */
function distinctions(units: Unit[]): string[][] {
  const parts: ((unit: Unit, i: number) => string[])[] = [
    ({ parents: [first] }) => [first?.parentRef.namespace ?? '', first?.parentRef.name ?? ''],
    ({ parents: [first] }) => (first?.parentRef.sectionName ? [first.parentRef.sectionName] : []),
    ({ hostnames: [first = '*'] = [] }) => [first.replace('*', 'wildcard')],
    (_, i) => [String(i + 1)],
  ]
  let names = units.map((): string[] => [])
  for (const part of parts) {
    if (new Set(names.map(name => name.join())).size === units.length) break
    const more = units.map(part)
    if (new Set(more.map(name => name.join())).size > 1) names = names.map((name, i) => [...name, ...(more[i] ?? [])])
  }
  return names
}
