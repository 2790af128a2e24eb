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

/** The same for what is named within a whole, such as a pod of a world. The whole keeps it, out of sight of a copy. */
export function memoizedIn<W extends object, K, V>(make: (whole: W, key: K) => V): (whole: W, key: K) => V {
  const property = Symbol()
  return (whole, key) => {
    const table = tableIn<K, V>(whole, property)
    const known = table.get(key)
    if (known !== undefined || table.has(key)) return known as V
    const value = make(whole, key)
    table.set(key, value)
    return value
  }
}

/** A hundred thousand worlds in one WeakMap would keep the garbage collector busy. */
function tableIn<K, V>(whole: object, property: symbol): Map<K, V> {
  const tables = whole as { [property: symbol]: Map<K, V> | undefined }
  const known = tables[property]
  if (known) return known
  const table = new Map<K, V>()
  Object.defineProperty(whole, property, { value: table })
  return table
}

let count = 0
/** A number that only this object has. */
export const numberOf = memoized((_: object) => ++count)
