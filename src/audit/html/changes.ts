// Before and after, side by side: what differs is found here, so that the page has nothing to compute.
import { diffLines } from 'diff'
import type { Change, NamespaceReport } from '../report.ts'
import { chunked, grouped, html, type Markup } from './markup.ts'
import { namespaceId, namespaceName } from './namespaces.ts'

export function changesSection(namespaces: readonly NamespaceReport[]): Markup {
  const changed = namespaces.filter(({ changes }) => changes.length > 0)
  if (changed.length === 0) return html`<p>No object changes, and none is added.</p>`
  return chunked(changed.map(changesOf), { noun: 'namespace', size: 40 })
}

function changesOf({ name, changes, counts }: NamespaceReport): Markup {
  return html`<li><details class="group" id="${namespaceId('changes', name)}"><summary data-walk>
<h3>${namespaceName(name)}</h3><span class="count">${[
    counts.rewritten > 0 && `${grouped(counts.rewritten)} rewritten`,
    counts.companions > 0 && `${grouped(counts.companions)} ${counts.companions === 1 ? 'companion' : 'companions'}`,
  ]
    .filter(Boolean)
    .join(', ')}</span>
</summary>
${chunked(changes.map(changeOf), { noun: 'object', size: 20 })}
</details></li>
`
}

function changeOf(change: Change): Markup {
  const { apiVersion, kind, namespace, name, before, after } = change
  const label = `${kind} ${namespace === '' ? name : `${namespace}/${name}`}`
  const { left, right, added, removed } = sideBySide(before ?? '', after)
  const isNew = before === undefined
  return html`<li><details class="change"><summary>
<span class="object"><span class="kind">${kind}</span> ${name}</span>
<span class="count">${isNew ? 'new' : html`${added > 0 && html`<ins>+${added}</ins>`} ${removed > 0 && html`<del>−${removed}</del>`}`}</span>
<span class="group-of">${apiVersion}</span>
</summary>
<div class="sides${isNew && ' alone'}">
${!isNew && sideOf('Before', label, left)}
${isNew ? sideOf('Companion', label, [html`<span>${after}</span>`]) : sideOf('After', label, right)}
</div></details></li>
`
}

/** It scrolls, and so the keyboard must reach it. */
function sideOf(title: string, label: string, lines: Markup[]): Markup {
  return html`<figure><figcaption>${title}</figcaption><pre tabindex="0" role="group" aria-label="${label}, ${title}">${lines}</pre></figure>`
}

/** More than that differs only between texts that have nothing in common, for which looking longer finds nothing. */
const maxEditLength = 4000

export interface Sides {
  left: Markup[]
  right: Markup[]
  added: number
  removed: number
}

/** Equal lines stand beside each other: the shorter side of a difference is filled up with empty lines. */
export function sideBySide(before: string, after: string): Sides {
  const sides: Sides = { left: [], right: [], added: 0, removed: 0 }
  for (const { equal, gone, came } of passagesOf(closed(before), closed(after))) {
    const [removed, added] = [lineCount(gone), lineCount(came)]
    const gap = html`<span class="gap">${'\n'.repeat(Math.abs(removed - added))}</span>`
    if (gone) sides.left.push(html`<del>${gone}</del>`)
    if (came) sides.right.push(html`<ins>${came}</ins>`)
    if (removed < added) sides.left.push(gap)
    if (added < removed) sides.right.push(gap)
    if (equal) for (const side of [sides.left, sides.right]) side.push(html`<span>${equal}</span>`)
    sides.removed += removed
    sides.added += added
  }
  return sides
}

/** What differs, and the equal lines after it. */
interface Passage {
  gone: string
  came: string
  equal: string
}

function passagesOf(before: string, after: string): Passage[] {
  const parts = diffLines(before, after, { maxEditLength })
  if (!parts) return [{ gone: before, came: after, equal: '' }]
  const passages: Passage[] = []
  let passage: Passage | undefined
  for (const { value, added, removed } of parts) {
    if (!passage || passage.equal) {
      passage = { gone: '', came: '', equal: '' }
      passages.push(passage)
    }
    passage[removed ? 'gone' : added ? 'came' : 'equal'] += value
  }
  return passages
}

/** A last line without its end differs from the same line with one, which nobody wants to read. */
function closed(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}

function lineCount(text: string): number {
  return text.split('\n').length - 1
}
