import t from 'tap'
import { PutOff } from '../../src/reconciler/put-off.ts'

const limits = { first: 100, longest: 1000, writes: 3, window: 2000 }

function start() {
  const clock = { now: 10_000 }
  return { clock, putOff: new PutOff(limits, () => clock.now) }
}

t.test('puts off what failed for twice as long each time, up to the longest', async t => {
  const { putOff, clock } = start()
  t.notOk(putOff.isWaiting('a'))
  const delays = Array.from({ length: 6 }, () => {
    putOff.noteFailed('a')
    const left = putOff.millisecondsLeft('a')
    clock.now += left
    return left
  })
  t.strictSame(delays, [100, 200, 400, 800, 1000, 1000])
  t.notOk(putOff.isWaiting('a') || putOff.isWaiting('b'))
  putOff.noteDone('a')
  putOff.noteFailed('a')
  t.equal(putOff.millisecondsLeft('a'), 100, 'and begins anew once it succeeded')
})

t.test('waits as long as was asked for', async t => {
  const { putOff } = start()
  putOff.noteFailed('a', 30)
  t.equal(putOff.millisecondsLeft('a'), 30_000)
})

t.test('takes as many writes in the window for a loop, tells of it once, and waits ever longer', async t => {
  const { putOff, clock } = start()
  const note = () => {
    const told = putOff.noteDone('a')
    const left = putOff.millisecondsLeft('a')
    clock.now += left + 1
    return [told, left]
  }
  t.strictSame(
    [note(), note()],
    [
      [undefined, 0],
      [undefined, 0],
    ],
  )
  const [told, first] = note()
  t.ok(told !== undefined && told === first && told >= limits.window / 4)
  for (let i = 0; i < 5; i++) {
    const [again, left] = note()
    t.equal(again, undefined)
    t.ok((left ?? 0) >= (first ?? 0) && (left ?? 0) <= limits.longest)
  }
  clock.now += limits.window + limits.longest
  t.strictSame(
    [note(), note()],
    [
      [undefined, 0],
      [undefined, 0],
    ],
    'the next one is another',
  )
  t.ok(note()[0])
})

t.test('writes that come seldom are none', async t => {
  const { putOff, clock } = start()
  for (let i = 0; i < 20; i++) {
    t.equal(putOff.noteDone('a'), undefined)
    clock.now += limits.window / 2
  }
})
