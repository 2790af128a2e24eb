// Namespace: sidecar injection off, ambient on, and the waypoint that serves it (research/policies.md, section 3).
//
// While pods run sidecars, the order is: the waypoint is there already and takes nothing; as long as the owner lets
// sidecars be injected, nothing else changes; with injection taken off, or with the owner's word that it may go
// (`sidestep.dev/cut-over`), the Namespace is ambient in the same admission, so that a pod that comes back without a
// sidecar is captured and one that still has its sidecar keeps it; the waypoint serves it when no sidecar is left. What is
// cut over is never taken back because a pod turns up with a sidecar.
import type { Namespace } from '../../apis/core.ts'
import { missingForCapture } from '../authorization-policy/index.ts'
import { originalAnnotation, restoreOriginal, withField } from '../original.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings, WaypointRule } from '../settings.ts'
import type { ClusterSnapshot } from '../snapshot.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import {
  dataplaneModeLabel,
  ingressUseWaypointLabel,
  isSame,
  labelledWaypoint,
  namespaceRule,
  ruledWaypoint,
  useWaypointLabel,
  useWaypointNamespaceLabel,
  type WaypointReference,
} from '../waypoint.ts'
import { cutOverAnnotation, isCutOver, isToBeCutOver } from './cut-over.ts'
import { canServe, keyOf, missingForEnrolment, sidecarsIn } from './enrolment.ts'
import { injectionOf, withoutInjection } from './injection.ts'
import { waypointGateways } from './waypoints.ts'

/** istio-cni leaves out kube-system only; the others hold what ambient itself runs on. */
/** They are never made ambient, nor is the root namespace. */
export const systemNamespaces = ['kube-system', 'kube-public', 'kube-node-lease']
const modeField = `metadata.labels[${dataplaneModeLabel}]`

export function translateNamespace(
  object: Namespace,
  cluster: ClusterSnapshot,
  settings: Settings,
): Translation<Namespace> {
  const report = createReport(settings)
  const original = restoreOriginal(object)
  const { name = '', labels = {} } = original.metadata
  const mode = labels[dataplaneModeLabel]
  const isSystem = name === settings.rootNamespace || systemNamespaces.includes(name)
  if (mode !== undefined && mode !== 'ambient' && mode !== 'none')
    report('NS-DATAPLANE-MODE-UNKNOWN', modeField, { mode: mode.slice(0, 40) || '""' })
  if (mode === 'ambient' && isSystem) report('NS-DATAPLANE-MODE-SYSTEM', modeField, { namespace: name })
  if (report.untranslatable) return leave(original, report)

  const rule = isSystem ? undefined : namespaceRule(name, labels, settings)
  const companions = waypointGateways(original, rule?.waypoint, cluster, settings, report)
  if (!rule || mode === 'none') {
    if (rule) reportOptOut(object, labels, report)
    else if (mode !== 'none') checkByHand(original, cluster, settings, report)
    return conclude(original, original, companions, report)
  }
  const enrolment = rule.waypoint && enrolmentOf(original, rule.waypoint, cluster, settings, report)
  const injection = injectionOf(labels)
  const sidecars = sidecarsIn(name, cluster)
  const isTold = isToBeCutOver(original, report)
  if (injection && sidecars > 0 && !isTold && !isCutOver(name, cluster)) {
    if (mode === 'ambient') report('NS-INJECTION-BOTH', modeField, { label: injection })
    const remedy = `take ${injection} off or annotate ${cutOverAnnotation}=true, then restart them`
    reportSidecars(sidecars, 'nothing is cut over yet', remedy, report)
    return conclude(original, original, companions, report)
  }

  // Where the owner has taken injection off, waiting for a guard would leave pods that come back with nothing at all.
  const isNaked = !injection && sidecars > 0
  const isCaptured = mode === 'ambient' && !(injection && sidecars > 0)
  const missing = !isCaptured && !isCutOver(name, cluster) && !isNaked && missingForCapture(name, cluster, settings)
  if (missing) {
    report('NS-CAPTURE-PENDING', modeField, { missing })
    return conclude(original, original, companions, report)
  }

  const own = companions.find(({ metadata }) => metadata.name === rule.waypoint?.name)
  const captured = withoutInjection(withLabel(original, dataplaneModeLabel, rule.dataplaneMode), own, report)
  const translated = enrolment ? enrolled(captured, enrolment, cluster, settings, report) : captured
  if (sidecars > 0)
    reportSidecars(sidecars, consequenceOf(translated, rule.waypoint), 'restart them without injection', report)
  return conclude(original, translated, companions, report)
}

function reportSidecars(count: number, consequence: string, remedy: string, report: Report): void {
  report('NS-SIDECARS-RUNNING', 'metadata.labels', { count: String(count), consequence, remedy })
}

