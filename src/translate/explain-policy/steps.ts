// The steps of a policy from its selector to where ambient enforces it. Those of an AuthorizationPolicy of applications are
// order.ts's own; around them stand what others do: ambient before, enrolment and istiod's status after.
import type { KubernetesObject } from '../../apis/core.ts'
import type * as istio from '../../apis/istio.ts'
import { stepsOf } from '../authorization-policy/index.ts'
import { type Step, waypointStep } from '../authorization-policy/order.ts'
import { isEqual } from '../canonical.ts'
import { nameOf } from '../companion.ts'
import { missingRestriction } from '../identities.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { missingForEnrolment } from '../namespace/enrolment.ts'
import { translateNamespace } from '../namespace/index.ts'
import { isInPlace, storedOf } from '../policy/companions.ts'
import { isOnGateway, missingAtIngress, refOf } from '../policy/ingress.ts'
import { hasAddress, type Place, type Policy } from '../policy/targets.ts'
import { byKey, type ClusterSnapshot, keyOf, namespaceOf } from '../snapshot.ts'
import { verdictOf } from '../status/conditions.ts'
import { dataplaneModeLabel, isSame, labelledWaypoint, serviceWaypoint, useWaypointLabel } from '../waypoint.ts'
import { isReady, obstacleNow } from '../waypoint-gateway.ts'
import type { Subject } from './index.ts'
import { listText } from './words.ts'

export interface ExplainedStep {
  what: string
  /** `unreported`: istiod has no status for it, so nobody can tell. */
  state: 'done' | 'next' | 'later' | 'unreported'
  /** What it waits for; undefined when it is done, or when nothing is in its way. */
  missing?: string
}

/** A step that istiod may say nothing about. */
type Judged = Omit<Step, 'isDone'> & { isDone: boolean | undefined }

export function stepsFor(subject: Subject): ExplainedStep[] {
  let isNext = true
  return judge(subject).map(({ what, isDone, missing }) => {
    if (isDone) return { what, state: 'done' }
    const state = !isNext ? 'later' : isDone === undefined ? 'unreported' : 'next'
    if (isDone === false) isNext = false
    return { what, state, ...(missing === undefined ? {} : { missing: detailed(missing, subject.cluster) }) }
  })
}

function judge(subject: Subject): Judged[] {
  const { target } = subject
  switch (target.kind) {
    case 'given':
      return givenSteps(subject)
    case 'ingress':
      return ingressSteps(subject, target)
    case 'mesh':
    case 'applications':
      return applicationSteps(subject, target.places)
    default:
      return []
  }
}

function step(what: string, missing: string | undefined): Judged {
  return { what, isDone: missing === undefined, missing }
}

// Applications -----------------------------------------------------------------------------------------------------

function applicationSteps(subject: Subject, places: Place[]): Judged[] {
  const { target, end, cluster } = subject
  const own = ownSteps(subject, places, cluster)
  const isStaged = target.kind === 'applications' && !target.isFanOut && places.some(({ isStaged }) => isStaged)
  const isRead = [end.policy, ...end.kept.map(({ policy }) => policy)].some(isOnTargets)
  const served = isRead ? places.filter(({ waypoints }) => waypoints.length > 0) : []
  const services = served.flatMap(each => each.services)
  return [
    ...(isStaged ? stagedSteps(own, subject, places) : own),
    ...enrolmentSteps(served, subject),
    ...bindingSteps(services, subject),
    ...acceptanceSteps(subject),
  ]
}

/**
 * Until the Namespace is ambient only two things are prepared: the guard of what ztunnel would make nothing of, and the
 * waypoint, for which nobody has to wait. The rest begins when its pods are captured.
 */
function stagedSteps(own: Judged[], subject: Subject, places: Place[]): Judged[] {
  const rest = ownSteps(subject, places, { ...subject.cluster, statuses: 'assumed' })
  if (rest.length === 0 && subject.policy.kind === 'RequestAuthentication') return []
  const waypoint = waypointStep(places)
  const unstarted = rest
    .filter(({ what }) => !own.some(each => each.what === what))
    .map(({ what }) => (what === waypoint.what ? waypoint : { what, isDone: false, missing: undefined }))
  return [...own, ...places.map(place => captureStep(place, subject)), ...unstarted]
}

