// Which policies each enforcement point reads. RequestAuthentications attach as AuthorizationPolicies do.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { memoized } from './memoized.ts'
import { gatewayNameLabel, keyOf, type Pod, selects, type World } from './world.ts'

type Policy = istio.AuthorizationPolicy | istio.RequestAuthentication

/**
 * A sidecar, and ztunnel just so (1.2, "Scope"): policies without targetRefs, of the pod's namespace or the root one,
 * whose selector, if there is one, picks the pod.
 */
export function atPod<P extends Policy>(policies: P[], pod: Pod, { mesh }: World): P[] {
  return policies.filter(
    policy =>
      targetsOf(policy).length === 0 &&
      (policy.metadata.namespace === pod.namespace || policy.metadata.namespace === mesh.rootNamespace) &&
      selects(policy.spec.selector?.matchLabels, pod.labels),
  )
}

/**
 * A waypoint (1.5 D and E): only policies with targetRefs, to the Service that is called (from its own namespace), to the
 * waypoint (from the waypoint's), or to GatewayClass istio-waypoint (from the root namespace).
 */
export function atWaypoint<P extends Policy>(
  policies: P[],
  waypoint: gateway.Gateway,
  service: core.Service,
  { mesh }: World,
): P[] {
  return policies.filter(policy =>
    targetsOf(policy).some(({ group = '', kind, name }) => {
      const { namespace } = policy.metadata
      if (kind === 'Service') return isCore(group) && `${namespace}/${name}` === keyOf(service)
      if (group !== 'gateway.networking.k8s.io') throw new Error(`unmodelled target ${group}/${kind}`)
      if (kind === 'Gateway') return `${namespace}/${name}` === keyOf(waypoint)
      if (kind === 'GatewayClass') return namespace === mesh.rootNamespace && name === 'istio-waypoint'
      throw new Error(`unmodelled target ${kind}`)
    }),
  )
}

/**
 * An ingress gateway (1.5 B): policies as at any pod. One that Gateway API deployed also reads those that target its
 * Gateway; a classic one reads no targetRefs.
 */
export function atIngress<P extends Policy>(policies: P[], pod: Pod, world: World): P[] {
  const untargeted = atPod(policies, pod, world)
  const name = pod.labels[gatewayNameLabel]
  if (name === undefined) return untargeted
  const isMine = (target: istio.PolicyTargetReference) => target.kind === 'Gateway' && target.name === name
  const targeted = policies.filter(
    policy => policy.metadata.namespace === pod.namespace && targetsOf(policy).some(isMine),
  )
  return [...untargeted, ...targeted]
}

/** The API server refuses a policy with a selector beside targetRefs (section 6). */
const targetsOf = memoized(({ spec }: Policy): istio.PolicyTargetReference[] => {
  const targets = [...(spec.targetRefs ?? []), ...(spec.targetRef ? [spec.targetRef] : [])]
  if (targets.length > 0 && spec.selector) throw new Error('selector beside targetRefs')
  if (targets.length > 16) throw new Error('more than 16 targetRefs')
  return targets
})

function isCore(group: string): boolean {
  return group === '' || group === 'core'
}
