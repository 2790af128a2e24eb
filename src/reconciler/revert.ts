// Carrying out a revert on a cluster: read everything, do what may be done now, read again. What is in the way is told
// before anything is written: as long as sidestep itself runs it would do everything again.
import { setMaxListeners } from 'node:events'
import type { KubernetesObject } from '../apis/core.ts'
import { isEqual } from '../translate/canonical.ts'
import { isCompanion } from '../translate/companion.ts'
import { modeLabel } from '../translate/mode.ts'
import { originalAnnotation, withField } from '../translate/original.ts'
import {
  namespaceOfSource,
  nextWrites,
  type RevertScope,
  type RevertStep,
  type RevertWrite,
  revertPlan,
} from '../translate/revert.ts'
import { ApiError, type ApiServer, type Call } from './api-server.ts'
import { fieldManager } from './ownership.ts'
import { pathOf } from './paths.ts'
import { ReadError, sentenceOf } from './read.ts'
import { resources } from './snapshot.ts'
import { listOnce, type Resource } from './watch.ts'

/** A revert that must not go on; `message` says what is in its way, and the way out. */
export class RevertError extends Error {
  readonly code = 'REVERT_REFUSED'
}

const unread = ['CustomResourceDefinition', 'APIService', 'DestinationRule', 'ServiceEntry']
export const leases: Resource = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  path: '/apis/coordination.k8s.io/v1/leases',
  query: { fieldSelector: 'metadata.name=sidestep' },
}
/** Sources, companions, what both stand among, and what shows that sidestep runs. */
export const revertResources: readonly Resource[] = [...resources.filter(({ kind }) => !unread.includes(kind)), leases]

/** Every object that a revert looks at, whole: who wrote a field is in managedFields. @throws ReadError */
export async function readObjects(api: ApiServer, signal: AbortSignal): Promise<KubernetesObject[]> {
  setMaxListeners(0, signal) // All kinds are listed at once, and each list listens.
  const objects: KubernetesObject[] = []
  try {
    await Promise.all(revertResources.map(each => listOnce(api, each, object => objects.push(object), signal)))
  } catch (cause) {
    throw new ReadError(sentenceOf(cause), { cause })
  }
  return objects
}

// What is in the way -----------------------------------------------------------------------------------------------------

export interface Lease extends KubernetesObject {
  spec?: { holderIdentity?: string; renewTime?: string; leaseDurationSeconds?: number }
}

/** What of sidestep still runs and would rewrite again what is restored, each with the way out. */
export function obstaclesIn(objects: readonly KubernetesObject[], steps: readonly RevertStep[], now: Date): string[] {
  if (homesOf(steps).every(name => isOff(objects, name))) return []
  const configurations = objects.filter(isOurWebhook).map(({ kind, metadata: { name } }) => {
    const resource = kind.toLowerCase()
    return `${kind} ${name} would have the webhook judge what is restored: kubectl delete ${resource} ${name}`
  })
  const holders = (objects.filter(({ kind }) => kind === 'Lease') as Lease[]).filter(lease => isHeld(lease, now))
  return [
    ...configurations,
    ...holders.map(
      ({ metadata: { namespace }, spec }) =>
        `${spec?.holderIdentity} holds Lease ${namespace}/sidestep and would do everything again: scale its Deployment to 0`,
    ),
  ]
}

/** The Namespaces whose sources are written back; a companion would be made again by its source, wherever it stands. */
function homesOf(steps: readonly RevertStep[]): string[] {
  const homes = steps
    .flatMap(({ writes }) => writes)
    .map(({ object }) => {
      const { kind, metadata } = object
      if (isCompanion(object)) return namespaceOfSource(object)
      return kind === 'Namespace' ? metadata.name : metadata.namespace
    })
  return [...new Set(homes)].map(home => home ?? 'default')
}

function isOff(objects: readonly KubernetesObject[], namespace: string): boolean {
  const object = objects.find(({ kind, metadata }) => kind === 'Namespace' && metadata.name === namespace)
  return object?.metadata.labels?.[modeLabel] === 'off'
}

function isOurWebhook({ kind, metadata, ...rest }: KubernetesObject): boolean {
  if (kind !== 'MutatingWebhookConfiguration' && kind !== 'ValidatingWebhookConfiguration') return false
  const { webhooks = [] } = rest as { webhooks?: { name?: string }[] }
  const isNamed = webhooks.some(({ name = '' }) => name.endsWith('.sidestep.dev'))
  return isNamed || metadata.labels?.['app.kubernetes.io/name'] === 'sidestep'
}

/** A reconciler that ends in order gives its Lease up; one that dies stops to renew it. */
export function isHeld(
  { spec: { holderIdentity, renewTime, leaseDurationSeconds = 15 } = {} }: Lease,
  now: Date,
): boolean {
  if (!holderIdentity || !renewTime) return false
  return Date.parse(renewTime) + leaseDurationSeconds * 1000 > now.getTime()
}

/**
 * Sends writes with `dryRun=All` and returns what is wrong with them: what the API server refuses, and what comes back
 * rewritten. That is what a webhook of sidestep would do, whatever it is called and wherever it is registered.
 * @param isThorough tries all of them, rather than one of every kind and Namespace
 */
