// Where the API server keeps an object.
import type { KubernetesObject } from '../apis/core.ts'

export type Address = Pick<KubernetesObject, 'apiVersion' | 'kind'> & {
  metadata: { namespace?: string; name?: string }
}

/** `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME`. */
export function pathOf(object: Address): string {
  return `${collectionOf(object)}/${object.metadata.name}`
}

/** The same without a name: where it is created, and listed. */
export function collectionOf({ apiVersion, kind, metadata: { namespace } }: Address): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const plural = `${kind.toLowerCase().replace(/([^aeiou])y$/, '$1ie')}s`
  return namespace ? `${group}/namespaces/${namespace}/${plural}` : `${group}/${plural}`
}
