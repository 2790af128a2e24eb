// `npm run bench:latency`: what sidestep's two webhooks add to a write of a VirtualService, through a real API server. The
// writes take turns between a namespace that the webhooks look at, one that they are told to pass over, and one with two
// webhooks of bare Fastify, which only parse and allow: what the API server itself takes to ask anybody.
//   npm run bench:latency [-- ROUNDS BLOCKS]

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type * as istio from '../src/apis/istio.ts'
import { pathOf } from '../src/reconciler/paths.ts'
import { startControlPlane } from '../test/control-plane/index.ts'
import { freePort } from '../test/control-plane/ports.ts'
import { webhookConfigurations } from '../test/control-plane/webhooks.ts'
import { population, surroundings } from '../test/e2e/backfill/population.ts'
import { grantAsDeployed } from '../test/e2e/sidestep.ts'
import { certificateIn, inTree, median, serveBeside } from './serve.ts'

const [rounds = 20, blocks = 20] = process.argv.slice(2).map(Number)
const goalMilliseconds = 2
const writes = ['create', 'update', 'apply'] as const
const kinds = ['without', 'bare', 'with'] as const

const { namespaces, services, virtualServices } = population({ virtualServices: 3, policies: 0, namespaces: 3 })

type Write = (typeof writes)[number]
type Kind = (typeof kinds)[number]

const controlPlane = await startControlPlane()
try {
  const names: Record<Kind, string> = { without: 'team-0', bare: 'team-1', with: 'team-2' }
  for (const object of [...namespaces, ...surroundings, ...services]) {
    const isOff = object.kind === 'Namespace' && object.metadata.name !== names.with
    const labels = { ...object.metadata.labels, ...(isOff && { 'sidestep.dev/mode': 'off' }) }
    await controlPlane.apply({ ...object, metadata: { ...object.metadata, labels } })
  }
  await grantAsDeployed(controlPlane)
  // The reconciler would write at the same time, and change what is to be updated.
  const served = await serveBeside(controlPlane, { flags: ['--admission-only'] })
  await served.ready()
  const bare = await startBare(names.bare)

  console.log('| writers | write | without | bare | with both | added, bare | added | p99 without, with |')
  console.log('| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const writers of [1, 8]) {
    const before = await admissions()
    const times = await measured(writers, names)
    const calls = (await admissions()) - before
    const expected = writers * rounds * (blocks + 1) * writes.length * 2
    // An API server that has an old version in its cache begins a write again, and asks again.
    if (calls < expected || calls > expected * 1.2)
      throw new Error(`${calls} calls of the webhooks instead of ${expected}`)
    for (const write of writes) {
      const [without, echoed, both] = kinds.map(kind => times.get(`${kind} ${write}`) ?? []) as [
        number[],
        number[],
        number[],
      ]
      const added = median(both) - median(without)
      const medians = [without, echoed, both].map(samples => ms(median(samples)))
      const last = `${ms(percentile(without, 0.99))}, ${ms(percentile(both, 0.99))}`
      const row = [writers, write, ...medians, ms(median(echoed) - median(without)), ms(added), last]
      console.log(`| ${row.join(' | ')} |`)
      if (writers === 1 && added > goalMilliseconds) process.exitCode = 1
    }
  }
  const seconds = await metricOf('sum')
  console.log(
    `\nOf each call sidestep itself took ${((seconds / (await admissions())) * 1000).toFixed(2)} ms on average.`,
  )
  await served.stop()
  await bare.stop()

  async function admissions(): Promise<number> {
    return metricOf('count')
  }

  async function metricOf(part: 'count' | 'sum'): Promise<number> {
    const values = (await served.metrics()).matchAll(
      new RegExp(`^sidestep_admission_seconds_${part}\\{.*\\} (\\S+)$`, 'gm'),
    )
    return [...values].reduce((sum, [, value]) => sum + Number(value), 0)
  }
} finally {
  await controlPlane.stop()
}

