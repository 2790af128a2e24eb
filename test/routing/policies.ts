// Retries, mirrors, CORS and faults of an entry of `spec.http` -> what Envoy is told, defaults filled in.
// Source: istio/istio pilot/pkg/networking/core/route/retry/retry.go (ConvertPolicy) and route.go (MirrorPercent,
// TranslateCORSPolicy, TranslateFault); research/virtualservice.md 1.2.
import type * as istio from '../../src/apis/istio.ts'
import { type Cors, type Fault, type Mirror, type Retries, sampleOrigins } from './answer.ts'
import { valueMatches } from './envoy.ts'

/** Without a policy the mesh's own holds, which is 2 attempts; 0 attempts are none. */
export function retriesOf(policy: istio.HTTPRetry | undefined): Retries {
  const { attempts = 0, retryOn, perTryTimeout, backoff, ...hosts } = policy ?? { attempts: 2 }
  if (attempts <= 0) return undefined
  const asked = (retryOn || 'connect-failure,refused-stream,unavailable,cancelled').split(',').map(text => text.trim())
  const isCode = (text: string) => /^[1-5]\d\d$/.test(text)
  return {
    attempts,
    retryOn: [...new Set(asked.filter(text => text && !isCode(text) && text !== 'retriable-status-codes'))].sort(),
    codes: [...new Set(asked.filter(isCode).map(Number))].sort((a, b) => a - b),
    perTryTimeoutMs: perTryTimeout ? durationMs(perTryTimeout) : 0,
    backoffMs: backoff ? durationMs(backoff) : 0,
    avoidsPreviousHosts: hosts.retryIgnorePreviousHosts ?? true,
    avoidsPreviousPriorities: hosts.retryRemoteLocalities ?? false,
  }
}

/** `cluster` names the pods of a destination. A share of 0 is no mirror; without a share everything is copied. */
export function mirrorsOf(
  { mirror, mirrorPercentage, mirrorPercent, mirror_percent = mirrorPercent, mirrors = [] }: istio.HTTPRoute,
  cluster: (destination: istio.Destination) => string,
): Mirror[] {
  const share = mirrorPercentage ?? (mirror_percent === undefined ? undefined : { value: mirror_percent })
  return [...(mirror ? [{ destination: mirror, ...(share ? { percentage: share } : {}) }] : []), ...mirrors].flatMap(
    ({ destination, percentage }) => {
      const millionths = percentage ? millionthsOf(percentage) : 1_000_000
      return destination && millionths > 0 ? [{ service: cluster(destination), millionths }] : []
    },
  )
}

/** Envoy takes an exact `*` for every origin; regexes must match all of it. */
export function corsOf(policy: istio.CorsPolicy | undefined): Cors | undefined {
  if (!policy) return undefined
  const { allowOrigins = policy.allowOrigin?.map(exact => ({ exact })) ?? [], maxAge } = policy
  const allows = ({ exact, prefix, regex }: istio.StringMatch, origin: string) => {
    if (exact !== undefined) return exact === '*' || exact === origin
    return prefix !== undefined ? origin.startsWith(prefix) : valueMatches('regex', regex ?? '', origin)
  }
  return {
    origins: sampleOrigins.filter(origin => allowOrigins.some(match => allows(match, origin))),
    credentials: policy.allowCredentials ?? false,
    methods: (policy.allowMethods ?? []).join(),
    headers: (policy.allowHeaders ?? []).join(),
    exposed: (policy.exposeHeaders ?? []).join(),
    maxAge: maxAge ? String(Math.trunc(durationMs(maxAge) / 1000)) : undefined,
    forwardsUnmatchedPreflights: policy.unmatchedPreflights !== 'IGNORE',
  }
}

/** `TranslateFault`: an abort without a percentage never happens, an exponential delay is not known. */
export function faultOf(fault: istio.HTTPFaultInjection | undefined): Fault | undefined {
  if (!fault) return undefined
  const { delay, abort } = fault
  const status = abort?.httpStatus ? `http ${abort.httpStatus}` : abort?.grpcStatus && `grpc ${abort.grpcStatus}`
  const delayed = millionthsOf(delay?.percentage ?? { value: delay?.percent ?? 0 })
  const aborted = millionthsOf(abort?.percentage ?? {})
  const effective: Fault = {
    delay: delay?.fixedDelay && delayed > 0 ? { ms: durationMs(delay.fixedDelay), millionths: delayed } : undefined,
    abort: status && aborted > 0 ? { status, millionths: aborted } : undefined,
  }
  return effective.delay || effective.abort ? effective : undefined
}

function millionthsOf({ value = 0 }: istio.Percent): number {
  return Math.trunc(value * 10_000)
}

/** `1.5s`, `1h30m`, `100ms`: Go's time.ParseDuration, which reads the durations of both APIs. */
export function durationMs(duration: string): number {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001, ns: 0.000_001 }
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)/g)]
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (units[unit ?? ''] ?? 0), 0)
}
