// `npm run bench:soak`: what `sidestep serve` holds after many reviews. Real TLS, logs and metrics as deployed, the reviews of
// all fixtures, each with names of its own, and some of what nobody should send. Fails when memory, files or handles grow.
//   npm run bench:soak [-- REVIEWS]
//   LEAK=memory npm run bench:soak -- 100000    leaks about 100 bytes a request, and has to fail; LEAK=files leaks files
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import type { KubernetesObject } from '../src/apis/core.ts'
import { faultsOf, identityOf } from '../src/cli/objects.ts'
import { create, review, update } from '../test/server/reviews.ts'
import { readFixtures } from '../test/translate/fixtures.ts'
import { line } from './least-squares.ts'
import { certificateIn, freePorts, ServeProcess, type Vitals } from './serve.ts'

const [reviews = 1_000_000] = process.argv.slice(2).map(Number)
const lanes = 8
/**
 * V8 lets its heap grow until it knows how much is needed, and compiles what is run often: until some 100,000 reviews memory
 * grows by itself, so that shorter runs show a great leak only.
 */
const warmUp = Math.round(Math.min(Math.max(100_000, reviews / 5), reviews / 2))
const sampleMilliseconds = 2000
const mebibyte = 2 ** 20

const limits = {
  /** MiB for 100,000 reviews; an object kept of each would be some 50. */
  slope: 1,
  /** A TLS session or two that are being taken down. */
  files: 4,
  handles: 8,
}

// What is sent -----------------------------------------------------------------------------------------------------

/** What stands for a text that no other review has. */
const mark = 'xmarkx'

interface Call {
  path: string
  /** What the marks separate. */
  parts: string[]
  contentType: string
  /** The HTTP statuses that are right. */
  expected: number[]
  /** Whether the connection is broken in the middle of the body. */
  isBroken?: true
}

const fixtures = readFixtures()

function callsOf(object: KubernetesObject): Call[] {
  const { metadata } = object
  const named = { ...object, metadata: { ...metadata, name: `${metadata.name ?? metadata.generateName}-${mark}` } }
  const old = { ...named, metadata: { ...named.metadata, labels: { ...metadata.labels, before: mark } } }
  const [group = '', version = 'v1'] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : ['', 'v1']
  const more = {
    uid: `705ab4f5-6393-11e8-b7cc-${mark}`,
    kind: { group, version, kind: object.kind },
    name: named.metadata.name,
    namespace: metadata.namespace ?? 'default',
    userInfo: { username: `user-${mark}` },
  }
  const requests = [create(named, more), { ...update(named, old), ...more }]
  return requests.flatMap(request => {
    const parts = JSON.stringify(review(request)).split(mark)
    return ['/mutate', '/validate'].map(path => ({ path, parts, contentType: 'application/json', expected: [200] }))
  })
}

const valid = fixtures
  // Made to take as long as a VirtualService can: one of them takes as long as thousands of the others.
  .filter(({ name }) => !name.includes('/spec-size-'))
  .flatMap(({ input }) => input)
  .filter(object => faultsOf(object).length === 0 && JSON.stringify(object).length < 16_000)
  .flatMap(callsOf)

/** What nobody should send, made of what is right. */
function garbageOf(call: Call, turn: number): Call {
  const whole = call.parts.join(mark)
  const bodies = [
    whole.slice(0, Math.floor(whole.length * 0.7)),
    '',
    '[]',
    `{"${mark}":`,
    '\u0000\ufffd',
    whole.replace('{', '{"__proto__":{"a":1},'),
    whole.replace('"AdmissionReview"', `"${mark}"`),
    '['.repeat(5000),
  ]
  const body = bodies[turn % bodies.length] ?? ''
  const parts = body.split(mark)
  if (turn % 10 === 8) return { ...call, contentType: `text/${mark}`, expected: [415] }
  if (turn % 10 === 9) return { ...call, isBroken: true }
  return { ...call, path: turn % 50 === 0 ? `/${mark}` : call.path, parts, expected: [400, 404] }
}

/** One in twenty is garbage. */
function callAt(i: number): Call {
  // A stride without a common factor, so that neighbours are of different kinds.
  const call = valid[(i * 7919) % valid.length] as Call
  return i % 20 === 19 ? garbageOf(call, (i - 19) / 20) : call
}

// Who sends it -----------------------------------------------------------------------------------------------------

const statuses = new Map<number, number>()
const wrong: string[] = []

/** A client with one connection, which it closes after so many calls. */
class Lane {
  readonly #url: string
  readonly #ca: string
  #agent: Agent
  #calls = 0

  constructor(url: string, ca: string) {
    this.#url = url
    this.#ca = ca
    this.#agent = this.#newAgent()
  }

  async send(i: number): Promise<void> {
    if (this.#calls++ % 500 === 499) {
      this.#agent.destroy()
      this.#agent = this.#newAgent()
    }
    const { path, parts, contentType, expected, isBroken } = callAt(i)
    const unique = i.toString(36)
    const body = parts.join(unique)
    const sent = request(this.#url + path, {
      method: 'POST',
      agent: this.#agent,
      headers: { 'content-type': contentType.replace(mark, unique), 'content-length': Buffer.byteLength(body) },
    })
    if (isBroken) {
      sent.write(body.slice(0, body.length / 2), () => sent.destroy())
      return new Promise(resolve => sent.once('error', () => resolve()).once('close', () => resolve()))
    }
    const { status, answer } = await new Promise<{ status: number; answer: string }>((resolve, reject) => {
      sent.once('error', reject)
      sent.once('response', response =>
        text(response).then(answer => resolve({ status: response.statusCode ?? 0, answer }), reject),
      )
      sent.end(body)
    })
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    if (status === 503) return
    const isRight = expected.includes(status) && (status !== 200 || answer.includes(`-b7cc-${unique}"`))
    if (!isRight) wrong.push(`${path.replace(mark, unique)} ${status} ${answer.slice(0, 200)}`)
  }

  close(): void {
    this.#agent.destroy()
  }

  #newAgent(): Agent {
    return new Agent({ ca: this.#ca, keepAlive: true, maxSockets: 1 })
  }
}

