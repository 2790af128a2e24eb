// Carrying a namespace over to ambient while sidestep runs: two words of the owner's in its metadata, the restart of its
// pods where that is wanted, and a wait at each gate. Everything else sidestep does by itself, and what is next is read
// from what is stored, so that a run that was interrupted goes on where it stopped.
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubernetesObject, Pod } from '../apis/core.ts'
import { type MigrationStep, migrationSteps, type Outlook } from '../translate/migration.ts'
import { modeLabel } from '../translate/mode.ts'
import { cutOverAnnotation } from '../translate/namespace/cut-over.ts'
import { hasSidecar, type Restart, restartsOf, rolledKinds, rolloutLack } from '../translate/restarts.ts'
import { ApiError, type ApiServer } from './api-server.ts'
import { type Address, pathOf } from './paths.ts'
import { ReadError } from './read.ts'
import { readAll } from './read-all.ts'
import { listOnce, type Resource } from './watch.ts'

/** Who writes, in managedFields. */
export const migrationManager = 'sidestep-migrate'

/** A migration that cannot go on; `message` says why, and the way out. */
export class MigrationError extends Error {
  readonly code = 'MIGRATION_REFUSED'
}

/** What happens on the way, for whoever watches. */
export type MigrationEvent =
  | { kind: 'begun' | 'done' | 'done already'; step: MigrationStep }
  | { kind: 'wrote'; what: string }
  | { kind: 'restarts'; restarts: Restart[] }
  | { kind: 'restarted'; restart: Restart }
  /** Again and again while it lasts. */
  | { kind: 'waiting'; what: string }

export interface Waiting {
  signal: AbortSignal
  /** How long at one gate, in milliseconds; 0 for as long as it takes. */
  timeout: number
  /** Milliseconds between two looks, at least. */
  interval: number
  /** Whether workloads are restarted, or only named. */
  isRestarting: boolean
  onEvent: (event: MigrationEvent) => void
}

export interface MigrateOptions extends Waiting {
  /** The last step that is waited for. */
  until: MigrationStep
  /** How far a namespace is, from everything that is stored. */
  judge: (objects: readonly KubernetesObject[]) => Outlook
}

/** A gate that did not open in time, and why. */
export interface Standstill {
  step: string
  left: string[]
}

/** Takes a namespace as far as it is told to. Returns the gate that did not open. */
export async function migrate(
  api: ApiServer,
  namespace: string,
  options: MigrateOptions,
): Promise<Standstill | undefined> {
  const { signal, judge, onEvent, until } = options
  const look = async () => {
    const { objects } = await readAll(api, signal)
    return { stored: objects.find(object => isNamespace(object, namespace)), outlook: judge(objects) }
  }
  for (const step of migrationSteps.slice(0, migrationSteps.indexOf(until) + 1)) {
    const first = await look()
    if (!first.stored) return { step, left: [`Namespace ${namespace} is gone`] }
    const isWriting = await tell(api, step, first.stored, first.outlook, options)
    if (!isWriting && first.outlook.steps[step].isDone) {
      onEvent({ kind: 'done already', step })
      continue
    }
    onEvent({ kind: 'begun', step })
    if (step === 'restart') {
      const standstill = await restarted(api, namespace, hasSidecar, options)
      if (standstill) return { step, left: standstill }
    }
    let outlook = first.outlook
    const isOpen = await gate(options, async () => {
      ;({ outlook } = await look())
      if (outlook.denials.length > 0 || outlook.steps[step].isDone) return undefined
      return outlook.steps[step].left[0] ?? ''
    })
    if (outlook.denials.length > 0) return { step, left: outlook.denials }
    if (!isOpen) return { step, left: [...outlook.steps[step].left, ...outlook.pending()] }
    onEvent({ kind: 'done', step })
  }
  return undefined
}

function isNamespace({ kind, metadata }: KubernetesObject, name: string): boolean {
  return kind === 'Namespace' && metadata.name === name
}

/** Writes what the owner has to say for a step. Returns whether there was anything. */
async function tell(
  api: ApiServer,
  step: MigrationStep,
  stored: KubernetesObject,
  outlook: Outlook,
  { signal, onEvent }: MigrateOptions,
): Promise<boolean> {
  const { labels, annotations } = stored.metadata
  if (step === 'prepare' && labels?.[modeLabel] !== 'enforce') {
    await patch(api, stored, { labels: { [modeLabel]: 'enforce' } }, signal)
    onEvent({ kind: 'wrote', what: `${modeLabel}=enforce` })
    return true
  }
  if (step === 'capture' && !outlook.steps.capture.isDone && annotations?.[cutOverAnnotation] !== 'true') {
    await patch(api, stored, { annotations: { [cutOverAnnotation]: 'true' } }, signal)
    onEvent({ kind: 'wrote', what: `${cutOverAnnotation}=true` })
    return true
  }
  return false
}

/** What a merge patch may say of metadata. */
export interface MetadataPatch {
  labels?: Record<string, string | null>
  annotations?: Record<string, string | null>
}

