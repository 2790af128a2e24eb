// The webhook's HTTPS server: decodes a review, asks admission.ts, encodes the answer, logs and counts it.
import type https from 'node:https'
import type { Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import underPressure from '@fastify/under-pressure'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  LogController,
} from 'fastify'
import type { AdmissionRequest, AdmissionResponse, AdmissionReview } from '../apis/admission.ts'
import type { KubernetesObject } from '../apis/core.ts'
import type { Settings } from '../translate/settings.ts'
import type { ClusterSnapshot } from '../translate/snapshot.ts'
import type { Translate } from '../translate/translation.ts'
import { decide, type Webhook } from './admission.ts'
import { Calls } from './calls.ts'
import type { Metrics } from './metrics.ts'
import { readReview, readTimeout, shown } from './review.ts'

/** PEM texts: the leaf, with the intermediates above it, and its key. */
export interface Tls {
  cert: string
  key: string
}

export interface ServerOptions {
  cluster: ClusterSnapshot
  settings: Settings
  logger: FastifyBaseLogger
  /** Without one, no handshake succeeds until `secure` brings it. */
  tls?: Tls | undefined
  metrics: Metrics
  /** What of the cluster is not read yet. Until it is, nothing is judged: half a cluster gives wrong answers. */
  unread?: () => readonly string[]
  /** Whether this server is about to close: each connection is then given back with the answer that it carries. */
  isDraining?: () => boolean
  /** The core by default; it may be asked for the same object again and again. */
  translate?: Translate<KubernetesObject>
  limits?: Limits
}

export interface Limits {
  /** Of one body. */
  bodyBytes?: number
  /** Of all calls under way together. */
  heldBytes?: number | undefined
  eventLoopDelayMilliseconds?: number
  /** Until a handshake is over, and until the headers of a request have come. */
  handshakeMilliseconds?: number
  headersMilliseconds?: number
  /** Until a request has come whole. */
  requestMilliseconds?: number
  /** How often the last two are looked at. */
  checkMilliseconds?: number
  /** A connection on which nothing moves for so long, an answer that nobody fetches among them. */
  silenceMilliseconds?: number
}

// An API request has 3 MiB at most, and a review of an update holds the object twice (controller-runtime has 7 MiB too).
const defaultBodyBytes = 7 * 1024 * 1024
// Nine of the largest bodies, or a thousand as they are; a tenth of the heap that deploy/chart gives.
const defaultHeldBytes = 64 * 1024 * 1024
// Above this the API server would rather hear 503 at once than wait for its timeout.
const defaultEventLoopDelayMilliseconds = 500

