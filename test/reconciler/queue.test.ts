import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type QueueOptions, WorkQueue } from '../../src/reconciler/queue.ts'
import { VirtualTime } from './virtual-time.ts'

/** A promise to be settled from outside. */
function gate() {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { opened, open }
}

/** A queue that runs, what its worker was called with, and what was thrown. */
function start(
  t: Test,
  { work = async () => {}, ...options }: { work?: (key: string) => Promise<void> } & Partial<QueueOptions> = {},
) {
  const errors: string[] = []
  const onError = (error: unknown, key: string) => errors.push(`${key}: ${(error as Error).message}`)
  const queue = new WorkQueue({ onError, delays: { first: 20, longest: 80 }, ...options })
  const worked: string[] = []
  const stopping = new AbortController()
  const run = () => {
    const worker = (key: string) => {
      worked.push(key)
      return work(key)
    }
    return queue.run(worker, stopping.signal)
  }
  const ran = run()
  t.teardown(async () => {
    stopping.abort()
    await ran
  })
  return { queue, worked, errors, stopping, ran }
}

t.test('works on each key once, in the order in which they came', async t => {
  const { queue, worked } = start(t, { concurrency: 1 })
  for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key)
  t.equal(queue.depth, 3)
  await queue.idle()
  t.strictSame(worked, ['a', 'b', 'c'])
})

t.test('works once more, and not at the same time, on a key that was added while it was worked on', async t => {
  const { opened, open } = gate()
  let running = 0
  let atOnce = 0
  const work = async () => {
    atOnce = Math.max(atOnce, ++running)
    await opened
    running--
  }
  const { queue, worked } = start(t, { work })
  queue.add('a')
  await until(() => worked.length > 0)
  for (let i = 0; i < 3; i++) queue.add('a')
  await sleep(5)
  t.strictSame([worked, queue.depth], [['a'], 1], 'it waits although there are lanes')
  open()
  await queue.idle()
  t.strictSame(worked, ['a', 'a'])
  t.equal(atOnce, 1)
})

t.test('a key that waits for itself does not stand in the way of others', async t => {
  const { opened, open } = gate()
  const { queue, worked } = start(t, { work: key => (key === 'a' ? opened : Promise.resolve()), concurrency: 2 })
  queue.add('a')
  await until(() => worked.length > 0)
  for (const key of ['a', 'b', 'c']) queue.add(key)
  await until(() => worked.length > 2)
  t.strictSame(worked, ['a', 'b', 'c'])
  open()
  await queue.idle()
})

t.test('works on so many keys at a time, and no more', async t => {
  let running = 0
  const counts: number[] = []
  const work = async () => {
    counts.push(++running)
    await sleep(2)
    running--
  }
  const { queue } = start(t, { work, concurrency: 3 })
  for (let i = 0; i < 20; i++) queue.add(`${i}`)
  await queue.idle()
  t.equal(Math.max(...counts), 3)
  t.equal(counts.length, 20)
})

t.test('what is for later comes after what is not, unless it is added without that', async t => {
  const { queue, worked } = start(t, { concurrency: 1 })
  for (const key of ['a', 'b', 'c']) queue.add(key, { later: true })
  queue.add('x')
  queue.add('b')
  queue.add('x', { later: true })
  await queue.idle()
  t.strictSame(worked, ['x', 'b', 'a', 'c'])
})

t.test('adds a key after a time, and of several times the earliest counts', async t => {
  const { queue, worked } = start(t)
  const begin = performance.now()
  queue.addAfter('a', 10_000)
  queue.addAfter('a', 40)
  queue.addAfter('a', 20_000)
  await sleep(10)
  t.strictSame([worked, queue.depth], [[], 0], 'and it does not count as waiting until then')
  await until(() => worked.length > 0)
  t.strictSame(worked, ['a'])
  t.ok(performance.now() - begin > 35)
})

t.test('a time that is longer than the timers of Node can measure does not come at once', async t => {
  const { queue, worked } = start(t)
  queue.addAfter('a', 2 ** 32)
  await sleep(20)
  t.strictSame(worked, [])
})

