// destination.subset -> a Service of its own, where the settings allow it (research/virtualservice.md 1.2).
// Lost is what a DestinationRule says of the subset beside its labels, and that is reported.
import type * as core from '../../apis/core.ts'
import type * as istio from '../../apis/istio.ts'
import { translateAuthorizationPolicy } from '../authorization-policy/index.ts'
import { digest, isEqual } from '../canonical.ts'
import { companionMetadata, isCompanion, sourceAnnotation } from '../companion.ts'
import type { Policy } from '../policy/targets.ts'
import { createReport, type Report } from '../report.ts'
import { translateRequestAuthentication } from '../request-authentication/index.ts'
import { translateService } from '../service/index.ts'
import { byKey, inNamespace, namespaceOf } from '../snapshot.ts'
import type { Translation } from '../translation.ts'
import { ingressUseWaypointLabel, useWaypointLabel, useWaypointNamespaceLabel } from '../waypoint.ts'
import type { Surroundings } from './backends.ts'
import type { HTTPEntry } from './delegates.ts'
import { fullName, keyOf, parseService, type ServiceName } from './service-name.ts'

/** A label of DNS, of which a Service's name has one; one over 63 characters is cut and keeps a digest of the whole. */
export function subsetServiceName(service: string, subset: string): string {
  const name = `${service}-${subset}`
  if (name.length <= 63) return name
  return `${name.slice(0, 54).replace(/-+$/, '')}-${digest(name).slice(0, 8)}`
}

/** What istiod adds to endpoints (`AugmentLabels`), and no selector of a Service sees. */
const endpointLabel = /^(topology\.(kubernetes|istio)\.io\/|security\.istio\.io\/|kubernetes\.io\/hostname$)/

/** The Service for one subset. Two VirtualServices that want it make the same of it, so it belongs to the whole Service. */
export function subsetService(
  service: core.Service,
  subset: string,
  field: string,
  surroundings: Surroundings,
  report: Report,
): core.Service | undefined {
  const { namespace } = surroundings
  const key = keyOf(nameOf(service))
  const { selector = {}, ports = [], publishNotReadyAddresses, type } = service.spec ?? {}
  const labels = subsetLabels(service, subset, surroundings, report, field)
  if (!labels || isContradiction(selector, labels)) {
    report('VS-DESTINATION-SUBSET-ABSENT', field, { service: key, subset: subset.slice(0, 63) })
    return undefined
  }
  const ofPlace = Object.keys(labels).find(label => endpointLabel.test(label))
  const reason = [
    ...(namespaceOf(service) !== namespace ? [`Service ${key} is not in ${namespace}`] : []),
    ...(type === 'ExternalName' || Object.keys(selector).length === 0 ? [`Service ${key} has no selector`] : []),
    ...(ofPlace ? [`${ofPlace} is no label of pods`] : []),
  ][0]
  if (reason) {
    report('VS-DESTINATION-SUBSET-SERVICE', field, { reason: reason.slice(0, 120) })
    return undefined
  }
  const name = subsetServiceName(service.metadata.name ?? '', subset)
  if (isMissedByPolicy(service, name, surroundings))
    report('VS-DESTINATION-SUBSET-POLICY', field, { service: key, subset: name })
  const metadata = companionMetadata(service, name)
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata, labels: { ...metadata.labels, ...waypointLabels(service, surroundings) } },
    spec: {
      selector: { ...selector, ...labels },
      ports: ports.map(({ nodePort: _, ...port }) => port),
      ...(publishNotReadyAddresses ? { publishNotReadyAddresses } : {}),
    },
  }
}

/** Every Service that the destinations and mirrors of the entries need, sorted by name. */
export function subsetServices(entries: HTTPEntry[], surroundings: Surroundings, report: Report): core.Service[] {
  const { cluster, settings } = surroundings
  if (settings.subsets === 'deny') return []
  const services = new Map<string, core.Service>()
  // Whatever there is to say about a destination was said where its backendRef was made.
  const silent = createReport({ severities: {} })
  for (const { http, namespace } of entries) {
    for (const { host = '', subset } of destinationsOf(http)) {
      const named = parseService(host, { ...surroundings, shortNames: namespace })
      const service = named && byKey(cluster.services, keyOf(named))
      if (!service || !subset) continue
      const companion = subsetService(service, subset, '', surroundings, silent)
      if (companion) keep(companion)
    }
  }
  return [...services.values()].sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))

  function keep(companion: core.Service): void {
    const key = keyOf(nameOf(companion))
    const there = byKey(cluster.services, key)
    const isTaken = there && (!isCompanion(there) || sourceOf(there) !== sourceOf(companion))
    const other = services.get(key)
    if (isTaken || (other && !isEqual(other, companion)))
      report('VS-COMPANION-TAKEN', 'spec.http', { companion: `Service ${key}` })
    services.set(key, companion)
  }
}

