// Everything that is stored in some Namespaces, the Namespaces included, as the API server has it.
import type { KubernetesObject } from '../../../src/apis/core.ts'
import { collectionOf } from '../../../src/reconciler/paths.ts'
import type { ControlPlane } from '../../control-plane/index.ts'

/** Of each kind that a controller or sidestep writes. */
const kinds = [
  ...['Service', 'Pod', 'ConfigMap', 'ServiceAccount'].map(kind => ({ apiVersion: 'v1', kind })),
  ...['StatefulSet', 'Deployment'].map(kind => ({ apiVersion: 'apps/v1', kind })),
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding' },
  ...['AuthorizationPolicy', 'RequestAuthentication', 'PeerAuthentication'].map(kind => ({
    apiVersion: 'security.istio.io/v1',
    kind,
  })),
  ...['VirtualService', 'Gateway', 'DestinationRule'].map(kind => ({ apiVersion: 'networking.istio.io/v1', kind })),
  ...['Gateway', 'HTTPRoute'].map(kind => ({ apiVersion: 'gateway.networking.k8s.io/v1', kind })),
]

export async function storedIn(controlPlane: ControlPlane, ...namespaces: string[]): Promise<KubernetesObject[]> {
  const list = async (kind: { apiVersion: string; kind: string }, namespace?: string) => {
    const path = collectionOf({ ...kind, metadata: { ...(namespace !== undefined && { namespace }) } })
    const { items } = (await controlPlane.demand('GET', path)).body
    return (items as KubernetesObject[]).map(item => ({ ...item, ...kind }))
  }
  const themselves = (await list({ apiVersion: 'v1', kind: 'Namespace' })).filter(({ metadata }) =>
    namespaces.includes(metadata.name ?? ''),
  )
  const within = namespaces.flatMap(namespace => kinds.map(kind => list(kind, namespace)))
  return [...themselves, ...(await Promise.all(within)).flat()]
}
