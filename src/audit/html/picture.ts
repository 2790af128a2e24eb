// The rules of a host as a picture: before and after, each in the order in which rules are asked, and lines between those
// that are the same. A crossing is a changed order, a loose end a rule without its like.
import type { HostReport, RouteReport } from '../report.ts'
import { counted, html, type Markup } from './markup.ts'

/** `altered`: to the same destination, with another rewrite, or by a path that differs in its last slash only. */
type Fate = 'same' | 'altered' | 'elsewhere' | 'gone' | 'new'

interface Link {
  before?: number
  after?: number
  fate: Fate
}

/** Each rule with its like on the other side, the closest like first. */
export function linksOf({ before, after }: HostReport): Link[] {
  const links: Link[] = []
  const open = new Set(after.keys())
  const left = new Set(before.keys())
  const link = (isLike: (a: RouteReport, b: RouteReport) => boolean, fate: Fate) => {
    for (const [index, rule] of before.entries()) {
      if (!left.has(index)) continue
      const found = [...open].find(other => after[other] && isLike(rule, after[other]))
      if (found === undefined) continue
      links.push({ before: index, after: found, fate })
      left.delete(index)
      open.delete(found)
    }
  }
  link((a, b) => a.match === b.match && a.to === b.to, 'same')
  link((a, b) => a.match === b.match && destinationOf(a) === destinationOf(b), 'altered')
  link((a, b) => stemOf(a) === stemOf(b) && destinationOf(a) === destinationOf(b), 'altered')
  link((a, b) => a.match === b.match, 'elsewhere')
  link((a, b) => stemOf(a) === stemOf(b), 'elsewhere')
  for (const index of left) links.push({ before: index, fate: 'gone' })
  for (const index of open) links.push({ after: index, fate: 'new' })
  return links
}

/** HTTPRoute knows prefixes by whole elements only, so `/jupyter/` becomes `/jupyter`. */
function stemOf({ match }: RouteReport): string {
  return match.replace(/\/ \(prefix\)/, ' (prefix)')
}

/** Without what is done to the request on its way: `lab.team-a:80; path becomes /`. */
function destinationOf({ to }: RouteReport): string {
  return to.split(';')[0] ?? to
}

/** Beside each other where there is room, and below each other on a phone; the style sheet shows one of the two. */
export function picturesOf(host: HostReport): Markup {
  const links = linksOf(host)
  const shown = { ...host, before: host.before.slice(0, maxRows), after: host.after.slice(0, maxRows) }
  const drawn = links.filter(({ before = 0, after = 0 }) => before < maxRows && after < maxRows)
  const label = summaryOf(host, links)
  return html`${wide(shown, drawn, label)}${narrow(shown, drawn, label)}
${Math.max(host.before.length, host.after.length) > maxRows && html`<p>The first ${maxRows} rules of each; the tables have all.</p>`}`
}

/** What the picture shows, for whoever cannot see it. */
function summaryOf({ host }: HostReport, links: readonly Link[]): string {
  const count = (fate: Fate) => links.filter(link => link.fate === fate).length
  const moved = links.filter(({ before, after, fate }) => fate === 'same' && before !== after).length
  const parts = [
    `${counted(count('same'), 'rule')} as before`,
    moved > 0 && `${moved} of them at another place in the order`,
    count('altered') > 0 && `${count('altered')} altered on the same way`,
    count('elsewhere') > 0 && `${count('elsewhere')} to elsewhere`,
    count('gone') > 0 && `${count('gone')} gone`,
    count('new') > 0 && `${count('new')} new`,
  ]
  return `${host}: ${parts.filter(Boolean).join(', ')}`
}

const rowHeight = 38
const titleHeight = 26

/** A list longer than a screen is no picture any more. */
const maxRows = 60

// Beside each other -------------------------------------------------------------------------------------------------

const column = 360
const gap = 120

