// The Kubernetes Gateway of a mapping, which the settings name `namespace/name` or `namespace/name#sectionName`.
import type { GatewayMapping } from './settings.ts'

export interface MappedGateway {
  /** `namespace/name` */
  key: string
  namespace: string
  name: string
  /** The listener that takes over, where it is not all of them. */
  sectionName: string | undefined
}

export function gatewayOf({ gateway }: Pick<GatewayMapping, 'gateway'>): MappedGateway {
  const [key = '', sectionName] = gateway.split('#')
  const [namespace = '', name = ''] = key.split('/')
  return { key, namespace, name, sectionName }
}
