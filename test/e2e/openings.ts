// Whether a door was open at any moment, read from what was stored and from nothing else: neither the translator's plans
// nor its annotations (design: guard before rewrite, rewrite before the waypoint is let in, waypoint before enrolment).
import type { Service } from '../../src/apis/core.ts'
import type { Gateway } from '../../src/apis/gateway.ts'
import type { AuthorizationPolicy } from '../../src/apis/istio.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { isCompanion, sourceAnnotation, sourceKey } from '../../src/translate/companion.ts'
import { isSelected } from '../../src/translate/labels.ts'
import type { History, Moment } from './history.ts'

/** The stages that a policy went through, each when it began: where waypoints read it, and what stands at the pods. */
export function stagesOf(history: History, policy: string): string[] {
  const stages: string[] = []
  for (const moment of history.moments()) {
    const stored = moment.get(policy) as AuthorizationPolicy | undefined
    const stage = stored && `${placeOf(stored)}, ${guardText(moment, policy)}`
    if (stage && stage !== stages.at(-1)) stages.push(stage)
  }
  return stages
}

function placeOf({ spec: { selector, targetRefs = [] } }: AuthorizationPolicy): string {
  if (targetRefs.length > 0) return targetRefs.map(({ kind, name }) => `${kind} ${name}`).join(' and ')
  return selector ? 'selector' : 'namespace'
}

function guardText(moment: Moment, policy: string): string {
  const guard = guardOf(moment, policy)
  if (!guard) return 'no guard'
  const pods = guard.spec.selector ? 'selected pods' : 'all pods'
  if (guard.spec.action === 'DENY') return `${pods} denied`
  return `${pods} ${admitsWaypoint(guard) ? 'open to the waypoint' : 'shut'}`
}

/** What was wrong at any moment in the life of a Namespace, until it is deleted; each once. */
export function openingsIn(history: History, namespace: string): string[] {
  const openings = new Set<string>()
  const path = `/api/v1/namespaces/${namespace}`
  let asked = new Set<string>()
  for (const moment of history.moments()) {
    const stored = moment.get(path)
    if (!stored || stored.metadata.deletionTimestamp) continue
    if (stored.metadata.labels?.['istio.io/use-waypoint'] && !isProgrammed(moment, namespace))
      openings.add('the Namespace uses a waypoint that takes no traffic')
    const policies = policiesIn(moment, namespace).filter(policy => !isCompanion(policy))
    for (const policy of policies) {
      const its = openingsOf(policy, moment)
      if (asked.has(pathOf(policy)) && !isAsked(policy, moment)) its.push('waypoints do not ask it any more')
      for (const opening of its) openings.add(`${policy.metadata.name}: ${opening}`)
    }
    asked = new Set(policies.filter(policy => isAsked(policy, moment)).map(pathOf))
  }
  return [...openings]
}

/** Whether waypoints read the policy: itself, or what is kept beside it. */
function isAsked(policy: AuthorizationPolicy, moment: Moment): boolean {
  const kept = policiesIn(moment, policy.metadata.namespace).filter(
    each => each.metadata.annotations?.[sourceAnnotation] === sourceKey(policy),
  )
  return [policy, ...kept].some(({ spec }) => (spec.targetRefs ?? []).length > 0)
}

function openingsOf(policy: AuthorizationPolicy, moment: Moment): string[] {
  const { selector, targetRefs = [], action = 'ALLOW' } = policy.spec
  const guard = guardOf(moment, pathOf(policy))
  if (targetRefs.length === 0)
    return guard && admitsWaypoint(guard) && !isAsked(policy, moment)
      ? ['pods let the waypoint in, which does not ask the policy']
      : []
  if (selector) return ['selector beside targetRefs']
  const isForAll = targetRefs.some(({ kind }) => kind === 'Gateway')
  const passing = (isForAll ? [] : servicesOf(guard, moment)).filter(name => !targetRefs.some(ref => ref.name === name))
  const covers = guard?.spec.action === action && !(isForAll && guard.spec.selector)
  // A pod that any ALLOW selects refuses whoever none of them admits, so one for all pods stands in for an ALLOW's own.
  const standsIn = action === 'ALLOW' && policiesIn(moment, policy.metadata.namespace).some(isForAllPods)
  return [
    ...(covers || standsIn ? [] : [`on ${placeOf(policy)} with ${guardText(moment, pathOf(policy))}`]),
    ...passing.map(name => `waypoints do not ask it for Service ${name}`),
  ]
}

/** The Services that lead to the pods of a guard. */
function servicesOf(guard: AuthorizationPolicy | undefined, moment: Moment): string[] {
  const selector = guard?.spec.selector?.matchLabels
  if (!selector) return [] // It covers more than its policy means.
  const here = [...moment.values()].filter(({ metadata }) => metadata.namespace === guard?.metadata.namespace)
  const pods = here.filter(({ kind, metadata }) => kind === 'Pod' && isSelected(metadata.labels ?? {}, selector))
  const services = here.filter(({ kind }) => kind === 'Service') as Service[]
  return services
    .filter(({ spec }) => pods.some(({ metadata }) => isSelected(metadata.labels ?? {}, spec?.selector ?? {})))
    .map(({ metadata }) => metadata.name ?? '')
}

function isForAllPods(policy: AuthorizationPolicy): boolean {
  const { selector, targetRefs, action = 'ALLOW' } = policy.spec
  return isCompanion(policy) && action === 'ALLOW' && !selector && !targetRefs
}

function guardOf(moment: Moment, policy: string): AuthorizationPolicy | undefined {
  return moment.get(`${policy}-guard`) as AuthorizationPolicy | undefined
}

function admitsWaypoint({ metadata: { namespace }, spec: { action, rules = [] } }: AuthorizationPolicy): boolean {
  const principal = `cluster.local/ns/${namespace}/sa/waypoint`
  const isNamed = rules.some(({ from = [] }) => from.some(({ source }) => source?.principals?.includes(principal)))
  return action !== 'DENY' && isNamed
}

function policiesIn(moment: Moment, namespace: string | undefined): AuthorizationPolicy[] {
  const objects = [...moment.values()].filter(({ kind }) => kind === 'AuthorizationPolicy') as AuthorizationPolicy[]
  return objects.filter(({ metadata }) => metadata.namespace === namespace)
}

function isProgrammed(moment: Moment, namespace: string): boolean {
  const path = `/apis/gateway.networking.k8s.io/v1/namespaces/${namespace}/gateways/waypoint`
  const { status } = (moment.get(path) ?? {}) as Partial<Gateway>
  return (status?.conditions ?? []).some(({ type, status }) => type === 'Programmed' && status === 'True')
}
