// Where a policy is on its way to ambient, in words: who enforces which part of it, which steps are done, what the next one
// waits for. All of it is read from the snapshot, by what translates the policy, so it cannot say anything else.
import type * as istio from '../../apis/istio.ts'
import { outcomeOf as authorizationOutcome } from '../authorization-policy/index.ts'
import { isCompanion, nameOf, sourceAnnotation } from '../companion.ts'
import { translate } from '../index.ts'
import { type Mode, modeFor } from '../mode.ts'
import { restoreOriginal } from '../original.ts'
import { isDryRun, isInPlace, type Outcome, storedOf } from '../policy/companions.ts'
import { type Policy, resolveTarget, type Target } from '../policy/targets.ts'
import { createReport, type Diagnostic, isReason } from '../report.ts'
import { outcomeOf as authenticationOutcome } from '../request-authentication/index.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, keyOf, namespaceOf } from '../snapshot.ts'
import type { Translation } from '../translation.ts'
import { type Enforcement, enforcementOf } from './enforcement.ts'
import { type ExplainedStep, stepsFor } from './steps.ts'
import { waitingFor } from './waiting.ts'
import { appliesTo, whyUnchanged } from './words.ts'

export type { Enforcement } from './enforcement.ts'
export type { ExplainedStep } from './steps.ts'

export interface PolicyExplanation {
  kind: 'AuthorizationPolicy' | 'RequestAuthentication'
  namespace: string
  name: string
  /** Of an AuthorizationPolicy. */
  action?: string
  isDryRun: boolean
  /** `every pod of Namespace team-a` */
  appliesTo: string
  mode: Mode
  /** Whether the steps are read from statuses, or assumed to be done as in files. */
  statuses: ClusterSnapshot['statuses']
  /** What sidestep makes of it: other targets or companions, nothing, or a refusal. */
  outcome: 'translated' | 'unchanged' | 'denied'
  /** Why nothing is made of it. */
  why?: string
  /** Who enforces it as it is stored, and when every step is done. */
  enforcement: { now: Enforcement[]; end: Enforcement[] }
  /** In the order in which they have to happen. */
  steps: ExplainedStep[]
  /** What goes no further until the next step is done. */
  waiting: string[]
  companions: ExplainedCompanion[]
  diagnostics: Diagnostic[]
}

/** What is kept beside the policy at this moment. */
export interface ExplainedCompanion {
  /** `AuthorizationPolicy team-a/owner-guard` */
  policy: string
  purpose: string
  state: 'in place' | 'missing' | 'different'
}

/** What the parts of an explanation are made of. */
export interface Subject {
  /** As its author wrote it. */
  policy: Policy
  target: Target
  /** What becomes of it when everything is in place. */
  end: Outcome<Policy>
  cluster: ClusterSnapshot
  settings: Settings
}

/** Explains a policy that is in the snapshot. Like `translate`, it throws for no object. */
export function explainPolicy(object: Policy, cluster: ClusterSnapshot, settings: Settings): PolicyExplanation {
  const translation = translate(object, cluster, settings)
  const explanation = introduce(object, translation, cluster, settings)
  const diagnostics = explanation.diagnostics
  const unchanged = (why: string): PolicyExplanation => ({ ...explanation, outcome: 'unchanged', why })

  const source = object.metadata.annotations?.[sourceAnnotation]
  if (isCompanion(object)) return unchanged(`it is kept by sidestep beside ${source}; explain that one`)
  if (explanation.mode === 'off') return unchanged('sidestep.dev/mode: off keeps sidestep away from it')
  if (translation.denial) return { ...explanation, outcome: 'denied' }
  const reason = diagnostics.find(({ code }) => isReason(code))
  if (reason) return unchanged(reason.message)

  const later: ClusterSnapshot = { ...cluster, statuses: 'assumed' }
  const now = outcomeOf(object, cluster, settings)
  const end = outcomeOf(object, later, settings)
  if (!now || !end) return unchanged(whyNever(translate(object, later, settings)))
  const policy = specified(restoreOriginal(object))
  const kind = policy.kind === 'AuthorizationPolicy' ? 'AP' : 'RA'
  const surroundings = { kind, cluster, settings, report: createReport(settings) } as const
  const target = resolveTarget(policy, surroundings)
  const subject: Subject = { policy, target, end, cluster, settings }
  const isLeft = end.policy.spec === policy.spec && end.kept.length === 0
  const steps = stepsFor(subject)
  return {
    ...explanation,
    appliesTo: appliesTo(policy, settings, target),
    outcome: isLeft ? 'unchanged' : 'translated',
    ...(isLeft ? { why: whyUnchanged(subject, diagnostics) } : {}),
    enforcement: enforcement(object, now, subject, steps),
    steps,
    waiting: waitingFor(subject, steps),
    companions: now.kept.map(({ policy: companion, purpose }) => ({
      policy: `${companion.kind} ${keyOf(companion)}`,
      purpose,
      state: stateOf(companion, cluster),
    })),
  }
}

