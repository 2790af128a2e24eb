// The names that somebody may have meant.

/** Names that begin with what was typed, then those that take the fewest edits. */
export function nearestTo(typed: string, names: Iterable<string>): string[] {
  const distances = [...names].map(name => ({
    name,
    distance: name.startsWith(typed) ? -1 : editsBetween(typed, name),
  }))
  return distances
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 5)
    .map(({ name }) => name)
}

/** Levenshtein's distance, row by row. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (letter === b[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
