import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { remember } from '../../src/server/memory.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import type { Translation } from '../../src/translate/translation.ts'
import { translateWidget, widget } from './reviews.ts'

/** A memory, and the names of the objects that the core was asked for. */
function start(characters?: number) {
  const asked: string[] = []
  const translate = (object: KubernetesObject): Translation => {
    asked.push(object.metadata.name ?? '')
    return translateWidget(object)
  }
  const memory = remember(translate as never, characters === undefined ? undefined : { characters })
  const cluster = snapshotOf([])
  return { asked, cluster, ...memory, ask: (object: KubernetesObject) => memory.translate(object, cluster, settings) }
}

const settings = profiles.generic

t.test('the same object is translated once, for as long as the cluster is the same', async t => {
  const { asked, ask, forget } = start()
  const first = ask(widget({ rewrite: true }))
  t.strictSame(ask(widget({ rewrite: true })), first)
  t.strictSame(first, translateWidget(widget({ rewrite: true })))
  t.strictSame(asked, ['w'])
  t.strictSame(ask(first.object).object, first.object)
  t.strictSame(asked, ['w', 'w'])
  const again = structuredClone(first.object)
  t.equal(ask(again).object, again, 'what is left as it is, is the same object')
  t.strictSame(asked, ['w', 'w'])
  asked.length = 0
  forget()
  ask(widget({ rewrite: true }))
  t.strictSame(asked, ['w'])
})

t.test('objects that differ anywhere are two', async t => {
  const { ask } = start()
  t.notOk(ask(widget({ deny: [] })).object.metadata.labels)
  for (const labels of [{}, { a: '1' }, { a: '2' }])
    t.match(ask(widget({ rewrite: true }, { labels })).object.metadata.labels, labels)
})

t.test('another cluster and other settings are asked of their own', async t => {
  const { asked, cluster, translate } = start()
  const object = widget({})
  translate(object, cluster, settings)
  translate(object, snapshotOf([]), settings)
  translate(object, cluster, settings)
  translate(object, cluster, profiles.kubeflow)
  t.equal(asked.length, 4)
})

t.test('it holds so much and no more, and what is asked for most', async t => {
  const size = JSON.stringify(widget({}, { name: '00' })).length
  const { asked, ask } = start(16 * size)
  const named = (i: number) => widget({}, { name: String(i).padStart(2, '0') })
  for (let i = 0; i < 16; i++) ask(named(i))
  ask(named(0))
  ask(named(16))
  asked.length = 0
  for (const i of [0, 2, 16]) ask(named(i))
  t.strictSame(asked, [], 'known')
  ask(named(1))
  t.strictSame(asked, ['01'], 'the oldest is gone')

  asked.length = 0
  const large = widget({ text: 'x'.repeat(size) }, { name: 'large' })
  ask(large)
  ask(large)
  ask(named(16))
  t.strictSame(asked, ['large', 'large'], 'one that takes too much is not held')
})

t.test('a fault is not remembered', async t => {
  const { ask } = start()
  for (let i = 0; i < 2; i++) t.throws(() => ask(widget({ throw: true })), /fault/)
})
