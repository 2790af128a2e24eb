// Every call that the landscape knows: all callers to all addresses, each with the given HTTP parts.
import { type Landscape, newIngress, oldIngress, pods } from './landscape.ts'
import type { Destination, HTTP, Request } from './request.ts'
import { keyOf, selects } from './world.ts'

const callers = [
  'team-a/api-1',
  'team-a/notebook',
  'team-b/notebook',
  'kubeflow/ml-pipeline-ui',
  'legacy/batch',
  'outside/machine',
]

/** An ingress calls Services only. */
export function requestsOf(https: HTTP[], landscape: Landscape): Request[] {
  const services = viaServices(landscape)
  const ingresses = { old: [oldIngress], both: [oldIngress, newIngress], new: [newIngress] }[landscape.ingress]
  return [
    ...callers.flatMap(from => [...services, ...viaPods].map(to => ({ from, to }))),
    ...ingresses.flatMap(from => services.map(to => ({ from, to }))),
  ].flatMap(({ from, to }) => https.map(http => ({ from, to, http })))
}

/** Each port of each Service, with each pod that it can lead to. */
function viaServices({ services }: Landscape): Destination[] {
  return services.flatMap(service =>
    pods
      .filter(({ metadata }) => metadata.namespace === service.metadata.namespace)
      .filter(({ metadata }) => selects(service.spec?.selector, metadata.labels ?? {}))
      .flatMap(pod =>
        (service.spec?.ports ?? []).map(({ port }) => ({ service: keyOf(service), pod: keyOf(pod), port })),
      ),
  )
}

/** Each port that a pod declares; one that it does not declare is the same to every proxy. */
const viaPods: Destination[] = pods.flatMap(pod =>
  (pod.spec?.containers ?? [])
    .flatMap(({ ports = [] }) => ports)
    .map(({ containerPort }) => ({ pod: keyOf(pod), port: containerPort })),
)
