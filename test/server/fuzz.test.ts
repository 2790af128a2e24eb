// Bodies that nobody would send: real reviews with bytes and values changed at random. Whatever comes, the answer is a decision
// that the core would make too, or an HTTP error that says what is wrong; never a fault, and never another's uid.
//   npm run test:fuzz   1,000,000 bodies; SIDESTEP_SEED and SIDESTEP_RUNS change it
import fc from 'fast-check'
import jsonPatch from 'fast-json-patch'
import { pino } from 'pino'
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { selfSignedCertificate } from '../../src/certificates/issue.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { buildServer } from '../../src/server/server.ts'
import { isEqual } from '../../src/translate/canonical.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import { readFixtures } from '../translate/fixtures.ts'
import { create, review, update } from './reviews.ts'

t.setTimeout(0)

const runs = Number(process.env.SIDESTEP_RUNS ?? (process.env.CI ? 10_000 : 1000))
const seed = Number(process.env.SIDESTEP_SEED ?? 1)
const settings = profiles.kubeflow
const cluster = snapshotOf(
  ['kubeflow', 'istio-system', 'team-a'].map(name => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: name === 'team-a' ? { 'app.kubernetes.io/part-of': 'kubeflow-profile' } : {} },
  })),
)

/** Small ones: large objects have tests of their own, and each run translates several times. */
const objects = readFixtures()
  .flatMap(({ input }) => input)
  .filter(object => JSON.stringify(object).length < 4000)

// Changes ----------------------------------------------------------------------------------------------------------

const names = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'length',
  'spec',
  'metadata',
  'uid',
  'kind',
  '',
  '\u0000',
]

const odd = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1e308, 2 ** 53, '', 'x', [], {}, [null], [[]], '\ud800', '/'),
  fc.jsonValue({ maxDepth: 3 }),
  fc.nat({ max: 300 }).map(depth => nested(depth)),
  fc.nat({ max: 2000 }).map(length => 'x'.repeat(length)),
)

function nested(depth: number): unknown {
  let value: unknown = 'x'
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { x: value }
  return value
}

/** Sets, adds or takes away one value somewhere in the review, mostly of the object; `where` picks the place, step by step. */
interface ValueChange {
  where: number[]
  name: string | undefined
  value: unknown
}

const valueChange: fc.Arbitrary<ValueChange> = fc.record({
  where: fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 9 }),
  name: fc.option(fc.constantFrom(...names), { nil: undefined }),
  value: fc.option(odd, { nil: undefined, freq: 6 }),
})

function changed(whole: unknown, { where, name, value }: ValueChange): unknown {
  const copy = structuredClone(whole)
  const { request } = copy as { request?: { object?: Record<string, unknown> } }
  const isOfObject = (where[0] ?? 0) % 4 > 0 && typeof request?.object === 'object' && request.object !== null
  let here = (isOfObject ? request.object : copy) as Record<string, unknown>
  for (const [i, step] of where.entries()) {
    const keys = Object.keys(here)
    const key = keys[step % Math.max(1, keys.length)]
    const next = key === undefined ? undefined : here[key]
    if (key === undefined) break
    if (i < where.length - 1 && typeof next === 'object' && next !== null) {
      here = next as Record<string, unknown>
      continue
    }
    if (value === undefined) Reflect.deleteProperty(here, key)
    // As JSON.parse would: `__proto__` is a key like any other.
    else
      Object.defineProperty(here, Array.isArray(here) ? key : (name ?? key), {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      })
    break
  }
  return copy
}

/** Cuts, doubles or overwrites some bytes. */
interface ByteChange {
  at: number
  length: number
  into: Uint8Array | undefined
}

const byteChange: fc.Arbitrary<ByteChange> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat({ max: 40 }),
  into: fc.option(fc.uint8Array({ maxLength: 8 }), { nil: undefined }),
})

function overwritten(bytes: Buffer, { at, length, into }: ByteChange): Buffer {
  const start = Math.floor(at * bytes.length)
  const part = bytes.subarray(start, start + length)
  return Buffer.concat([bytes.subarray(0, start), into ?? Buffer.concat([part, part]), bytes.subarray(start + length)])
}