/** The server for POST /mutate and POST /validate. Building it opens no port. */
export function buildServer(options: ServerOptions) {
  const { logger, tls, metrics, unread = () => [], isDraining = () => false, limits = {} } = options
  const app = Fastify({
    loggerInstance: logger,
    // One line of our own per admission instead of two of Fastify.
    logController: new LogController({ disableRequestLogging: true }),
    https: {
      ...contextOf(tls),
      handshakeTimeout: limits.handshakeMilliseconds ?? 10_000,
      headersTimeout: limits.headersMilliseconds ?? 32_000,
      connectionsCheckingInterval: limits.checkMilliseconds ?? 5_000,
    },
    bodyLimit: limits.bodyBytes ?? defaultBodyBytes,
    // API servers keep connections for 90 s; a server that closes earlier resets the call that is just being sent.
    keepAliveTimeout: 90_000,
    requestTimeout: limits.requestMilliseconds ?? 35_000,
    connectionTimeout: limits.silenceMilliseconds ?? 120_000,
    // A call that arrives while the server drains is answered, and its connection closed; 503 would fail an admission.
    return503OnClosing: false,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
  })

  // Each holds buffers, whether it carries a call or not. API servers have no more calls of all kinds under way.
  app.server.maxConnections = 4096
  const unused = closeUnusedConnections(app)
  app.removeContentTypeParser('text/plain')
  app.register(underPressure, {
    maxEventLoopDelay: limits.eventLoopDelayMilliseconds ?? defaultEventLoopDelayMilliseconds,
    message: 'sidestep has more to do than it can, try again',
    retryAfter: 1,
  })
  const calls = new Calls(limits.heldBytes ?? defaultHeldBytes, reply => {
    metrics.countShed('crowded')
    if (reply.sent) reply.raw.socket?.destroy()
    else reply.header('connection', 'close').send(new CrowdedError())
  })
  app.addHook('onRequest', (request, reply, done) => {
    unused.delete(request.raw.socket)
    // Or close() would end connections that are idle in the very moment in which the API server sends a call on one.
    if (isDraining()) reply.header('connection', 'close')
    metrics.inFlight.inc()
    reply.raw.once('close', () => metrics.inFlight.dec())
    calls.enter(request, reply)
    if (reply.sent) return
    const kinds = unread()
    done(kinds.length > 0 ? new UnreadError(`sidestep has not read the cluster yet: ${kinds.join(', ')}`) : undefined)
  })
  app.addHook('preParsing', (request, _reply, payload, done) => {
    if (!calls.isSmall(request.headers['content-length']))
      payload.on('data', (chunk: Buffer | string) => calls.hold(request, chunk.length))
    done(null, payload)
  })
  app.setNotFoundHandler((_request, reply) => refuse(reply, 404, 'There are only POST /mutate and POST /validate.'))
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const status = error.statusCode && error.statusCode >= 400 ? error.statusCode : 500
    const webhook = request.routeOptions.url?.slice(1) ?? 'none'
    metrics.countRefusal(webhook, status)
    const sentence = sentenceOf(error)
    // The error of a broken body may quote the body, which never goes into the log.
    if (error instanceof CrowdedError) reply.header('retry-after', '1')
    if (status < 500 || status === 503) logger.warn({ webhook, status }, sentence)
    else if (!(error instanceof FaultError)) logger.error({ webhook, status, err: error }, sentence)
    return refuse(reply, status, sentence)
  })

  for (const webhook of ['mutate', 'validate'] as const) {
    app.post(`/${webhook}`, (request, reply) => {
      const timeoutSeconds = readTimeout(request.query)
      if (timeoutSeconds !== undefined && calls.waited(request) > timeoutSeconds * 1000) {
        metrics.countShed('late')
        throw new LateError()
      }
      const review = readReview(request.body)
      if (typeof review === 'string') throw new ReviewError(review)
      const response = answer(options, webhook, review, reply, timeoutSeconds)
      return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response } satisfies AdmissionReview
    })
  }
  return app
}

/**
 * Node closes idle connections with the server, but not one that has never carried a request, and those it waits for as long
 * as their client keeps them: 90 s for the API server, whose client dials some to spare when it sends calls at once.
 * @returns those connections; whoever receives a request takes its own away
 */
function closeUnusedConnections(app: FastifyInstance<https.Server>): Set<Socket> {
  const unused = new Set<Socket>()
  let isClosing = false
  app.server.on('secureConnection', socket => {
    // Its handshake was not over yet when the server closed.
    if (isClosing) return void socket.destroy()
    unused.add(socket)
    socket.once('close', () => unused.delete(socket))
  })
  app.addHook('preClose', done => {
    isClosing = true
    for (const socket of unused) socket.destroy()
    done()
  })
  return unused
}

export type WebhookServer = ReturnType<typeof buildServer>

/** New connections get this certificate, those that are open keep theirs. No session of before is resumed. */
export function secure(app: WebhookServer, tls: Tls): void {
  // It replaces the whole context: what is not said again is gone, and TLS 1.0 would be back.
  app.server.setSecureContext(contextOf(tls))
}

function contextOf(tls: Tls | undefined): SecureContextOptions {
  return { ...(tls && { cert: tls.cert, key: tls.key }), minVersion: 'TLSv1.2' }
}

