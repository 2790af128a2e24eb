// spec.http[].timeout -> timeouts.request. Loses nothing; unset means none in both (section 1.2).
import type { Report } from '../report.ts'
import type { Capabilities } from '../snapshot.ts'

const unitMilliseconds: Record<string, number> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
}

export function requestTimeout(
  timeout: string,
  field: string,
  { httpRoute }: Capabilities,
  report: Report,
): string | undefined {
  const duration = gatewayDuration(timeout, field, report)
  if (duration && !httpRoute.timeouts) report('VS-TIMEOUT-CRD', field)
  return duration
}

/**
 * A Go duration in Gateway API's grammar (GEP-2257), which has no fractions: `1.5s` is `1s500ms`.
 * @returns undefined, with a report, below a millisecond and above what four units of five digits can say
 */
export function gatewayDuration(timeout: string, field: string, report: Report): string | undefined {
  const milliseconds = parseDuration(timeout)
  if (
    milliseconds === undefined ||
    milliseconds < 1 ||
    !Number.isInteger(milliseconds) ||
    milliseconds > 99_999 * 3_600_000
  ) {
    report('VS-TIMEOUT', field, { timeout: timeout.slice(0, 40) })
    return undefined
  }
  // What already is in the grammar stays as its user wrote it.
  return /^([0-9]{1,5}(h|m|s|ms)){1,4}$/.test(timeout) ? timeout : formatDuration(milliseconds)
}

/** Milliseconds of a Go duration such as `1h2.5s`; rounded to nanoseconds, so that `1.1s` is 1100 exactly. */
export function parseDuration(text: string): number | undefined {
  if (!/^([0-9]+(\.[0-9]*)?(h|m|s|ms|us|µs|ns))+$/.test(text)) return undefined
  let milliseconds = 0
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(h|ms|m|s|us|µs|ns)/g)) {
    milliseconds += Number(amount) * (unitMilliseconds[unit ?? ''] ?? 0)
  }
  return Math.round(milliseconds * 1e6) / 1e6
}

function formatDuration(milliseconds: number): string {
  let rest = milliseconds
  let text = ''
  for (const unit of ['h', 'm', 's', 'ms']) {
    const size = unitMilliseconds[unit] ?? 1
    const amount = Math.floor(rest / size)
    rest -= amount * size
    if (amount > 0) text += `${amount}${unit}`
  }
  return text
}
