// Annotations that only the injector or a sidecar reads. They do nothing in ambient, and are told of once for a pod.
import type { Report } from '../report.ts'
import type { Examined } from './index.ts'
import { injectKey } from './injection.ts'

const settings = /^(?:(?:sidecar|proxy|inject|status\.sidecar|readiness\.status\.sidecar|prometheus)\.istio\.io\/)/

export function checkSidecarSettings({ annotations, fieldOf }: Examined, report: Report): void {
  const keys = Object.keys(annotations).filter(
    key => settings.test(key) && (key !== injectKey || annotations[key] === 'true'),
  )
  const [first] = keys
  if (!first) return
  const names = keys.slice(0, 3).join(', ') + (keys.length > 3 ? ` and ${keys.length - 3} more` : '')
  const field = keys.length === 1 ? `metadata.annotations[${first}]` : 'metadata.annotations'
  report('POD-SIDECAR-SETTINGS', fieldOf(field), { names: names.slice(0, 150) })
}
