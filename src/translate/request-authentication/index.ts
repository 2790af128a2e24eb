// RequestAuthentication: ztunnel checks no tokens, so it goes where the policies go that use its claims
// (research/policies.md, section 2). It refuses bad tokens and admits nobody, so it needs no guard; but a policy that
// asks for a token must not stand where none is checked.
import type * as istio from '../../apis/istio.ts'
import { isEqual } from '../canonical.ts'
import { nameOf } from '../companion.ts'
import { inspect } from '../fate.ts'
import { restoreOriginal } from '../original.ts'
import { type Attachment, attachmentsIn, attachmentsInMesh, type Reading } from '../policy/attachments.ts'
import {
  attached,
  checkName,
  isInPlace,
  type Outcome as PolicyOutcome,
  reportKept,
  standing,
  twin,
} from '../policy/companions.ts'
import { checkGiven } from '../policy/given.ts'
import { gatewayOf, isOnGateway, missingAtIngress, refOf } from '../policy/ingress.ts'
import { checkPlace, type Place, resolveTarget, type Target } from '../policy/targets.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import { requestAuthenticationFates, shapeCodes } from './fates.ts'

type RequestAuthentication = istio.RequestAuthentication
type Outcome = PolicyOutcome<RequestAuthentication>

interface Context {
  cluster: ClusterSnapshot
  settings: Settings
  report: Report
}

export function translateRequestAuthentication(
  object: RequestAuthentication,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<RequestAuthentication> {
  const report = createReport(settings)
  const context = { cluster, settings, report }
  const original = restoreOriginal(object)
  const spec = original.spec ?? {}
  if (!inspect(spec, requestAuthenticationFates, 'spec', shapeCodes, report)) return leave(original, report)
  if (report.untranslatable) return leave(original, report)
  const policy = { ...original, spec }
  const target = resolveTarget(policy, { kind: 'RA', ...context })
  const { policy: rewritten, kept } = outcomeFor(policy, target, context)
  for (const each of kept) checkName(original, each, 'RA', cluster.requestAuthentications, report)
  const stored = byKey(cluster.requestAuthentications, `${namespaceOf(original)}/${nameOf(original)}`)
  if (report.untranslatable) return leave(standing(original, stored) ?? original, report)
  reportKept(kept, 'RA', report)
  const companions = kept.map(each => each.policy)
  return conclude(original, rewritten === policy ? original : rewritten, companions, report)
}

/** What becomes of it and stands beside it, with the purpose of each; none when it is refused or cannot be read. */
export function outcomeOf(
  object: RequestAuthentication,
  cluster: ClusterSnapshot,
  settings: Settings,
): Outcome | undefined {
  const report = createReport(settings)
  const original = restoreOriginal(object)
  const policy = { ...original, spec: original.spec ?? {} }
  if (!inspect(policy.spec, requestAuthenticationFates, 'spec', shapeCodes, report)) return undefined
  const context = { cluster, settings, report }
  const outcome = outcomeFor(policy, resolveTarget(policy, { kind: 'RA', ...context }), context)
  return report.untranslatable ? undefined : outcome
}

function outcomeFor(policy: RequestAuthentication, target: Target, context: Context): Outcome {
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
  const gateway = gatewayOf(mapping)
  const stored = byKey(cluster.requestAuthentications, `${namespaceOf(policy)}/${nameOf(policy)}`)
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
  // In files a policy of the mesh may come before any Namespace of it.
  const places = target.places
  if (!isMesh && places.every(({ isKnown }) => !isKnown)) {
    report('RA-WORKLOAD-NONE', 'spec.selector')
    return { policy, kept: [] }
  }
  for (const place of places) {
    checkPlace(place, { kind: 'RA', cluster, report }, !isMesh)
    if (!isMesh) checkServed(policy, place, report)
  }
  const attachments = isMesh
    ? attachmentsInMesh(settings.rootNamespace, places, reading)
    : attachmentsIn(places, reading)
  const [base, ...others] = attachments
  const sidecar = places.find(({ withSidecar }) => withSidecar)?.withSidecar
  if (sidecar) report('RA-WORKLOAD-SIDECAR', 'spec.selector', { workload: sidecar.name })
  const isMoved = base !== undefined && !isMesh && !target.isFanOut && !sidecar
  const kept = (isMoved || !base ? others : [...others, base]).map(({ namespace, suffix, targetRefs }) => ({
    policy: twin(policy, suffix, targetRefs, namespace),
    purpose: isMesh ? 'waypoints do not read mesh-wide ones' : 'the waypoint checks the same tokens',
  }))
  const waypoint = places.flatMap(({ waypoints }) => waypoints).find(({ isProgrammed }) => !isProgrammed)
  const absent = kept.find(each => !isInPlace(each.policy, cluster.requestAuthentications, cluster))
  const missing = waypoint
    ? `Gateway ${waypoint.namespace}/${waypoint.name}`
    : absent && `RequestAuthentication ${nameOf(absent.policy)}`
  if (!isMoved) return { policy, kept }
  if (missing) report('RA-WAYPOINT-PENDING', 'spec', { missing })
  return { policy: missing ? asStored(policy, base, cluster) : attached(policy, base.targetRefs), kept }
}

/** Once on targets a policy stays on them. */
function asStored(policy: RequestAuthentication, base: Attachment, cluster: ClusterSnapshot): RequestAuthentication {
  const stored =
    byKey(cluster.requestAuthentications, `${namespaceOf(policy)}/${nameOf(policy)}`)?.spec?.targetRefs ?? []
  if (stored.length === 0) return policy
  return attached(policy, isEqual(stored, base.targetRefs) ? base.targetRefs : stored)
}

function checkServed(policy: RequestAuthentication, place: Place, report: Report): void {
  const { namespace, selector, services, unserved, waypoints, isServed, whole } = place
  const isPart = Object.keys(selector).length > 0
  const [waypoint] = waypoints
  const [first] = unserved
  const name = `${waypoint?.namespace}/${waypoint?.name}`
  if (isPart && first) report('RA-WAYPOINT-NONE', 'spec', { target: `Service ${namespace}/${first.metadata.name}` })
  else if (isPart && services.length === 0) {
    const labels = Object.entries(policy.spec.selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`)
    report('RA-SERVICE-NONE', 'spec.selector', { workload: labels.join(',').slice(0, 60) })
  } else if (!waypoint) report('RA-WAYPOINT-NONE', 'spec', { target: `Namespace ${namespace}` })
  else if (!isPart && (first || !isServed)) report('RA-WAYPOINT-PARTIAL', 'spec', { waypoint: name })
  else if (!isPart && !whole) report('RA-WAYPOINT-SHARED', 'spec', { waypoint: name })
}
