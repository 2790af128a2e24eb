// What goes between the reconciler and the API server: each request, when it was made, and when it was refused for now.
import type { ApiError, ApiServer } from '../../../src/reconciler/api-server.ts'

export interface Request {
  /** As RBAC has it, but for a patch, whose kinds are told apart by who is patched. */
  verb: string
  path: string
  /** Milliseconds, as `performance.now` has them. */
  at: number
}

/** The API server asked to be left alone from one moment to another. */
export interface Refusal {
  from: number
  until: number
}

export class Traffic {
  readonly requests: Request[] = []
  readonly refusals: Refusal[] = []

  through(api: ApiServer): ApiServer {
    return {
      list: (path, query, signal) => this.#note('list', path, () => api.list(path, query, signal)),
      watch: (path, query, onEvent, signal) => this.#note('watch', path, () => api.watch(path, query, onEvent, signal)),
      send: (call, signal) => this.#note(verbs[call.method], call.path, () => api.send(call, signal)),
    }
  }

  /** Of everything that is not reading, in the order in which it was sent. */
  get writes(): string[] {
    return this.requests.filter(({ verb }) => !reading.includes(verb)).map(({ verb, path }) => `${verb} ${path}`)
  }

  /** How many requests of each verb. */
  get byVerb(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { verb } of this.requests) counts[verb] = (counts[verb] ?? 0) + 1
    return counts
  }

  /** The requests that were made while the API server had asked to be left alone. */
  get untimely(): Request[] {
    return this.requests.filter(({ at }) => this.refusals.some(({ from, until }) => at > from && at < until))
  }

  async #note<T>(verb: string, path: string, call: () => Promise<T>): Promise<T> {
    this.requests.push({ verb, path, at: performance.now() })
    try {
      return await call()
    } catch (error) {
      const { status, retryAfterSeconds = 0 } = error as Partial<ApiError>
      const from = performance.now()
      if (status === 429) this.refusals.push({ from, until: from + retryAfterSeconds * 1000 })
      throw error
    }
  }
}

const reading = ['get', 'list', 'watch']
const verbs = { GET: 'get', POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const
