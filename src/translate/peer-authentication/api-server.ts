// STRICT and kube-apiserver: it calls webhooks without the mesh's certificates, so a pod in STRICT mode refuses it, and with
// it every object that the webhook should have seen (istio/istio#52874). Sidecars were often left out of such pods, with
// `sidecar.istio.io/inject: "false"`; ambient captures those too.
import type * as istio from '../../apis/istio.ts'
import { isSelected } from '../labels.ts'
import type { Report } from '../report.ts'
import type { Settings } from '../settings.ts'
import { byKey, type ClusterSnapshot, inNamespace, namespaceOf, type Workload } from '../snapshot.ts'
import { modeOf, policiesFor } from './levels.ts'

/** Reports the Services that the API server calls and this PeerAuthentication, by itself or by what it inherits, shuts. */
export function checkApiServerCalls(
  policy: istio.PeerAuthentication,
  namespaces: string[],
  cluster: ClusterSnapshot,
  settings: Settings,
  report: Report,
): void {
  const calls = [...cluster.apiServerCalls.values()].flat().filter(({ namespace }) => namespaces.includes(namespace))
  const places = calls.map(({ namespace, name, port }) => ({ key: `${namespace}/${name}`, port }))
  for (const { key, port } of places.sort((a, b) => (a.key < b.key ? -1 : 1))) {
    const service = byKey(cluster.services, key)
    const servicePort = service?.spec?.ports?.find(each => each.port === port)
    if (!service?.spec?.selector || !servicePort) continue
    const namespace = namespaceOf(service)
    const { targetPort = port } = servicePort
    for (const pod of podsOf(namespace, service.spec.selector, cluster)) {
      // A name that no container has leads nowhere.
      const containerPort =
        typeof targetPort === 'number' ? targetPort : pod.ports.find(({ name }) => name === targetPort)?.containerPort
      const policies = policiesFor({ namespace, labels: pod.labels }, cluster, settings)
      const place = policies.indexOf(policy)
      if (containerPort === undefined || place < 0) continue
      if (modeOf(policies, containerPort) !== 'STRICT' || modeOf(policies.slice(place), containerPort) !== 'STRICT')
        continue
      report('PA-WEBHOOK-STRICT', 'spec', { service: `Service ${key}`, port: String(containerPort) })
    }
  }
}

/** The pods behind a Service that ambient captures; where none is known yet, what they will have to look like. */
function podsOf(
  namespace: string,
  selector: Record<string, string>,
  cluster: ClusterSnapshot,
): Pick<Workload, 'labels' | 'ports'>[] {
  const pods = inNamespace(cluster.workloads, namespace).filter(({ labels }) => isSelected(labels, selector))
  if (pods.length === 0) return [{ labels: selector, ports: [] }]
  return pods.filter(({ state, isOptedOut }) => state !== 'gateway' && !isOptedOut)
}
