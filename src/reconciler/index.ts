// The reconciler of one replica: it waits to be elected, and works as long as it leads.
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { translate } from '../translate/index.ts'
import type { Settings } from '../translate/settings.ts'
import type { ApiServer } from './api-server.ts'
import { type ElectionTimes, elect, usualTimes } from './elector.ts'
import { recorder } from './events.ts'
import { createReconcilerMetrics } from './metrics.ts'
import { Reconciler } from './reconciler.ts'
import { limited, retrying } from './retry.ts'
import type { LiveSnapshot } from './snapshot.ts'
import { Telling } from './telling.ts'

export interface ReconcilingOptions {
  api: ApiServer
  live: LiveSnapshot
  settings: Settings
  logger: Logger
  registry: Registry
  /** Where the Lease is: the namespace that this Pod is in. */
  namespace: string
  times?: ElectionTimes
}

/** Enough for a few thousand objects a minute, and no storm when everything is to be written again. */
const pace = { perSecond: 100, burst: 200 }

/** Reconciles whenever this replica leads, until the signal aborts; then the Lease is released. Never rejects. */
export async function reconcileWhenLeading(options: ReconcilingOptions, signal: AbortSignal): Promise<void> {
  const { api, live, settings, logger, registry, namespace, times = usualTimes } = options
  let term: { reconciler: Reconciler; telling: Telling } | undefined
  const none = new Map<string, number>()
  const metrics = createReconcilerMetrics(registry, {
    queue: {
      get depth() {
        return term?.reconciler.queue.depth ?? 0
      },
      get oldestAgeSeconds() {
        return term?.reconciler.queue.oldestAgeSeconds ?? 0
      },
    },
    looping: () => term?.reconciler.looping ?? 0,
    drift: () => term?.telling.drift() ?? { sources: 0, companions: 0 },
    denied: () => term?.telling.denied() ?? none,
    pending: () => term?.telling.pending() ?? none,
    foreign: () => term?.telling.foreign() ?? none,
  })
  // A leader that loses its Lease has this long until another one may lead, and uses half of it.
  const finishing = finished(api, (times.lease - times.renew) / 2)
  // A try that comes again counts as one more: it is the API server that is to be spared.
  const paced = limited(finishing, pace)
  const patient = retrying(paced, { onRetry: ({ status }) => metrics.countRetry(status) })
  const events = recorder({ api, logger, reportingInstance: hostname() })

  const lead = async (leading: AbortSignal) => {
    await readWhole(live, leading)
    if (leading.aborted) return
    const telling = new Telling({ metrics, recorder: events, logger })
    const reconciler = new Reconciler({ api: patient, live, settings, translate, listener: telling, logger })
    term = { reconciler, telling }
    metrics.setLeading(true)
    try {
      await reconciler.run(leading)
    } finally {
      metrics.setLeading(false)
      term = undefined
    }
  }
  // Not the patient one: a Lease that is renewed late is lost.
  await elect(api, { namespace, name: 'sidestep', logger, times }, lead, signal)
  await events.flush()
}

/**
 * The same API server, but what was sent is waited for when the signal aborts, for so long: breaking off would not call it
 * back, and it could arrive after what the next leader writes.
 */
function finished(api: ApiServer, milliseconds: number): ApiServer {
  return {
    ...api,
    async send(call, signal) {
      signal.throwIfAborted()
      const late = new AbortController()
      let timer: NodeJS.Timeout | undefined
      const onAbort = () => {
        timer = setTimeout(() => late.abort(signal.reason), milliseconds)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        return await api.send(call, late.signal)
      } finally {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}

/** Half a cluster gives wrong answers: nothing is written before all of it was read. */
async function readWhole(live: LiveSnapshot, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && live.missing().length > 0) await sleep(250, undefined, { signal }).catch(() => {})
}