/** Two webhooks that do nothing, for one namespace: called for what sidestep's are called for. */
async function startBare(namespace: string): Promise<{ stop(): Promise<void> }> {
  const port = await freePort()
  const directory = await mkdtemp(join(controlPlane.directory, 'bare-'))
  const { cert } = await certificateIn(directory)
  const files = ['sidestep.crt', 'sidestep.key'].map(name => join(directory, name))
  const script = inTree('throughput/contestants/fastify.mjs')
  const child = spawn(process.execPath, [script, String(port), ...files], { stdio: 'inherit' })
  const url = `https://127.0.0.1:${port}/mutate`
  for (const configuration of webhookConfigurations({ url, caBundle: cert }, 'bare') as Registration[]) {
    const webhooks = configuration.webhooks.slice(0, 1).map(webhook => ({
      ...webhook,
      name: 'bare.example.com',
      clientConfig: { ...webhook.clientConfig, url },
      failurePolicy: 'Fail',
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    }))
    await controlPlane.apply({ ...configuration, metadata: { name: 'bare' }, webhooks })
  }
  // Until it is called it changes nothing, and with failurePolicy Fail a write says when it does not answer yet.
  await pause(3000)
  return {
    async stop() {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}

interface Registration {
  apiVersion: string
  kind: string
  webhooks: { clientConfig: object }[]
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(2)} ms`
}

/** Milliseconds of each write. In a block all writers write into the same namespace; the first two blocks only warm up. */
async function measured(writers: number, names: Record<Kind, string>): Promise<Map<`${Kind} ${Write}`, number[]>> {
  const times = new Map<`${Kind} ${Write}`, number[]>()
  for (let block = -1; block < blocks; block++) {
    // ABBA, so that what grows from block to block counts for both alike.
    for (const kind of block % 2 === 0 ? kinds : kinds.toReversed()) {
      const note = (write: Write, milliseconds: number) => {
        const key = `${kind} ${write}` as const
        if (block >= 0) times.set(key, [...(times.get(key) ?? []), milliseconds])
      }
      await Promise.all(Array.from({ length: writers }, (_, writer) => writeAll(names[kind], writer, note)))
    }
  }
  return times
}

/** One notebook after the other: created, updated, applied, and gone again. */
async function writeAll(
  namespace: string,
  writer: number,
  note: (write: Write, milliseconds: number) => void,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const object = notebookIn(namespace, `lab-${writer}-${round}`)
    const path = pathOf(object)
    const collection = path.slice(0, path.lastIndexOf('/'))
    const send = async (write: Write, method: string, path: string, body: object, contentType?: string) => {
      const begun = performance.now()
      const answer = await controlPlane.demand(method, path, { body, ...(contentType && { contentType }) })
      note(write, performance.now() - begun)
      return answer.body
    }
    const created = await send('create', 'POST', collection, object)
    await send('update', 'PUT', path, { ...created, spec: withTimeout(created.spec, '10s') })
    const wanted = { ...object, spec: withTimeout(object.spec, '20s') }
    const apply = `${path}?fieldManager=bench&force=true`
    await send('apply', 'PATCH', apply, wanted, 'application/apply-patch+yaml')
    await controlPlane.demand('DELETE', path)
  }
}

/** Each has paths of its own, or the next ones would only say that they meet. */
function notebookIn(namespace: string, name: string): istio.VirtualService {
  const notebook = virtualServices.find(({ metadata }) => metadata.namespace === namespace)
  return JSON.parse(JSON.stringify(notebook).replaceAll('lab-0', name))
}

function withTimeout(spec: istio.VirtualService['spec'], timeout: string): istio.VirtualService['spec'] {
  return { ...spec, http: spec.http?.map(http => ({ ...http, timeout })) ?? [] }
}

function percentile(samples: readonly number[], share: number): number {
  return samples.toSorted((a, b) => a - b)[Math.floor((samples.length - 1) * share)] ?? Number.NaN
}
