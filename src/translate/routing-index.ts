// Who else routes near a path. In Kubeflow every notebook is a VirtualService on host `*`, so that judging one must not
// look at all: what shares a place (a gateway, or the mesh) and a host is kept in a trie over its paths.

/** Where an object routes: `stem` is text with which every path begins that can matter to it (meeting.ts). */
export interface RoutingPlace {
  /** `gateway namespace/name` of an Istio Gateway, `route namespace/name` of a Kubernetes Gateway, or `mesh`. */
  door: string
  host: string
  stem: string
}

/** A node of the trie. Edges carry whole pieces of text, so that a long path of its own costs one node. */
interface Node<T> {
  edges: Map<string, { text: string; node: Node<T> }>
  items: Set<T>
}

export class RoutingIndex<T> {
  readonly #tries = new Map<string, Map<string, Node<T>>>()
  readonly #places = new Map<string, { item: T; places: RoutingPlace[] }>()

  /** Files an item under its places, and takes what was filed under the same key before out of the index. */
  put(key: string, item: T, places: RoutingPlace[]): void {
    this.remove(key)
    this.#places.set(key, { item, places })
    for (const { door, host, stem } of places) {
      const hosts = this.#tries.get(door) ?? new Map<string, Node<T>>()
      this.#tries.set(door, hosts)
      const trie = hosts.get(host) ?? newNode<T>()
      hosts.set(host, trie)
      insert(trie, stem, item)
    }
  }

  remove(key: string): void {
    const { item, places } = this.#places.get(key) ?? { places: [] }
    this.#places.delete(key)
    for (const { door, host, stem } of places) {
      const hosts = this.#tries.get(door)
      const trie = hosts?.get(host)
      if (trie && item !== undefined) erase(trie, stem, item)
      if (trie && isEmpty(trie)) hosts?.delete(host)
      if (hosts?.size === 0) this.#tries.delete(door)
    }
  }

  /** Where anybody routes. */
  doors(): Iterable<string> {
    return this.#tries.keys()
  }

  /** The hosts for which somebody routes at a door. */
  hosts(door: string): Iterable<string> {
    return this.#tries.get(door)?.keys() ?? []
  }

  /**
   * The items that may meet a path: those whose stem begins the path's, and with `below` those whose stem begins with it.
   * Without `below` it costs what the path is long, however many items there are.
   */
  *near({ door, host, stem }: RoutingPlace, { below }: { below: boolean }): Generator<T> {
    let node = this.#tries.get(door)?.get(host)
    let rest = stem
    while (node) {
      if (rest === '') return yield* below ? itemsBelow(node) : node.items
      yield* node.items
      const edge: { text: string; node: Node<T> } | undefined = node.edges.get(rest[0] ?? '')
      if (below && edge?.text.startsWith(rest)) return yield* itemsBelow(edge.node)
      if (!edge || !rest.startsWith(edge.text)) return
      rest = rest.slice(edge.text.length)
      node = edge.node
    }
  }
}

function newNode<T>(): Node<T> {
  return { edges: new Map(), items: new Set() }
}

function isEmpty<T>({ edges, items }: Node<T>): boolean {
  return edges.size === 0 && items.size === 0
}

function insert<T>(node: Node<T>, stem: string, item: T): void {
  if (stem === '') {
    node.items.add(item)
    return
  }
  const first = stem[0] ?? ''
  const edge = node.edges.get(first)
  if (!edge) {
    const leaf = newNode<T>()
    leaf.items.add(item)
    node.edges.set(first, { text: stem, node: leaf })
    return
  }
  const shared = sharedLength(edge.text, stem)
  if (shared < edge.text.length) {
    const middle = newNode<T>()
    const rest = edge.text.slice(shared)
    middle.edges.set(rest[0] ?? '', { text: rest, node: edge.node })
    node.edges.set(first, { text: edge.text.slice(0, shared), node: middle })
    insert(middle, stem.slice(shared), item)
  } else insert(edge.node, stem.slice(shared), item)
}

function erase<T>(node: Node<T>, stem: string, item: T): void {
  if (stem === '') {
    node.items.delete(item)
    return
  }
  const first = stem[0] ?? ''
  const edge = node.edges.get(first)
  if (!edge || !stem.startsWith(edge.text)) return
  erase(edge.node, stem.slice(edge.text.length), item)
  if (isEmpty(edge.node)) node.edges.delete(first)
}

function sharedLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return length
}

function* itemsBelow<T>({ edges, items }: Node<T>): Generator<T> {
  yield* items
  for (const { node } of edges.values()) yield* itemsBelow(node)
}
