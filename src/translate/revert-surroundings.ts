// What a revert looks at beside sources and companions: pods that are still without a sidecar, and Gateways that still
// serve.
import type * as core from '../apis/core.ts'
import type * as gateway from '../apis/gateway.ts'
import { canonicalJson } from './canonical.ts'
import { gatewayNameLabel, isCompanion } from './companion.ts'
import { injectionOf } from './namespace/injection.ts'
import { restoreOriginal } from './original.ts'
import type { Policy } from './policy/targets.ts'
import { isBare, ownerOf, ownerText } from './restarts.ts'
import { kindKey, namespaceOf } from './snapshot.ts'
import { isSame, labelledWaypoint, waypointClass } from './waypoint.ts'

type Route = gateway.HTTPRoute | gateway.TLSRoute | gateway.TCPRoute | gateway.GRPCRoute

const routeKinds = ['HTTPRoute', 'TLSRoute', 'TCPRoute', 'GRPCRoute']

export class Surroundings {
  readonly all: readonly core.KubernetesObject[]
  readonly #byId: Map<string, core.KubernetesObject>
  /** By Namespace. */
  readonly #bare = new Map<string, core.Pod[]>()
  /** By the `namespace/name` of a Gateway. */
  readonly #routes = new Map<string, Route[]>()
  readonly #gateways = new Map<string, gateway.Gateway>()
  readonly #accounts = new Map<string, Set<string>>()
  readonly #restarts = new Map<string, string | undefined>()

  constructor(objects: readonly core.KubernetesObject[]) {
    this.all = objects
    this.#byId = new Map(objects.map(object => [idOf(object), object]))
    for (const object of objects) {
      if (object.kind === 'Pod') this.#addPod(object as core.Pod)
      else if (kindKey(object) === 'Gateway/gateway.networking.k8s.io')
        this.#gateways.set(keyOf(object), object as gateway.Gateway)
      else if (isRoute(object)) for (const parent of parentsOf(object)) push(this.#routes, parent, object)
    }
  }

  get namespaces(): string[] {
    return this.all.filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata.name ?? '')
  }

  /** What is stored in the place of an object. */
  object(wanted: core.KubernetesObject): core.KubernetesObject | undefined {
    return this.#byId.get(idOf(wanted))
  }

  /** The spec of a companion in the place of an object. */
  find(wanted: core.KubernetesObject): unknown {
    const there = this.object(wanted)
    return there && isCompanion(there) ? (there as Policy).spec : undefined
  }

  // Pods ---------------------------------------------------------------------------------------------------------------

  #addPod(pod: core.Pod): void {
    const { labels = {} } = pod.metadata
    const name = labels[gatewayNameLabel]
    if (name === undefined) {
      if (isBare(pod)) push(this.#bare, namespaceOf(pod), pod)
      return
    }
    const key = `${namespaceOf(pod)}/${name}`
    const account = pod.spec?.serviceAccountName ?? 'default'
    this.#accounts.set(key, (this.#accounts.get(key) ?? new Set()).add(account))
  }

  /** The restart of the pods of a Namespace that only ztunnel protects; undefined when there is none. */
  restartIn(namespace: string): string | undefined {
    if (!this.#restarts.has(namespace)) this.#restarts.set(namespace, this.#restartOf(namespace))
    return this.#restarts.get(namespace)
  }

  #restartOf(namespace: string): string | undefined {
    const pods = this.#bare.get(namespace) ?? []
    if (pods.length === 0) return undefined
    const owners = [...new Set(pods.map(pod => ownerText(ownerOf(pod))))].sort()
    const more = owners.length > 5 ? ` and ${owners.length - 5} more` : ''
    const names = owners.slice(0, 5).join(', ') + more
    const object = this.#byId.get(`Namespace//${namespace}`)
    const injection = injectionOf((object && restoreOriginal(object).metadata.labels) ?? {})
    return injection
      ? `sidecars in ${namespace}: restart ${names}`
      : `sidecars in ${namespace}, where nothing injects them: label it istio-injection=enabled and restart ${names}, or take it out of the mesh with istio.io/dataplane-mode=none`
  }

  // Gateways -----------------------------------------------------------------------------------------------------------

