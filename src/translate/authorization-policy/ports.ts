// Ports: ztunnel and sidecars see the container's, a waypoint the Service's (research/policies.md 1.3).
// Where a Service maps them to other numbers, a copied port would mean another door.
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import { byKey, type ClusterSnapshot, inNamespace, namespaceOf } from '../snapshot.ts'
import { portsOf } from './attributes.ts'

/** Reports rules by port on Services that map ports, and rules by pod address, neither of which a waypoint can hold. */
export function checkPorts(
  policy: istio.AuthorizationPolicy,
  targetRefs: istio.PolicyTargetReference[],
  { cluster, report }: { cluster: ClusterSnapshot; report: Report },
): void {
  const namespace = namespaceOf(policy)
  const targets = targetRefs.some(({ kind }) => kind === 'Gateway')
    ? inNamespace(cluster.services, namespace)
    : targetRefs.flatMap(({ name }) => byKey(cluster.services, `${namespace}/${name}`) ?? [])
  for (const [i, rule] of (policy.spec.rules ?? []).entries()) {
    const field = `spec.rules[${i}]`
    if (rule.when?.some(({ key }) => key === 'destination.ip')) report('AP-WHEN-DESTINATION-IP', field)
    if (portsOf(rule).length === 0) continue
    for (const { metadata, spec } of targets) {
      const mapped = (spec?.ports ?? []).find(({ port, targetPort = port }) => targetPort !== port)
      if (!mapped) continue
      const ports = `${mapped.port} to ${mapped.targetPort}`
      report('AP-PORTS-MAPPED', field, { service: metadata.name ?? '', ports })
    }
  }
}
