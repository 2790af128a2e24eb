// Between one replica and the API server: notes what the replica writes, and holds the writes that a test means.
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, createServer, request, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { ControlPlane } from '../../control-plane/index.ts'

/** One write of a replica, in the order in which they came. */
export interface Write {
  by: string
  method: string
  path: string
  /** When it came here, and when the API server had answered it. */
  came: number
  answered?: number
  status?: number
  /** The object that the API server answered with, or its Status. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read fields of many kinds, and a wrong one shows at once.
  answer?: any
}

/** Called with writes of sources and companions, which wait for it. */
export interface Hooks {
  /** Before the API server hears of it; `drop` if it never is to. */
  before?(write: Write): Promise<unknown>
  /** When it is stored, and before the replica hears of it. */
  after?(write: Write): Promise<unknown>
}

export class ApiProxy {
  hooks: Hooks = {}
  /** How late the replica hears what it reads. */
  lagMilliseconds = 0
  /** The kubeconfig of user sidestep that leads here. */
  kubeconfig = ''
  readonly #by: string
  readonly #journal: Write[]
  readonly #target: URL
  readonly #agent: Agent
  readonly #server: Server

  static async start(controlPlane: ControlPlane, by: string, journal: Write[]): Promise<ApiProxy> {
    const original = JSON.parse(await readFile(controlPlane.kubeconfig('sidestep'), 'utf8'))
    const { cluster } = original.clusters[0]
    const cert = Buffer.from(cluster['certificate-authority-data'], 'base64')
    const key = await readFile(join(controlPlane.directory, 'server.key'))
    const proxy = new ApiProxy(new URL(controlPlane.url), { key, cert }, by, journal)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    cluster.server = `https://127.0.0.1:${(proxy.#server.address() as AddressInfo).port}`
    proxy.kubeconfig = `${controlPlane.kubeconfig('sidestep')}.${by}`
    await writeFile(proxy.kubeconfig, JSON.stringify(original))
    return proxy
  }

  private constructor(target: URL, certificate: { key: Buffer; cert: Buffer }, by: string, journal: Write[]) {
    this.#target = target
    this.#by = by
    this.#journal = journal
    this.#agent = new Agent({ ca: certificate.cert, keepAlive: true })
    this.#server = createServer(certificate, (incoming, outgoing) => {
      const pass = incoming.method === 'GET' ? this.#read(incoming, outgoing) : this.#write(incoming, outgoing)
      pass.catch(() => outgoing.destroy())
    })
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
    this.#agent.destroy()
  }

  async #read(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const upstream = this.#request(incoming)
    outgoing.on('close', () => upstream.destroy())
    upstream.end()
    const [answer] = (await once(upstream, 'response')) as [IncomingMessage]
    answer.on('error', () => outgoing.destroy())
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    outgoing.flushHeaders()
    answer.on('data', chunk => setTimeout(() => outgoing.write(chunk), this.lagMilliseconds))
    answer.on('end', () => setTimeout(() => outgoing.end(), this.lagMilliseconds))
  }

  /** What has come here whole is delivered, though the replica may have gone: so it is with a network. */
  async #write(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await buffer(incoming)
    const path = new URL(incoming.url ?? '', this.#target).pathname
    const write: Write = { by: this.#by, method: incoming.method ?? '', path, came: performance.now() }
    this.#journal.push(write)
    const hooks = isWork(write) ? this.hooks : {}
    if ((await hooks.before?.(write)) === 'drop') return void outgoing.destroy()
    const upstream = this.#request(incoming)
    upstream.end(body)
    const [answer] = (await once(upstream, 'response')) as [IncomingMessage]
    const content = await buffer(answer)
    write.answered = performance.now()
    write.status = answer.statusCode ?? 0
    write.answer = JSON.parse(content.toString())
    await hooks.after?.(write)
    outgoing.writeHead(write.status, answer.headers)
    outgoing.end(content)
  }

  #request({ method, url, headers }: IncomingMessage) {
    return request(new URL(url ?? '', this.#target), {
      method,
      agent: this.#agent,
      headers: { ...headers, host: this.#target.host },
    })
  }
}

/** A write of a source or of a companion. */
export function isWork({ path }: Write): boolean {
  return !isLease(path) && !/\/events(\/|$)/.test(path)
}

export function isLease(path: string): boolean {
  return /\/leases(\/|$)/.test(path)
}
