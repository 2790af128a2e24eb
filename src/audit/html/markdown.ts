// What the pages of diagnostics are written in: headings, paragraphs, lists and fenced blocks, and no more of Markdown.
import { html, type Markup } from './markup.ts'

export interface Section {
  heading: string
  body: Markup
}

/** The sections under `##`. What comes before the first of them has no heading; title and facts are left to the caller. */
export function sectionsOf(markdown: string): Section[] {
  const [opening = '', ...rest] = markdown.split(/^## /m)
  const introduction = opening.replace(/^# .*\n/, '').replace(/^Severity: .*\n/m, '')
  return [
    { heading: '', body: blocksOf(introduction) },
    ...rest.map(text => {
      const end = text.indexOf('\n')
      return { heading: text.slice(0, end).trim(), body: blocksOf(text.slice(end + 1)) }
    }),
  ]
}

function blocksOf(text: string): Markup {
  const fences = text.split(/^```.*\n([\s\S]*?)^```\s*$/m)
  return html`${fences.map((part, index) => (index % 2 === 1 ? fenced(part) : part.split(/\n\s*\n/).map(blockOf)))}`
}

/** It scrolls, and so the keyboard must reach it. */
function fenced(code: string): Markup {
  return html`<pre tabindex="0">${code}</pre>\n`
}

function blockOf(text: string): Markup {
  const block = text.trim()
  if (block === '') return html``
  const items = block.split(/^(?:- |\d+\. )/m)
  const [opening = '', ...rest] = items
  if (rest.length === 0) return html`<p>${inline(block)}</p>\n`
  const list = rest.map(item => html`<li>${inline(item.trim())}</li>`)
  return html`${opening.trim() !== '' && html`<p>${inline(opening.trim())}</p>`}
${/^\d+\. /m.test(block) ? html`<ol>${list}</ol>` : html`<ul>${list}</ul>`}\n`
}

/** Code, strong text and links; a link to another page of the documentation is only its text, since that is not here. */
function inline(text: string): Markup {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)\s]+\))/)
  return html`${parts.map(part => {
    const [, code] = /^`(.+)`$/s.exec(part) ?? []
    if (code !== undefined) return html`<code>${code}</code>`
    const [, strong] = /^\*\*(.+)\*\*$/s.exec(part) ?? []
    if (strong !== undefined) return html`<strong>${inline(strong)}</strong>`
    const [, label = '', target = ''] = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part) ?? []
    if (target.startsWith('https://')) return html`<a href="${target}" rel="noreferrer">${inline(label)}</a>`
    return label === '' ? part : inline(label)
  })}`
}
