// The calls under way: since when each has waited, and how much of all of them is held, so that neither what nobody waits for
// any more is done, nor bodies pile up. A call that is read is judged in one go; what is held are bodies that have not
// come whole, and answers that nobody fetches.
import type { FastifyReply, FastifyRequest } from 'fastify'

interface Call {
  reply: FastifyReply
  arrived: number
  bytes: number
}

// A connection with its buffers, and a body as they mostly are; larger ones are counted beside it.
const leastBytes = 64 * 1024

export class Calls {
  /** The oldest first. */
  readonly #calls = new Map<FastifyRequest, Call>()
  readonly #limit: number
  readonly #giveUp: (reply: FastifyReply) => void
  #bytes = 0
  #turn: number | undefined

  /** @param giveUp tells a call that there is no room for it; it is not counted any more */
  constructor(limit: number, giveUp: (reply: FastifyReply) => void) {
    this.#limit = limit
    this.#giveUp = giveUp
  }

  enter(request: FastifyRequest, reply: FastifyReply): void {
    this.#calls.set(request, { reply, arrived: this.#turnBegan(), bytes: 0 })
    this.hold(request, leastBytes)
    reply.raw.once('close', () => this.#leave(request))
  }

  /** Whether a body of this length is part of what each call is counted for anyway. Not of a length that nobody says. */
  isSmall(contentLength: string | undefined): boolean {
    return contentLength !== undefined && Number(contentLength) <= leastBytes / 2
  }

  /**
   * Counts bytes that have come. Where there is no room for them the oldest call goes: a body of the API server comes at once,
   * and one that does not may be of somebody who means to keep others out.
   */
  hold(request: FastifyRequest, bytes: number): void {
    const call = this.#calls.get(request)
    if (!call) return
    call.bytes += bytes
    this.#bytes += bytes
    for (const [oldest, { reply }] of this.#calls) {
      if (this.#bytes <= this.#limit) return
      this.#leave(oldest)
      this.#giveUp(reply)
    }
  }

  /** For how long a call has waited, in milliseconds; at least so long. */
  waited(request: FastifyRequest): number {
    return performance.now() - (this.#calls.get(request)?.arrived ?? performance.now())
  }

  #leave(request: FastifyRequest): void {
    this.#bytes -= this.#calls.get(request)?.bytes ?? 0
    this.#calls.delete(request)
  }

  /** While one call is judged others lie in their sockets. All that this turn of the event loop reads was there when it began. */
  #turnBegan(): number {
    if (this.#turn === undefined) {
      this.#turn = performance.now()
      setImmediate(() => {
        this.#turn = undefined
      })
    }
    return this.#turn
  }
}
