// Objects -> AuditReport: what ambient would make of them at the end of the way, who is on it how far, and what stands in it.
// Pure, like the core that it asks: equal objects in any order give an equal report.
import type { KubernetesObject } from '../apis/core.ts'
import { nameOf } from '../translate/companion.ts'
import type { Settings } from '../translate/settings.ts'
import { emptySnapshot, noCapabilities, putObject, standardCapabilities } from '../translate/snapshot.ts'
import type { Translate } from '../translate/translation.ts'
import { ambientRule } from '../translate/waypoint.ts'
import { changeOf } from './changes.ts'
import { hostsOf } from './hosts.ts'
import { idleSettings } from './idle-settings.ts'
import {
  type AuditInput,
  type Clusters,
  compare,
  endOf,
  identityOf,
  isInPlace,
  type Judged,
  judge,
  type Planned,
} from './judge.ts'
import { isMeshWide } from './mesh-wide.ts'
import { dataplaneOf, namespaceIn, waypointOf } from './namespaces.ts'
import { remarksOn } from './remarks.ts'
import type { AuditFinding, AuditReport, Counts, NamespaceReport, Unread, Verdict } from './report.ts'
import { stepsOf } from './steps.ts'

export type { AuditInput } from './judge.ts'

export interface AuditOptions {
  settings: Settings
  profile: string
  /** What the person's own file says of the settings. */
  given?: Partial<Settings>
  version: string
  /** What was read: the paths of files, or the context of a kubeconfig. */
  source: string
  /** Whether the CRDs that are not there are not installed, where files only leave them away. */
  isLive?: boolean
  unread?: readonly Unread[]
  /**
   * Tells of these namespaces only, and of what stands against all of them in the root namespace. Whatever else is there
   * still counts for judging them.
   */
  namespaces?: readonly string[]
  onProgress?: (done: number, total: number) => void
  translate?: Translate<KubernetesObject>
}

export function audit(inputs: readonly AuditInput[], options: AuditOptions): AuditReport {
  const { settings, profile, version, source, unread = [], namespaces } = options
  const objects = new Map(inputs.map(({ object }) => [identityOf(object), object]))
  const capabilities = options.isLive ? noCapabilities : standardCapabilities
  const isComplete = options.isLive === true && unread.length === 0
  const now = { ...emptySnapshot('observed'), isComplete, capabilities }
  for (const object of objects.values()) putObject(now, object)
  const clusters = { now, end: endOf(now, settings), settings }
  const isTold = (namespace: string) => !namespaces || namespaces.includes(namespace)
  const isInMesh = namespaces?.some(name => ambientRule(name, now, settings)) ?? false
  const isOfMesh = ({ object }: AuditInput) => isInMesh && !isTold(namespaceIn(object)) && isMeshWide(object, settings)
  const asked = inputs.filter(input => isTold(namespaceIn(input.object)) || isOfMesh(input))
  const answers = asked.map((input, i) => {
    options.onProgress?.(i, asked.length)
    return judge(input, objects, clusters, options.translate)
  })
  options.onProgress?.(asked.length, asked.length)
  const judged = answers.flatMap(each => (isOfMesh(each.input) ? againstAll(each) : each))
  const reports = reportsOf(judged, clusters, isTold)
  const verdicts = reports.map(({ verdict }) => verdict)
  const remarks = [
    ...remarksOn(judged, reports, clusters, namespaces),
    ...idleSettings(options.given ?? {}, now, objects.values()),
  ]
  return {
    version,
    source,
    profile,
    ...(unread.length > 0 ? { unread: [...unread] } : {}),
    ...(remarks.length > 0 ? { remarks } : {}),
    // Nobody may call a cluster ready of which a part was not seen.
    verdict: worst([...verdicts, ...(unread.length > 0 ? (['warnings'] as const) : [])]),
    objects: judged.length,
    counts: sum(reports.map(({ counts }) => counts)),
    namespaces: reports,
    hosts: hostsOf(judged, clusters),
  }
}

