// spec.http[].mirror and mirrors[] -> one RequestMirror each (research/virtualservice.md 1.2). Loses nothing.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import { backendRef, type Surroundings } from './backends.ts'

/** The filters of an entry; none for mirrors that get nothing. */
export function mirrorFilters(
  { mirror, mirrors = [], mirrorPercentage, ...http }: istio.HTTPRoute,
  field: string,
  surroundings: Surroundings,
  report: Report,
): gateway.HTTPRouteFilter[] {
  // `mirror_percent` is the same field under the name of its proto, which istiod reads too.
  const older = http.mirrorPercent ?? http.mirror_percent
  const policies = [
    ...(mirror ? [{ destination: mirror, percent: percentOf(mirrorPercentage, older), at: `${field}.mirror` }] : []),
    ...mirrors.map(({ destination = {}, percentage }, i) => {
      return { destination, percent: percentOf(percentage), at: `${field}.mirrors[${i}].destination` }
    }),
  ]
  return policies.flatMap(({ destination, percent, at }) => {
    if (percent < 0 || percent > 100) report('VS-FIELD-TYPE', at, { wanted: 'mirror with a percentage from 0 to 100' })
    const share = shareOf(percent)
    if (share === undefined) return []
    const target = backendRef(destination, at, surroundings, report)
    if (!target) return []
    if (percent !== 100 && !surroundings.cluster.capabilities.httpRoute.mirrorFraction) report('VS-MIRROR', at)
    return [{ type: 'RequestMirror' as const, requestMirror: { backendRef: target, ...share } }]
  })
}

/** `MirrorPercent` (istio/istio pilot/pkg/networking/core/route): a percentage without value is 0, none at all is 100. */
function percentOf(percentage: istio.Percent | undefined, older = 100): number {
  return percentage ? (percentage.value ?? 0) : older
}

/** As Gateway API says a share: nothing for all, and undefined for none. */
function shareOf(percent: number): Pick<gateway.HTTPRequestMirrorFilter, 'percent' | 'fraction'> | undefined {
  // Istio counts millionths and drops what is finer (`translatePercentToFractionalPercent`).
  const millionths = Math.floor(percent * 10_000 + 1e-6)
  if (millionths <= 0) return undefined
  if (percent === 100) return {}
  if (Number.isInteger(percent)) return { percent }
  const denominator = [1000, 10_000, 100_000].find(of => millionths % (1_000_000 / of) === 0) ?? 1_000_000
  return { fraction: { numerator: millionths / (1_000_000 / denominator), denominator } }
}
