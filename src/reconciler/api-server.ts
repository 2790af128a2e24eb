// Calls to the API server, with Node's own client: the Watch of @kubernetes/client-node hides exceptions of its callback and
// cannot be stopped while it connects, and its informer stops for good at the first error.
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { isDeepStrictEqual } from 'node:util'
import type { KubernetesObject, ObjectMeta } from '../apis/core.ts'
import { type Access, type Credentials, readAccess } from './kubeconfig.ts'

export interface ApiServer {
  /** One page of a collection. */
  list(path: string, query: Query, signal: AbortSignal): Promise<ObjectList>
  /** Hands over events until the server ends the watch; rejects when the connection breaks. */
  watch(path: string, query: Query, onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void>
  /** Any other call, tried once. @throws ApiError what the API server answered, if it answered */
  send(call: Call, signal: AbortSignal): Promise<KubernetesObject>
}

/** A call about one object. A body is JSON unless `contentType` says which kind of patch it is. */
export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
  query?: Query
  body?: object
  contentType?: 'application/json' | 'application/merge-patch+json' | 'application/apply-patch+yaml'
}

export type Query = Record<string, string>

export interface ObjectList {
  metadata: { resourceVersion?: string; continue?: string }
  items: { metadata: ObjectMeta }[]
}

export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  object: { metadata?: ObjectMeta; code?: number; message?: string }
}

/** The API server answered with an error, over HTTP or as an event of a watch. */
export class ApiError extends Error {
  readonly code = 'API_ERROR'
  readonly status: number
  /** In a word of the API, such as `Conflict` or `AlreadyExists`. */
  readonly reason: string | undefined
  /** How long the API server asks to be left alone, as it does with 429. */
  readonly retryAfterSeconds: number | undefined

  constructor(status: number, message: string, details: { reason?: string; retryAfterSeconds?: number } = {}) {
    super(message)
    this.status = status
    this.reason = details.reason
    this.retryAfterSeconds = details.retryAfterSeconds
  }
}

/** Nothing came for longer than it may take; the connection counts as broken. */
export class SilenceError extends Error {
  readonly code = 'ETIMEDOUT'
}

/** How long an API server may be silent before a call to it is given up. */
export interface Patience {
  /** Until the next byte of an answer. The API server itself gives up a call after a minute (`--request-timeout`). */
  answer: number
  /**
   * Until the next byte of a watch. A bookmark comes after a minute in which nothing else did
   * (k8s.io/apiserver, storage/cacher/cacher.go: defaultBookmarkFrequency), so a watch that says nothing for longer hangs
   * in a proxy, or in a connection whose other end is gone. Where a bookmark was only late, the price is one request.
   */
  watch: number
}

const defaultPatience: Patience = { answer: 60_000, watch: 90_000 }

/**
 * The API server of a kubeconfig file, or else the one that kubectl would use here, or the cluster that this Pod is in.
 * @param context the context to use in place of the current one
 */
export function connect(kubeconfig?: string, context?: string, patience: Partial<Patience> = {}): ApiServer {
  const milliseconds = { ...defaultPatience, ...patience }
  const account = new Account(() => readAccess(kubeconfig, context))
  const answer = (call: Call, signal: AbortSignal) =>
    within(milliseconds.answer, signal, async (signal, heard) => {
      let text = ''
      for await (const chunk of await request(account, call, signal)) {
        heard()
        text += chunk
      }
      return JSON.parse(text)
    })
  return {
    list: (path, query, signal) => answer({ method: 'GET', path, query }, signal),
    send: answer,
    watch: (path, query, onEvent, signal) =>
      within(milliseconds.watch, signal, async (signal, heard) => {
        const asked = { ...query, watch: 'true', allowWatchBookmarks: 'true' }
        // What comes after the last newline is half an event; the next watch brings it whole.
        let rest = ''
        for await (const chunk of await request(account, { method: 'GET', path, query: asked }, signal)) {
          heard()
          const lines: string[] = chunk.split('\n')
          lines[0] = rest + lines[0]
          rest = lines.pop() ?? ''
          for (const line of lines) if (line) onEvent(JSON.parse(line))
        }
      }),
  }
}

