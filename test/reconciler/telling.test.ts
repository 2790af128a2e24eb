import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { ApiError } from '../../src/reconciler/api-server.ts'
import type { Operation } from '../../src/reconciler/plan.ts'
import type { Result } from '../../src/reconciler/reconciler.ts'
import { Telling } from '../../src/reconciler/telling.ts'

const source = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } } satisfies KubernetesObject
const object = { apiVersion: 'v1', kind: 'HTTPRoute', metadata: { namespace: 'a', name: 'lab' } }
const operation: Operation = { kind: 'apply', object }

/** What is heard of a write that ended so. */
function told(result: Result, error?: ApiError) {
  const events: string[] = []
  const lines: string[] = []
  const log = (level: string) => () => void lines.push(level)
  const telling = new Telling({
    metrics: { countWrite() {} } as never,
    recorder: { tell: (_: KubernetesObject, { reason }: { reason: string }) => events.push(reason) } as never,
    logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
  })
  telling.wrote(source, operation, result, error)
  return { events, lines }
}

t.test('what a race has taken away is no failure, of which people would hear', async t => {
  const quiet = { events: [], lines: ['debug'] }
  t.strictSame(told('conflict', new ApiError(409, 'Conflict')), quiet)
  t.strictSame(told('gone', new ApiError(404, 'not found')), quiet)
  t.strictSame(told('gone', new ApiError(403, 'because it is being terminated')), quiet)
})

t.test('what the API server does not take is', async t => {
  const loud = { events: ['Refused'], lines: ['warn'] }
  t.strictSame(told('refused', new ApiError(422, 'invalid')), loud)
  t.strictSame(told('forbidden', new ApiError(403, 'denied by a quota')), loud)
  const right = new ApiError(403, 'cannot patch resource "httproutes" in API group "gateway.networking.k8s.io"')
  t.strictSame(told('forbidden', right), { events: ['Forbidden'], lines: ['error'] })
  t.strictSame(told('failed', new ApiError(0, 'socket hang up')), { events: [], lines: ['warn'] })
})
