// A server on a port, and bytes on its connections: what no HTTP client would send.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { pino } from 'pino'
import type { Test } from 'tap'
import { selfSignedCertificate } from '../../src/certificates/issue.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { buildServer, type ServerOptions } from '../../src/server/server.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import { translateWidget } from './reviews.ts'

const tls = await selfSignedCertificate({ names: ['127.0.0.1'] })

export async function listen(t: Test, more: Partial<ServerOptions> = {}) {
  const lines: Record<string, unknown>[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const metrics = createMetrics()
  const options = { cluster: snapshotOf([]), settings: profiles.generic, translate: translateWidget, ...more }
  // How busy this process is, which sends as well, is no matter.
  const limits = { eventLoopDelayMilliseconds: 0, ...more.limits }
  const app = buildServer({ logger, tls, metrics, ...options, limits })
  let accepted = 0
  app.server.on('connection', () => accepted++)
  await app.listen({ host: '127.0.0.1', port: 0 })
  lines.length = 0
  const { port } = app.server.address() as AddressInfo
  const open = async (): Promise<Connection> => {
    const socket = connect({ host: '127.0.0.1', port, ca: tls.ca })
    t.teardown(() => socket.destroy())
    await once(socket, 'secureConnect')
    return new Connection(socket)
  }
  t.teardown(async () => {
    await app.close()
    metrics.close()
  })
  const post = async (body: string | Buffer, path = '/mutate') => {
    const connection = await open()
    connection.send(request(body, path))
    return connection.answer()
  }
  const sockets = () =>
    new Promise<number>((resolve, reject) =>
      app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    )
  return { app, port, lines, open, post, sockets, accepted: () => accepted, scrape: () => metrics.registry.metrics() }
}

/** A request as bytes, with other headers over its own; `undefined` leaves one out. */
export function request(
  body: string | Buffer,
  path = '/mutate',
  headers: Record<string, string | undefined> = {},
): Buffer {
  const all = {
    host: 'x',
    'content-type': 'application/json',
    'content-length': `${Buffer.byteLength(body)}`,
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : `${name}: ${value}\r\n`))
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), Buffer.from(body)])
}

interface WireAnswer {
  status: number
  headers: string
  body: string
}

/** One connection. What comes is kept until it is asked for. */
class Connection {
  readonly socket: TLSSocket
  #received = Buffer.alloc(0)
  #closed = false

  constructor(socket: TLSSocket) {
    this.socket = socket
    // That it is reset is what a test expects.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#closed = true
    })
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
    })
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes)
  }

  /** The next answer. */
  async answer(): Promise<WireAnswer> {
    for (;;) {
      const text = this.#received.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, end))?.[1] ?? 0)
      if (end >= 0 && this.#received.length >= end + 4 + length) {
        const body = this.#received.subarray(end + 4, end + 4 + length).toString()
        this.#received = this.#received.subarray(end + 4 + length)
        return { status: Number(text.slice(9, 12)), headers: text.slice(0, end).toLowerCase(), body }
      }
      if (this.#closed) throw new Error(`closed after ${JSON.stringify(text.slice(0, 200))}`)
      const waiting = new AbortController()
      const { signal } = waiting
      await Promise.race(['data', 'close'].map(event => once(this.socket, event, { signal }).catch(() => {})))
      waiting.abort()
    }
  }

  /** How many milliseconds it takes until the other side has closed. */
  async closed(): Promise<number> {
    const start = performance.now()
    if (!this.#closed) await new Promise(resolve => this.socket.once('close', resolve))
    return performance.now() - start
  }
}
