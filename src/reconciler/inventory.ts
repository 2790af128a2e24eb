// What of a cluster sidestep works on: sources, which translate() takes, and the companions that are kept beside them.
import type { KubernetesObject } from '../apis/core.ts'
import { isCompanion, sourceAnnotation, sourceKey } from '../translate/companion.ts'
import { isTranslated } from '../translate/index.ts'
import { anyService, serviceNamesIn } from './mentions.ts'
import { pathOf } from './paths.ts'
import type { Change } from './snapshot.ts'

/** Keys are those of the annotation `sidestep.dev/source`, such as `VirtualService/team-a/jupyter`. */
export class Inventory {
  readonly #sources = new Map<string, KubernetesObject>()
  readonly #keysIn = new Map<string, Set<string>>()
  /** VirtualServices by the names of the Services that they can look at. */
  readonly #mentioning = new Map<string, Set<string>>()
  /** By the key of their source: path -> companion. */
  readonly #companions = new Map<string, Map<string, KubernetesObject>>()

  /** Takes in one change; the first are those that bring what is there. */
  note({ path, before, after }: Change): void {
    for (const key of keysOf(before)) {
      if (isSource(before)) this.#removeSource(key, before)
      else this.#companions.get(key)?.delete(path)
      if (this.#companions.get(key)?.size === 0) this.#companions.delete(key)
    }
    for (const key of keysOf(after)) {
      if (isSource(after)) this.#putSource(key, after)
      else if (after) this.#companions.set(key, (this.#companions.get(key) ?? new Map()).set(path, after))
    }
  }

  source(key: string): KubernetesObject | undefined {
    return this.#sources.get(key)
  }

  /** The keys of all sources. */
  keys(): string[] {
    return [...this.#sources.keys()]
  }

  /** The same, the oldest source first: that is sorting, and not for every change. */
  keysByAge(): string[] {
    const created = ([, { metadata }]: [string, KubernetesObject]) => metadata.creationTimestamp ?? ''
    return [...this.#sources].sort((a, b) => (created(a) < created(b) ? -1 : 1)).map(([key]) => key)
  }

  /** The keys of the sources of a Namespace, itself among them. */
  keysIn(namespace: string): Iterable<string> {
    return this.#keysIn.get(namespace) ?? []
  }

  /** The keys of the VirtualServices that can look at Services of this name. */
  keysMentioning(service: string): string[] {
    return [service, anyService].flatMap(name => [...(this.#mentioning.get(name) ?? [])])
  }

  /** By path. */
  companionsOf(key: string): ReadonlyMap<string, KubernetesObject> {
    return this.#companions.get(key) ?? none
  }

  /** Keys that companions name, of whose source nothing is known. */
  orphaned(): string[] {
    return [...this.#companions.keys()].filter(key => !this.#sources.has(key))
  }

  get companions(): Iterable<KubernetesObject> {
    return [...this.#companions.values()].flatMap(byPath => [...byPath.values()])
  }

  #putSource(key: string, object: KubernetesObject): void {
    this.#sources.set(key, object)
    add(this.#keysIn, namespaceOf(object), key)
    for (const name of mentionsOf(object)) add(this.#mentioning, name, key)
  }

  #removeSource(key: string, object: KubernetesObject): void {
    this.#sources.delete(key)
    remove(this.#keysIn, namespaceOf(object), key)
    for (const name of mentionsOf(object)) remove(this.#mentioning, name, key)
  }
}

function mentionsOf(object: KubernetesObject): Iterable<string> {
  return object.kind === 'VirtualService' ? serviceNamesIn((object as { spec?: unknown }).spec) : []
}

function add(index: Map<string, Set<string>>, name: string, key: string): void {
  index.set(name, (index.get(name) ?? new Set()).add(key))
}

function remove(index: Map<string, Set<string>>, name: string, key: string): void {
  const keys = index.get(name)
  keys?.delete(key)
  if (keys?.size === 0) index.delete(name)
}

const none: ReadonlyMap<string, KubernetesObject> = new Map()

/** The key under which an object counts: its own as a source, or that of the source it is kept for. */
export function keysOf(object: KubernetesObject | undefined): string[] {
  if (!object) return []
  if (isCompanion(object)) return [object.metadata.annotations?.[sourceAnnotation] ?? '']
  return isTranslated(object) ? [sourceKey(object)] : []
}

function isSource(object: KubernetesObject | undefined): object is KubernetesObject {
  return object !== undefined && !isCompanion(object)
}

/** Where an object counts: a Namespace in itself. */
export function namespaceOf({ kind, metadata }: KubernetesObject): string {
  return (kind === 'Namespace' ? metadata.name : metadata.namespace) ?? ''
}

const apiVersions: Record<string, string> = {
  Namespace: 'v1',
  Service: 'v1',
  AuthorizationPolicy: 'security.istio.io/v1',
  RequestAuthentication: 'security.istio.io/v1',
  PeerAuthentication: 'security.istio.io/v1',
  VirtualService: 'networking.istio.io/v1',
  Gateway: 'networking.istio.io/v1',
}

/** A DNS subdomain, as far as it matters: nothing that leads to another path. */
const nameFormat = /^[a-z0-9][-.a-z0-9]*$/

/** Where the source of a key would be; undefined for what is no key, since annotations hold anything. */
export function sourcePathOf(key: string): string | undefined {
  const [kind = '', ...names] = key.split('/')
  const apiVersion = Object.hasOwn(apiVersions, kind) ? apiVersions[kind] : undefined
  const [name, namespace] = names.toReversed()
  const isComplete = names.length === (kind === 'Namespace' ? 1 : 2) && names.every(each => nameFormat.test(each))
  if (!apiVersion || !name || !isComplete) return undefined
  return pathOf({ apiVersion, kind, metadata: { name, ...(namespace ? { namespace } : {}) } })
}
