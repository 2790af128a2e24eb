// Whether a namespace can be carried over at all: what has to run, and that the sidestep in the cluster decides as the one
// that asks. Nothing is stored.
import { setTimeout as pause } from 'node:timers/promises'
import type { Condition, KubernetesObject, Namespace } from '../apis/core.ts'
import { isEqual } from '../translate/canonical.ts'
import { translate } from '../translate/index.ts'
import { modeLabel } from '../translate/mode.ts'
import { cutOverAnnotation } from '../translate/namespace/cut-over.ts'
import { injectionOf } from '../translate/namespace/injection.ts'
import { originalAnnotation } from '../translate/original.ts'
import type { Settings } from '../translate/settings.ts'
import { emptySnapshot, noCapabilities, putObject } from '../translate/snapshot.ts'
import { dataplaneModeLabel, namespaceRule, waypointClass } from '../translate/waypoint.ts'
import { ApiError, type ApiServer } from './api-server.ts'
import { patch } from './migrate.ts'
import { readAll, type WholeReading } from './read-all.ts'
import { isHeld, type Lease, leases } from './revert.ts'
import { listOnce } from './watch.ts'

export interface Preflight {
  /** What makes it pointless to begin, each with the way out. */
  problems: string[]
  /** What could not be seen. */
  warnings: string[]
}

export async function preflight(
  api: ApiServer,
  names: readonly string[],
  { objects, unread }: WholeReading,
  settings: Settings,
  signal: AbortSignal,
): Promise<Preflight> {
  const found: Preflight = { problems: [], warnings: [] }
  const namespaces = names.flatMap(name => namespaceFit(name, objects, settings, found))
  for (const { resource, reason } of unread) {
    const text = `${resource} is not read: ${reason}`
    if (resource.startsWith('daemonsets.')) found.warnings.push(`${text}, so nobody knows whether ztunnel runs`)
    else found.problems.push(`${text}, and what is not known may stand in the way; deploy/migrate/clusterrole.yaml may`)
  }
  checkAmbient(namespaces, objects, unread, settings, found)
  await checkReconciler(api, found, signal)
  for (const namespace of namespaces) await checkWebhook(api, namespace, objects, settings, found, signal)
  return found
}

/** The Namespace, if settings and owner let it become ambient. */
function namespaceFit(
  name: string,
  objects: readonly KubernetesObject[],
  settings: Settings,
  { problems }: Preflight,
): Namespace[] {
  const namespace = objects.find(({ kind, metadata }) => kind === 'Namespace' && metadata.name === name)
  if (!namespace) {
    problems.push(`Namespace ${name} does not exist; look at the name, and at --context`)
    return []
  }
  const { labels = {} } = namespace.metadata
  if (name === settings.rootNamespace || !namespaceRule(name, labels, settings))
    problems.push(
      `no rule of the settings makes Namespace ${name} ambient; name it under namespaces, or give --settings`,
    )
  else if (labels[dataplaneModeLabel] === 'none')
    problems.push(`Namespace ${name} is kept out by its label ${dataplaneModeLabel}=none; take it off`)
  else return [namespace as Namespace]
  return []
}

// What runs --------------------------------------------------------------------------------------------------------

function checkAmbient(
  namespaces: Namespace[],
  objects: readonly KubernetesObject[],
  unread: WholeReading['unread'],
  settings: Settings,
  { problems, warnings }: Preflight,
): void {
  const isServed = namespaces.some(
    ({ metadata: { name = '', labels } }) => namespaceRule(name, labels, settings)?.waypoint !== undefined,
  )
  const waypoints = objects.find(({ kind, metadata }) => kind === 'GatewayClass' && metadata.name === waypointClass)
  const { conditions = [] } = (waypoints as { status?: { conditions?: Condition[] } } | undefined)?.status ?? {}
  if (isServed && !conditions.some(({ type, status }) => type === 'Accepted' && status === 'True'))
    problems.push(
      `GatewayClass ${waypointClass} is ${waypoints ? 'not accepted' : 'not there'}, so no waypoint would run; install istiod with PILOT_ENABLE_AMBIENT, and the CRDs of Gateway API`,
    )
  if (unread.some(({ resource }) => resource.startsWith('daemonsets.'))) return
  const ztunnels = objects.filter(({ kind, metadata }) => kind === 'DaemonSet' && metadata.labels?.app === 'ztunnel')
  if (ztunnels.length === 0)
    problems.push('no DaemonSet has the label app=ztunnel; install ztunnel and istio-cni first')
  for (const { metadata, ...rest } of ztunnels) {
    const { numberReady = 0, desiredNumberScheduled = 0 } =
      (rest as { status?: { numberReady?: number; desiredNumberScheduled?: number } }).status ?? {}
    const text = `DaemonSet ${metadata.namespace}/${metadata.name} has ${numberReady} of ${desiredNumberScheduled} pods ready`
    if (numberReady === 0)
      problems.push(`${text}, and pods that it is to capture would lose their traffic; mend it first`)
    else if (numberReady < desiredNumberScheduled) warnings.push(`${text}; on the other nodes pods cannot be captured`)
  }
}

