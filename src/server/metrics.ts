// What Prometheus scrapes. Nothing global: each server has its own registry. No label holds a name or a namespace, and
// every label has few values, whatever anybody sends.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { AdmissionRequest } from '../apis/admission.ts'
import { isExamined, isTranslated } from '../translate/index.ts'
import type { Outcome, Webhook } from './admission.ts'

export interface Metrics {
  registry: Registry
  /** One answered admission. */
  observe(webhook: Webhook, request: AdmissionRequest, outcome: Outcome | 'error', seconds: number): void
  /** The codes of one denial. */
  countDenial(codes: readonly string[]): void
  /** One call that got an HTTP error, so that the webhook's failurePolicy decides. */
  countRefusal(webhook: string, status: number): void
  /** One call that was given up before it was judged. */
  countShed(reason: 'late' | 'crowded'): void
  inFlight: { inc(): void; dec(): void }
  /** The certificate that is served; each but the first counts as a rotation. */
  setCertificate(certificate: { notAfter: Date; ca: string }): void
  /** Shows whether every webhook configuration trusts it. */
  watchBundle(isTrusted: () => boolean): void
  /** One list or watch of a kind that failed and is begun again. */
  countWatchFailure(kind: string): void
  /** Stops measuring the event loop. */
  close(): void
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const seconds = new Histogram({
    name: 'sidestep_admission_seconds',
    help: 'Time to answer an admission request, from its first byte.',
    labelNames: ['webhook', 'kind', 'operation', 'outcome', 'dry_run'] as const,
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10],
    registers,
  })
  const denied = new Counter({
    name: 'sidestep_denied_total',
    help: 'Denials by diagnostic code. One denial counts once for each of its codes.',
    labelNames: ['code'] as const,
    registers,
  })
  const refused = new Counter({
    name: 'sidestep_refused_calls_total',
    help: 'Calls answered with an HTTP error, where the failurePolicy of the webhook decides.',
    labelNames: ['webhook', 'status'] as const,
    registers,
  })
  const shed = new Counter({
    name: 'sidestep_shed_calls_total',
    help: 'Calls given up before they were judged: late, when their time was over, or crowded, when too much was under way.',
    labelNames: ['reason'] as const,
    registers,
  })
  for (const reason of ['late', 'crowded']) shed.inc({ reason }, 0)
  const inFlight = new Gauge({
    name: 'sidestep_admissions_in_flight',
    help: 'Admission requests that wait for their answer.',
    registers,
  })
  const certificateExpiry = new Gauge({
    name: 'sidestep_certificate_not_after_seconds',
    help: 'When the serving certificate expires, in seconds since 1970.',
    registers,
  })
  const watchFailures = new Counter({
    name: 'sidestep_watch_failures_total',
    help: 'Lists and watches of the cluster that failed and were begun again, by kind.',
    labelNames: ['kind'] as const,
    registers,
  })
  const rotations = new Counter({
    name: 'sidestep_certificate_rotations_total',
    help: 'Certificates that took the place of another while this process runs, by whether the same or a new authority has signed them.',
    labelNames: ['signer'] as const,
    registers,
  })
  for (const signer of ['same', 'new']) rotations.inc({ signer }, 0)
  let authority: string | undefined
  const resolution = 10
  const eventLoop = monitorEventLoopDelay({ resolution })
  eventLoop.enable()
  new Gauge({
    name: 'sidestep_event_loop_lag_seconds',
    help: 'The 99th percentile of the delay of the event loop since the last scrape.',
    registers,
    collect() {
      // The histogram holds the time between two ticks of a timer, which is its resolution when nothing is late.
      this.set(Math.max(0, eventLoop.percentile(99) / 1e6 - resolution) / 1e3)
      eventLoop.reset()
    },
  })

  // The registry looks labels up by a text that it makes of all of them, which is more work than the rest of it.
  const histograms = new Map<string, Histogram.Internal<string>>()
  return {
    registry,
    observe(webhook, { kind, operation, dryRun }, outcome, elapsed) {
      const labels = [webhook, kindLabel(kind), operation, outcome, String(dryRun === true)]
      const key = labels.join()
      const histogram = histograms.get(key) ?? seconds.labels(...labels)
      histograms.set(key, histogram)
      histogram.observe(elapsed)
    },
    countDenial(codes) {
      for (const code of codes) denied.inc({ code })
    },
    countRefusal(webhook, status) {
      refused.inc({ webhook, status: String(status) })
    },
    countShed: reason => shed.inc({ reason }),
    inFlight,
    setCertificate({ notAfter, ca }) {
      certificateExpiry.set(notAfter.getTime() / 1000)
      if (authority !== undefined) rotations.inc({ signer: ca === authority ? 'same' : 'new' })
      authority = ca
    },
    watchBundle(isTrusted) {
      new Gauge({
        name: 'sidestep_ca_bundle_synced',
        help: 'Whether every webhook configuration trusts the authority of the serving certificate.',
        registers,
        collect() {
          this.set(isTrusted() ? 1 : 0)
        },
      })
    },
    countWatchFailure: kind => watchFailures.inc({ kind }),
    close: () => eventLoop.disable(),
  }
}

/** Kinds that nobody registered for this webhook share one value, so that no caller can grow the registry. */
function kindLabel({ group, kind }: AdmissionRequest['kind']): string {
  const object = { apiVersion: group ? `${group}/v1` : 'v1', kind, metadata: {} }
  return isTranslated(object) || isExamined(object) ? kind : 'other'
}
