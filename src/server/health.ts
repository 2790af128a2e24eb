// The plain-HTTP server for kubelet and Prometheus, so that neither needs to trust the webhook's certificate.
import Fastify, { type FastifyBaseLogger, LogController } from 'fastify'
import type { Metrics } from './metrics.ts'

export interface OpsOptions {
  logger: FastifyBaseLogger
  metrics: Metrics
  /** What is still missing before admissions can be answered well, in words; nothing when ready. */
  missing: () => readonly string[]
}

/** The server for /livez, /readyz and /metrics. Building it opens no port. */
export function buildOps({ logger, metrics, missing }: OpsOptions) {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    return503OnClosing: false,
  })
  app.get('/livez', () => 'ok\n')
  app.get('/readyz', (_request, reply) => {
    const reasons = missing()
    if (reasons.length === 0) return 'ok\n'
    reply.code(503)
    return `not ready: ${reasons.join('; ')}\n`
  })
  app.get('/metrics', async (_request, reply) => {
    reply.type(metrics.registry.contentType)
    return metrics.registry.metrics()
  })
  return app
}
