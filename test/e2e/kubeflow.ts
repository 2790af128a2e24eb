// A cluster with Kubeflow in it, as far as it is emulated here, before anybody has a Profile.
import type { ControlPlane } from '../control-plane/index.ts'

const namespaces = namespacesOf('istio-system', 'kubeflow', 'kserve')

/** The ingress of Kubeflow, as Istio has it. */
export const istioGateway = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'Gateway',
  metadata: { name: 'kubeflow-gateway', namespace: 'kubeflow' },
  spec: {
    selector: { istio: 'ingressgateway' },
    servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
  },
}

/** Where requests come in once the ingress has moved. */
export const ingress = gateway('istio-system', 'ambient-ingressgateway')

const gateways = [ingress, gateway('kserve', 'kserve-ingress-gateway')]

/** The ingress has moved to its Kubernetes Gateway already. User `controller` may do everything. */
export async function installKubeflow(controlPlane: ControlPlane): Promise<void> {
  await controlPlane.grant('controller', 'cluster-admin')
  await controlPlane.apply([...namespaces, istioGateway, ...gateways])
}

export function namespacesOf(...names: string[]) {
  return names.map(name => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }))
}

function gateway(namespace: string, name: string) {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { namespace, name },
    spec: {
      gatewayClassName: 'istio',
      listeners: [{ name: 'http', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'All' } } }],
    },
  }
}