const bodies = fc
  .record({
    webhook: fc.constantFrom('mutate' as const, 'validate' as const),
    object: fc.constantFrom(...objects),
    old: fc.option(fc.constantFrom(...objects), { nil: undefined }),
    values: fc.array(valueChange, { maxLength: 3 }),
    bytes: fc.oneof(
      { weight: 4, arbitrary: fc.constant<ByteChange[]>([]) },
      { weight: 1, arbitrary: fc.array(byteChange, { minLength: 1, maxLength: 2 }) },
    ),
  })
  .map(({ webhook, object, old, values, bytes }) => {
    const request = old ? update(object, old) : create(object)
    const { apiVersion, kind } = object
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion]
    const whole = values.reduce<unknown>(changed, review({ ...request, kind: { group, version, kind } }))
    return { webhook, body: bytes.reduce(overwritten, Buffer.from(JSON.stringify(whole))) }
  })

// What has to come out ---------------------------------------------------------------------------------------------

interface Answer {
  response: { uid: string; allowed: boolean; patch?: string; status?: { message?: string } }
}

function judge(webhook: 'mutate' | 'validate', body: Buffer, status: number, answer: string): void {
  if (status >= 500) throw new Error(`HTTP ${status}: ${answer}`)
  if (status !== 200) {
    if (!/^[A-Za-z].*\.\n$/s.test(answer)) throw new Error(`HTTP ${status} without a sentence: ${answer}`)
    return
  }
  const { request } = JSON.parse(body.toString())
  const { response } = JSON.parse(answer) as Answer
  if (response.uid !== request.uid) throw new Error(`uid ${response.uid}`)
  const { object, oldObject, operation } = request
  const isJudged = object && (operation === 'CREATE' || operation === 'UPDATE')
  const translation = isJudged ? translate(object as KubernetesObject, cluster, settings) : undefined
  if (webhook === 'mutate') {
    if (!response.allowed) throw new Error('/mutate refuses')
    const patch = response.patch ? JSON.parse(Buffer.from(response.patch, 'base64').toString()) : []
    const stored = jsonPatch.applyPatch(structuredClone(object), patch).newDocument
    if (!isEqual(stored, object) && !isEqual(stored, translation?.object)) throw new Error('stored as something else')
    return
  }
  if (response.patch) throw new Error('/validate patches')
  const reasons = translation?.denial?.reasons ?? []
  if (!response.allowed && reasons.length === 0) throw new Error(`denied for nothing: ${response.status?.message}`)
  const mode = isJudged && (operation === 'CREATE' || !oldObject) && modeOf(object)
  if (response.allowed && reasons.length > 0 && mode === 'enforce') throw new Error(`let through: ${reasons[0]?.code}`)
}

/** A Namespace may say its own mode; all others here are in one that says none. */
function modeOf(object: KubernetesObject): string {
  const label = object.kind === 'Namespace' ? object.metadata?.labels?.['sidestep.dev/mode'] : undefined
  return label === 'off' || label === 'observe' ? label : 'enforce'
}

t.test('whatever comes, the answer is a decision or says what is wrong', async t => {
  const metrics = createMetrics()
  const tls = await selfSignedCertificate({ names: ['localhost'] })
  // 0 turns it off, since here the next call comes while the last one is still at work. No other number does: where a process
  // was not run for a whole second, there is no sample, and under-pressure takes that for an endless delay.
  const limits = { eventLoopDelayMilliseconds: 0 }
  const app = buildServer({ cluster, settings, logger: pino({ level: 'silent' }), tls, metrics, limits })
  t.teardown(async () => {
    await app.close()
    metrics.close()
  })
  const statuses = new Map<number, number>()
  const outcomes = new Map<string, number>()
  const property = fc.asyncProperty(bodies, async ({ webhook, body }) => {
    const headers = { 'content-type': 'application/json' }
    const { statusCode, body: answer } = await app.inject({
      method: 'POST',
      url: `/${webhook}`,
      headers,
      payload: body,
    })
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
    judge(webhook, body, statusCode, answer)
    if (statusCode !== 200) return
    const { response } = JSON.parse(answer) as Answer
    const outcome = response.patch ? 'patched' : response.allowed ? 'admitted' : 'denied'
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  })
  const { failed, counterexample, errorInstance } = await fc.check(property, { seed, numRuns: runs })
  const [found] = counterexample ?? []
  const text = failed ? `${errorInstance}\n${found?.webhook} ${found?.body.toString().slice(0, 4000)}` : ''
  t.notOk(failed, `${runs} bodies, SIDESTEP_SEED=${seed}${text && `\n${text}`}`)
  t.comment(`HTTP ${JSON.stringify([...statuses])}, ${JSON.stringify([...outcomes])}`)
  // A property about nothing holds too.
  for (const outcome of ['patched', 'admitted', 'denied'])
    t.ok((outcomes.get(outcome) ?? 0) > runs / 200, `${outcome}: ${outcomes.get(outcome)}`)
  t.ok((statuses.get(400) ?? 0) > runs / 20)
})
