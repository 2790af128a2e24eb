// One step at a time; rotation.test.ts takes them all, with several replicas.
import t from 'tap'
import {
  type Authorities,
  type Authority,
  advance,
  bundleOf,
  type Circumstances,
} from '../../src/certificates/authority.ts'

const lives = { authority: 900, leaf: 90, skew: 10, settle: 1, poll: 1 }
const start = 10_000

function authority(cert: string, birth = start): Authority {
  return { cert, key: `key of ${cert}`, notBefore: birth - lives.skew, notAfter: birth + lives.authority }
}

const [one, two] = [authority('one'), authority('two')]
const fresh = authority('fresh')
const single: Authorities = { current: one, former: [] }

function step(stored: Authorities | undefined, more: Partial<Circumstances> = {}): Promise<Authorities> {
  const usual = { now: start, isSettled: () => false, trusted: () => [], issue: async () => fresh }
  return advance(stored, { ...usual, ...more }, lives)
}

t.test('nothing changes before two thirds of its life', async t => {
  t.equal(await step(single, { now: start + 599 }), single)
})

t.test('an empty Secret gets an authority, and what API servers trust stays for the life of a leaf', async t => {
  t.strictSame(await step(undefined), { current: fresh, former: [] })
  t.strictSame(await step(undefined, { trusted: () => [one] }), {
    current: fresh,
    former: [one],
    formerUntil: start + 100,
  })
  t.strictSame((await step(undefined, { trusted: () => [one], now: one.notAfter })).former, [], 'unless it has expired')
})

t.test('at two thirds another one is trusted, and does not sign', async t => {
  const staged = await step(single, { now: start + 600 })
  t.strictSame(staged, { current: one, former: [], next: fresh })
  t.strictSame(bundleOf(staged), ['one', 'fresh'])
  t.equal(await step(staged, { now: start + 700 }), staged, 'as long as it is not settled')
})

t.test('when it is settled it signs, and the old one is trusted until its last leaf has expired', async t => {
  const now = start + 650
  const promoted = await step({ ...single, next: two }, { now, isSettled: ({ cert }) => cert === 'two' })
  t.strictSame(promoted, { current: two, former: [one], formerUntil: now + 100 })
  t.equal(await step(promoted, { now: start + 599 }), promoted)
  t.strictSame(await step(promoted, { now: now + 100 }), {
    current: two,
    next: fresh,
    former: [one],
    formerUntil: now + 100,
  })
  const young = { ...promoted, current: authority('young', now) }
  t.strictSame(await step(young, { now: now + 100 }), { current: young.current, former: [] })
})

t.test('one that has expired is replaced at once, by the next if there is one', async t => {
  const now = one.notAfter
  t.strictSame(await step(single, { now }), { current: fresh, former: [] })
  t.equal((await step({ ...single, next: two }, { now })).current, two)
})

t.test('nothing is changed in place', async t => {
  const stored = Object.freeze({ current: one, next: two, former: Object.freeze([fresh]), formerUntil: start })
  t.strictSame(bundleOf(await step(stored, { now: start + 1 })), ['one', 'two'])
})