function wide({ before, after }: HostReport, links: readonly Link[], label: string): Markup {
  const width = 2 * column + gap
  const height = titleHeight + Math.max(before.length, after.length, 1) * rowHeight
  const y = (index: number) => titleHeight + (index + 0.5) * rowHeight
  return html`<svg class="wide" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${label}">
<text class="title" x="${column}" y="14" text-anchor="end">before</text><text class="title" x="${column + gap}" y="14">after</text>
${links.map(({ before, after, fate }) => {
  if (before === undefined || after === undefined) return html``
  const [x1, x2] = [column + 12, column + gap - 12]
  return html`<path class="${fate}" d="M${x1} ${y(before)}C${x1 + 40} ${y(before)} ${x2 - 40} ${y(after)} ${x2} ${y(after)}"/>`
})}${before.map((rule, index) =>
  ruleAt(rule, fateOf(links, { before: index }), { x: column, y: y(index), dot: column + 8, anchor: 'end', most: 42 }),
)}${after.map((rule, index) =>
  ruleAt(rule, fateOf(links, { after: index }), {
    x: column + gap,
    y: y(index),
    dot: column + gap - 8,
    anchor: 'start',
    most: 42,
  }),
)}</svg>`
}

// Below each other --------------------------------------------------------------------------------------------------

const margin = 48

function narrow({ before, after }: HostReport, links: readonly Link[], label: string): Markup {
  const width = 340
  const second = titleHeight + Math.max(before.length, 1) * rowHeight + 10
  const height = second + titleHeight + Math.max(after.length, 1) * rowHeight
  const yBefore = (index: number) => titleHeight + (index + 0.5) * rowHeight
  const yAfter = (index: number) => second + yBefore(index)
  const bow = (y1: number, y2: number) => margin - 8 - (56 * (y2 - y1)) / height
  const places = { x: margin + 8, dot: margin, anchor: 'start', most: 34 } as const
  return html`<svg class="narrow" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${label}">
<text class="title" x="${margin + 8}" y="14">before</text><text class="title" x="${margin + 8}" y="${second + 14}">after</text>
${links.map(({ before, after, fate }) => {
  if (before === undefined || after === undefined) return html``
  const [y1, y2] = [yBefore(before), yAfter(after)]
  return html`<path class="${fate}" d="M${margin - 4} ${y1}C${bow(y1, y2)} ${y1} ${bow(y1, y2)} ${y2} ${margin - 4} ${y2}"/>`
})}${before.map((rule, index) => ruleAt(rule, fateOf(links, { before: index }), { ...places, y: yBefore(index) }))}${after.map(
  (rule, index) => ruleAt(rule, fateOf(links, { after: index }), { ...places, y: yAfter(index) }),
)}</svg>`
}

// A rule ------------------------------------------------------------------------------------------------------------

interface Place {
  x: number
  y: number
  /** Where its line begins. */
  dot: number
  anchor: 'start' | 'end'
  /** Characters for which there is room, in a font that is rather wide. */
  most: number
}

function ruleAt({ match, to, object }: RouteReport, fate: Fate, { x, y, dot, anchor, most }: Place): Markup {
  // Said once, where it is new.
  const word = fate === 'same' || (fate === 'altered' && anchor === 'end') ? '' : fate
  return html`<g class="${fate}"><title>${match} → ${to} (${object})</title>
<text class="match" x="${x}" y="${y - 3}" text-anchor="${anchor}">${shortened(match, most)}</text>
<text class="to" x="${x}" y="${y + 12}" text-anchor="${anchor}">→ ${cut(to, most + 4 - word.length)}${word !== '' && html`<tspan class="fate"> · ${word}</tspan>`}</text>
<circle cx="${dot}" cy="${y}" r="2.5"/></g>`
}

function fateOf(links: readonly Link[], { before, after }: Pick<Link, 'before' | 'after'>): Fate {
  const isIt = (link: Link) => (before === undefined ? link.after === after : link.before === before)
  return links.find(isIt)?.fate ?? 'same'
}

/** The middle is left out: paths and hosts differ at their ends. */
function shortened(text: string, most: number): string {
  const characters = [...text]
  if (characters.length <= most) return text
  return `${characters.slice(0, most / 2 - 1).join('')}…${characters.slice(-most / 2 + 1).join('')}`
}

/** Of where it goes the beginning says most. */
function cut(text: string, most: number): string {
  const characters = [...text]
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`
}
