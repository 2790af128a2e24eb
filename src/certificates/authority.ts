// Which authorities there are, and how one follows another without a call that fails:
//
//   current                  signs the leaves of all replicas. At two thirds of its life:
//   current + next           `next` is in the caBundle beside it, and signs nothing yet. When a replica has seen it in every
//                            webhook configuration for so long that all API servers have it:
//   current (was next) + former   the new one signs, the old one stays trusted until its last leaf has expired.
//   current
//
// All of this state is in one Secret, where every step is one write with a resourceVersion: so no replica has to lead, and
// a step that two of them take at once is taken by one. What is not in it is how long a replica has seen a bundle, by its
// own clock: nobody else's can be trusted for a minute, and a replica that starts again waits once more.

/** An authority whose certificate API servers are to trust. Times in milliseconds since 1970. */
export interface Trusted {
  cert: string
  notBefore: number
  notAfter: number
}

/** One that can sign. */
export interface Authority extends Trusted {
  key: string
}

/** What the Secret holds. */
export interface Authorities {
  current: Authority
  next?: Authority
  former: readonly Trusted[]
  /** When the last leaf has expired that one of the former has signed. */
  formerUntil?: number
}

/** In milliseconds. */
export interface Lives {
  authority: number
  leaf: number
  /** How far clocks may differ: certificates start so much earlier, and what is former stays so much longer. */
  skew: number
  /** How long a bundle has to be seen before all API servers have it. */
  settle: number
  /** Between two looks at the clock. Never a long timer: a machine that was suspended misses it, and Node has none above 24.8 days. */
  poll: number
}

const day = 24 * 3_600_000

export const usualLives: Lives = {
  authority: 365 * day,
  leaf: 7 * day,
  skew: 3_600_000,
  settle: 60_000,
  poll: 60_000,
}

export interface Circumstances {
  now: number
  /** Whether every API server trusts it, as far as this replica has seen. */
  isSettled: (authority: Trusted) => boolean
  /** What the webhook configurations trust already, before there is a first authority. */
  trusted: () => readonly Trusted[]
  issue: () => Promise<Authority>
}

/**
 * What the Secret should hold next. The same value when it is fine as it is.
 * @param stored undefined when the Secret is empty
 */
export async function advance(
  stored: Authorities | undefined,
  { now, isSettled, trusted, issue }: Circumstances,
  lives: Lives,
): Promise<Authorities> {
  const until = now + lives.leaf + lives.skew
  if (!stored) {
    // Somebody emptied the Secret, or replicas with files are being replaced: their leaves are still being served.
    const former = trusted().filter(({ notAfter }) => notAfter > now)
    return { current: await issue(), former, ...(former.length > 0 && { formerUntil: until }) }
  }
  const { current, next, former, formerUntil = 0 } = stored
  const isOver = current.notAfter <= now
  if (next && (isOver || isSettled(next)))
    return { current: next, former: [...former, current], formerUntil: Math.max(until, formerUntil) }
  if (isOver) return { ...stored, current: await issue() }
  if (!next && isDue(current, now, lives)) return { ...stored, next: await issue() }
  // By the clock of an API server one that is over may go on for as long as clocks differ.
  const kept = formerUntil <= now ? [] : former.filter(({ notAfter }) => notAfter > now - lives.skew)
  if (kept.length === former.length) return stored
  return { current, ...(next && { next }), former: kept, ...(kept.length > 0 && { formerUntil }) }
}

/** What belongs in the caBundle. */
export function bundleOf({ current, next, former }: Authorities): string[] {
  return [current, ...(next ? [next] : []), ...former].map(({ cert }) => cert)
}

/** Whether two thirds of its life are over. */
export function isDue({ notBefore, notAfter }: Omit<Trusted, 'cert'>, now: number, { skew }: Lives): boolean {
  const birth = Math.min(notBefore + skew, notAfter)
  return now >= birth + ((notAfter - birth) * 2) / 3
}