/** Patches metadata; with `isTrial` the API server answers what it would store, and stores nothing. */
export function patch(
  api: ApiServer,
  object: Address,
  metadata: MetadataPatch,
  signal: AbortSignal,
  isTrial = false,
): Promise<KubernetesObject> {
  const query = { fieldManager: migrationManager, ...(isTrial && { dryRun: 'All' }) }
  const contentType = 'application/merge-patch+json'
  return api.send({ method: 'PATCH', path: pathOf(object), query, body: { metadata }, contentType }, signal)
}

// Waiting ----------------------------------------------------------------------------------------------------------

/** So many looks in a row may fail before the cluster counts as gone: an API server that restarts takes a moment. */
const patience = 5

/**
 * Looks until nothing is lacking. A look takes as long as the cluster is large, so at least three quarters of the time are
 * left to others. Returns whether it came to that in time.
 */
export async function gate(
  { signal, timeout, interval, onEvent }: Waiting,
  lackNow: () => Promise<string | undefined>,
): Promise<boolean> {
  const begun = performance.now()
  for (let failures = 0; ; ) {
    const before = performance.now()
    try {
      const lack = await lackNow()
      if (lack === undefined) return true
      failures = 0
      onEvent({ kind: 'waiting', what: lack })
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ReadError) || ++failures === patience) throw error
      onEvent({ kind: 'waiting', what: error.message })
    }
    if (timeout > 0 && performance.now() - begun > timeout) return false
    await sleep(Math.max(interval, 3 * (performance.now() - before)), undefined, { signal })
  }
}

// Restarts ---------------------------------------------------------------------------------------------------------

const rolledResources = rolledKinds.map(kind => ({ apiVersion: 'apps/v1', kind }))

interface Running {
  pods: Pod[]
  workloads: KubernetesObject[]
}

async function runningIn(api: ApiServer, namespace: string, signal: AbortSignal): Promise<Running> {
  const objects: KubernetesObject[] = []
  const kinds = [{ apiVersion: 'v1', kind: 'Pod' }, ...rolledResources]
  await Promise.all(
    kinds.map(({ apiVersion, kind }) => {
      const address = { apiVersion, kind, metadata: { namespace, name: '' } }
      const resource: Resource = { apiVersion, kind, path: pathOf(address).replace(/\/$/, '') }
      return listOnce(api, resource, object => objects.push(object), signal)
    }),
  ).catch(cause => {
    throw new ReadError(`what runs in ${namespace} cannot be read: ${cause.message}`, { cause })
  })
  return {
    pods: objects.filter(({ kind }) => kind === 'Pod') as Pod[],
    workloads: objects.filter(({ kind }) => kind !== 'Pod'),
  }
}

/**
 * Restarts what has pods that are to come back otherwise, one workload after another as a rollout goes, and each once; or
 * says what is to be restarted. Returns what does not come to an end.
 */
export async function restarted(
  api: ApiServer,
  namespace: string,
  isToRestart: (pod: Pod) => boolean,
  options: Waiting & { toSidecars?: boolean },
): Promise<string[] | undefined> {
  const { signal, isRestarting, onEvent } = options
  const now = async () => {
    const { pods, workloads } = await runningIn(api, namespace, signal)
    return { workloads, restarts: restartsOf(pods.filter(isToRestart), workloads, options) }
  }
  const { restarts: all } = await now()
  const told = all.filter(({ byHand }) => byHand !== undefined || !isRestarting)
  if (told.length > 0) onEvent({ kind: 'restarts', restarts: told })
  if (!isRestarting) return undefined
  for (const restart of all.filter(({ byHand }) => byHand === undefined)) {
    const isIt = (each: { kind: string }, name?: string) => each.kind === restart.kind && name === restart.name
    let isPatched = false
    let lack: string | undefined
    const isOpen = await gate(options, async () => {
      const { workloads, restarts } = await now()
      const workload = workloads.find(each => isIt(each, each.metadata.name))
      if (!workload) return undefined
      // A rollout that is under way may be the one that an interrupted run began.
      lack = rolloutLack(workload)
      const its = restarts.find(each => isIt(each, each.name))
      if (lack === undefined && its && !isPatched) {
        await rollOut(api, workload, signal)
        isPatched = true
        onEvent({ kind: 'restarted', restart })
        lack = 'it has just begun'
      }
      return lack && `the rollout of ${restart.kind} ${restart.name}: ${lack}`
    })
    if (!isOpen) return [`the rollout of ${restart.kind} ${restart.name}: ${lack}`]
  }
  return undefined
}

/** As `kubectl rollout restart` does it, by an annotation of the pods. */
async function rollOut(api: ApiServer, workload: KubernetesObject, signal: AbortSignal): Promise<void> {
  const annotations = { 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() }
  const body = { spec: { template: { metadata: { annotations } } } }
  const query = { fieldManager: migrationManager }
  const contentType = 'application/merge-patch+json'
  try {
    await api.send({ method: 'PATCH', path: pathOf(workload), query, body, contentType }, signal)
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403) throw error
    const { namespace, name } = workload.metadata
    throw new MigrationError(
      `you may not patch ${workload.kind} ${namespace}/${name}; bind sidestep-migrate-restart of deploy/migrate/clusterrole.yaml, or restart it yourself, and run this again`,
      { cause: error },
    )
  }
}
