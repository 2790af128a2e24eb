// As much of an API server as list and watch need: pages, versions, events, errors on demand. On 127.0.0.1, without TLS.
import { writeFile } from 'node:fs/promises'
import http, { type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'

interface Watch {
  path: string
  response: ServerResponse
}

/** An HTTP status, or everything that there is to say; `hang up` breaks the connection without an answer. */
export type Failure = number | { status: number; retryAfter?: string; body?: string } | 'hang up'

export class FakeApiServer {
  /** Every request as `GET /path?query`. */
  readonly requests: string[] = []
  readonly authorizations = new Set<string | undefined>()
  /** What was sent with each request that is no GET: method, content type and body. */
  readonly writes: string[] = []
  pageSize = 500
  /** The tokens that are accepted; any while it is empty. */
  tokens: string[] = []
  /** Called after each page of a list was answered. */
  onPage = (_path: string, _start: number): void => {}
  #version = 100
  /** Collections that are installed; every other path is 404. */
  readonly #collections = new Map<string, Map<string, KubernetesObject>>()
  readonly #watches = new Set<Watch>()
  /** What a watch from an earlier version has to catch up on. */
  readonly #events: { path: string; version: number; event: object }[] = []
  readonly #failures = new Map<string, Failure[]>()
  readonly #forbidden = new Set<string>()
  /** A `continue` from before this version has expired. */
  #oldest = 0
  readonly #server = http.createServer((request, response) => this.#answer(request, response))

  async start(t: Test, user: object = { token: 'test-token' }): Promise<{ url: string; kubeconfig: string }> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    const kubeconfig = join(t.testdir(), 'kubeconfig')
    await writeFile(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'u', user }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    )
    return { url, kubeconfig }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  /** The version of what was stored last. */
  get version(): string {
    return String(this.#version)
  }

  install(...paths: string[]): void {
    for (const path of paths) this.#collections.set(path, new Map())
  }

  uninstall(path: string): void {
    this.#collections.delete(path)
    this.end(path)
  }

  /** Stores an object and tells the watches, unless they are to miss it. */
  put(path: string, object: KubernetesObject, { silently = false } = {}): void {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } }
    const collection = this.#collections.get(path)
    const type = collection?.has(keyOf(object)) ? 'MODIFIED' : 'ADDED'
    collection?.set(keyOf(object), stored)
    if (!silently) this.#happen(path, { type, object: stored })
  }

  delete(path: string, object: KubernetesObject, { silently = false } = {}): void {
    this.#collections.get(path)?.delete(keyOf(object))
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) }
    if (!silently) this.#happen(path, { type: 'DELETED', object: { ...object, metadata } })
  }

  #happen(path: string, event: object): void {
    this.#events.push({ path, version: this.#version, event })
    this.send(path, event)
  }

  /** Sends any event to the watches of a path. */
  send(path: string, event: object): void {
    for (const watch of this.#watchesOf(path)) watch.response.write(`${JSON.stringify(event)}\n`)
  }

  /** Writes anything to the watches of a path. */
  write(path: string, text: string | Uint8Array): void {
    for (const watch of this.#watchesOf(path)) watch.response.write(text)
  }

  /** Ends the watches of a path as the API server does every few minutes. */
  end(path: string): void {
    for (const watch of this.#watchesOf(path)) watch.response.end()
  }

  /** Breaks the connections of the watches of a path. */
  break(path: string): void {
    for (const watch of this.#watchesOf(path)) watch.response.destroy()
  }

  /** Answers the next requests for a path with these HTTP statuses. */
  fail(path: string, ...failures: Failure[]): void {
    this.#failures.set(path, failures)
  }

  /** Answers 403 to this verb until it is allowed. */
  forbid(path: string, verb: 'list' | 'watch'): void {
    this.#forbidden.add(`${verb} ${path}`)
  }

  allow(path: string, verb: 'list' | 'watch'): void {
    this.#forbidden.delete(`${verb} ${path}`)
  }

  /** As etcd's compaction: no list that has begun can be read on. */
  compact(): void {
    this.#oldest = ++this.#version
  }

  watchCount(path: string): number {
    return this.#watchesOf(path).length
  }

  requestsFor(path: string, what: 'list' | 'watch'): string[] {
    return this.requests.filter(url => url.split('?')[0] === path && url.includes('watch=true') === (what === 'watch'))
  }

  #watchesOf(path: string): Watch[] {
    return [...this.#watches].filter(watch => watch.path === path)
  }

  #answer(request: http.IncomingMessage, response: ServerResponse): void {
    const { pathname: path, searchParams } = new URL(request.url ?? '', 'http://x')
    this.requests.push(request.url ?? '')
    this.authorizations.add(request.headers.authorization)
    if (request.method !== 'GET') this.#note(request)
    const failure = this.#failures.get(path)?.shift()
    if (failure === 'hang up') return void response.destroy()
    const isWatch = searchParams.get('watch') === 'true'
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    const [version = this.#version, start = 0] = searchParams.get('continue')?.split(' ').map(Number) ?? []
    const collection = this.#collections.get(path)
    const given = typeof failure === 'number' ? { status: failure } : failure
    const { status, retryAfter, body }: Exclude<Failure, number | string> = given ?? {
      status: this.#statusOf(path, token, isWatch, version),
    }
    const headers = { 'content-type': 'application/json', ...(retryAfter && { 'retry-after': retryAfter }) }
    response.writeHead(status, headers)
    if (status !== 200 || !collection) {
      response.end(body ?? JSON.stringify({ kind: 'Status', code: status, message: 'as the test wants' }))
      return
    }
    if (isWatch) {
      const watch = { path, response }
      this.#watches.add(watch)
      response.on('close', () => this.#watches.delete(watch))
      response.flushHeaders()
      const since = Number(searchParams.get('resourceVersion'))
      const missed = this.#events.filter(event => event.path === path && event.version > since)
      for (const { event } of missed) response.write(`${JSON.stringify(event)}\n`)
      return
    }
    const all = [...collection.values()]
    const end = start + (searchParams.has('limit') ? this.pageSize : all.length)
    // Like the real one, which leaves kind and apiVersion out of the items of a list.
    const items = all.slice(start, end).map(({ apiVersion, kind, ...item }) => item)
    const more = end < all.length && { continue: `${this.#version} ${end}` }
    response.end(JSON.stringify({ metadata: { resourceVersion: String(this.#version), ...more }, items }))
    this.onPage(path, start)
  }

  #statusOf(path: string, token: string, isWatch: boolean, version: number): number {
    if (this.tokens.length > 0 && !this.tokens.includes(token)) return 401
    if (this.#forbidden.has(`${isWatch ? 'watch' : 'list'} ${path}`)) return 403
    if (!this.#collections.has(path)) return 404
    return version < this.#oldest && !isWatch ? 410 : 200
  }

  #note(request: http.IncomingMessage): void {
    const i = this.writes.push(`${request.method} ${request.headers['content-type']} `) - 1
    request.setEncoding('utf8').on('data', chunk => {
      this.writes[i] += chunk
    })
  }
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}