/** Answers one request, with its line in the log and its place in the metrics. */
function answer(
  { cluster, settings, logger, metrics, translate }: ServerOptions,
  webhook: Webhook,
  request: AdmissionRequest,
  reply: FastifyReply,
  timeoutSeconds: number | undefined,
): AdmissionResponse {
  const { uid, kind, operation, dryRun } = request
  // Neither bodies nor groups and extras of the user: they hold keys and tokens.
  const [namespace, name] = [shown(request.namespace), shown(request.name)]
  const user = shown(request.userInfo?.username)
  const line = { uid, webhook, operation, kind: shown(kind.kind), namespace, name, user, dryRun: dryRun === true }
  try {
    const decision = decide(request, cluster, settings, webhook, translate)
    const { response, mode, outcome, codes, deniedFor, patchOperations } = decision
    const ms = millisecondsOf(reply)
    metrics.observe(webhook, request, outcome, ms / 1000)
    metrics.countDenial(deniedFor)
    const details = { ...line, mode, outcome, codes, patchOperations, ms }
    if (timeoutSeconds !== undefined && ms > timeoutSeconds * 1000)
      logger.warn({ ...details, timeoutSeconds }, 'admission, answered after the API server gave up')
    else logger.info(details, 'admission')
    return response
  } catch (err) {
    const ms = millisecondsOf(reply)
    metrics.observe(webhook, request, 'error', ms / 1000)
    logger.error({ ...line, outcome: 'error', ms, err }, 'admission failed, which is a fault in sidestep')
    // Not `allowed: false`, which would bind even those who chose `failurePolicy: Ignore` and stop garbage collection;
    // nor `allowed: true`, which would open what `Fail` keeps shut. HTTP 500 leaves it to the administrator's policy.
    if (webhook === 'validate') throw new FaultError('sidestep failed to judge this object; its log says why')
    return fallback(uid)
  }
}

function millisecondsOf({ elapsedTime }: FastifyReply): number {
  return Math.round(elapsedTime * 1000) / 1000
}

/** A call that is no admission review. */
class ReviewError extends Error {
  readonly statusCode = 400
}

/** The failurePolicy decides, as it does while there is no sidestep at all. */
class UnreadError extends Error {
  readonly statusCode = 503
}

/** No room for all that callers send. client-go waits for as long as Retry-After says and calls again, while there is time. */
class CrowdedError extends Error {
  readonly statusCode = 503
  constructor() {
    super('sidestep has more calls under way than it can hold, try again')
  }
}

/** Nobody waits for the answer any more, and others do for theirs. */
class LateError extends Error {
  readonly statusCode = 503
  constructor() {
    super('The time that the API server gave was over before sidestep could begin; nothing was done.')
  }
}

/** A fault of ours, already logged with its object. */
class FaultError extends Error {
  readonly statusCode = 500
}

/** The mutating webhook never blocks: the object is stored as written, and the reconciler comes back to it. */
function fallback(uid: string): AdmissionResponse {
  return {
    uid,
    allowed: true,
    warnings: ['sidestep failed on this object and left it as it is; its log says why'],
    auditAnnotations: { outcome: 'error' },
  }
}

/** As plain text, since that is what the API server quotes in the error that the user sees. */
function refuse(reply: FastifyReply, status: number, sentence: string) {
  return reply.code(status).type('text/plain; charset=utf-8').send(`${sentence}\n`)
}

function sentenceOf(error: FastifyError): string {
  if (error.statusCode === 413) return 'The review is larger than sidestep reads.'
  if (error.statusCode === 415) return 'Content-Type must be application/json.'
  if (error instanceof ReviewError || error instanceof FaultError || error.statusCode === 503) return error.message
  if (error.statusCode === 400) return 'The body must be JSON, and no key in it may be __proto__.'
  return 'sidestep failed to answer, its log says why.'
}