t.test('retries what throws, each time later, and begins anew once the key is forgotten', async t => {
  const time = new VirtualTime(t)
  const times: number[] = []
  const work = async (key: string) => {
    times.push(performance.now())
    if (times.length < 4) throw new Error('not yet')
    queue.forget(key)
    if (times.length < 5) throw new Error('again')
  }
  const { queue, errors } = start(t, { work, delays: { first: 20, longest: 50 } })
  queue.add('a')
  await time.advance(1000)
  const pauses = times.slice(1).map((time, i) => time - (times[i] ?? 0))
  t.equal(pauses.length, 4)
  const within = (pause: number | undefined, longest: number) =>
    t.ok(pause !== undefined && pause >= longest / 2 && pause <= longest, `${pause} for ${longest}`)
  for (const [i, longest] of [20, 40, 50, 20].entries()) within(pauses[i], longest)
  t.strictSame(errors, ['a: not yet', 'a: not yet', 'a: not yet', 'a: again'])
})

t.test('waits as long with a retry as the API server asks for', async t => {
  const { queue, worked } = start(t, { delays: { first: 1, longest: 1 } })
  queue.retry('a', 60)
  const begin = performance.now()
  await until(() => worked.length > 0)
  t.ok(performance.now() - begin > 55)
})

t.test('a retry of what was for later is for later', async t => {
  let failed = false
  const work = async (key: string) => {
    if (key === 'a' && !failed) {
      failed = true
      for (const key of ['x', 'y']) queue.add(key)
      throw new Error('once')
    }
    // Until both others wait, one of them for its retry no longer.
    if (key === 'x') await until(() => queue.depth === 2)
  }
  const { queue, worked } = start(t, { work, concurrency: 1, delays: { first: 5, longest: 5 } })
  queue.add('a', { later: true })
  await until(() => worked.length === 4)
  t.strictSame(worked, ['a', 'x', 'y', 'a'])
})

t.test('ends when told to, after the workers, and leaves no timer behind', async t => {
  const { opened, open } = gate()
  const { queue, worked, stopping, ran, errors } = start(t, {
    work: async key => {
      await opened
      queue.retry(key)
      throw new Error('too late')
    },
    concurrency: 1,
  })
  queue.add('a')
  queue.add('b')
  queue.addAfter('c', 60_000)
  await until(() => worked.length > 0)
  stopping.abort()
  let ended = false
  void ran.then(() => {
    ended = true
  })
  await sleep(10)
  t.notOk(ended, 'a worker is still at it')
  open()
  await ran
  t.strictSame(worked, ['a'], 'and nothing else was begun')
  t.strictSame(errors, [], 'what fails because of the stop is no news')
  queue.addAfter('d', 60_000)
  queue.retry('e')
  t.strictSame(timers(), [], 'neither before nor since')

  const again: string[] = []
  const next = new AbortController()
  const rerun = queue.run(async key => void again.push(key), next.signal)
  await queue.idle()
  next.abort()
  await rerun
  t.strictSame(again.sort(), ['a', 'b', 'c', 'd', 'e'], 'and the next run begins with what was left')
})

t.test('what is added before it runs is kept, but is not late', async t => {
  const queue = new WorkQueue({ onError: () => {} })
  queue.add('a')
  await sleep(20)
  t.equal(queue.oldestAgeSeconds, 0)
  const stopping = new AbortController()
  const { opened, open } = gate()
  const ran = queue.run(() => opened, stopping.signal)
  await t.rejects(
    queue.run(() => opened, stopping.signal),
    /runs already/,
  )
  t.ok(queue.oldestAgeSeconds >= 0.015)
  await until(() => queue.depth === 0)
  t.equal(queue.oldestAgeSeconds, 0, 'it is being worked on')
  open()
  await queue.idle()
  stopping.abort()
  await ran
})

t.test('does not run when told to stop before', async t => {
  const queue = new WorkQueue({ onError: () => {} })
  queue.add('a')
  await queue.run(() => Promise.reject(new Error('ran')), AbortSignal.abort())
  t.equal(queue.depth, 1)
})

t.test('thousands of keys with nothing to do leave room for everything else', async t => {
  const { queue, worked } = start(t, { concurrency: 4 })
  for (let i = 0; i < 5000; i++) queue.add(`${i}`)
  let turns = 0
  const turn = () => {
    turns++
    if (queue.depth > 0) setImmediate(turn)
  }
  setImmediate(turn)
  await queue.idle()
  t.equal(worked.length, 5000)
  t.ok(turns > 1000, `${turns} turns of the event loop`)
})

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 12_000 && !holds(); i++) await sleep(5)
  if (!holds()) throw new Error(`never: ${holds}`)
}

function timers(): string[] {
  return process.getActiveResourcesInfo().filter(name => name === 'Timeout')
}
