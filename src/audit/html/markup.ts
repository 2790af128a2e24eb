// HTML as a tagged template in which whatever is put in is text, unless it is markup itself. Names, messages and YAML
// come from clusters, so this is the one door through which anything gets into the page.

export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  toString(): string {
    return this.text
  }
}

type Content = Markup | string | number | false | undefined | readonly Content[]

/** Values may stand in text and in quoted attributes. Not within <script> or <style>, where escapes mean nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(strings.reduce((text, part, index) => text + rendered(values[index - 1]) + part))
}

function rendered(content: Content): string {
  if (content instanceof Markup) return content.text
  if (content === undefined || content === false) return ''
  if (typeof content === 'object') return content.map(rendered).join('')
  return escaped(String(content))
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Controls and the marks that reorder text (CVE-2021-42574) are shown by number, or a name could look like another. */
function escaped(text: string): string {
  return text
    .replace(/[&<>"']/g, character => entities[character] ?? character)
    .replace(invisible, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
const invisible = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

/** `1 finding`, `5,000 findings`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${grouped(count)} ${count === 1 ? noun : plural}`
}

/** Not by the locale of whoever runs it, so that a report is the same everywhere. */
export function grouped(count: number): string {
  return count.toLocaleString('en')
}

/** What nobody waits for: the script takes more from the template as it is asked for. Without the script the first stand. */
export function chunked(items: readonly Markup[], { noun, size }: { noun: string; size: number }): Markup {
  const rest = items.slice(size)
  if (rest.length === 0) return html`<ol class="chunked">${items}</ol>`
  return html`<ol class="chunked" data-size="${size}">${items.slice(0, size)}</ol>
<template>${rest}</template>
<p class="more"><button type="button">Show more of ${grouped(rest.length)}</button><span>${counted(rest.length, `more ${noun}`)} with scripts allowed.</span></p>`
}
