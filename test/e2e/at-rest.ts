// When sidestep has done what there is to do: seen from outside, by what is stored and what its watches have brought.
import { isDeepStrictEqual } from 'node:util'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import type { WorkQueue } from '../../src/reconciler/queue.ts'
import { type LiveSnapshot, resources } from '../../src/reconciler/snapshot.ts'
import { isCompanion, sourceKey } from '../../src/translate/companion.ts'
import { isTranslated } from '../../src/translate/index.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { until } from '../control-plane/until.ts'
import type { Ledger } from './controllers/ledger.ts'
import { type Controller, runRounds } from './controllers/run.ts'
import type { Sidestep } from './sidestep.ts'

type Objects = LiveSnapshot['objects']

/** As much of it as can be waited for. */
export interface Working {
  live: LiveSnapshot
  reconciler: { queue: Pick<WorkQueue, 'idle'> }
}

/** Waits until it knows of all that is stored, and has nothing left to do about it. */
export async function atRest(controlPlane: ControlPlane, { live, reconciler }: Working): Promise<void> {
  await until('sidestep to have nothing to do', async () => {
    const before = await versionsIn(controlPlane)
    const knows = () =>
      isDeepStrictEqual([...live.objects.values()].filter(isOurBusiness).map(versionOf).sort(), before)
    if (!knows()) return false
    await reconciler.queue.idle()
    return knows() && isDeepStrictEqual(await versionsIn(controlPlane), before)
  })
}

/** Waits until a round of all controllers stores nothing, and sidestep has nothing to do about it. */
export async function allAtRest(
  controlPlane: ControlPlane,
  sidestep: Sidestep,
  controllers: Record<string, Controller>,
): Promise<void> {
  await until('everything to be at rest', async () => {
    await atRest(controlPlane, sidestep)
    const { length } = sidestep.writes
    const entries = (await runRounds(controllers, 1)).entries()
    await atRest(controlPlane, sidestep)
    return isQuiet(entries) && sidestep.writes.length === length
  })
}

/** Whether nothing that a controller has sent was stored or refused. */
export function isQuiet(entries: ReturnType<Ledger['entries']>): boolean {
  return entries.every(({ stored, refusals }) => stored === 0 && refusals.length === 0)
}

/** Sends every source through admission once more, as sidestep does, and has sidestep look at it. */
export async function lookAtAll(controlPlane: ControlPlane, { live, reconciler }: Sidestep): Promise<void> {
  const contentType = 'application/merge-patch+json'
  for (const [path, object] of [...live.objects]) {
    // Services do not pass the webhook.
    if (!isTranslated(object) || isCompanion(object) || object.kind === 'Service') continue
    await controlPlane.demand('PATCH', path, { user: 'sidestep', body: {}, contentType })
    reconciler.queue.add(sourceKey(object))
  }
  await reconciler.queue.idle()
}

/** Looks at what the watches have brought, now and after each change, until it is so. Returns the moment it was. */
export async function whenStored(
  what: string,
  { live }: Pick<Working, 'live'>,
  isSo: (objects: Objects) => boolean,
  seconds = 240,
): Promise<number> {
  if (isSo(live.objects)) return performance.now()
  return new Promise((resolve, reject) => {
    const end = () => {
      unsubscribe()
      clearTimeout(timer)
    }
    const unsubscribe = live.subscribe(() => {
      if (!isSo(live.objects)) return
      end()
      resolve(performance.now())
    })
    const timer = setTimeout(() => {
      end()
      reject(new Error(`waited ${seconds} s in vain for ${what}`))
    }, seconds * 1000)
  })
}

/** Each of them stored as `path version`. */
async function versionsIn(controlPlane: ControlPlane): Promise<string[]> {
  const lists = resources.filter(isOurBusiness).map(async ({ apiVersion, kind, path }) => {
    const { status, body } = await controlPlane.request('GET', path)
    const items: KubernetesObject[] = status === 404 ? [] : body.items
    return items.map(item => versionOf({ ...item, apiVersion, kind }))
  })
  return (await Promise.all(lists)).flat().sort()
}

/** Whether anything here writes the kind. */
function isOurBusiness({ apiVersion }: Pick<KubernetesObject, 'apiVersion'>): boolean {
  return /^(v1$|(security|networking)\.istio\.io|gateway\.networking\.k8s\.io)/.test(apiVersion)
}

function versionOf(object: KubernetesObject): string {
  return `${pathOf(object)} ${object.metadata.resourceVersion}`
}
