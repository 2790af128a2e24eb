// What people write to a live cluster: users their policies and Services, administrators labels and gateways, and the
// owners of pods that run anew.
import type * as core from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import { isAmbientNamespace, type Source } from './end-state.ts'
import { captured, type Ingress, injected, newIngress, newIngressGateway, oldIngress, restarted } from './landscape.ts'
import { admitted, type Cluster, idOf, type Write } from './live-cluster.ts'
import { keyOf, type RunningPod, sidecarAnnotation } from './world.ts'

/** What they have still in mind, each list in order. Never changed. */
export interface Plans {
  creates: Source[]
  changes: Change[]
  services: core.Service[]
  ingress: Ingress
  sidecars: Sidecar[]
}

/** A new text for a policy that is there, or none: it is deleted. */
export interface Change {
  /** Its id. */
  policy: string
  source?: istio.AuthorizationPolicy
  /** Controllers replace an object; kubectl apply leaves in it what others wrote (design.md 2.3). */
  form: 'replace' | 'apply'
}

/** A pod that comes to have a sidecar, once something injects one. */
export interface Sidecar {
  /** Its key. */
  pod: string
  /**
   * What does: its template demands one; or somebody labels its Namespace, with what the webhook makes of that or, while
   * nobody answers for the webhook (failurePolicy Ignore), just so. `restart`: only what is there already.
   */
  by: 'template' | 'label' | 'unjudged label' | 'restart'
}

/** One function for each who may write next, with what is possible now. What the webhook refuses is not. */
export function peopleWrites(cluster: Cluster, plans: Plans): (() => Write[])[] {
  return [
    () => firstOf(plans.creates, source => creates(cluster, plans, source)),
    () => firstOf(plans.changes, change => changes(cluster, plans, change)),
    () => firstOf(plans.services, service => createsService(cluster, plans, service)),
    () => movesIngress(cluster, plans),
    () => stopsInjection(cluster),
    () => restarts(cluster),
    () => firstOf(plans.sidecars, sidecar => bringsSidecar(cluster, plans, sidecar)),
  ]
}

function firstOf<T>(items: T[], writeOf: (item: T) => Write | undefined): Write[] {
  for (const item of items) {
    const write = writeOf(item)
    if (write) return [write]
  }
  return []
}

function creates(cluster: Cluster, plans: Plans, source: Source): Write | undefined {
  const object = admitted(cluster, source)
  const policy = idOf(source)
  const left = { ...plans, creates: plans.creates.filter(other => other !== source) }
  return object && { what: `user creates ${policy}`, puts: [object], by: { kind: 'change', policy, source }, left }
}

function changes(cluster: Cluster, plans: Plans, change: Change): Write | undefined {
  const { policy, source } = change
  const stored = cluster.objects.get(policy) as istio.AuthorizationPolicy | undefined
  if (!stored) return undefined
  const left = { ...plans, changes: plans.changes.filter(other => other !== change) }
  if (!source) return { what: `user deletes ${policy}`, deletes: stored, by: { kind: 'change', policy }, left }
  const object = admitted(cluster, change.form === 'apply' ? merged(stored, source) : source)
  const what = `user changes ${policy} (${change.form})`
  return object && { what, puts: [object], by: { kind: 'change', policy, source }, left }
}

const originalAnnotation = 'sidestep.dev/original'

/** Of what the webhook wrote, kubectl apply leaves the targets and the annotation. */
function merged(stored: istio.AuthorizationPolicy, source: istio.AuthorizationPolicy): istio.AuthorizationPolicy {
  const { targetRefs } = stored.spec
  // Without a selector only managedFields could tell whose the targets are (design.md 2.4).
  if (!targetRefs || !source.spec.selector) return source
  const { [originalAnnotation]: record } = stored.metadata.annotations ?? {}
  const annotations = { ...(record ? { [originalAnnotation]: record } : {}), ...source.metadata.annotations }
  return { ...source, metadata: { ...source.metadata, annotations }, spec: { ...source.spec, targetRefs } }
}

