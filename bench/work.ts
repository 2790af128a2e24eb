// How long the reconciler of a process works, seen from outside: by its requests, which watch-requests.mjs notes.
import { setTimeout as pause } from 'node:timers/promises'
import type { ServeProcess } from './serve.ts'

/** What watch-requests.mjs tells. */
export interface Report {
  /** Such as `PATCH /path`, and how often. */
  requests: [string, number][]
  refusals: number
  untimely: number
  cpuSeconds: number
  delay: { p99: number; longest: number }
}

/** More than the reconciler waits for a watch. */
const restMilliseconds = 12_000

/** Seconds from its start until the last request that was needed, and what was requested until then. */
export async function work(served: ServeProcess): Promise<{ seconds: number; report: Report }> {
  let since = served.begun
  let requests = 0
  for (;;) {
    await pause(500)
    const report = await served.ask<Report>('report')
    const sum = report.requests.reduce((sum, [request, times]) => (isAside(request) ? sum : sum + times), 0)
    if (sum !== requests || !(await isIdle(served))) since = performance.now()
    else if (sum > 0 && performance.now() - since > restMilliseconds)
      return { seconds: (since - served.begun) / 1000, report }
    requests = sum
  }
}

/** Whether its queue is empty. Not before its port is open. */
async function isIdle(served: ServeProcess): Promise<boolean> {
  const metrics = await served.metrics().catch(() => '')
  return /^sidestep_reconciler_queue_depth 0$/m.test(metrics)
}

/** What goes on for ever, or tells people only. */
export function isAside(request: string): boolean {
  return request.includes('/leases') || request.includes('/events') || request.startsWith('WATCH ')
}
