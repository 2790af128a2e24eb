// One object at a time: what becomes of it at the end of the way, and what its status says now.
import type { KubernetesObject } from '../apis/core.ts'
import type * as gateway from '../apis/gateway.ts'
import type { AuthorizationPolicy } from '../apis/istio.ts'
import { contains, isEqual } from '../translate/canonical.ts'
import { isCompanion, nameOf } from '../translate/companion.ts'
import { translate as translateObject } from '../translate/index.ts'
import type { Diagnostic } from '../translate/report.ts'
import type { Settings } from '../translate/settings.ts'
import { type ClusterSnapshot, kindKey } from '../translate/snapshot.ts'
import { checkStatus } from '../translate/status/index.ts'
import type { Translate } from '../translate/translation.ts'
import { ambientRule } from '../translate/waypoint.ts'
import { namespaceIn } from './namespaces.ts'

/** One object, and where its fields stand when it comes from a file. */
export interface AuditInput {
  object: KubernetesObject
  positionOf?: (field: string) => { file: string; line?: number }
}

/** An object that becomes another, or comes to stand beside one, and what is there of it now. */
export interface Planned {
  role: 'rewritten' | 'companion'
  /** As it is at the end. */
  end: KubernetesObject
  stored?: KubernetesObject
}

/** What was found out about one object. */
export interface Judged {
  input: AuditInput
  findings: Diagnostic[]
  /** The object first, when it is rewritten, then its companions in the order of applying. */
  planned: Planned[]
  isDenied: boolean
}

/** The cluster as it is, and as everything is judged: at the end of the way. */
export interface Clusters {
  now: ClusterSnapshot
  end: ClusterSnapshot
  settings: Settings
}

/**
 * The cluster at the end: what sidestep keeps is there and ready, and the pods of ambient namespaces have been restarted
 * without their sidecars.
 */
export function endOf(now: ClusterSnapshot, settings: Settings): ClusterSnapshot {
  const assumed: ClusterSnapshot = { ...now, statuses: 'assumed' }
  const workloads = [...now.workloads].map(([namespace, its]) => {
    if (!ambientRule(namespace, now, settings)) return [namespace, its] as const
    const restarted = [...its].map(([name, workload]) => {
      const state = workload.state === 'sidecar' ? ('ambient' as const) : workload.state
      return [name, { ...workload, state }] as const
    })
    return [namespace, new Map(restarted)] as const
  })
  return { ...assumed, workloads: new Map(workloads) }
}

export function judge(
  input: AuditInput,
  objects: ReadonlyMap<string, KubernetesObject>,
  clusters: Clusters,
  translate: Translate<KubernetesObject> = translateObject,
): Judged {
  const { object } = input
  const { now, end, settings } = clusters
  const { object: translated, companions, warnings, denial } = translate(object, end, settings)
  // What is kept beside it is told as a change.
  const found = [...(denial?.reasons ?? []), ...warnings.filter(({ code }) => !isAboutCompanion.test(code))]
  const isRewritten = !denial && translated !== object && !isCompanion(object)
  return {
    input,
    findings: [...found, ...checkStatus(object, now, settings)],
    planned: [
      ...(isRewritten ? [rewrittenOf(object, translated, clusters, translate)] : []),
      ...(denial ? [] : companions).map((companion): Planned => {
        const stored = objects.get(identityOf(companion))
        return { role: 'companion', end: companion, ...(stored ? { stored } : {}) }
      }),
    ],
    isDenied: denial !== undefined,
  }
}

/**
 * The end leaves open whether the old ingress gateway still runs, and admits it beside the new one. Where it is gone, the end
 * is what is stored: a policy on the targets that it is to have, which waits for nothing.
 */
function rewrittenOf(
  stored: KubernetesObject,
  end: KubernetesObject,
  { now, settings }: Clusters,
  translate: Translate<KubernetesObject>,
): Planned {
  const planned: Planned = { role: 'rewritten', end, stored }
  if (end.kind !== 'AuthorizationPolicy' || isInPlace(planned) || !isEqual(targetsOf(end), targetsOf(stored)))
    return planned
  const { object, warnings, denial } = translate(stored, now, settings)
  const isWaiting = denial !== undefined || warnings.some(({ code }) => code.endsWith('-PENDING'))
  return !isWaiting && isEqual(object, stored) ? { ...planned, end: stored } : planned
}

function targetsOf(policy: KubernetesObject): unknown {
  return (policy as AuthorizationPolicy).spec?.targetRefs
}

const isAboutCompanion = /-COMPANION-(KEPT|SERVICE|GRANT)$/

/** Whether an object is already what it is to be; the API server adds defaults and controllers add labels to companions. */
export function isInPlace({ role, end, stored }: Planned): boolean {
  if (!stored) return false
  if (role === 'rewritten') return isEqual(end, stored)
  const { labels, annotations } = end.metadata
  return (
    isCompanion(stored) &&
    contains(stored.metadata, { ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) }) &&
    contains((stored as gateway.Gateway).spec, (end as gateway.Gateway).spec)
  )
}

/** The same object whatever version of its API it is written in. */
export function identityOf(object: KubernetesObject): string {
  return `${kindKey(object)}/${namespaceIn(object)}/${nameOf(object)}`
}

/** Not by locale: a report is the same wherever it is made. */
export function compare(a: readonly string[], b: readonly string[]): number {
  const i = a.findIndex((text, i) => text !== b[i])
  return i < 0 ? 0 : (a[i] ?? '') < (b[i] ?? '') ? -1 : 1
}
