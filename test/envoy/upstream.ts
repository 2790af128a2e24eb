import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as it arrived behind Envoy. */
export interface Arrival {
  upstream: string
  method: string
  /** The path with its query. */
  path: string
  host: string
  /** Names in lower case; of a header that came several times, all values. */
  headers: Record<string, string[]>
}

/** A server behind Envoy that answers with what arrived, or with the status that the header x-answer asks for. */
export class Upstream {
  readonly arrivals: Arrival[] = []
  readonly #server = createServer((request, response) => {
    const headers: Record<string, string[]> = {}
    for (const [name, values] of Object.entries(request.headersDistinct)) headers[name] = values ?? []
    const { method = '', url: path = '' } = request
    const arrival = { upstream: this.name, method, path, host: headers.host?.[0] ?? '', headers }
    this.arrivals.push(arrival)
    const body = JSON.stringify(arrival)
    const status = Number(headers['x-answer']?.[0] ?? 200)
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), 'x-echo': 'true' }).end(body)
  })

  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}
