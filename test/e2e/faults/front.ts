// What a Service is to the webhook: one address for all replicas, of which some are there.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class Front {
  /** The ports of the replicas that are ready. */
  readonly ports = new Set<number>()
  /** How often the API server has called while it was open. */
  calls = 0
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #port = 0
  #next = 0

  get url(): string {
    return `https://127.0.0.1:${this.#port}`
  }

  /** Where it was before, if it was. */
  async open(): Promise<void> {
    this.#server = createServer(near => {
      this.calls++
      const all = [...this.ports]
      this.#join(near, [...all.slice(this.#next % all.length), ...all.slice(0, this.#next++ % all.length)])
    })
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Whoever calls now is refused, and who has called before is cut off. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (!server) return
    server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(server, 'close')
  }

  /** With the first that takes the connection. */
  #join(near: Socket, [port, ...others]: number[]): void {
    this.#keep(near)
    if (port === undefined) return void near.destroy()
    const far = connect(port, '127.0.0.1')
    this.#keep(far)
    far.once('error', () => {
      if (far.bytesWritten === 0) this.#join(near, others)
    })
    far.once('connect', () => {
      near.pipe(far).pipe(near)
      far.once('close', () => near.destroy())
      near.once('close', () => far.destroy())
    })
  }

  #keep(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
  }
}
