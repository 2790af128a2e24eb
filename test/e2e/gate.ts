// Between the reconciler and the API server: what it sends is held back as long as a test wants to see what others do alone.
import { once } from 'node:events'
import type { ApiServer, Call } from '../../src/reconciler/api-server.ts'

export class Gate {
  /** How many calls it has held back. */
  held = 0
  readonly #isHeld: (call: Call) => boolean
  #opened: Promise<void> | undefined
  #open = () => {}

  constructor(isHeld: (call: Call) => boolean) {
    this.#isHeld = isHeld
  }

  shut(): void {
    this.#opened ??= new Promise(resolve => {
      this.#open = resolve
    })
  }

  open(): void {
    this.#opened = undefined
    this.#open()
  }

  before(api: ApiServer): ApiServer {
    return {
      ...api,
      send: async (call, signal) => {
        if (this.#opened && this.#isHeld(call)) {
          this.held++
          await Promise.race([this.#opened, once(signal, 'abort')])
        }
        return api.send(call, signal)
      },
    }
  }
}
