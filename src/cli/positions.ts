// Where a field stands in a file.
import { type Document, isAlias, isMap, isScalar, isSeq, type Pair, type YAMLMap } from 'yaml'

/** A place in a file, both numbers from 1. A file that cannot be read has no line. */
export interface Position {
  file: string
  line?: number
  column?: number
}

/** Turns offsets of a text into lines and columns. */
export function lineFinder(file: string, text: string): (offset: number) => Position {
  const starts = [0]
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1)
  return offset => {
    let low = 0
    let high = starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return { file, line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
  }
}

/**
 * The offset of a field such as `spec.http[0].match[1].headers[x-user]`: of its key in a map, of the item in a list.
 * When the field is not there, and that is often what a diagnostic says, the offset of its nearest ancestor.
 */
export function offsetOf(field: string, document: Document): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  for (const step of stepsOf(field)) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = pairAt(node, step, document)
      if (!pair) break
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(step)]
      offset = startOf(node) ?? offset
    } else break
  }
  return offset
}

/** List indices and map keys stand in brackets, where a key may hold dots. */
function stepsOf(field: string): string[] {
  return [...field.matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)].map(([, bracketed, name]) => bracketed ?? name ?? '')
}

/** A key of the map itself, or of what `<<` merges into it. */
function pairAt(map: YAMLMap, key: string, document: Document): Pair | undefined {
  const own = map.items.find(pair => isScalar(pair.key) && String(pair.key.value) === key)
  if (own) return own
  for (const { value } of map.items.filter(isMerge)) {
    for (const source of isSeq(value) ? value.items : [value]) {
      const merged = isAlias(source) ? source.resolve(document) : source
      const pair = isMap(merged) ? pairAt(merged, key, document) : undefined
      if (pair) return pair
    }
  }
  return undefined
}

/** Whether the pair is `<<: …`, whose key the parser reads as a symbol, so that a quoted "<<" stays a string. */
export function isMerge({ key }: Pair): boolean {
  return isScalar(key) && typeof key.value === 'symbol'
}

/** Where a node begins, if it came out of a file. */
export function startOf(node: unknown): number | undefined {
  return (node as { range?: [number, number, number] | null } | null | undefined)?.range?.[0]
}