function captureStep({ namespace }: Place, { cluster, settings }: Subject): Judged {
  const owner = cluster.namespaces.get(namespace)
  const { object, warnings } = owner ? translateNamespace(owner, cluster, settings) : { object: owner, warnings: [] }
  const label = `label ${dataplaneModeLabel}: ambient of Namespace ${namespace}`
  const isWritten = object?.metadata.labels?.[dataplaneModeLabel] === 'ambient'
  const reason = warnings.find(({ code }) => ['NS-SIDECARS-RUNNING', 'NS-CAPTURE-PENDING'].includes(code))
  const why = isWritten ? ', which its next admission writes' : reason ? `: ${reason.message}` : ''
  return step(`Namespace ${namespace} is ambient`, label + why)
}

function ownSteps({ policy, end, settings }: Subject, places: Place[], cluster: ClusterSnapshot): Judged[] {
  if (policy.kind === 'AuthorizationPolicy') return stepsOf(policy, cluster, settings)
  const twins = end.kept.map(each => each.policy)
  const absent = twins.find(twin => !isInPlace(twin, cluster))
  const refs = end.policy.spec.targetRefs ?? []
  const stored = storedOf(policy, cluster)
  const stands = cluster.statuses === 'assumed' || isEqual(stored?.spec?.targetRefs, refs)
  if (refs.length === 0 && twins.length === 0) return []
  const missing = absent && `${absent.kind} ${keyOf(absent)}`
  const waypoint = waypointStep(places)
  return [
    waypoint,
    ...(twins.length > 0 ? [step(`${listText(twins.map(keyOf))} at the waypoint`, missing)] : []),
    ...(refs.length > 0
      ? [{ what: `the policy on ${refsText(refs)}`, isDone: stands, missing: waypoint.missing ?? missing }]
      : []),
  ]
}

/** A Service is enrolled by its own label or by that of its Namespace. */
function enrolmentSteps(places: Place[], { cluster, settings }: Subject): Judged[] {
  const wanted = places.flatMap(({ namespace, isServed, services, waypoints }) => {
    const owner = cluster.namespaces.get(namespace)
    const whole = labelledWaypoint(owner?.metadata.labels, namespace)
    const own = services.filter(({ metadata }) => metadata.labels?.[useWaypointLabel] !== undefined || !isServed)
    return [
      ...(isServed ? [{ what: `Namespace ${namespace}`, owner, labelled: whole, waypoint: waypoints[0] }] : []),
      ...own.map(service => ({
        what: `Service ${keyOf(service)}`,
        owner,
        labelled: labelledWaypoint(service.metadata.labels, namespace) ?? whole,
        waypoint: serviceWaypoint(service, cluster, settings),
      })),
    ]
  })
  if (wanted.length === 0) return []
  const what = `${listText(wanted.map(each => each.what))} enrolled`
  const open = wanted.find(({ labelled, waypoint }) => waypoint && !isSame(labelled, waypoint))
  if (!open?.waypoint || cluster.statuses === 'assumed') return [step(what, undefined)]
  const label = `label ${useWaypointLabel}: ${open.waypoint.name} of ${open.what}`
  const waits = open.owner && missingForEnrolment(open.owner, open.waypoint, cluster, settings)
  return [step(what, waits ? `${label}, which waits for ${waits}` : label)]
}

function bindingSteps(services: KubernetesObject[], { cluster }: Subject): Judged[] {
  if (services.length === 0) return []
  const names = listText(services.map(service => keyOf(service)))
  const what = `istiod has bound Service ${names}`
  return [verdicts(what, services, 'istio.io/WaypointBound', 'WaypointAccepted', cluster)]
}

/** istiod's word on the policy and its twins. It has none for RequestAuthentications. */
function acceptanceSteps({ policy, end, cluster }: Subject): Judged[] {
  const forms = [end.policy, ...end.kept.map(each => each.policy)].filter(isOnTargets)
  if (policy.kind !== 'AuthorizationPolicy' || forms.length === 0) return []
  const what = `istiod accepts ${listText(forms.map(nameOf))}`
  const stored = forms.map(form => storedOf(form, cluster))
  const absent = forms.find((_, i) => !stored[i]?.spec?.targetRefs && !stored[i]?.spec?.targetRef)
  if (absent && cluster.statuses === 'observed') return [step(what, `${keyOf(absent)} on its targets`)]
  return [
    verdicts(
      what,
      stored.flatMap(each => each ?? []),
      'WaypointAccepted',
      'Accepted',
      cluster,
    ),
  ]
}

