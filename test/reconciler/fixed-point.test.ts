// plan() leads somewhere: write by write and in any order of sources, looking only at what affectedBy() names, to where
// nothing is left to write.
import fc from 'fast-check'
import t from 'tap'
import { affectedBy } from '../../src/reconciler/affected.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { contentOf } from '../../src/reconciler/plan.ts'
import type { Change } from '../../src/reconciler/snapshot.ts'
import { isEqual } from '../../src/translate/canonical.ts'
import { isCompanion } from '../../src/translate/companion.ts'
import { translate } from '../../src/translate/index.ts'
import { modeFor } from '../../src/translate/mode.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import type { Translation } from '../../src/translate/translation.ts'
import { fillings, slots, starts, variations } from './generate-cluster.ts'
import { accepted, hasStatus, LiveModel } from './live-model.ts'

const runs = Number(process.env.SIDESTEP_RUNS ?? 15)
const seed = Number(process.env.SIDESTEP_SEED ?? 1)
const limit = 400

/** Writes until no source that was named has anything to write. */
function follow(model: LiveModel, choose: (options: number) => number): string[] {
  const waiting = new Set(model.inventory.keys())
  const note = (change: Change | undefined) => {
    if (!change) return
    const { own, others } = affectedBy(change, model.inventory, model.cluster, model.settings)
    for (const key of [...own, ...others]) waiting.add(key)
  }
  const writes: string[] = []
  while (waiting.size > 0) {
    const key = [...waiting][choose(waiting.size)] ?? ''
    waiting.delete(key)
    const [operation] = model.operations(key)
    if (!operation) continue
    const { kind, object } = operation
    writes.push(`${kind} ${pathOf(object)} for ${key}`)
    if (writes.length > limit) throw new Error(`no end of writes, the last:\n${writes.slice(-12).join('\n')}`)
    if (kind === 'delete' && !isCompanion(object)) throw new Error(`deletes ${pathOf(object)}, which is not ours`)
    const change = model.write(operation)
    note(change)
    if (change?.after && hasStatus(change.after)) note(model.put(accepted(change.after)))
    // A companion that nobody wants any more may be another source's, at which the Reconciler looks by itself.
    if (waiting.size === 0) for (const left of model.unneeded()) waiting.add(left)
  }
  return writes
}

/** What says that a translation waits for something that no write of this model brings about, such as restarts. */
const waits = /-(PENDING|RUNNING|SIDECAR|BOTH|FOREIGN|TAKEN|MOVED|REPLACED|ADDED|STRICT)$/

function isHeld({ denial, warnings }: Translation): boolean {
  return denial !== undefined || warnings.some(({ code }) => waits.test(code))
}

function namespaceIn(key: string): string {
  return key.split('/')[1] ?? ''
}

t.test('leads to where every plan is empty, and which is the end that files show', t => {
  const choices = fc.infiniteStream(fc.nat())
  let compared = 0
  let deleted = 0
  const later = fc.array(fillings, { minLength: 6, maxLength: 12, size: 'max' })
  const property = fc.property(variations, starts, later, choices, (settings, start, later, choices) => {
    const objects = start.flatMap(({ slot, variant }) => slots[slot]?.[variant] ?? [])
    const model = new LiveModel(
      settings,
      objects.map(object => (hasStatus(object) ? accepted(object) : object)),
    )
    const choose = (options: number) => (choices.next().value ?? 0) % options
    follow(model, choose)
    // Then it changes under their hands, and some companions are not wanted any more.
    for (const { slot, variant } of later) {
      const variants = slots[slot] ?? []
      const object = variants[variant]
      const [first] = variants
      if (object) model.put(hasStatus(object) ? accepted(object) : object)
      else if (first) model.remove(pathOf(first))
    }
    deleted += follow(model, choose).filter(write => write.startsWith('delete')).length
    for (const key of model.inventory.keys()) {
      const [left] = model.operations(key)
      if (left) throw new Error(`${left.kind} ${pathOf(left.object)} is left for ${key}, at which nobody looked`)
    }
    for (const key of model.unneeded()) {
      const source = model.inventory.source(key)
      const isKept = !source || translate(source, model.cluster, settings).denial
      if (!isKept && modeFor(source, model.cluster, settings) !== 'off')
        throw new Error(`${key} keeps what nobody wants`)
    }
    const translations = [...model.translations()]
    // Whoever is refused or waits holds up others of its Namespace, and in the root namespace all.
    const held = new Set(translations.filter(([, each]) => isHeld(each)).map(([key]) => namespaceIn(key)))
    const assumed = snapshotOf(model.objects.values())
    for (const [key, { object, companions }] of translations) {
      if ([settings.rootNamespace, namespaceIn(key)].some(name => held.has(name))) continue
      const end = translate(object, assumed, settings)
      if (isHeld(end)) continue
      compared++
      const [is, shown] = [
        [object, ...companions],
        [end.object, ...end.companions],
      ].map(list => list.map(contentOf))
      if (!isEqual(is, shown)) throw new Error(`${key}: ${JSON.stringify(is)}\nbut files show ${JSON.stringify(shown)}`)
    }
  })
  const { failed, errorInstance } = fc.check(property, { numRuns: runs, seed, endOnFailure: true })
  t.notOk(failed, errorInstance instanceof Error ? errorInstance.message : 'no counterexample')
  t.ok(failed || (deleted > 0 && compared > 0), 'there was something to delete and to compare')
  t.comment(`${compared} sources compared with what files show`)
  t.end()
})
