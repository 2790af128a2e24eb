// RequestAuthentication: ztunnel checks no tokens, so it goes where the policies go that use its claims
// (research/policies.md, section 2). It refuses bad tokens and admits nobody, so it needs no guard; but a policy that
// asks for a token must not stand where none is checked.
import type * as istio from '../../apis/istio.ts'
import { nameOf } from '../companion.ts'
import { inspect } from '../fate.ts'
import { labelsText } from '../labels.ts'
import { gatewayOf } from '../mapped-gateway.ts'
import { restoreOriginal } from '../original.ts'
import { attachmentsIn, attachmentsInMesh, besideOf, type Reading } from '../policy/attachments.ts'
import {
  attached,
  checkName,
  isInPlace,
  type Outcome as PolicyOutcome,
  reportKept,
  standing,
  storedOf,
  twin,
} from '../policy/companions.ts'
import { checkGiven } from '../policy/given.ts'
import { isOnGateway, missingAtIngress, refOf } from '../policy/ingress.ts'
import { checkPlace, missingWaypoint, type Place, resolveTarget, type Target } from '../policy/targets.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import type { ClusterSnapshot } from '../snapshot.ts'
import { type Context, conclude, leave, type Translation } from '../translation.ts'
import { requestAuthenticationFates, shapeCodes } from './fates.ts'

type RequestAuthentication = istio.RequestAuthentication
type Outcome = PolicyOutcome<RequestAuthentication>

