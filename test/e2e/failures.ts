// The writes of a reconciler that did not succeed. Some of them nobody can avoid: between what a watch has brought and the
// write somebody else changes the object, or it goes. Such a write is made once more, or is not needed any more.
import type { Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type { Listener, Result } from '../../src/reconciler/reconciler.ts'

interface Failure {
  operation: string
  result: Result | 'looping'
  message: string
}

const races: readonly Failure['result'][] = ['conflict', 'gone']

/** A race is over as soon as the watch has caught up; the third retry of a write comes after more than three seconds. */
const triesInOneRace = 3

export class Failures {
  readonly #failures: Failure[] = []

  /** Takes them down. */
  readonly listener: Listener = {
    translated() {},
    wrote: (_source, { kind, object }, result, error) => {
      if (result !== 'done') this.#note(kind, object, result, error?.message)
    },
    looping: (_source, { kind, object }) => this.#note(kind, object, 'looping'),
    gone() {},
  }

  #note(kind: string, { kind: itsKind, metadata }: KubernetesObject, result: Failure['result'], message = ''): void {
    const operation = `${kind} ${itsKind} ${[metadata.namespace, metadata.name].filter(Boolean).join('/')}`
    this.#failures.push({ operation, result, message })
  }

  /** Says that nothing failed but what a race explains. The message has the reasons: it is all that a terse reporter prints. */
  none(t: Test): void {
    const isRace = ({ operation, result }: Failure) =>
      races.includes(result) && this.#failures.filter(each => each.operation === operation).length <= triesInOneRace
    const [faults, others] = [this.#failures.filter(each => !isRace(each)), this.#failures.filter(isRace)].map(lines)
    for (const race of others ?? []) t.comment(`lost a race: ${race}`)
    t.strictSame(faults, [], ['nothing that sidestep wrote failed', ...(faults ?? [])].join('\n'))
  }
}

function lines(failures: Failure[]): string[] {
  return failures.map(({ operation, result, message }) => `${operation}: ${result} ${message}`.trim())
}
