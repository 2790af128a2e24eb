// What a Service is to the webhook: one address, and behind it the replicas whose /readyz was good when it was last asked.
// As with a Service, who is sent to a replica that is gone is not sent to another one.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export interface Endpoint {
  webhook: number
  ops: number
}

/** How often each replica is asked, and so how far behind the endpoints are. */
const intervalMilliseconds = 200

export class Balancer {
  readonly endpoints = new Set<Endpoint>()
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  readonly #timer: NodeJS.Timeout
  #ready: Endpoint[] = []
  #next = 0

  static async start(): Promise<Balancer> {
    const balancer = new Balancer()
    balancer.#server.listen(0, '127.0.0.1')
    await once(balancer.#server, 'listening')
    return balancer
  }

  private constructor() {
    this.#server = createServer(near => this.#join(near))
    this.#timer = setInterval(() => this.#ask(), intervalMilliseconds)
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** How many replicas are called. */
  get readyCount(): number {
    return this.#ready.length
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  async #ask(): Promise<void> {
    const asked = await Promise.all(
      [...this.endpoints].map(async endpoint => ((await isReady(endpoint)) ? [endpoint] : [])),
    )
    this.#ready = asked.flat().filter(endpoint => this.endpoints.has(endpoint))
  }

  #join(near: Socket): void {
    const endpoint = this.#ready[this.#next++ % Math.max(1, this.#ready.length)]
    this.#keep(near)
    if (!endpoint) return void near.destroy()
    const far = connect(endpoint.webhook, '127.0.0.1')
    this.#keep(far)
    near.pipe(far).pipe(near)
    far.once('close', () => near.destroy())
    near.once('close', () => far.destroy())
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
  }
}

async function isReady({ ops }: Endpoint): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${ops}/readyz`)).status === 200
  } catch {
    return false
  }
}