function verdicts(
  what: string,
  objects: KubernetesObject[],
  type: string,
  good: string,
  { statuses }: ClusterSnapshot,
): Judged {
  if (statuses === 'assumed') return step(what, undefined)
  const found = objects.map(object => ({ object, verdict: verdictOf(object, type, good) }))
  const bad = found.find(({ verdict }) => verdict && !verdict.isGood)
  if (bad?.verdict) return step(what, `${bad.object.kind} ${keyOf(bad.object)}: ${bad.verdict.text}`)
  const silent = found.find(({ verdict }) => !verdict)
  if (!silent) return step(what, undefined)
  return {
    what,
    isDone: undefined,
    missing: `${silent.object.kind} ${keyOf(silent.object)} has no condition ${type}`,
  }
}

// Targets that their author wrote ----------------------------------------------------------------------------------

function givenSteps(subject: Subject): Judged[] {
  const { end, cluster, settings } = subject
  const own = namespaceOf(end.policy)
  const refs = end.policy.spec.targetRefs ?? []
  const services = refs
    .filter(({ kind }) => kind === 'Service')
    .flatMap(({ name }) => byKey(cluster.services, `${own}/${name}`) ?? [])
    .filter(service => hasAddress(service) && serviceWaypoint(service, cluster, settings))
  return [...bindingSteps(services, subject), ...acceptanceSteps(subject)]
}

// Ingress ----------------------------------------------------------------------------------------------------------

type Ingress = Extract<Subject['target'], { kind: 'ingress' }>

/** The policies of an ingress move together: what refuses, what admits, the tokens (research/policies.md 10.9). */
function ingressSteps(subject: Subject, { mapping, isOldRunning }: Ingress): Judged[] {
  const { policy, end, cluster } = subject
  const gateway = `Gateway ${gatewayOf(mapping).key}`
  const stored = storedOf(policy, cluster) ?? policy
  const stands = cluster.statuses === 'assumed' || isOnGateway(stored, mapping, cluster)
  const before = stands ? [] : beforeGateway(subject, mapping)
  const missing = before.find(({ isDone }) => !isDone)?.missing
  const isAlone =
    cluster.statuses === 'assumed' || (stored.spec?.targetRefs ?? []).some(ref => isEqual(ref, refOf(mapping)))
  const old = isOldRunning ? `the end of the old gateway's pods in Namespace ${mapping.pods.namespace}` : undefined
  const [twin] = end.kept
  return [
    ...before,
    { what: `${twin ? `twin ${keyOf(twin.policy)}` : 'the policy'} on ${gateway}`, isDone: stands, missing },
    ...(twin ? [{ what: `the policy on ${gateway} alone`, isDone: isAlone && !old, missing: old }] : []),
    ...(stands ? acceptanceSteps(subject) : []),
  ]
}

/** What has to stand on the gateway before the policy may. */
function beforeGateway({ policy, cluster, settings }: Subject, mapping: Ingress['mapping']): Judged[] {
  const gateway = `Gateway ${gatewayOf(mapping).key}`
  if (policy.kind === 'RequestAuthentication') {
    const missing = missingAtIngress(mapping, 'policies', cluster, settings)
    return [step(`every AuthorizationPolicy of the ingress on ${gateway}`, missing)]
  }
  if ((policy.spec.action ?? 'ALLOW') !== 'ALLOW') return []
  const unlisted = missingRestriction(mapping, cluster, settings)
  return [
    step(`all that refuses at the ingress on ${gateway}`, missingAtIngress(mapping, 'refusals', cluster, settings)),
    step('whoever keeps the old gateway out keeps the new one out', unlisted),
  ]
}

// Words ------------------------------------------------------------------------------------------------------------

/** Of a Gateway that is missing, in which way it is. */
function detailed(missing: string, cluster: ClusterSnapshot): string {
  const [, key = ''] = /^Gateway (\S+)$/.exec(missing) ?? []
  return key ? `${missing}, which ${lackOf(key, cluster)}` : missing
}

function lackOf(key: string, cluster: ClusterSnapshot): string {
  const object = byKey(cluster.gateways, key)
  if (!object) return 'is not there'
  const obstacle = obstacleNow(object, namespaceOf(object), cluster)
  if (obstacle?.kind === 'unfit') return `cannot serve: ${obstacle.reason}`
  if ((object.status?.addresses ?? []).length === 0) return 'has no address yet'
  return isReady(object) ? 'does not admit the Namespace' : 'is not Programmed yet'
}

function refsText(refs: istio.PolicyTargetReference[]): string {
  return listText(refs.map(({ kind, name }) => `${kind} ${name}`))
}

function isOnTargets({ spec }: Policy): boolean {
  return (spec?.targetRefs ?? []).length > 0
}
