// R3 of research/virtualservice.md 2.4: on Istio alone, an order can be said by the lengths of regexes, among which the
// longer one goes first. `(?:)` adds four bytes and means nothing.

import { quoted } from '../regex.ts'
import type { Report } from '../report.ts'
import { isEveryPath } from './meeting.ts'
import { byteLength, type Entry } from './order.ts'

const pathLimit = 1024
const padding = '(?:)'

/** The entries as regexes whose lengths keep their order. They match as Istio matches today: prefixes as text. */
export function inRegexOrder(entries: Entry[], report: Report): Entry[] {
  const ordered: Entry[] = []
  let length = 0
  for (const entry of entries.toReversed()) {
    let value = regexOf(entry.match.path)
    while (byteLength(value) <= length) value += padding
    length = byteLength(value)
    if (length > pathLimit) report('VS-MATCH-LIMIT', entry.field, { limit: `${pathLimit} characters of path` })
    const path = { ...entry.match.path, match: { type: 'RegularExpression' as const, value } }
    ordered.unshift({ ...entry, match: { ...entry.match, path } })
  }
  return ordered
}

function regexOf(path: Entry['match']['path']): string {
  // `.*` counts as a catch-all, beside which Istio deletes the others (`IsCatchAllRoute`).
  if (isEveryPath(path)) return '/.*'
  if (path.kind === 'regex') return path.text
  return path.kind === 'exact' ? quoted(path.text) : `${quoted(path.text)}.*`
}