function destinationsOf({ route = [], mirror, mirrors = [] }: istio.HTTPRoute): istio.Destination[] {
  return [mirror, ...[...route, ...mirrors].map(({ destination }) => destination)].filter(each => each !== undefined)
}

/**
 * The labels of a subset, from the DestinationRules that Istio asks: the client's namespace, which is the Service's here,
 * then the root namespace, and in each the most specific host (`destinationRule`, istio/istio push_context.go). Rules of
 * one host are merged, the oldest first.
 */
function subsetLabels(
  service: core.Service,
  subset: string,
  { cluster, settings }: Surroundings,
  report: Report,
  field: string,
): Record<string, string> | undefined {
  const host = fullName(nameOf(service), settings.clusterDomain)
  const hostOf = (rule: istio.DestinationRule) => {
    const its = rule.spec?.host ?? ''
    return its.includes('.') || its.includes('*')
      ? its
      : fullName({ namespace: namespaceOf(rule), name: its }, settings.clusterDomain)
  }
  const covers = (pattern: string) => pattern === host || (pattern.startsWith('*') && host.endsWith(pattern.slice(1)))
  for (const namespace of new Set([namespaceOf(service), settings.rootNamespace])) {
    const rules = inNamespace(cluster.destinationRules, namespace)
      .filter(rule => !rule.spec?.workloadSelector && covers(hostOf(rule)))
      .sort((a, b) => (ageOf(a) < ageOf(b) ? -1 : ageOf(a) > ageOf(b) ? 1 : 0))
    const best = rules.map(hostOf).sort((a, b) => Number(b === host) - Number(a === host) || b.length - a.length)[0]
    if (best === undefined) continue
    const merged = rules.filter(rule => hostOf(rule) === best)
    for (const { metadata, spec } of merged) {
      const found = spec.subsets?.find(({ name }) => name === subset)
      if (!found || !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(subset)) continue
      // What a wildcard says of the Service, it says of the new one too.
      const policies = [found.trafficPolicy, ...(best === host ? merged.map(rule => rule.spec.trafficPolicy) : [])]
      if (policies.some(policy => policy !== undefined))
        report('VS-DESTINATION-SUBSET-TRAFFIC', field, { rule: `${namespace}/${metadata.name}` })
      return found.labels ?? {}
    }
    return undefined
  }
  return undefined
}

function ageOf({ metadata }: istio.DestinationRule): string {
  return metadata.creationTimestamp ?? ''
}

/** Both have to hold, so that no pod answers: a selector can say only one of them, and would pick other pods. */
function isContradiction(selector: Record<string, string>, labels: Record<string, string>): boolean {
  return Object.entries(labels).some(([label, value]) => Object.hasOwn(selector, label) && selector[label] !== value)
}

/** Traffic to the new Service has to go through the waypoint that traffic to the whole Service passes. */
function waypointLabels(service: core.Service, { cluster, settings }: Surroundings): Record<string, string> {
  const { labels = {} } = translateService(service, cluster, settings).object.metadata
  const names = [useWaypointLabel, useWaypointNamespaceLabel, ingressUseWaypointLabel]
  return Object.fromEntries(Object.entries(labels).filter(([label]) => names.includes(label)))
}

/** A policy on the whole Service does not hold for traffic to another Service of the same pods: that would open a door. */
function isMissedByPolicy(service: core.Service, name: string, { cluster, settings }: Surroundings): boolean {
  const namespace = namespaceOf(service)
  const translations: Translation<Policy>[] = [
    ...inNamespace(cluster.authorizationPolicies, namespace).map(policy =>
      translateAuthorizationPolicy(policy, cluster, settings),
    ),
    ...inNamespace(cluster.requestAuthentications, namespace).map(policy =>
      translateRequestAuthentication(policy, cluster, settings),
    ),
  ]
  const policies = translations.flatMap(({ object, companions }) => [object, ...(companions as Policy[])])
  return policies.some(({ spec }) => {
    const refs = [...(spec.targetRefs ?? []), ...(spec.targetRef ? [spec.targetRef] : [])]
    const targets = refs.filter(({ kind }) => kind === 'Service').map(ref => ref.name)
    return targets.includes(service.metadata.name) && !targets.includes(name)
  })
}

function nameOf(service: core.Service): ServiceName {
  return { namespace: namespaceOf(service), name: service.metadata.name ?? '' }
}

function sourceOf({ metadata }: core.Service): string | undefined {
  return metadata.annotations?.[sourceAnnotation]
}
