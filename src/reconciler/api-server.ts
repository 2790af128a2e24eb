// Calls to the API server. This is the only file that knows @kubernetes/client-node, and it uses no more of it than the
// kubeconfig and its credentials: that client's Watch hides exceptions of its callback and cannot be stopped while it
// connects, and its informer stops for good at the first error.
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import type { ObjectMeta } from '../apis/core.ts'

export interface ApiServer {
  /** One page of a collection. */
  list(path: string, query: Query, signal: AbortSignal): Promise<ObjectList>
  /** Hands over events until the server ends the watch; rejects when the connection breaks. */
  watch(path: string, query: Query, onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void>
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

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** A kubeconfig that names no API server; `message` says why. */
export class KubeconfigError extends Error {
  readonly code = 'KUBECONFIG_INVALID'
}

/**
 * The API server of a kubeconfig file, or else the one that kubectl would use here, or the cluster that this Pod is in.
 * @param context the context to use in place of the current one
 */
export function connect(kubeconfig?: string, context?: string): ApiServer {
  const config = new KubeConfig()
  try {
    if (kubeconfig) config.loadFromFile(kubeconfig)
    else config.loadFromDefault()
  } catch (cause) {
    throw new KubeconfigError(`${kubeconfig ?? 'kubeconfig'} cannot be read: ${(cause as Error).message}`, { cause })
  }
  if (context !== undefined) {
    const names = config.getContexts().map(({ name }) => name)
    if (!names.includes(context))
      throw new KubeconfigError(
        `${kubeconfig ?? 'kubeconfig'} has no context ${context}; its contexts are ${names.join(', ')}`,
      )
    config.setCurrentContext(context)
  }
  if (!config.getCurrentCluster())
    throw new KubeconfigError(
      `${kubeconfig ?? 'kubeconfig'} has no current context; set one with kubectl config use-context`,
    )
  return {
    async list(path, query, signal) {
      // A list that says nothing for so long will not say anything any more.
      const response = await get(config, path, query, AbortSignal.any([signal, AbortSignal.timeout(60_000)]))
      return JSON.parse(await textOf(response))
    },
    async watch(path, query, onEvent, signal) {
      const response = await get(config, path, { ...query, watch: 'true', allowWatchBookmarks: 'true' }, signal)
      let rest = ''
      for await (const chunk of response) {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line) onEvent(JSON.parse(line))
      }
    },
  }
}

async function get(config: KubeConfig, path: string, query: Query, signal: AbortSignal): Promise<IncomingMessage> {
  const url = new URL((config.getCurrentCluster()?.server ?? '').replace(/\/$/, '') + path)
  url.search = new URLSearchParams(query).toString()
  const options: https.RequestOptions = { headers: { accept: 'application/json', 'user-agent': 'sidestep' } }
  // Each time anew: tokens are renewed by exec plugins, and in the files that a Pod mounts.
  await config.applyToHTTPSOptions(options)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = (url.protocol === 'http:' ? http : https).get(url, { ...options, signal }, resolve)
    request.on('error', reject)
    request.on('socket', socket => socket.setKeepAlive(true, 30_000))
  })
  response.setEncoding('utf8')
  if (response.statusCode === 200) return response
  const message = (await textOf(response)).slice(0, 1000)
  throw new ApiError(response.statusCode ?? 0, `GET ${path}: HTTP ${response.statusCode}: ${message}`)
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) text += chunk
  return text
}