export function translateRequestAuthentication(
  object: RequestAuthentication,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<RequestAuthentication> {
  const report = createReport(settings)
  const context = { cluster, settings, report }
  const original = restoreOriginal(object)
  const resolved = resolve(original, context)
  if (!resolved) return leave(original, report)
  const { policy: rewritten, kept } = outcomeFor(resolved, context)
  for (const each of kept) checkName(original, each, 'RA', context)
  if (report.untranslatable) return leave(standing(original, cluster) ?? original, report)
  reportKept(kept, 'RA', report)
  const companions = kept.map(each => each.policy)
  return conclude(original, rewritten === resolved.policy ? original : rewritten, companions, report)
}

/** What becomes of it and stands beside it, with the purpose of each; none when it is refused or cannot be read. */
export function outcomeOf(
  object: RequestAuthentication,
  cluster: ClusterSnapshot,
  settings: Settings,
): Outcome | undefined {
  const context = { cluster, settings, report: createReport(settings) }
  const resolved = resolve(restoreOriginal(object), context)
  const outcome = resolved && outcomeFor(resolved, context)
  return context.report.untranslatable ? undefined : outcome
}

/** A policy with a spec, and what it applies to. */
interface Resolved {
  policy: RequestAuthentication
  target: Target
}

/** None when the policy cannot be read. */
function resolve(original: RequestAuthentication, context: Context): Resolved | undefined {
  const policy = { ...original, spec: original.spec ?? {} }
  const { report } = context
  if (!inspect(policy.spec, requestAuthenticationFates, 'spec', shapeCodes, report)) return undefined
  if (report.untranslatable) return undefined
  return { policy, target: resolveTarget(policy, { kind: 'RA', ...context }) }
}

function outcomeFor({ policy, target }: Resolved, context: Context): Outcome {
  switch (target.kind) {
    case 'given':
      return { policy: checkGiven(policy, 'RA', context), kept: [] }
    case 'ingress':
      return onIngress(policy, target, context)
    case 'mesh':
    case 'applications':
      return onApplications(policy, target, context)
    default:
      return { policy, kept: [] }
  }
}

/**
 * As for an AuthorizationPolicy of the ingress: on the old gateway while it runs, and on the new one. There it comes
 * last, since a token that is known could only admit.
 */
function onIngress(
  policy: RequestAuthentication,
  { mapping, isOldRunning }: Extract<Target, { kind: 'ingress' }>,
  { cluster, settings, report }: Context,
): Outcome {
  const { key: gateway } = gatewayOf(mapping)
  const stored = storedOf(policy, cluster)
  const stands = stored !== undefined && isOnGateway(stored, mapping, cluster)
  const missing = stands ? undefined : missingAtIngress(mapping, 'policies', cluster, settings)
  if (missing) {
    report('RA-GATEWAY-PENDING', 'spec.selector', { gateway, missing })
    return { policy, kept: [] }
  }
  if (!isOldRunning) return { policy: attached(policy, [refOf(mapping)]), kept: [] }
  const onNew = twin(policy, 'gateway', [refOf(mapping)])
  report('RA-GATEWAY-BOTH', 'spec.selector', { twin: nameOf(onNew), gateway })
  return { policy, kept: [{ policy: onNew, purpose: `it checks tokens at Gateway ${gateway}` }] }
}

/** Tokens are the same at every port. */
const reading: Reading = { rules: [], isAllow: true, isByPort: () => false, atService: rules => rules }

function onApplications(
  policy: RequestAuthentication,
  target: Extract<Target, { kind: 'mesh' | 'applications' }>,
  context: Context,
): Outcome {
  const { cluster, settings, report } = context
  const isMesh = target.kind === 'mesh'
  const { places } = target
  if (!isMesh && places.every(({ isKnown }) => !isKnown)) {
    report('RA-WORKLOAD-NONE', 'spec.selector')
    return { policy, kept: [] }
  }
  for (const place of places) {
    checkPlace(place, { kind: 'RA', cluster, report }, !isMesh)
    checkServed(place, isMesh, report)
  }
  const attachments = isMesh
    ? attachmentsInMesh(settings.rootNamespace, places, reading)
    : attachmentsIn(places, reading)
  const [base] = attachments
  const sidecar = places.find(({ withSidecar }) => withSidecar)?.withSidecar
  if (sidecar) report('RA-WORKLOAD-SIDECAR', 'spec.selector', { workload: sidecar.name })
  const isMoved = base !== undefined && !isMesh && !target.isFanOut && !sidecar
  const kept = besideOf(attachments, isMoved).map(({ namespace, suffix, targetRefs }) => ({
    policy: twin(policy, suffix, targetRefs, namespace),
    purpose: isMesh ? 'waypoints do not read mesh-wide ones' : 'the waypoint checks the same tokens',
  }))
  const absent = kept.find(each => !isInPlace(each.policy, cluster))
  const missing = missingWaypoint(places) ?? (absent && `RequestAuthentication ${nameOf(absent.policy)}`)
  if (!isMoved) return { policy, kept }
  if (missing) report('RA-WAYPOINT-PENDING', 'spec', { missing })
  return { policy: missing ? asStored(policy, cluster) : attached(policy, base.targetRefs), kept }
}

/** Once on targets a policy stays on them. */
function asStored(policy: RequestAuthentication, cluster: ClusterSnapshot): RequestAuthentication {
  const targetRefs = storedOf(policy, cluster)?.spec?.targetRefs ?? []
  return targetRefs.length === 0 ? policy : attached(policy, targetRefs)
}

/** Every pod that it means has to be behind a waypoint, or the tokens of some requests are checked by nobody. */
function checkServed(place: Place, isMesh: boolean, report: Report): void {
  const { namespace, selector, services, unserved, waypoints, isServed, whole } = place
  const isPart = Object.keys(selector).length > 0
  const [waypoint] = waypoints
  const [first] = unserved
  const name = `${waypoint?.namespace}/${waypoint?.name}`
  if (isPart && first) report('RA-WAYPOINT-NONE', 'spec', { target: `Service ${namespace}/${first.metadata.name}` })
  else if (isPart && services.length === 0)
    report('RA-SERVICE-NONE', 'spec.selector', { workload: labelsText(selector).slice(0, 60) })
  else if (!waypoint) report('RA-WAYPOINT-NONE', 'spec', { target: `Namespace ${namespace}` })
  else if (!isPart && (first || !isServed)) report('RA-WAYPOINT-PARTIAL', 'spec', { waypoint: name })
  else if (!isPart && !whole && !isMesh) report('RA-WAYPOINT-SHARED', 'spec', { waypoint: name })
}
