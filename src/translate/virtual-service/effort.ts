// How much one translation may compare. Rules are compared with each other, and each request at which two part ways with all
// of them, so that a small object can ask for hours of work. It is counted and not timed: equal input, equal result.
import type * as istio from '../../apis/istio.ts'
import { sizeOf } from '../regex.ts'
import type { Entry } from './order.ts'

/** Matches, or hosts, of one VirtualService: as many matches as eight HTTPRoutes hold. */
export const sizeLimit = 1024

/** A step is a comparison of two rules, of which a machine makes some millions in a second. */
const stepLimit = 3_000_000

/** Instructions of all its expressions together: each takes microseconds to compile. */
const regexLimit = 100_000

/** What is left of the work that may be done for one VirtualService. */
export class Effort {
  #left = stepLimit

  /** Takes some steps; false when there are not as many. */
  spend(steps: number): boolean {
    this.#left -= steps
    return !this.isSpent
  }

  get isSpent(): boolean {
    return this.#left < 0
  }
}

/** What it costs to try each expression of the entries on each text: RE2 takes time as both are long. */
export function regexSteps(entries: Entry[]): number {
  let [regexes, texts] = [0, 0]
  for (const { match } of entries) {
    const { path, headers, queryParams, withoutHeaders = [] } = match
    texts += path.text.length
    if (path.match.type === 'RegularExpression') regexes += sizeOf(path.match.value)
    for (const { type, value } of [...headers, ...queryParams, ...withoutHeaders]) {
      if (type === 'Exact') texts += value.length
      else regexes += sizeOf(value)
    }
  }
  return Math.ceil((regexes * texts) / 10)
}

/** What of a VirtualService is more than is compared, and where; delegates may still make it more. */
export function tooLarge({
  hosts = [],
  http = [],
  tls = [],
  tcp = [],
}: istio.VirtualServiceSpec): { field: string; what: string } | undefined {
  if (hosts.length > sizeLimit) return { field: 'spec.hosts', what: `${hosts.length} hosts` }
  for (const [field, entries] of Object.entries({ http, tls, tcp })) {
    const count = entries.reduce((sum, { match = [] }) => sum + Math.max(match.length, 1), 0)
    if (count > sizeLimit) return { field: `spec.${field}`, what: `${count} matches` }
  }
  const names = tls.reduce((sum, { match = [] }) => sum + match.flatMap(({ sniHosts = [] }) => sniHosts).length, 0)
  if (names > sizeLimit) return { field: 'spec.tls', what: `${names} names` }
  const instructions = http.flatMap(({ match = [] }) => match.flatMap(regexesOf)).reduce((a, b) => a + sizeOf(b), 0)
  if (instructions > regexLimit) return { field: 'spec.http', what: `expressions of ${instructions} steps` }
  return undefined
}

function regexesOf({ uri, headers, queryParams, withoutHeaders }: istio.HTTPMatchRequest): string[] {
  const maps = [headers, queryParams, withoutHeaders].flatMap(map => Object.values(map ?? {}))
  return [uri, ...maps].flatMap(match => match?.regex ?? [])
}