export async function tryOut(
  api: ApiServer,
  steps: readonly RevertStep[],
  { signal, isThorough = false }: { signal: AbortSignal; isThorough?: boolean },
): Promise<string[]> {
  const problems: string[] = []
  const writes = steps.flatMap(({ writes }) => writes)
  // The last one of an object restores all of it.
  const restores = new Map(writes.filter(({ verb }) => verb === 'restore').map(write => [sampleOf(write), write]))
  for (const write of isThorough ? writes : restores.values()) {
    try {
      const answer = await sendWrite(api, write, { signal, isTrial: true })
      if (answer && write.verb === 'restore' && !isTaken(answer, write)) problems.push(rewrittenMessage(write))
    } catch (error) {
      if (!(error instanceof RevertError)) throw error
      problems.push(error.message)
    }
  }
  return problems
}

/** One Namespace can be in another mode than the next. */
function sampleOf({ object: { kind, metadata } }: RevertWrite): string {
  return kind === 'Namespace' ? `Namespace ${metadata.name}` : `${kind} in ${metadata.namespace}`
}

function rewrittenMessage({ object }: RevertWrite): string {
  const { kind, metadata } = object
  const name = kind === 'Namespace' ? metadata.name : `${metadata.namespace}/${metadata.name}`
  return `${kind} ${name} comes back rewritten, so a webhook of sidestep still runs: delete its MutatingWebhookConfiguration`
}

/** Whether the API server stored the restored object as it was sent. */
function isTaken(answer: KubernetesObject, { object }: RevertWrite): boolean {
  const wanted = object.metadata
  const record = answer.metadata.annotations?.[originalAnnotation]
  return (
    isEqual(answer.metadata.labels ?? {}, wanted.labels ?? {}) && record === wanted.annotations?.[originalAnnotation]
  )
}

// Carrying out -----------------------------------------------------------------------------------------------------------

export interface CarryOutOptions {
  signal: AbortSignal
  /** Called after each write. */
  onWrite?: (write: RevertWrite) => void
}

/** So often in a row nothing gets nearer to the end before it is given up. */
const patience = 5

/**
 * Writes what may be written until only that is left which waits for somebody. Returns what is left.
 * @throws RevertError when what was written does not stay so; then the same command goes on once that is mended
 */
export async function carryOut(
  api: ApiServer,
  scope: RevertScope,
  { signal, onWrite = () => {} }: CarryOutOptions,
): Promise<RevertStep[]> {
  let before: string | undefined
  for (let tries = 0; ; ) {
    const steps = revertPlan(await readObjects(api, signal), scope)
    const writes = nextWrites(steps)
    const [first] = writes
    if (!first) return steps
    const now = writes.map(({ verb, object }) => `${verb} ${pathOf(object)}`).join()
    tries = now === before ? tries + 1 : 0
    before = now
    if (tries === patience)
      throw new RevertError(
        `${pathOf(first.object)} is written back again and again; find out by its managedFields who does it, and stop that`,
      )
    for (const write of writes) {
      const answer = await sendWrite(api, write, { signal })
      if (answer === undefined) break // Somebody else was faster: it is looked at again.
      if (write.verb === 'restore' && !isTaken(answer, write)) throw new RevertError(rewrittenMessage(write))
      onWrite(write)
    }
  }
}

/** Sends one write; undefined when the object has changed or gone since it was read. */
async function sendWrite(
  api: ApiServer,
  write: RevertWrite,
  { signal, isTrial = false }: { signal: AbortSignal; isTrial?: boolean },
): Promise<KubernetesObject | undefined> {
  const call = callOf(write)
  const trial =
    call.method === 'DELETE' ? { body: { ...call.body, dryRun: ['All'] } } : { query: { ...call.query, dryRun: 'All' } }
  try {
    // With a body a DELETE does not read its query: asked to try there, it would delete.
    return await api.send(isTrial ? { ...call, ...trial } : call, signal)
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 409)) return undefined
    throw error instanceof ApiError ? new RevertError(`refused: ${error.message}`, { cause: error }) : error
  }
}

function callOf({ verb, object, stored = object }: RevertWrite): Call {
  const path = pathOf(object)
  const { uid, resourceVersion } = stored.metadata
  switch (verb) {
    case 'delete':
      return { method: 'DELETE', path, body: { preconditions: { ...(uid !== undefined && { uid }) } } }
    case 'restore': {
      const patch = withField(mergePatch(stored, object), ['metadata', 'resourceVersion'], resourceVersion) as object
      const query = { fieldManager: 'sidestep-revert' }
      return { method: 'PATCH', path, query, body: patch, contentType: 'application/merge-patch+json' }
    }
    case 'apply':
    case 'release': {
      // Server-side apply takes away what its manager applied before and leaves out now, unless others want it as well.
      const { apiVersion, kind, metadata } = object
      const bare = { apiVersion, kind, metadata: { name: metadata.name, namespace: metadata.namespace } }
      const query = { fieldManager, force: 'true' }
      const body = verb === 'apply' ? object : bare
      return { method: 'PATCH', path, query, body, contentType: 'application/apply-patch+yaml' }
    }
  }
}

/** RFC 7386: what makes `before` into `after`. */
function mergePatch(before: unknown, after: unknown): unknown {
  if (!isMap(before) || !isMap(after)) return after
  const patch: Record<string, unknown> = {}
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) patch[name] = null
  for (const [name, value] of Object.entries(after)) {
    if (!isEqual(before[name], value)) patch[name] = mergePatch(before[name], value)
  }
  return patch
}

function isMap(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