  /** The ingress Gateways, `namespace/name`, that a companion is, hangs on or targets; those that are gone count too. */
  gatewaysOf(companion: core.KubernetesObject): string[] {
    if (kindKey(companion) === 'Gateway/gateway.networking.k8s.io')
      return isWaypoint(companion as gateway.Gateway) ? [] : [keyOf(companion)]
    if (isRoute(companion)) return parentsOf(companion).filter(key => !isWaypoint(this.#gateways.get(key)))
    const ingress = this.ingressOf(companion as Policy)
    return ingress ? [ingress] : []
  }

  /** The ingress Gateway that a policy targets. */
  ingressOf(policy: Policy): string | undefined {
    const refs = (policy.spec as Policy['spec'] | undefined)?.targetRefs ?? []
    const keys = refs.filter(({ kind }) => kind === 'Gateway').map(({ name }) => `${namespaceOf(policy)}/${name}`)
    return keys.find(key => {
      const object = this.#gateways.get(key)
      return object && !isWaypoint(object)
    })
  }

  /** What a person has to do about a Gateway; a policy may leave one through which no route leads. */
  missingAt(key: string, isForPolicy: boolean): string | undefined {
    if (!this.#gateways.has(key)) return undefined
    const routes = this.#routes.get(key) ?? []
    const isOurs = isCompanion(this.#gateways.get(key) as gateway.Gateway)
    if (routes.length === 0 && (isForPolicy || isOurs)) return undefined
    const foreign = routes.find(route => !isCompanion(route))
    if (foreign && routes.every(route => !isCompanion(route)))
      return `${foreign.kind} ${keyOf(foreign)} of somebody else, which goes through Gateway ${key}: delete one of the two`
    return `Gateway ${key}: send its clients to the old gateway, then delete it`
  }

  /** The ingress that policies name in the place of the old one, as long as requests come through it. */
  missingFor(policies: { stored: Policy; original: Policy }[]): string | undefined {
    const serving = [...this.#gateways].filter(([key, object]) => !isWaypoint(object) && this.#routes.has(key))
    for (const [key, object] of serving) {
      const { name = '' } = object.metadata
      const accounts = [...(this.#accounts.get(key) ?? []), `${name}-${object.spec?.gatewayClassName}`]
      const isNamed = (policy: Policy) => names(policy, namespaceOf(object), accounts)
      if (policies.some(({ stored, original }) => isNamed(stored) && !isNamed(original)))
        return this.missingAt(key, true)
    }
    return undefined
  }

  /** The Namespaces and Services that name a waypoint. */
  usersOf(waypoint: core.KubernetesObject): core.KubernetesObject[] {
    const reference = { namespace: namespaceOf(waypoint), name: waypoint.metadata.name ?? '' }
    return this.all.filter(({ kind, metadata }) => {
      if (kind !== 'Namespace' && kind !== 'Service') return false
      const home = kind === 'Namespace' ? (metadata.name ?? '') : (metadata.namespace ?? 'default')
      return isSame(labelledWaypoint(metadata.labels, home), reference)
    })
  }
}

function isWaypoint(object: gateway.Gateway | undefined): boolean {
  return object?.spec?.gatewayClassName === waypointClass
}

function isRoute(object: core.KubernetesObject): object is Route {
  return routeKinds.includes(object.kind) && object.apiVersion.startsWith('gateway.networking.k8s.io/')
}

/** The Gateways, `namespace/name`, that a route hangs on. */
function parentsOf(route: Route): string[] {
  const { parentRefs = [] } = route.spec ?? {}
  return parentRefs
    .filter(({ kind = 'Gateway' }) => kind === 'Gateway')
    .map(({ namespace = namespaceOf(route), name }) => `${namespace}/${name}`)
}

/** Whether an AuthorizationPolicy names one of these service accounts as a caller. */
function names({ spec }: Policy, namespace: string, accounts: string[]): boolean {
  const text = canonicalJson((spec as { rules?: unknown } | undefined)?.rules ?? [])
  return accounts.some(
    account => text.includes(`/ns/${namespace}/sa/${account}"`) || text.includes(`"${namespace}/${account}"`),
  )
}

/** `namespace/name`, or the name alone of what is in no namespace. */
export function keyOf(object: core.KubernetesObject): string {
  const { name = '' } = object.metadata
  return object.kind === 'Namespace' ? name : `${namespaceOf(object)}/${name}`
}

function idOf(object: core.KubernetesObject): string {
  return object.kind === 'Namespace' ? `Namespace//${object.metadata.name}` : `${kindKey(object)}/${keyOf(object)}`
}

function push<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key)
  if (list) list.push(item)
  else lists.set(key, [item])
}