/** Of what holds for the whole mesh, only what stands against it is told with a namespace that is not its own. */
function againstAll(judged: Judged): Judged[] {
  const findings = judged.findings.filter(({ severity }) => severity !== 'note')
  return findings.length > 0 ? [{ ...judged, findings, planned: [] }] : []
}

// Namespaces -------------------------------------------------------------------------------------------------------

function reportsOf(judged: Judged[], clusters: Clusters, isTold: (namespace: string) => boolean): NamespaceReport[] {
  const groups = new Map<string, { judged: Judged[]; planned: Planned[] }>()
  const groupOf = (name: string) => {
    const group = groups.get(name) ?? { judged: [], planned: [] }
    groups.set(name, group)
    return group
  }
  const seen = new Set<string>()
  for (const each of judged) {
    groupOf(namespaceIn(each.input.object)).judged.push(each)
    for (const planned of each.planned) {
      // A companion may stand in another namespace than its source, and serve several.
      const identity = identityOf(planned.end)
      const namespace = namespaceIn(planned.end)
      if (!seen.has(identity) && isTold(namespace)) groupOf(namespace).planned.push(planned)
      seen.add(identity)
    }
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { judged, planned }]) => reportOf(name, judged, planned, clusters))
}

function reportOf(name: string, judged: Judged[], planned: Planned[], clusters: Clusters): NamespaceReport {
  const findings = judged.flatMap(findingsOf).sort(compareFindings)
  const changed = planned.filter(each => !isInPlace(each))
  const counts: Counts = {
    denial: countOf(findings, 'denial'),
    warning: countOf(findings, 'warning'),
    note: countOf(findings, 'note'),
    rewritten: changed.filter(({ role }) => role === 'rewritten').length,
    companions: changed.filter(({ role }) => role === 'companion').length,
  }
  const waypoint = waypointOf(name, planned, clusters)
  const dataplane = dataplaneOf(name, planned, clusters)
  return {
    name,
    verdict: counts.denial > 0 ? 'blocked' : counts.warning > 0 ? 'warnings' : 'ready',
    dataplane,
    ...(waypoint ? { waypoint } : {}),
    objects: judged.length,
    counts,
    findings,
    changes: changed.map(changeOf).sort((a, b) => compare(keysOf(a), keysOf(b))),
    steps: stepsOf(name, planned, { ...clusters, waypoint, isAmbient: dataplane.then === 'ambient' }),
  }
}

function findingsOf({ input: { object, positionOf }, findings }: Judged): AuditFinding[] {
  const { apiVersion, kind } = object
  // A Namespace is in itself, but that is not how it is called.
  const namespace = object.metadata.namespace ?? (kind === 'Namespace' ? '' : namespaceIn(object))
  return findings.map(({ code, severity, field, message }) => {
    const { file, line } = positionOf?.(field) ?? {}
    return {
      ...{ code, severity, apiVersion, kind, namespace, name: nameOf(object), field, message },
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
    }
  })
}

const severities = ['denial', 'warning', 'note']

function compareFindings(a: AuditFinding, b: AuditFinding): number {
  const bySeverity = severities.indexOf(a.severity) - severities.indexOf(b.severity)
  return bySeverity || compare([...keysOf(a), a.field, a.code], [...keysOf(b), b.field, b.code])
}

function keysOf({ kind, namespace, name }: { kind: string; namespace: string; name: string }): string[] {
  return [kind, namespace, name]
}

function countOf(findings: AuditFinding[], severity: AuditFinding['severity']): number {
  return findings.filter(each => each.severity === severity).length
}

function worst(verdicts: readonly Verdict[]): Verdict {
  return (['blocked', 'warnings'] as const).find(each => verdicts.includes(each)) ?? 'ready'
}

function sum(all: Counts[]): Counts {
  const counts: Counts = { denial: 0, warning: 0, note: 0, rewritten: 0, companions: 0 }
  for (const each of all) for (const name of Object.keys(counts) as (keyof Counts)[]) counts[name] += each[name]
  return counts
}
