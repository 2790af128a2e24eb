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

export class FakeApiServer {
  /** Every request as `GET /path?query`. */
  readonly requests: string[] = []
  readonly authorizations = new Set<string | undefined>()
  pageSize = 500
  #version = 100
  /** Collections that are installed; every other path is 404. */
  readonly #collections = new Map<string, Map<string, KubernetesObject>>()
  readonly #watches = new Set<Watch>()
  readonly #failures = new Map<string, number[]>()
  readonly #server = http.createServer((request, response) => this.#answer(request, response))

  async start(t: Test): Promise<{ url: string; kubeconfig: string }> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    const kubeconfig = join(t.testdir(), 'kubeconfig')
    await writeFile(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'u', user: { token: 'test-token' } }],
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
    if (!silently) this.send(path, { type, object: stored })
  }

  delete(path: string, object: KubernetesObject, { silently = false } = {}): void {
    this.#collections.get(path)?.delete(keyOf(object))
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) }
    if (!silently) this.send(path, { type: 'DELETED', object: { ...object, metadata } })
  }

  /** Sends any event to the watches of a path. */
  send(path: string, event: object): void {
    for (const watch of this.#watchesOf(path)) watch.response.write(`${JSON.stringify(event)}\n`)
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
  fail(path: string, ...statuses: number[]): void {
    this.#failures.set(path, statuses)
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
    const failure = this.#failures.get(path)?.shift()
    const collection = this.#collections.get(path)
    const status = failure ?? (collection ? 200 : 404)
    response.writeHead(status, { 'content-type': 'application/json' })
    if (status !== 200 || !collection) {
      response.end(JSON.stringify({ kind: 'Status', code: status, message: 'as the test wants' }))
      return
    }
    if (searchParams.get('watch') === 'true') {
      const watch = { path, response }
      this.#watches.add(watch)
      response.on('close', () => this.#watches.delete(watch))
      response.flushHeaders()
      return
    }
    const start = Number(searchParams.get('continue') ?? 0)
    const all = [...collection.values()]
    const end = start + this.pageSize
    // Like the real one, which leaves kind and apiVersion out of the items of a list.
    const items = all.slice(start, end).map(({ apiVersion, kind, ...item }) => item)
    const metadata = { resourceVersion: String(this.#version), ...(end < all.length && { continue: String(end) }) }
    response.end(JSON.stringify({ metadata, items }))
  }
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}
