// `npm run bench:backfill`: a cluster that was there before sidestep, converted by its reconciler, on a real API server.
// `sidestep serve` is a process of its own, so that its memory is its own; this one holds the cluster and stands in for
// istiod. All of it shares the machine, the API server and etcd too.
//   npm run bench:backfill [-- VIRTUAL-SERVICES POLICIES NAMESPACES]
import { setTimeout as pause } from 'node:timers/promises'
import type { KubernetesObject } from '../src/apis/core.ts'
import { collectionOf, pathOf } from '../src/reconciler/paths.ts'
import { sourceKey } from '../src/translate/companion.ts'
import { type ControlPlane, startControlPlane } from '../test/control-plane/index.ts'
import { companionPaths, createAll, leftToDo, population, surroundings } from '../test/e2e/backfill/population.ts'
import { startWatchingIstiod } from '../test/e2e/controllers/watching-istiod.ts'
import { grantAsDeployed } from '../test/e2e/sidestep.ts'
import { serveBeside } from './serve.ts'
import { isAside, type Report, work } from './work.ts'

const [virtualServices = 2000, policies = 2000, namespaces = 500] = process.argv.slice(2).map(Number)
const before = population({ virtualServices, policies, namespaces })
const count = virtualServices + policies + namespaces
const preload = 'watch-requests.mjs'

async function main(): Promise<void> {
  const controlPlane = await startControlPlane()
  try {
    await prepare(controlPlane)
    const istiod = await startWatchingIstiod(controlPlane)
    const first = await serveBeside(controlPlane, { preload })
    const admissions = new Admissions(controlPlane)
    const { seconds, report } = await work(first)
    const meanwhile = admissions.take()
    const mebibytes = first.mebibytes.peak
    await pause(10_000)
    const atRest = await admissions.stop()
    await first.stop()
    const [one, ...more] = await leftToDo(controlPlane, before)
    if (one !== undefined) throw new Error(`at rest, but ${one}, and ${more.length} more are left`)

    const second = await serveBeside(controlPlane, { preload })
    const onceMore = await work(second)
    const again = writesOf(onceMore.report)
    await second.stop()
    await istiod.stop()

    print([
      ['objects', `${virtualServices} VirtualServices, ${policies} policies, ${namespaces} namespaces`],
      ['until everything is at rest', `${seconds.toFixed(0)} s, ${(count / seconds).toFixed(0)} objects per second`],
      ['peak memory', `${mebibytes.toFixed(0)} MiB`],
      ['CPU time', `${report.cpuSeconds.toFixed(0)} s`],
      ['requests', shownCounts(byVerb(report))],
      ['429', `${report.refusals}, with ${report.untimely} requests before the time was over`],
      ...(await writesBySource(controlPlane, report)),
      ['event loop held up', `p99 ${report.delay.p99.toFixed(0)} ms, at most ${report.delay.longest.toFixed(0)} ms`],
      ['admission meanwhile', shownLatency(meanwhile)],
      ['admission at rest', shownLatency(atRest)],
      ['started once more', `at rest after ${onceMore.seconds.toFixed(0)} s, ${again.length} writes`],
    ])
    if (again.length > 0) throw new Error(`the second look wrote ${again.slice(0, 5).join(', ')}`)
  } finally {
    await controlPlane.stop()
  }
}

async function prepare(controlPlane: ControlPlane): Promise<void> {
  const started = performance.now()
  await controlPlane.grant('controller', 'cluster-admin')
  await createAll(controlPlane, before.namespaces)
  await createAll(controlPlane, [...surroundings, ...before.services, ...before.policies, ...before.virtualServices])
  await grantAsDeployed(controlPlane)
  process.stderr.write(`the cluster is there after ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
}

/** How long it takes to create a VirtualService, every 100 ms, none of which is kept. */
class Admissions {
  #milliseconds: number[] = []
  readonly #stopping = new AbortController()
  readonly #stopped: Promise<void>

  constructor(controlPlane: ControlPlane) {
    this.#stopped = this.#run(controlPlane)
  }

  /** Those since the last time, in ascending order. */
  take(): number[] {
    return this.#milliseconds.splice(0).sort((a, b) => a - b)
  }

  async stop(): Promise<number[]> {
    this.#stopping.abort()
    await this.#stopped
    return this.take()
  }

  async #run(controlPlane: ControlPlane): Promise<void> {
    const { metadata, ...rest } = before.virtualServices[0] as KubernetesObject
    const body = { ...rest, metadata: { ...metadata, name: 'another' } }
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const started = performance.now()
      const answer = controlPlane.demand('POST', `${collectionOf(body)}?dryRun=All`, { body })
      // A connection that was kept open may be closed just when it is used again.
      const isAnswered = await answer.then(Boolean, () => false)
      if (isAnswered) this.#milliseconds.push(performance.now() - started)
      await pause(100, undefined, { signal }).catch(() => {})
    }
  }
}

// What is told -------------------------------------------------------------------------------------------------------

function writesOf({ requests }: Report): string[] {
  return requests.map(([request]) => request).filter(request => !isAside(request) && !request.startsWith('GET '))
}

function byVerb({ requests }: Report): Map<string, number> {
  const counts = new Map<string, number>()
  for (const [request, times] of requests) {
    const [verb = '', path = ''] = request.split(' ')
    const name = path.includes('/leases') ? `${verb} Lease` : path.includes('/events') ? `${verb} Event` : verb
    counts.set(name, (counts.get(name) ?? 0) + times)
  }
  return counts
}

/** By kind, how many sources needed how many writes, of themselves or of their companions. */
async function writesBySource(controlPlane: ControlPlane, report: Report): Promise<[string, string][]> {
  const sources = await companionPaths(controlPlane)
  const writes = new Map<string, number>()
  const own = [...before.namespaces, ...before.policies, ...before.virtualServices, ...surroundings]
  for (const each of own) sources.set(pathOf(each).replace('/v1beta1/', '/v1/'), sourceKey(each))
  for (const [request, times] of report.requests) {
    const [verb, path = ''] = request.split(' ')
    if (isAside(request) || verb === 'GET') continue
    const key = sources.get(path) ?? `unknown/${path}`
    writes.set(key, (writes.get(key) ?? 0) + times)
  }
  const kinds = new Map<string, Map<string, number>>()
  for (const [key, times] of writes) {
    const [kind = ''] = key.split('/')
    const counts = kinds.get(kind) ?? new Map()
    kinds.set(kind, counts.set(`× ${times} for`, (counts.get(`× ${times} for`) ?? 0) + 1))
  }
  return [...kinds].map(([kind, counts]) => [`writes for each ${kind}`, shownCounts(counts)])
}

function shownCounts(counts: Map<string, number>): string {
  return [...counts].map(([name, times]) => `${name} ${times}`).join(', ')
}

function shownLatency(milliseconds: number[]): string {
  const at = (share: number) => milliseconds[Math.floor(milliseconds.length * share)]?.toFixed(0) ?? '-'
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms of ${milliseconds.length}`
}

function print(rows: [string, string][]): void {
  console.log('| | |\n| --- | --- |')
  for (const [name, value] of rows) console.log(`| ${name} | ${value} |`)
}

await main()