function createsService(cluster: Cluster, plans: Plans, service: core.Service): Write | undefined {
  const object = admitted(cluster, service)
  const left = { ...plans, services: plans.services.filter(other => other !== service) }
  const by = { kind: 'service' as const, service: keyOf(service) }
  return object && { what: `user creates ${idOf(service)}`, puts: [object], by, left }
}

/** 1.5 B: the Gateway is made, istiod deploys it, and at any time after that the old one is taken away. */
function movesIngress({ objects }: Cluster, { ingress }: Plans): Write[] {
  const old = objects.get(`Pod ${oldIngress}`)
  if (ingress !== 'old' && !objects.has(`Gateway ${newIngress}`))
    return [{ what: 'administrator creates the Gateway of the ingress', puts: [newIngressGateway] }]
  if (ingress === 'new' && old && objects.has(`Pod ${newIngress}`))
    return [{ what: 'administrator removes the old ingress', deletes: old }]
  return []
}

function stopsInjection(cluster: Cluster): Write[] {
  return [...cluster.objects.values()].filter(isToStopInjecting).flatMap(namespace => {
    const { 'istio-injection': _, ...labels } = namespace.metadata.labels ?? {}
    const object = admitted(cluster, { ...namespace, metadata: { ...namespace.metadata, labels } })
    return object ? [{ what: `administrator stops injection in ${namespace.metadata.name}`, puts: [object] }] : []
  })
}

/** Namespace legacy keeps its sidecars. */
function isToStopInjecting(object: core.KubernetesObject): boolean {
  return isInjecting(object) && object.metadata.name !== 'legacy'
}

function isInjecting({ kind, metadata }: core.KubernetesObject): boolean {
  return kind === 'Namespace' && metadata.labels?.['istio-injection'] === 'enabled'
}

/** Its owner runs a pod anew once that gives it no sidecar. istio-cni captures it in an ambient namespace, if it is one. */
function restarts({ objects }: Cluster): Write[] {
  return [...objects.values()]
    .filter((object): object is RunningPod => object.kind === 'Pod')
    .filter(({ metadata }) => metadata.annotations?.[sidecarAnnotation] !== undefined)
    .flatMap(pod => {
      const namespace = objects.get(`Namespace /${pod.metadata.namespace}`)
      if (!namespace || isInjecting(namespace)) return []
      const bare = restarted(pod)
      const put = isAmbientNamespace(namespace) ? captured(bare) : bare
      return [{ what: `owner restarts ${keyOf(pod)}`, puts: [put], by: { kind: 'restart' as const } }]
    })
}

/** A pod with a sidecar stays as it is when it runs anew, and waits for its turn to lose it. */
function bringsSidecar(cluster: Cluster, plans: Plans, sidecar: Sidecar): Write | undefined {
  const { objects } = cluster
  const pod = objects.get(`Pod ${sidecar.pod}`) as RunningPod | undefined
  const namespace = objects.get(`Namespace /${pod?.metadata.namespace}`)
  if (!pod || !namespace || pod.metadata.annotations?.[sidecarAnnotation] !== undefined) return undefined
  const leaving = (...kept: Sidecar[]) => {
    const others = plans.sidecars.filter(other => other !== sidecar)
    return { ...plans, sidecars: [...others, ...kept] }
  }
  if (sidecar.by === 'template' || isInjecting(namespace)) {
    const what = `owner restarts ${sidecar.pod} with a sidecar`
    return { what, puts: [injected(pod)], by: { kind: 'restart' }, left: leaving() }
  }
  if (sidecar.by === 'restart') return undefined
  const labels = { ...namespace.metadata.labels, 'istio-injection': 'enabled' }
  const labelled = { ...namespace, metadata: { ...namespace.metadata, labels } }
  const object = sidecar.by === 'label' ? admitted(cluster, labelled) : labelled
  const what = `somebody lets ${namespace.metadata.name} inject again (${sidecar.by})`
  return object && { what, puts: [object], left: leaving({ ...sidecar, by: 'restart' }) }
}
