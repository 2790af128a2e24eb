// Destinations -> the pods that answer. A subset, and a Service that selects the same pods, are the same destination.
// Source: istio/istio pilot/pkg/networking/core/route/route.go (GetDestinationCluster); research/virtualservice.md 1.2, 4.4.
import type * as core from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'

/** The part of a DestinationRule that decides who answers. */
export interface DestinationRule extends core.KubernetesObject {
  kind: 'DestinationRule'
  spec: { host: string; subsets?: { name: string; labels?: Record<string, string> }[] }
}

/** Services and subsets, by the Service's full name. */
export interface Registry {
  services: Map<string, core.Service>
  subsets: Map<string, Map<string, Record<string, string>>>
}

export function registryOf(services: core.Service[], destinationRules: DestinationRule[]): Registry {
  return {
    services: new Map(services.map(service => [fullNameOf(service), service])),
    subsets: new Map(
      destinationRules.map(({ metadata, spec }) => [
        fullName(spec.host, metadata.namespace ?? 'default'),
        new Map((spec.subsets ?? []).map(({ name, labels = {} }) => [name, labels])),
      ]),
    ),
  }
}

/** `ResolveShortnameToFQDN`: only a name without a dot is completed, and no wildcard. */
export function fullName(host: string, namespace: string): string {
  return host === '' || host.startsWith('*') || host.includes('.') ? host : `${host}.${namespace}.svc.cluster.local`
}

export function fullNameOf({ metadata }: core.Service): string {
  return fullName(metadata.name ?? '', metadata.namespace ?? 'default')
}

/** `GetDestinationCluster`: the port that is named, else the only one of the Service, else the listener's. */
export function clusterOf(
  { host = '', port, subset }: istio.Destination,
  namespace: string,
  listenerPort: number,
  { services, subsets }: Registry,
): string {
  const name = fullName(host, namespace)
  const service = services.get(name)
  const [only, ...others] = service?.spec?.ports ?? []
  const number = port?.number ?? (only && others.length === 0 ? only.port : listenerPort)
  if (!service) return `no Service ${name}:${number}`
  const servicePort = service.spec?.ports?.find(({ port }) => port === number)
  if (!servicePort) return `no port ${number} of ${name}`
  const labels = subset ? subsets.get(name)?.get(subset) : {}
  if (!labels) return `no subset ${subset} of ${name}`
  const selected = Object.entries({ ...service.spec?.selector, ...labels }).map(([label, value]) => `${label}=${value}`)
  const pods = service.spec?.selector ? `{${selected.sort().join()}}` : `/${service.metadata.name}`
  return `${service.metadata.namespace}${pods}:${servicePort.targetPort ?? number}`
}
