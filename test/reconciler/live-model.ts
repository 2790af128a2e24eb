// What a LiveSnapshot and the Reconciler know of a cluster, kept by hand: no watch, no clock, one change at a time.
import type { KubernetesObject } from '../../src/apis/core.ts'
import { Inventory } from '../../src/reconciler/inventory.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { type Operation, plan } from '../../src/reconciler/plan.ts'
import type { Change } from '../../src/reconciler/snapshot.ts'
import { translate } from '../../src/translate/index.ts'
import { modeFor } from '../../src/translate/mode.ts'
import type { Settings } from '../../src/translate/settings.ts'
import {
  type ClusterSnapshot,
  emptySnapshot,
  type MutableSnapshot,
  putObject,
  removeObject,
} from '../../src/translate/snapshot.ts'
import type { Translation } from '../../src/translate/translation.ts'

export class LiveModel {
  readonly settings: Settings
  readonly inventory = new Inventory()
  readonly objects = new Map<string, KubernetesObject>()
  readonly #snapshot: MutableSnapshot = emptySnapshot('observed')

  constructor(settings: Settings, objects: Iterable<KubernetesObject> = []) {
    this.settings = settings
    for (const object of objects) this.put(object)
  }

  get cluster(): ClusterSnapshot {
    return this.#snapshot
  }

  put(after: KubernetesObject): Change {
    const path = pathOf(after)
    const before = this.objects.get(path)
    this.objects.set(path, after)
    putObject(this.#snapshot, after)
    return this.#noted({ path, ...(before && { before }), after })
  }

  remove(path: string): Change | undefined {
    const before = this.objects.get(path)
    if (!before) return undefined
    this.objects.delete(path)
    removeObject(this.#snapshot, before)
    return this.#noted({ path, before })
  }

  #noted(change: Change): Change {
    this.inventory.note(change)
    return change
  }

  /** By key. */
  translations(): Map<string, Translation> {
    return new Map(this.inventory.keys().map(key => [key, this.#translation(key)]))
  }

  #translation(key: string): Translation {
    const source = this.inventory.source(key)
    if (!source) throw new Error(`no source ${key}`)
    return translate(source, this.#snapshot, this.settings)
  }

  /** What is left to write for a source, as the Reconciler plans it when it has seen everything once. */
  operations(key: string): Operation[] {
    const source = this.inventory.source(key)
    if (!source) return []
    return plan(this.#translation(key), modeFor(source, this.#snapshot, this.settings), {
      source,
      isSettled: false,
      at: path => this.objects.get(path),
      companions: this.inventory.companionsOf(key),
      isNeeded: path => this.#isWanted(path),
    })
  }

  #isWanted(path: string): boolean {
    return [...this.translations().values()].some(
      ({ companions, denial }) => !denial && companions.some(each => pathOf(each) === path),
    )
  }

  /** The sources that have companions which nobody wants. */
  unneeded(): string[] {
    const wanted = new Set([...this.translations().values()].flatMap(({ companions }) => companions.map(pathOf)))
    return this.inventory
      .keys()
      .filter(key => [...this.inventory.companionsOf(key).keys()].some(path => !wanted.has(path)))
  }

  /** Writes as the API server stores it: by server-side apply status stays, and by re-admission everything but content. */
  write(operation: Operation): Change | undefined {
    const { kind, object } = operation
    if (kind === 'delete') return this.remove(pathOf(object))
    if (kind === 'readmit') return this.put(operation.into)
    if (kind === 'label') {
      const labels = { ...object.metadata.labels, ...operation.labels }
      return this.put({ ...object, metadata: { ...object.metadata, labels } })
    }
    const stored = this.objects.get(pathOf(object))
    return this.put(stored && 'status' in stored ? ({ ...object, status: stored.status } as KubernetesObject) : object)
  }
}

/** The object as Istio reports on it: a Gateway that runs, a route that all its parents have accepted. */
export function accepted(object: KubernetesObject): KubernetesObject {
  const isTrue = (type: string) => ({ type, status: 'True' })
  const { parentRefs = [] } = (object as { spec?: { parentRefs?: object[] } }).spec ?? {}
  const parents = parentRefs.map(parentRef => ({ parentRef, conditions: [isTrue('Accepted'), isTrue('ResolvedRefs')] }))
  const conditions = [isTrue('Accepted'), isTrue('Programmed')]
  const status = object.kind === 'Gateway' ? { addresses: [{ value: '10.0.0.1' }], conditions } : { parents }
  return { ...object, status } as KubernetesObject
}

/** Whether Istio reports on objects like this one. */
export function hasStatus({ apiVersion, kind }: KubernetesObject): boolean {
  return apiVersion.startsWith('gateway.networking.k8s.io/') && kind !== 'ReferenceGrant'
}