/**
 * Runs a call with a signal that aborts with the caller's, or when nothing was heard for so long. Afterwards it lets go of
 * the caller's signal, which lives as long as the process: AbortSignal.any would stay on it for ever
 * (https://github.com/nodejs/node/issues/54614).
 */
async function within<T>(
  milliseconds: number,
  signal: AbortSignal,
  call: (signal: AbortSignal, heard: () => void) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const own = new AbortController()
  const onAbort = () => own.abort(signal.reason)
  const onSilence = () => own.abort(new SilenceError(`the API server said nothing for ${milliseconds / 1000} s`))
  const timer = setTimeout(onSilence, milliseconds)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await call(own.signal, () => timer.refresh())
  } catch (error) {
    throw own.signal.aborted ? own.signal.reason : error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

/** The credentials of calls, which are renewed while the process runs. */
class Account {
  readonly #load: () => Access
  #access: Access
  #turn: Promise<unknown> = Promise.resolve()

  constructor(load: () => Access) {
    this.#load = load
    this.#access = load()
  }

  get access(): Access {
    return this.#access
  }

  /** What a request is to carry; asked for one at a time, or an exec plugin would run once for each call that needs it. */
  credentials(access: Access): Promise<Credentials> {
    const asked = this.#turn.then(() => access.credentials())
    this.#turn = asked.catch(() => {})
    return asked
  }

  /** Reads the kubeconfig again, and with it whatever it or an exec plugin had remembered, unless that has just been done. */
  renew(refused: Access): void {
    if (refused !== this.#access) return
    try {
      this.#access = this.#load()
    } catch {
      // Somebody is writing it just now; the next refusal comes.
    }
  }
}

/** The answer to a call. Credentials that are refused are renewed at once, as client-go does it, and the call made again. */
async function request(account: Account, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
  const { access } = account
  const credentials = await account.credentials(access)
  const response = await exchange(access, credentials, call, signal)
  if (response.statusCode !== 401) return accepted(call, response)
  account.renew(access)
  const renewed = await account.credentials(account.access)
  if (isDeepStrictEqual({ ...renewed, agent: undefined }, { ...credentials, agent: undefined }))
    return accepted(call, response)
  response.resume()
  return accepted(call, await exchange(account.access, renewed, call, signal))
}

async function exchange(
  access: Access,
  credentials: Credentials,
  call: Call,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { method, path, query = {}, body, contentType = 'application/json' } = call
  const url = new URL(access.server.replace(/\/$/, '') + path)
  url.search = new URLSearchParams(query).toString()
  const text = body && JSON.stringify(body)
  const headers = {
    accept: 'application/json',
    'user-agent': 'sidestep',
    ...(text !== undefined && { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }),
  }
  const options = { ...credentials, method, headers: { ...credentials.headers, ...headers }, signal }
  return new Promise<IncomingMessage>((resolve, reject) => {
    const request = (url.protocol === 'http:' ? http : https).request(url, options, response =>
      resolve(response.setEncoding('utf8')),
    )
    request.on('error', reject)
    request.on('socket', socket => socket.setKeepAlive(true, 30_000))
    request.end(text)
  })
}

async function accepted(call: Call, response: IncomingMessage): Promise<IncomingMessage> {
  const { statusCode: status = 0 } = response
  if (status >= 200 && status < 300) return response
  let text = ''
  for await (const chunk of response) text += chunk
  throw errorOf(call, status, text, response.headers['retry-after'])
}

function errorOf({ method, path }: Call, status: number, text: string, retryAfter: string | undefined): ApiError {
  const seconds = Number(retryAfter)
  return new ApiError(status, `${method} ${path}: HTTP ${status}: ${text.slice(0, 1000)}`, {
    ...reasonIn(text),
    ...(retryAfter !== undefined && Number.isFinite(seconds) && { retryAfterSeconds: seconds }),
  })
}

/** The API server answers with a Status, but a proxy before it with anything. */
function reasonIn(text: string): { reason?: string } {
  try {
    const { reason } = JSON.parse(text)
    return typeof reason === 'string' ? { reason } : {}
  } catch {
    return {}
  }
}
