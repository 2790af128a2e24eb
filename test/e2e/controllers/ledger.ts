// What controllers have asked of the API server, object by object, and what of it was stored: a PUT that changes nothing
// answers with the version that was read.
import type { KubernetesObject } from '../../../src/apis/core.ts'
import { pathOf } from '../../../src/reconciler/paths.ts'
import { columns } from '../peace/columns.ts'
import { Refused, type Send } from './send.ts'

export interface Entry {
  controller: string
  /** `VirtualService team-a/board`. */
  object: string
  /** How often the controller has read it, alone or in a list. */
  reconciles: number
  /** POSTs, of what was not there. */
  creates: number
  /** PUTs and PATCHes. */
  puts: number
  /** How many of the two changed what was stored. */
  stored: number
  /** What the API server would not do, such as a conflict with another writer. */
  refusals: string[]
}

export class Ledger {
  /** Of what was read alone or written; of lists there would be too many. */
  readonly #entries = new Map<string, Entry>()
  readonly #reads = new Map<string, number>()

  /** The same requests, counted for a controller. One that is refused is counted as well. */
  counting(controller: string, send: Send): Send {
    // What the controller has read, by path.
    const versions = new Map<string, string | undefined>()
    return async (method, path, body) => {
      const target = method === 'POST' ? `${path}/${nameOf(body)}` : path.replace(/\/status$/, '')
      const answer = await send(method, path, body).catch((error: Error) => {
        this.#entry(controller, target).refusals.push(error.message)
        throw new Refused(0, error.message)
      })
      const items: KubernetesObject[] | undefined = answer.body?.items
      if (items) {
        // A list names the kind of its items, who do not.
        const { apiVersion, kind } = answer.body
        for (const item of items) {
          const object = { ...item, apiVersion, kind: kind.replace(/List$/, '') }
          const path = pathOf(object)
          versions.set(path, item.metadata.resourceVersion)
          this.#read(controller, path)
        }
        return answer
      }
      const isThere = answer.status < 300
      const entry = this.#entry(controller, target, isThere ? answer.body : undefined)
      const version = isThere ? answer.body.metadata?.resourceVersion : undefined
      if (method === 'GET') this.#read(controller, target)
      else {
        if (method === 'POST') entry.creates++
        else entry.puts++
        if (!isThere) entry.refusals.push(`${answer.status} ${answer.body?.message}`)
        else if (version !== versions.get(target)) entry.stored++
      }
      // A refusal says nothing of what is stored.
      if (isThere || answer.status === 404) versions.set(target, version)
      return answer
    }
  }

  /** Ordered by controller and object. */
  entries(): Entry[] {
    const key = ({ controller, object }: Entry) => `${controller} ${object}`
    const entries = [...this.#entries].map(([key, entry]) => ({ ...entry, reconciles: this.#reads.get(key) ?? 0 }))
    return entries.sort((one, other) => (key(one) < key(other) ? -1 : 1))
  }

  /** Counts anew. */
  clear(): void {
    this.#entries.clear()
    this.#reads.clear()
  }

  table(): string {
    const head = ['controller', 'object', 'reconciles', 'creates', 'PUTs sent', 'writes stored', 'refused']
    const rows = this.entries().map(({ controller, object, reconciles, creates, puts, stored, refusals }) => [
      controller,
      object,
      ...[reconciles, creates, puts, stored, refusals.length].map(String),
    ])
    return columns([head, ...rows])
  }

  #read(controller: string, path: string): void {
    const key = `${controller} ${path}`
    this.#reads.set(key, (this.#reads.get(key) ?? 0) + 1)
  }

  #entry(controller: string, path: string, object?: KubernetesObject): Entry {
    const key = `${controller} ${path}`
    const entry = this.#entries.get(key) ?? {
      controller,
      object: path,
      reconciles: 0,
      creates: 0,
      puts: 0,
      stored: 0,
      refusals: [],
    }
    if (object?.kind) {
      const { namespace, name } = object.metadata
      entry.object = `${object.kind} ${namespace ? `${namespace}/` : ''}${name}`
    }
    this.#entries.set(key, entry)
    return entry
  }
}

function nameOf(body: unknown): string {
  return (body as KubernetesObject).metadata.name ?? ''
}
