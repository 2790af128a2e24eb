// Who names a waypoint of another namespace. Hardly anybody does, and it is asked for every policy and every namespace: without
// this list a mesh of a thousand namespaces would look at all of their Services for each of its policies.
import type { KubernetesObject, Namespace } from '../apis/core.ts'

export const useWaypointNamespaceLabel = 'istio.io/use-waypoint-namespace'

export class Strangers {
  /** The Namespaces of the snapshot that this is the list of; one that is made of it with other Namespaces has none. */
  readonly of: ReadonlyMap<string, Namespace>
  /** By `Kind/namespace/name` of a Namespace or Service, the namespace that its label names. */
  readonly #named = new Map<string, string>()
  readonly #counts = new Map<string, number>()

  constructor(namespaces: ReadonlyMap<string, Namespace>) {
    this.of = namespaces
  }

  put(key: string, { metadata: { labels } }: KubernetesObject): void {
    this.remove(key)
    const place = labels?.[useWaypointNamespaceLabel]
    if (place === undefined) return
    this.#named.set(key, place)
    this.#counts.set(place, (this.#counts.get(place) ?? 0) + 1)
  }

  remove(key: string): void {
    const place = this.#named.get(key)
    if (place === undefined) return
    this.#named.delete(key)
    this.#counts.set(place, (this.#counts.get(place) ?? 0) - 1)
  }

  /** Whether anybody names a waypoint of the namespace by this label. */
  isNamed(namespace: string): boolean {
    return (this.#counts.get(namespace) ?? 0) > 0
  }
}
