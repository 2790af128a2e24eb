// Objects are never changed, so what was made of one holds for ever.

/** What `make` made of a key, made once. */
export function memoized<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const made = new WeakMap<K, { value: V }>()
  return key => {
    const known = made.get(key) ?? { value: make(key) }
    made.set(key, known)
    return known.value
  }
}

/** The same for what is named within a whole, such as a pod of a world. */
export function memoizedIn<W extends object, K, V>(make: (whole: W, key: K) => V): (whole: W, key: K) => V {
  const tables = memoized((_: W) => new Map<K, { value: V }>())
  return (whole, key) => {
    const table = tables(whole)
    const known = table.get(key) ?? { value: make(whole, key) }
    table.set(key, known)
    return known.value
  }
}

let count = 0
/** A number that only this object has. */
export const numberOf = memoized((_: object) => ++count)