/** What it means that pods of the Namespace run sidecars, once that is ambient. */
function consequenceOf({ metadata: { name = '', labels } }: Namespace, waypoint?: WaypointRule): string {
  if (labelledWaypoint(labels, name)) return 'they take its waypoint for their caller'
  return waypoint ? 'no waypoint serves it yet' : 'ambient leaves them out'
}

/** A Namespace that its owner keeps out, and whether it was in: then it carries the record of what sidestep wrote. */
function reportOptOut({ metadata }: Namespace, labels: Record<string, string>, report: Report): void {
  report('NS-DATAPLANE-MODE-NONE', modeField)
  if (!metadata.annotations?.[originalAnnotation]) return
  const remedy = injectionOf(labels) ? 'restart them' : 'turn injection on and restart them'
  report('NS-DATAPLANE-MODE-LEFT', modeField, { remedy })
}

/** A Namespace that no rule is for, and that somebody made ambient or gave a waypoint: it is looked at, and left. */
function checkByHand(namespace: Namespace, cluster: ClusterSnapshot, settings: Settings, report: Report): void {
  const { name = '', labels = {} } = namespace.metadata
  const isAmbient = labels[dataplaneModeLabel] === 'ambient'
  const waypoint = labelledWaypoint(labels, name)
  if (!isAmbient && !waypoint) return
  const injection = injectionOf(labels)
  if (isAmbient && injection) report('NS-INJECTION-BOTH', modeField, { label: injection })
  const sidecars = sidecarsIn(name, cluster)
  const remedy = injection ? `take ${injection} off, then restart them` : 'restart them without injection'
  if (sidecars > 0) reportSidecars(sidecars, consequenceOf(namespace), remedy, report)
  if (waypoint) canServe(waypoint, name, 'NS', withNamespace(cluster, namespace), settings, report)
}

/** The waypoint that is to serve a whole Namespace. */
interface Enrolment {
  waypoint: WaypointReference
  /** Whether it can serve the Namespace at all. */
  isFit: boolean
  /** Whether the owner has written its label, so that it serves already. */
  isChosen: boolean
  ingressUseWaypoint: boolean
}

/** Judges the waypoint of a rule, or the one that the owner has chosen before. Undefined when none serves all Services. */
function enrolmentOf(
  namespace: Namespace,
  rule: WaypointRule,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): Enrolment | undefined {
  const { name = '', labels } = namespace.metadata
  const ruled = ruledWaypoint(rule, name)
  const chosen = rule.services === 'all' ? labelledWaypoint(labels, name) : undefined
  if (chosen !== undefined && !isSame(chosen, ruled))
    report('NS-WAYPOINT-KEPT', `metadata.labels[${useWaypointLabel}]`, { waypoint: chosen ? keyOf(chosen) : 'none' })
  if (chosen === false) return undefined
  const waypoint = chosen ?? ruled
  const isFit = canServe(waypoint, name, 'NS', withNamespace(cluster, namespace), settings, report)
  if (rule.services !== 'all') return undefined
  return { waypoint, isFit, isChosen: chosen !== undefined, ingressUseWaypoint: rule.ingressUseWaypoint }
}

/** The waypoint's labels, once every policy of the Namespace is where the waypoint will ask it. */
function enrolled(
  namespace: Namespace,
  { waypoint, isFit, isChosen, ingressUseWaypoint }: Enrolment,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): Namespace {
  const { name = '', labels = {} } = namespace.metadata
  const stored = cluster.namespaces.get(name)?.metadata.labels
  const missing = isFit ? missingForEnrolment(namespace, waypoint, cluster, settings) : undefined
  const isReady = isFit && !missing
  // Once served it stays served: taking the waypoint away would cut off everybody whom its policies admit.
  if (!isChosen && !isReady && !isSame(labelledWaypoint(stored, name), waypoint)) {
    if (missing && sidecarsIn(name, cluster) === 0)
      report('NS-WAYPOINT-PENDING', 'metadata.labels', { waypoint: keyOf(waypoint), missing })
    return namespace
  }
  let served = withLabel(namespace, useWaypointLabel, waypoint.name)
  if (waypoint.namespace !== name) served = withLabel(served, useWaypointNamespaceLabel, waypoint.namespace)
  const isIngressServed = isReady || stored?.[ingressUseWaypointLabel] === 'true'
  return ingressUseWaypoint && isIngressServed && labels[ingressUseWaypointLabel] === undefined
    ? withLabel(served, ingressUseWaypointLabel, 'true')
    : served
}

/** A waypoint admits Namespaces by their labels: those that this one is about to have. */
function withNamespace(cluster: ClusterSnapshot, namespace: Namespace): ClusterSnapshot {
  return { ...cluster, namespaces: new Map(cluster.namespaces).set(namespace.metadata.name ?? '', namespace) }
}

function withLabel(namespace: Namespace, label: string, value: string | undefined): Namespace {
  return withField(namespace, ['metadata', 'labels', label], value)
}
