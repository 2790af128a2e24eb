// PeerAuthentication: istiod makes of it what ztunnel understands, a denial of plaintext. What gets lost there is written so
// that it does not, or refused (research/policies.md, section 2 and 10.5). It stays on its selector, and needs no waypoint.
import type * as istio from '../../apis/istio.ts'
import { nameOf } from '../companion.ts'
import { inspect } from '../fate.ts'
import { restoreOriginal, withField } from '../original.ts'
import { createReport, type Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { type ClusterSnapshot, inNamespace, namespaceOf } from '../snapshot.ts'
import { conclude, leave, type Translation } from '../translation.ts'
import { ambientNamespaces, isSelected } from '../waypoint.ts'
import { checkApiServerCalls } from './api-server.ts'
import { peerAuthenticationFates, shapeCodes } from './fates.ts'
import { hasPort, hasSelector, losesInherited, losesStrictPorts, modeOf, parentsOf, policiesFor } from './levels.ts'

const mtls = ['spec', 'mtls']
const modes: readonly string[] = ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']

export function translatePeerAuthentication(
  object: istio.PeerAuthentication,
  observed: ClusterSnapshot,
  settings: Settings,
): Translation<istio.PeerAuthentication> {
  const original = restoreOriginal(object)
  const namespaces = ambientNamespaces(namespaceOf(original), observed, settings)
  if (namespaces.length === 0) return leave(original)
  const report = createReport(settings)
  const spec = original.spec ?? {}
  if (!inspect(spec, peerAuthenticationFates, 'spec', shapeCodes, report)) return leave(original, report)
  checkModes(spec, report)
  if (report.untranslatable) return leave(original, report)
  const cluster = including(original, observed)
  const isRoot = namespaceOf(original) === settings.rootNamespace
  if (isRoot && hasSelector(original)) {
    report('PA-ROOT-SELECTOR', 'spec.selector')
    return leave(original, report)
  }
  if (spec.mtls?.mode === 'DISABLE') report('PA-MODE-DISABLE', 'spec.mtls.mode')
  checkAge(original, cluster, settings, report)
  checkApiServerCalls(original, namespaces, cluster, settings, report)
  if (!hasSelector(original)) {
    if (spec.portLevelMtls) report('PA-PORT-IGNORED', 'spec.portLevelMtls')
    checkWorkloads(original, namespaces, cluster, settings, report)
    return leave(original, report)
  }
  if (losesStrictPorts(original, namespaceOf(original), cluster, settings))
    report('PA-PORT-STRICT', 'spec.portLevelMtls', parametersOf(original))
  const opened = withoutDisabledPorts(original, report)
  const inherited = modeOf(parentsOf(namespaceOf(original), cluster, settings))
  const hasMode = spec.mtls?.mode !== undefined && spec.mtls.mode !== 'UNSET'
  if (hasMode || inherited !== 'STRICT' || !hasPort(opened, 'PERMISSIVE')) return conclude(original, opened, [], report)
  report('PA-MODE-INHERITED', 'spec.mtls')
  // UNSET says as much as nothing. So recorded, a STRICT that its user writes later is told from ours (../original.ts).
  const bare = report.untranslatable ? original : withField(original, mtls, undefined)
  return conclude(bare, withField(opened, mtls, { mode: 'STRICT' }), [], report)
}

/** The cluster once the PeerAuthentication is stored. */
function including(policy: istio.PeerAuthentication, cluster: ClusterSnapshot): ClusterSnapshot {
  const namespace = namespaceOf(policy)
  const own = new Map(cluster.peerAuthentications.get(namespace)).set(nameOf(policy), policy)
  return { ...cluster, peerAuthentications: new Map(cluster.peerAuthentications).set(namespace, own) }
}

function checkModes({ mtls, portLevelMtls = {} }: istio.PeerAuthenticationSpec, report: Report): void {
  const check = (mode: string | undefined, field: string) => {
    if (mode !== undefined && !modes.includes(mode))
      report('PA-MODE-UNKNOWN', `${field}.mode`, { mode: mode.slice(0, 40) || '""' })
  }
  check(mtls?.mode, 'spec.mtls')
  for (const [port, { mode }] of Object.entries(portLevelMtls)) {
    const field = `spec.portLevelMtls[${port.slice(0, 40)}]`
    if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65535)
      report('PA-PORT-INVALID', field, { port: port.slice(0, 40) || '""' })
    check(mode, field)
  }
}

/** Of two on one level the older one holds, in both worlds. */
function checkAge(
  policy: istio.PeerAuthentication,
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): void {
  const namespace = namespaceOf(policy)
  const [older] = hasSelector(policy)
    ? inNamespace(cluster.workloads, namespace)
        .filter(({ labels }) => isSelected(labels, policy.spec?.selector?.matchLabels ?? {}))
        .flatMap(workload => policiesFor(workload, cluster, settings)[0] ?? [])
        .filter(nearest => nearest !== policy)
    : parentsOf(namespace, cluster, settings)
  if (older && older !== policy && namespaceOf(older) === namespace)
    report('PA-POLICY-OLDER', 'metadata.name', { policy: nameOf(older) })
}

/** What becomes of the PeerAuthentications with ports below this one, which nobody sends through admission again. */
function checkWorkloads(
  policy: istio.PeerAuthentication,
  namespaces: string[],
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): void {
  // In files they are translated as well, and speak for themselves.
  if (cluster.statuses === 'assumed') return
  for (const namespace of namespaces) {
    if (!parentsOf(namespace, cluster, settings).includes(policy)) continue
    for (const other of inNamespace(cluster.peerAuthentications, namespace).filter(hasSelector)) {
      if (losesStrictPorts(other, namespace, cluster, settings))
        report('PA-PORT-STRICT', 'spec.mtls', parametersOf(other))
      if (losesInherited(other, namespace, cluster, settings))
        report('PA-WORKLOAD-OPEN', 'spec.mtls', { policy: parametersOf(other).policy })
    }
  }
}

/** ztunnel has no DISABLE, and istiod does not always see it as an exception from STRICT; PERMISSIVE it does. */
function withoutDisabledPorts(policy: istio.PeerAuthentication, report: Report): istio.PeerAuthentication {
  const disabled = Object.entries(policy.spec?.portLevelMtls ?? {}).filter(([, { mode }]) => mode === 'DISABLE')
  return disabled.reduce((opened, [port]) => {
    report('PA-PORT-DISABLE', `spec.portLevelMtls[${port}].mode`)
    return withField(opened, ['spec', 'portLevelMtls', port, 'mode'], 'PERMISSIVE')
  }, policy)
}

function parametersOf(policy: istio.PeerAuthentication): { policy: string; namespace: string } {
  const namespace = namespaceOf(policy)
  return { policy: `${namespace}/${nameOf(policy)}`, namespace }
}
