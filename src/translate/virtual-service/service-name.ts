// destination.host -> the Service that it names (research/virtualservice.md 1.2).
import type { Surroundings } from './backends.ts'

export interface ServiceName {
  namespace: string
  name: string
}

/** A label of DNS, which the names of Services and namespaces are. */
const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/**
 * A host without a dot is a Service in the VirtualService's namespace; one with a dot is taken literally, so that
 * `reviews.prod` names no Service (`ResolveShortnameToFQDN`, istio/istio pkg/config/model).
 */
export function parseService(host: string, { namespace, shortNames, settings }: Surroundings): ServiceName | undefined {
  const [name = '', itsNamespace, ...rest] = host.split('.')
  if (!label.test(name) || !label.test(itsNamespace ?? name)) return undefined
  if (itsNamespace === undefined) return { namespace: shortNames ?? namespace, name }
  return rest.join('.') === `svc.${settings.clusterDomain}` ? { namespace: itsNamespace, name } : undefined
}

export function fullName({ namespace, name }: ServiceName, clusterDomain: string): string {
  return `${name}.${namespace}.svc.${clusterDomain}`
}

/** `namespace/name`, as objects are found in a snapshot. */
export function keyOf({ namespace, name }: ServiceName): string {
  return `${namespace}/${name}`
}
