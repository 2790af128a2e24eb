// Everything that the API server says through the watches of a snapshot, written down: what was stored at each moment,
// and whether the snapshot has heard of all that is stored now.
import type { KubernetesObject } from '../../src/apis/core.ts'
import type { ApiServer } from '../../src/reconciler/api-server.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { resources } from '../../src/reconciler/snapshot.ts'

/** What was stored at one moment: path -> object. */
export type Moment = ReadonlyMap<string, KubernetesObject>

interface Change {
  /** Counted by etcd, over all kinds: the order in which things were stored. */
  revision: bigint
  path: string
  object: KubernetesObject | undefined
}

export class History {
  readonly #changes: Change[] = []
  readonly #now = new Map<string, KubernetesObject>()

  /** What is stored, as far as the watches have said. */
  get now(): Moment {
    return this.#now
  }

  /** The same API server, whose every answer to a list or a watch is written down before it is handed on. */
  listening(api: ApiServer): ApiServer {
    return {
      ...api,
      list: async (path, query, signal) => {
        const list = await api.list(path, query, signal)
        for (const item of list.items) this.#note(path, item, true)
        return list
      },
      watch: (path, query, onEvent, signal) => {
        const note: typeof onEvent = event => {
          const { type, object } = event
          if (type !== 'BOOKMARK' && type !== 'ERROR') this.#note(path, object, type !== 'DELETED')
          onEvent(event)
        }
        return api.watch(path, query, note, signal)
      },
    }
  }

  #note(collection: string, object: object, isThere: boolean): void {
    // The items of a list do not say what they are.
    const { apiVersion = '', kind = '' } = resources.find(({ path }) => path === collection) ?? {}
    const whole = { ...object, apiVersion, kind } as KubernetesObject
    const path = pathOf(whole)
    const revision = BigInt(whole.metadata.resourceVersion ?? 0)
    this.#changes.push({ revision, path, object: isThere ? whole : undefined })
    if (isThere) this.#now.set(path, whole)
    else this.#now.delete(path)
  }

  /** What was stored after each change, the oldest first. */
  *moments(): Generator<Moment> {
    const stored = new Map<string, KubernetesObject>()
    for (const { path, object } of this.#changes.toSorted(byRevision)) {
      if (object) stored.set(path, object)
      else stored.delete(path)
      yield stored
    }
  }
}

function byRevision(one: Change, other: Change): number {
  return one.revision < other.revision ? -1 : one.revision > other.revision ? 1 : 0
}
