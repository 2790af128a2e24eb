// What header operations come to, so that operations on the route and on its only destination can be compared.
// Source: istio/istio route.go (TranslateHeadersOperations, processDestination) and Envoy's HeaderParser, which removes
// first and then sets and adds in order; the headers of a weighted cluster are evaluated before the route's.
import type * as istio from '../../src/apis/istio.ts'
import type { HeaderEffects } from './answer.ts'

/** Operations that Envoy holds in one list: all removals, then each one's sets and adds. */
export function effectsOf(...lists: (istio.HeaderOperations | undefined)[]): HeaderEffects {
  const effects: HeaderEffects = {}
  for (const list of lists) {
    for (const name of list?.remove ?? []) if (!isInternal(name)) effects[name.toLowerCase()] = ['-']
  }
  for (const list of lists) {
    for (const [name, value] of entriesOf(list?.set)) effects[name] = [`=${value}`]
    for (const [name, value] of entriesOf(list?.add)) effects[name] = [...(effects[name] ?? []), `+${value}`]
  }
  return effects
}

/** Effects one after the other: what is set or removed later forgets what came before. */
export function after(first: HeaderEffects, second: HeaderEffects): HeaderEffects {
  const effects = { ...first }
  for (const [name, operations] of Object.entries(second)) {
    effects[name] = operations[0]?.startsWith('+') ? [...(first[name] ?? []), ...operations] : operations
  }
  return effects
}

/** `isAuthorityHeader`: Host as a header operation rewrites the host; `set` goes before `add`. */
export function authorityOf({ set = {}, add = {} }: istio.HeaderOperations = {}): string | undefined {
  const authority = (operations: Record<string, string>) =>
    Object.entries(operations).findLast(([name]) => [':authority', 'host'].includes(name.toLowerCase()))?.[1]
  return authority(set) || authority(add)
}

function entriesOf(operations: Record<string, string> = {}): [string, string][] {
  return Object.entries(operations).flatMap(([name, value]) => (isInternal(name) ? [] : [[name.toLowerCase(), value]]))
}

function isInternal(name: string): boolean {
  return name.startsWith(':') || name.toLowerCase() === 'host'
}