/** Traffic that is not enrolled bypasses the waypoints, whatever they would check. */
function enforcement(object: Policy, now: Outcome<Policy>, subject: Subject, steps: ExplainedStep[]) {
  const { end: atEnd, cluster, settings } = subject
  const later: ClusterSnapshot = { ...cluster, statuses: 'assumed' }
  const target = resolveTarget(subject.policy, { kind: 'AP', cluster: later, settings, report: createReport(settings) })
  const end = enforcementOf([atEnd.policy, ...atEnd.kept.map(({ policy }) => policy)], {
    ...subject,
    target,
    cluster: later,
  })
  if (cluster.statuses === 'assumed') return { now: end, end }
  const stored = now.kept.flatMap(({ policy }) => storedOf(policy, cluster) ?? [])
  const shares = enforcementOf([specified(object), ...stored], subject)
  const isEnrolled = steps.every(({ what, state }) => !what.endsWith(' enrolled') || state === 'done')
  return { now: shares.filter(({ by }) => by !== 'waypoint' || isEnrolled), end }
}

/** What can be said of any object, whatever its fields hold. */
function introduce(
  object: Policy,
  { denial, warnings }: Translation<Policy>,
  cluster: ClusterSnapshot,
  settings: Settings,
): PolicyExplanation {
  const { action = 'ALLOW' } = (object.spec ?? {}) as istio.AuthorizationPolicySpec
  return {
    kind: object.kind,
    namespace: namespaceOf(object),
    name: nameOf(object),
    ...(object.kind === 'AuthorizationPolicy' ? { action: String(action) } : {}),
    isDryRun: isDryRun(object),
    appliesTo: appliesTo(object, settings),
    mode: modeFor(object, cluster, settings),
    statuses: cluster.statuses,
    outcome: 'translated',
    enforcement: { now: [], end: [] },
    steps: [],
    waiting: [],
    companions: [],
    diagnostics: [...(denial?.reasons ?? []), ...warnings],
  }
}

/** A policy may come without a spec, which Istio reads as an empty one. */
function specified<P extends Policy>(policy: P): P {
  return policy.spec ? policy : { ...policy, spec: {} }
}

function outcomeOf(object: Policy, cluster: ClusterSnapshot, settings: Settings): Outcome<Policy> | undefined {
  return object.kind === 'AuthorizationPolicy'
    ? authorizationOutcome(object, cluster, settings)
    : authenticationOutcome(object, cluster, settings)
}

/** A policy of a Namespace that is not ambient yet may be one that ambient cannot have. */
function whyNever({ denial, warnings }: Translation<Policy>): string {
  const [reason] = [...(denial?.reasons ?? []), ...warnings.filter(({ code }) => isReason(code))]
  return `at the end of its way it would be denied: ${reason ? `${reason.code} ${reason.message}` : 'its fields cannot be read'}`
}

function stateOf(companion: Policy, cluster: ClusterSnapshot): ExplainedCompanion['state'] {
  if (isInPlace(companion, cluster)) return 'in place'
  return storedOf(companion, cluster) ? 'different' : 'missing'
}
