// spec.http[].retries -> retry and timeouts.backendRequest (research/virtualservice.md 1.2): only codes can be named, and
// Istio adds the same four conditions to every retry. `retry` is of the experimental channel.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import type { Capabilities } from '../snapshot.ts'
import { gatewayDuration, parseDuration } from './timeout.ts'

/** What Istio puts into each retry of an HTTPRoute (`convertHTTPRoute`), and into one of a VirtualService without retryOn. */
const always = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled']

/** Conditions that stand for codes. Of 5xx Istio takes the registered ones (`parseRetryOn`); Envoy's 4xx is 409 alone. */
const codesOf: Record<string, number[]> = {
  'gateway-error': [502, 503, 504],
  '5xx': [500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511],
  'retriable-4xx': [409],
  // Says only that the codes beside it count.
  'retriable-status-codes': [],
}

/**
 * Conditions that Envoy also takes for met when a connection breaks off or a try takes too long, which no code says
 * (`wouldRetryFromReset`, envoyproxy/envoy source/common/router/retry_state_impl.cc).
 */
const withoutAnswer = ['reset', '5xx', 'gateway-error']

/** What an entry's `retries` becomes; nothing, with a report, where HTTPRoute has no word for it. */
export interface Retrying {
  retry?: gateway.HTTPRouteRetry
  backendRequest?: string
}

/** @param request the entry's whole timeout as it is written into the rule */
export function retryOf(
  retries: istio.HTTPRetry,
  request: string | undefined,
  field: string,
  { httpRoute }: Capabilities,
  report: Report,
): Retrying {
  const { attempts = 0, perTryTimeout, retryOn, backoff } = retries
  // `ConvertPolicy`: without attempts, and even as `{}`, retries are off, which is not what no `retries` at all says.
  if (attempts < 1) {
    report('VS-RETRIES-OFF', field)
    return {}
  }
  if (!httpRoute.retry) {
    report('VS-RETRIES', field)
    return {}
  }
  if (retries.retryRemoteLocalities)
    report('VS-RETRIES-HOSTS', `${field}.retryRemoteLocalities`, { setting: 'retryRemoteLocalities' })
  // True is the default, with and without `retries`.
  if (retries.retryIgnorePreviousHosts === false)
    report('VS-RETRIES-HOSTS', `${field}.retryIgnorePreviousHosts`, { setting: 'retryIgnorePreviousHosts: false' })
  const codes = retryOn ? retryCodes(retryOn, `${field}.retryOn`, report) : []
  const interval = backoff ? gatewayDuration(backoff, `${field}.backoff`, report) : undefined
  const backendRequest = perTryTimeout ? gatewayDuration(perTryTimeout, `${field}.perTryTimeout`, report) : undefined
  const isReached = backendRequest && !(request && milliseconds(backendRequest) > milliseconds(request))
  return {
    retry: { ...(codes.length > 0 ? { codes } : {}), attempts, ...(interval ? { backoff: interval } : {}) },
    // A try that may take longer than the whole never comes to its end, and the CRD refuses it.
    ...(isReached ? { backendRequest } : {}),
  }
}

function retryCodes(retryOn: string, field: string, report: Report): number[] {
  const conditions = retryOn
    .split(',')
    .map(condition => condition.trim())
    .filter(Boolean)
  const codes = conditions.flatMap(condition => {
    if (/^[45][0-9][0-9]$/.test(condition)) return [Number(condition)]
    const known = Object.hasOwn(codesOf, condition) ? codesOf[condition] : undefined
    if (!known && !always.includes(condition) && condition !== 'reset')
      report('VS-RETRIES-CONDITION', field, { condition: condition.slice(0, 40) })
    return known ?? []
  })
  const lost = conditions.filter(condition => withoutAnswer.includes(condition))
  if (lost.length > 0) report('VS-RETRIES-LOST', field, { conditions: lost.join(', ') })
  const included = lost.length > 0 ? [...conditions, 'connect-failure', 'refused-stream'] : conditions
  const gained = always.filter(condition => !included.includes(condition))
  if (gained.length > 0) report('VS-RETRIES-GAINED', field, { conditions: gained.join(', ') })
  return [...new Set(codes)].sort((a, b) => a - b)
}

function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0
}