async function checkReconciler(api: ApiServer, { problems, warnings }: Preflight, signal: AbortSignal): Promise<void> {
  const found: Lease[] = []
  try {
    await listOnce(api, leases, lease => found.push(lease as Lease), signal)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    warnings.push('Leases may not be listed, so nobody knows whether the reconciler of sidestep runs')
    return
  }
  if (!found.some(lease => isHeld(lease, new Date())))
    problems.push(
      'nobody holds a Lease named sidestep, so its reconciler does not run: kubectl get lease -A; docs/install.md',
    )
}

// What it decides --------------------------------------------------------------------------------------------------

/** No field of an object: an entry that sidestep drops when it writes its record anew, and nobody else would. */
const mark = 'sidestep-migrate/probe'

/** How often a difference is looked at anew: what goes on in the cluster at that time makes one too. */
const looks = 4

/**
 * Tries what will be written, and compares what comes back with what these settings make of it. Injection is taken off in
 * the trial, since then most Namespaces change at once and one that another sidestep would leave alone is seen.
 */
async function checkWebhook(
  api: ApiServer,
  namespace: Namespace,
  objects: readonly KubernetesObject[],
  settings: Settings,
  { problems }: Preflight,
  signal: AbortSignal,
): Promise<void> {
  const { name } = namespace.metadata
  let [known, its] = [objects, namespace]
  for (let look = 1; ; look++) {
    const answer = await tried(api, its, problems, signal)
    if (!answer) return
    const cluster = { ...emptySnapshot('observed'), capabilities: noCapabilities }
    for (const object of known) putObject(cluster, object)
    const { object: ours } = translate(answer, cluster, settings)
    if (isEqual(wordsOf(ours), wordsOf(answer))) return
    if (look === looks) {
      problems.push(
        `sidestep in the cluster decides otherwise about Namespace ${name}: it writes ${textOf(answer)}, these settings ${textOf(ours)}; give the settings that it runs with (--settings, --profile), and run its version`,
      )
      return
    }
    await pause(500, undefined, { signal })
    known = (await readAll(api, signal)).objects
    its = known.find((each): each is Namespace => each.kind === 'Namespace' && each.metadata.name === name) ?? its
  }
}

/** What would be stored; undefined when nothing would, for a problem that is told. */
async function tried(
  api: ApiServer,
  namespace: Namespace,
  problems: string[],
  signal: AbortSignal,
): Promise<KubernetesObject | undefined> {
  const { name, labels = {}, annotations = {} } = namespace.metadata
  const injecting = injectionOf(labels) ? { 'istio-injection': null, 'istio.io/rev': null } : {}
  const trial = {
    labels: { [modeLabel]: 'enforce', ...injecting },
    annotations: { [cutOverAnnotation]: 'true', [originalAnnotation]: marked(annotations[originalAnnotation]) },
  }
  let answer: KubernetesObject
  try {
    answer = await patch(api, namespace, trial, signal, true)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    problems.push(
      error.status === 403
        ? `you may not patch Namespace ${name}; deploy/migrate/clusterrole.yaml may`
        : `Namespace ${name} would be refused: ${error.message}`,
    )
    return undefined
  }
  if (!answer.metadata.annotations?.[originalAnnotation]?.includes(mark)) return answer
  problems.push(
    `no webhook of sidestep judges Namespace ${name}; see kubectl get mutatingwebhookconfiguration sidestep, and its pods`,
  )
  return undefined
}

function marked(record = '{}'): string {
  try {
    return JSON.stringify({ ...JSON.parse(record), [mark]: {} })
  } catch {
    return JSON.stringify({ [mark]: {} })
  }
}

function wordsOf({ metadata: { labels = {}, annotations = {} } }: KubernetesObject) {
  return { labels, record: annotations[originalAnnotation] }
}

function textOf({ metadata: { labels = {} } }: KubernetesObject): string {
  const its = Object.entries(labels).filter(([name]) => name.includes('istio'))
  return its.length === 0 ? 'no labels' : its.map(([name, value]) => `${name}=${value}`).join(' ')
}
