import { once } from 'node:events'
import { Agent, request } from 'node:https'
import { text } from 'node:stream/consumers'
import type { Tokens, User } from './users.ts'

export interface Answer {
  status: number
  /** The decoded JSON, or the text of what is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read fields of many kinds, and a wrong one shows at once.
  body: any
}

export interface RequestOptions {
  user?: User
  body?: unknown
  /** JSON when absent; a PATCH has to say which kind of patch it is. */
  contentType?: string
  accept?: string
  /** Names the manager in managedFields, unless the URL has a fieldManager. */
  userAgent?: string
}

/** Speaks HTTP to the API server, for what kubectl does not do: a bare PUT, a patch of one's own, another user agent. */
export class Client {
  readonly url: string
  readonly #tokens: Tokens
  readonly #agent: Agent

  constructor(url: string, cert: string, tokens: Tokens) {
    this.url = url
    this.#tokens = tokens
    this.#agent = new Agent({ ca: cert, keepAlive: true })
  }

  /** Any answer is a result, whatever its status; a string is sent as it is and anything else as JSON. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const { user = 'admin', body, contentType = 'application/json', accept = 'application/json' } = options
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const outgoing = request(new URL(path, this.url), {
      method,
      agent: this.#agent,
      headers: {
        authorization: `Bearer ${this.#tokens[user]}`,
        accept,
        'user-agent': options.userAgent ?? 'sidestep-test',
        // Node leaves the length out of a DELETE, whose body would then be taken for the next request.
        ...(payload !== undefined && { 'content-type': contentType, 'content-length': Buffer.byteLength(payload) }),
      },
    })
    outgoing.end(payload)
    const [incoming] = await once(outgoing, 'response')
    const content = await text(incoming)
    const isJson = String(incoming.headers['content-type']).includes('json')
    return { status: incoming.statusCode, body: isJson ? JSON.parse(content) : content }
  }

  /** The same, but anything other than success is an error. */
  async demand(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const answer = await this.request(method, path, options)
    if (answer.status >= 200 && answer.status < 300) return answer
    throw new Error(`${method} ${path}: ${answer.status} ${answer.body?.message ?? answer.body}`)
  }

  close(): void {
    this.#agent.destroy()
  }
}
