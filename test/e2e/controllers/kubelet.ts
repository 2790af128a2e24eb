// The kubelet, as far as rollouts look at it: each pod runs and is ready as soon as it is there. No container ever starts.
import { isDeepStrictEqual } from 'node:util'
import type { Condition, Pod } from '../../../src/apis/core.ts'
import { pathOf } from '../../../src/reconciler/paths.ts'
import { type Send, succeeded } from './send.ts'

/** Makes every pod ready that is not. */
export async function reconcilePods(send: Send): Promise<void> {
  const pods: (Pod & { status?: { phase?: string; conditions?: Condition[] } })[] = succeeded(
    await send('GET', '/api/v1/pods'),
  ).body.items
  for (const { metadata, status } of pods) {
    const isReady = status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
    if (metadata.deletionTimestamp || isReady || isDeepStrictEqual(status?.phase, 'Succeeded')) continue
    const conditions = ['Ready', 'ContainersReady'].map(type => ({ type, status: 'True' }))
    const path = `${pathOf({ apiVersion: 'v1', kind: 'Pod', metadata })}/status`
    // One that goes meanwhile needs nothing.
    await send('PATCH', path, { status: { phase: 'Running', conditions } })
  }
}
