// What the YAML parser lets pass and a Kubernetes object must not have.
import { isAlias, isMap, isNode, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml'
import { isMerge } from './positions.ts'

/** A finding about one node of a document. */
export interface Flaw {
  node: Node
  message: string
}

/** The flaws of a document's content, in its order. The depth is bounded before, by documents.ts. */
export function examine(contents: unknown): { flaws: Flaw[]; rounded?: Flaw } {
  const flaws: Flaw[] = []
  let rounded: Flaw | undefined
  const anchors = new Map<string, Node>()
  const open = new Set<Node>()

  const visit = (node: unknown): void => {
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      if (!target) flaws.push({ node, message: `*${node.source} refers to nothing before it; define &${node.source}` })
      else if (open.has(target)) flaws.push({ node, message: `*${node.source} contains itself; write the value out` })
    }
    if (!isNode(node) || isAlias(node)) return
    if (node.anchor) anchors.set(node.anchor, node)
    if (isScalar(node)) rounded ??= roundingOf(node.value, node.source, node)
    open.add(node)
    if (isMap(node)) {
      flaws.push(...keyFlaws(node))
      for (const { value } of node.items) visit(value)
    }
    if (isSeq(node)) for (const item of node.items) visit(item)
    open.delete(node)
  }
  visit(contents)
  return { flaws, ...(rounded ? { rounded } : {}) }
}

/** Keys must be strings and unique, once they are what JSON makes of them: `1` and `"1"` are one key. */
function keyFlaws(map: YAMLMap): Flaw[] {
  const names = new Set<string>()
  return (map.items as Pair[]).flatMap(pair => {
    const { key } = pair
    if (!isScalar(key) || key.value === null) {
      const node = isNode(key) ? key : map
      return [{ node, message: 'a key is no string; put it in quotes, or render the template first' }]
    }
    const name = isMerge(pair) ? '<<' : String(key.value)
    if (names.has(name)) return [{ node: key, message: `the key ${name} is here twice; remove one of the two` }]
    names.add(name)
    return []
  })
}

/** An integer beyond 2^53 that this process cannot hold as it is. kubectl can, so it must not be printed otherwise. */
function roundingOf(value: unknown, source: string | undefined, node: Node): Flaw | undefined {
  if (!Number.isInteger(value) || Number.isSafeInteger(value) || !source || !/^[-+]?\d+$/.test(source)) return undefined
  if (BigInt(source) === BigInt(value as number)) return undefined
  return { node, message: `${source} would be rounded; put it in quotes, or print its document unchanged as YAML` }
}
