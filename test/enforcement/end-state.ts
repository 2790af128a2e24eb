// What sidestep makes of a whole set at once: the cluster in which every rewrite is stored and every companion in place.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import * as translator from '../../src/translate/index.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import type { Case } from './generate.ts'
import { captured, deployed, ingressObjects, namespaces, pods, templateOf } from './landscape.ts'
import { type RunningPod, type World, worldOf } from './world.ts'

export type Source = istio.AuthorizationPolicy | istio.RequestAuthentication

export interface EndState {
  world: World
  /** The objects of the world, which a test may corrupt. */
  objects: core.KubernetesObject[]
  /** What sidestep accepted, as it was written. */
  sources: Source[]
  /** What it said about these. */
  warnings: { source: core.KubernetesObject; warning: Diagnostic }[]
  /** What it refused and why. Admission keeps that out of the cluster, so it counts neither before nor after. */
  refused: { source: Source; reasons: Diagnostic[] }[]
}

/** The end state of a set, by an `assumed` snapshot of files. What is refused is taken out, and the rest judged anew. */
export function endStateOf(
  { landscape, policies, requestAuthentications }: Pick<Case, 'landscape' | 'policies' | 'requestAuthentications'>,
  translate: typeof translator.translate = translator.translate,
): EndState {
  const { settings, services, waypoints } = landscape
  const given = [...ingressObjects(landscape), ...waypoints.flatMap(deployed)]
  const refused: EndState['refused'] = []
  let sources: Source[] = [...policies, ...requestAuthentications]
  for (;;) {
    const inputs = [...namespaces, ...services, ...sources]
    const snapshot = snapshotOf([...inputs, ...pods.map(templateOf), ...given], 'assumed')
    const translations = inputs.map(source => ({ source, ...translate(source, snapshot, settings) }))
    const denials = translations.flatMap(({ source, denial }) => (denial ? [{ source, reasons: denial.reasons }] : []))
    if (denials.length === 0) {
      const written = translations.flatMap(({ object, companions }) => [object, ...companions])
      const objects = [...running(written), ...given]
      const warnings = translations.flatMap(({ source, warnings }) => warnings.map(warning => ({ source, warning })))
      return { warnings, world: worldOf(objects, settings), objects, sources, refused }
    }
    refused.push(...denials.map(({ source, reasons }) => ({ source: source as Source, reasons })))
    sources = sources.filter(source => !denials.some(denial => denial.source === source))
  }
}

/** The cluster once istiod and istio-cni have followed: waypoints run, and the pods of ambient namespaces are captured. */
function running(written: core.KubernetesObject[]): core.KubernetesObject[] {
  const ambient = written.filter(isAmbientNamespace).map(({ metadata }) => metadata.name)
  return [
    ...written.flatMap(object => (object.kind === 'Gateway' ? deployed(object as gateway.Gateway) : [object])),
    ...pods.map((pod): RunningPod => (ambient.includes(pod.metadata.namespace) ? captured(pod) : pod)),
  ]
}

export function isAmbientNamespace({ kind, metadata }: core.KubernetesObject): boolean {
  return kind === 'Namespace' && metadata.labels?.['istio.io/dataplane-mode'] === 'ambient'
}