let done = 0

async function sendUpTo(count: number, clients: Lane[]): Promise<void> {
  const work = async (client: Lane) => {
    while (done < count) {
      const i = done++
      await client.send(i).catch(error => wrong.push(`review ${i}: ${error.message}`))
    }
  }
  await Promise.all(clients.map(work))
}

// What is measured -------------------------------------------------------------------------------------------------

interface Sample extends Vitals {
  /** Reviews until then. */
  reviews: number
  resident: number
  files: number
}

const samples: Sample[] = []

async function sample(served: ServeProcess, question = 'vitals'): Promise<Sample> {
  const vitals = await served.ask(question)
  return { ...vitals, reviews: done, resident: served.mebibytes.now, files: served.openFiles }
}

/** While it works, and as Prometheus does: metrics that grow would cost memory too. */
async function watch(served: ServeProcess, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(sampleMilliseconds, undefined, { signal }).catch(() => {})
    const now = await sample(served)
    samples.push(now)
    if (samples.length % 15 === 0) process.stderr.write(`${now.reviews} reviews, ${shown(now.resident)}\n`)
    await served.metrics()
  }
}

/** Without garbage, and when the connections that were broken are gone. */
async function settled(served: ServeProcess): Promise<Sample> {
  await pause(1000)
  return sample(served, 'collect')
}

/** All of the fixtures' clusters in one, each object once. */
function snapshotIn(directory: string): string {
  const documents = fixtures.flatMap(({ directory }) => {
    try {
      return parseAllDocuments(readFileSync(join(directory, 'cluster.yaml'), 'utf8')).map(each => each.toJS())
    } catch {
      return []
    }
  })
  const objects = documents.filter(each => faultsOf(each).length === 0)
  const items = [...new Map(objects.map(object => [identityOf(object), object])).values()]
  const file = join(directory, 'cluster.json')
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  return file
}

const directory = mkdtempSync(join(tmpdir(), 'sidestep-bench-'))
try {
  const { cert, flags } = await certificateIn(directory)
  const served = new ServeProcess([`--snapshot=${snapshotIn(directory)}`, ...flags], await freePorts(), 'vitals.mjs')
  await served.ready()
  const clients = Array.from({ length: lanes }, () => new Lane(served.url, cert))
  await sendUpTo(warmUp, clients)
  const first = await settled(served)
  const firstMetrics = (await served.metrics()).length

  const stopping = new AbortController()
  const watching = watch(served, stopping.signal)
  const begun = performance.now()
  await sendUpTo(reviews, clients)
  const perSecond = ((reviews - warmUp) / (performance.now() - begun)) * 1000
  stopping.abort()
  await watching
  const last = await settled(served)
  const lastMetrics = (await served.metrics()).length
  const { peak } = served.mebibytes
  for (const client of clients) client.close()
  await served.stop()

  // What was collected before the first sample comes back at first, and that is no growth.
  const later = samples.filter(({ reviews: at }) => at > warmUp + (reviews - warmUp) / 10)
  const per = 100_000
  const resident = line(later.map(({ reviews, resident }) => [reviews / per, resident]))
  const held = ((last.heap - first.heap) / mebibyte / (last.reviews - first.reviews)) * per
  const rows = [
    ['reviews, of which to warm up', `${reviews}, ${warmUp}`],
    ['reviews a second', perSecond.toFixed(0)],
    ['answers by HTTP status', [...statuses].map(([status, count]) => `${status}: ${count}`).join(', ')],
    ['wrong answers', wrong.length],
    ['memory (VmRSS) first, last, at most', [later[0]?.resident, last.resident, peak].map(shown).join(', ')],
    [
      'memory, slope for 100,000 reviews',
      `${shown(resident.slope)} ± ${shown(resident.error)} of ${later.length} samples`,
    ],
    ['heap after collection first, last', [first.heap, last.heap].map(bytes => shown(bytes / mebibyte)).join(', ')],
    ['heap, growth for 100,000 reviews', shown(held)],
    ['open files first, last', `${first.files}, ${last.files}`],
    ['active handles first, last', `${first.handles}, ${last.handles}`],
    ['bytes of /metrics first, last', `${firstMetrics}, ${lastMetrics}`],
  ]
  console.log('| | |\n| --- | ---: |')
  for (const [name, value] of rows) console.log(`| ${name} | ${value} |`)
  const problems = [
    ...wrong.slice(0, 5),
    // By a machine that has more to do than this.
    ...((statuses.get(503) ?? 0) > reviews / 100 ? ['too many are turned away'] : []),
    // So far above its limit that it is no accident.
    ...(resident.slope - 3 * resident.error > limits.slope ? ['the memory grows'] : []),
    ...(held > limits.slope ? ['the heap grows'] : []),
    ...(last.files - first.files > limits.files ? ['files stay open'] : []),
    ...(last.handles - first.handles > limits.handles ? ['handles stay'] : []),
  ]
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length > 0 ? 1 : 0
} finally {
  rmSync(directory, { recursive: true })
}

function shown(mebibytes: number | undefined): string {
  return mebibytes === undefined ? '-' : `${mebibytes.toFixed(2)} MiB`
}
