import { Registry } from 'prom-client'
import t from 'tap'
import { createReconcilerMetrics } from '../../src/reconciler/metrics.ts'

/** What is scraped, without help, types and what is 0 by itself. */
async function scrape(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter(line => line && !line.startsWith('#'))
}

function start() {
  const registry = new Registry()
  const state = {
    queue: { depth: 0, oldestAgeSeconds: 0 },
    looping: () => 0,
    drift: () => ({ sources: 0, companions: 0 }),
    denied: () => new Map<string, number>(),
    pending: () => new Map<string, number>(),
    foreign: () => new Map<string, number>(),
  }
  return { registry, state, metrics: createReconcilerMetrics(registry, state) }
}

t.test('asks for the state at each scrape, and forgets what is no more', async t => {
  const { registry, state } = start()
  Object.assign(state, {
    queue: { depth: 3, oldestAgeSeconds: 1.5 },
    looping: () => 2,
    drift: () => ({ sources: 4, companions: 5 }),
    denied: () =>
      new Map([
        ['VirtualService', 6],
        ['AuthorizationPolicy', 1],
      ]),
    pending: () => new Map([['AP-WAYPOINT-PENDING', 7]]),
    foreign: () => new Map([['HTTPRoute', 8]]),
  })
  t.strictSame(await scrape(registry), [
    'sidestep_reconciler_queue_depth 3',
    'sidestep_reconciler_queue_age_seconds 1.5',
    'sidestep_reconciler_looping_writes 2',
    'sidestep_reconciler_drift{of="sources"} 4',
    'sidestep_reconciler_drift{of="companions"} 5',
    'sidestep_reconciler_denied_sources{kind="VirtualService"} 6',
    'sidestep_reconciler_denied_sources{kind="AuthorizationPolicy"} 1',
    'sidestep_reconciler_pending_sources{code="AP-WAYPOINT-PENDING"} 7',
    'sidestep_reconciler_foreign_objects{kind="HTTPRoute"} 8',
    'sidestep_reconciler_leader 0',
  ])
  state.denied = () => new Map([['VirtualService', 1]])
  const denied = (await scrape(registry)).filter(line => line.includes('denied'))
  t.strictSame(denied, ['sidestep_reconciler_denied_sources{kind="VirtualService"} 1'])
})

t.test('counts what happens', async t => {
  const { registry, metrics } = start()
  metrics.countWrite('apply', 'HTTPRoute', 'changed')
  metrics.countWrite('apply', 'HTTPRoute', 'changed')
  metrics.countWrite('readmit', 'AuthorizationPolicy', 'unchanged')
  metrics.countWrite('delete', 'Gateway', 'refused')
  metrics.countRetry(429)
  metrics.countRetry('ECONNRESET')
  metrics.setLeading(true)
  const lines = await scrape(registry)
  for (const line of [
    'sidestep_reconciler_writes_total{verb="apply",kind="HTTPRoute",result="changed"} 2',
    'sidestep_reconciler_writes_total{verb="readmit",kind="AuthorizationPolicy",result="unchanged"} 1',
    'sidestep_reconciler_writes_total{verb="delete",kind="Gateway",result="refused"} 1',
    'sidestep_reconciler_retries_total{status="429"} 1',
    'sidestep_reconciler_retries_total{status="ECONNRESET"} 1',
    'sidestep_reconciler_leader 1',
  ])
    t.ok(lines.includes(line), line)
  metrics.setLeading(false)
  t.ok((await scrape(registry)).includes('sidestep_reconciler_leader 0'))
})

t.test('labels are few, and none holds a name or a namespace', async t => {
  const { registry } = start()
  const labels = registry
    .getMetricsAsArray()
    .flatMap(metric => (metric as unknown as { labelNames: string[] }).labelNames)
  t.strictSame([...new Set(labels)].sort(), ['code', 'kind', 'of', 'result', 'status', 'verb'])
})
