// What the root namespace says for every namespace: whoever asks about one of them has to hear of it too.
import type { KubernetesObject } from '../apis/core.ts'
import { ingressOf } from '../translate/policy/targets.ts'
import type { Settings } from '../translate/settings.ts'
import { kindKey } from '../translate/snapshot.ts'
import { namespaceIn } from './namespaces.ts'

/** The kinds that Istio reads from its root namespace for all others. */
const kinds: ReadonlySet<string> = new Set([
  'AuthorizationPolicy/security.istio.io',
  'DestinationRule/networking.istio.io',
  'EnvoyFilter/networking.istio.io',
  'PeerAuthentication/security.istio.io',
  'ProxyConfig/networking.istio.io',
  'RequestAuthentication/security.istio.io',
  'Sidecar/networking.istio.io',
  'Telemetry/telemetry.istio.io',
  'TrafficExtension/extensions.istio.io',
  'WasmPlugin/extensions.istio.io',
])

interface Selecting {
  spec?: { selector?: { matchLabels?: Record<string, string> }; workloadSelector?: Selector }
}

/** EnvoyFilter and Sidecar say `labels`, DestinationRule says `matchLabels`. */
interface Selector {
  labels?: Record<string, string>
  matchLabels?: Record<string, string>
}

/** Whether an object can hold for pods of other namespaces. One that selects the old pods of an ingress is for that alone. */
export function isMeshWide(object: KubernetesObject, settings: Settings): boolean {
  const { rootNamespace } = settings
  if (namespaceIn(object) !== rootNamespace || !kinds.has(kindKey(object))) return false
  const { selector, workloadSelector } = (object as Selecting).spec ?? {}
  const labels = selector?.matchLabels ?? workloadSelector?.labels ?? workloadSelector?.matchLabels ?? {}
  return Object.keys(labels).length === 0 || !ingressOf(rootNamespace, labels, settings)
}
