// RequestAuthentication: ztunnel checks no tokens, so it goes where the policies go that use its claims
// (research/policies.md, section 2). It refuses bad tokens and admits nobody, so it needs no guard; but a policy that
// asks for a token must not stand where none is checked.
import type * as istio from '../../apis/istio.ts'
import { attached, checkPlace, type Outcome as PolicyOutcome, reportKept, twin } from '../attachment.ts'
import { nameOf } from '../companion.ts'
import { inspect } from '../fate.ts'
import { restoreOriginal } from '../original.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'
import { gatewayClassRef, gatewayRef, resolveTarget, serviceRefs, type Target } from '../target-refs.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import { type Waypoint, waypointClass } from '../waypoint.ts'
import { requestAuthenticationFates, shapeCodes } from './fates.ts'

type Outcome = PolicyOutcome<istio.RequestAuthentication>

export function translateRequestAuthentication(
  object: istio.RequestAuthentication,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<istio.RequestAuthentication> {
  const report = createReport(settings)
  const original = restoreOriginal(object)
  const spec = original.spec ?? {}
  if (!inspect(spec, requestAuthenticationFates, 'spec', shapeCodes, report)) return leave(original, report)
  if (report.untranslatable) return leave(original, report)
  const policy = { ...original, spec }
  const target = resolveTarget(policy, 'RA', cluster, settings, report)
  const { policy: rewritten, kept } = outcomeFor(policy, target, report)
  for (const each of kept) checkPlace(each, 'RA', cluster.requestAuthentications, report)
  if (report.untranslatable) return leave(original, report)
  for (const each of kept) reportKept(each, 'RA', report)
  return conclude(
    original,
    rewritten === policy ? original : rewritten,
    kept.map(({ policy }) => policy),
    report,
  )
}

function outcomeFor(policy: istio.RequestAuthentication, target: Target, report: Report): Outcome {
  switch (target.kind) {
    case 'ingress':
      return onIngress(policy, target, report)
    case 'mesh':
      return onMesh(policy, target.hasSelector, report)
    case 'namespace':
      return onNamespace(policy, target, report)
    case 'services':
      return onServices(policy, target, report)
    default:
      return { policy, kept: [] }
  }
}

/** As for an AuthorizationPolicy of the ingress: on the old gateway while it runs, and on the new one. */
function onIngress(
  policy: istio.RequestAuthentication,
  { mapping, name, isOldRunning }: Extract<Target, { kind: 'ingress' }>,
  report: Report,
): Outcome {
  const [gateway = ''] = mapping.gateway.split('#')
  if (!isOldRunning) return { policy: attached(policy, [gatewayRef(name)]), kept: [] }
  const onNew = twin(policy, 'gateway', [gatewayRef(name)])
  report('RA-GATEWAY-BOTH', 'spec.selector', { twin: nameOf(onNew), gateway })
  return { policy, kept: [{ policy: onNew, purpose: `it checks tokens at Gateway ${gateway}` }] }
}

/** Gateways read a mesh-wide one as it is, waypoints only through their GatewayClass. */
function onMesh(policy: istio.RequestAuthentication, hasSelector: boolean, report: Report): Outcome {
  if (hasSelector) {
    report('RA-ROOT-SELECTOR', 'spec.selector')
    return { policy, kept: [] }
  }
  const onWaypoints = twin(policy, waypointClass, [gatewayClassRef(waypointClass)])
  return { policy, kept: [{ policy: onWaypoints, purpose: 'waypoints do not read mesh-wide ones' }] }
}

function onNamespace(
  policy: istio.RequestAuthentication,
  { waypoint, isPartly, isShared }: Extract<Target, { kind: 'namespace' }>,
  report: Report,
): Outcome {
  const name = waypoint && `${waypoint.namespace}/${waypoint.name}`
  if (name && isPartly) report('RA-WAYPOINT-PARTIAL', 'spec', { waypoint: name })
  if (name && isShared) report('RA-WAYPOINT-SHARED', 'spec', { waypoint: name })
  return moved(
    policy,
    waypoint,
    waypoint ? [gatewayRef(waypoint.name)] : [],
    `Namespace ${namespaceOf(policy)}`,
    report,
  )
}

function onServices(
  policy: istio.RequestAuthentication,
  { services, waypoint }: Extract<Target, { kind: 'services' }>,
  report: Report,
): Outcome {
  const [first] = services
  if (!first) {
    const labels = Object.entries(policy.spec.selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`)
    report('RA-SERVICE-NONE', 'spec.selector', { workload: labels.join(',').slice(0, 60) })
    return { policy, kept: [] }
  }
  if (services.length > 16) report('RA-TARGETS-LIMIT', 'spec.selector', { count: String(services.length) })
  return moved(policy, waypoint, serviceRefs(services), `Service ${first.metadata.name}`, report)
}

function moved(
  policy: istio.RequestAuthentication,
  waypoint: Waypoint | undefined,
  targetRefs: istio.PolicyTargetReference[],
  target: string,
  report: Report,
): Outcome {
  if (!waypoint) {
    report('RA-WAYPOINT-NONE', 'spec', { target })
    return { policy, kept: [] }
  }
  if (!waypoint.isProgrammed) {
    report('RA-WAYPOINT-PENDING', 'spec', { missing: `waypoint ${waypoint.namespace}/${waypoint.name}` })
    return { policy, kept: [] }
  }
  return { policy: attached(policy, targetRefs), kept: [] }
}
