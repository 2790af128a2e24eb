// One card for each namespace: who carries its traffic now and then, what stands in the way, and the steps in order.
import type { Dataplane, NamespaceReport, Step, Verdict } from '../report.ts'
import { filterHref } from './filter.ts'
import { chunked, grouped, html, type Markup } from './markup.ts'

export const verdictWords: Record<Verdict, string> = { ready: 'ready', warnings: 'warnings', blocked: 'blocked' }

const dataplaneWords: Record<Dataplane, string> = {
  sidecar: 'sidecars',
  ambient: 'ambient',
  mixed: 'mixed',
  none: 'no mesh',
}

const order: Verdict[] = ['blocked', 'warnings', 'ready']

export function namespacesSection(namespaces: readonly NamespaceReport[]): Markup {
  const sorted = [...namespaces].sort((a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict))
  return chunked(sorted.map(cardOf), { noun: 'namespace', size: 60 })
}

export function namespaceName(name: string): string {
  return name === '' ? 'the cluster' : name
}

/** Of an element; a name may hold anything, and an id no blanks. */
export function namespaceId(section: string, name: string): string {
  return `${section}-${encodeURIComponent(name)}`
}

function cardOf(report: NamespaceReport): Markup {
  const { name, verdict, dataplane, waypoint, counts, steps, objects, changes } = report
  const done = steps.filter(({ isDone }) => isDone).length
  return html`<li><details class="card ${verdict}" id="${namespaceId('namespace', name)}"><summary data-walk>
<h3>${namespaceName(name)}</h3>
<span class="verdict ${verdict}">${verdictWords[verdict]}</span>
<span class="way">${wayOf(dataplane)}</span>
<span class="tally">${tallyOf(counts)}</span>
<span class="progress">${steps.length > 0 && html`${done} of ${steps.length} steps done`}</span>
</summary>
<dl class="facts">
<div><dt>Waypoint</dt><dd>${waypoint ?? 'none'}</dd></div>
<div><dt>Objects read</dt><dd>${grouped(objects)}</dd></div>
<div><dt>Rewritten</dt><dd>${grouped(counts.rewritten)}</dd></div>
<div><dt>Companions</dt><dd>${grouped(counts.companions)}</dd></div>
</dl>
<p class="links">${report.findings.length > 0 && html`<a href="${filterHref({ namespace: name })}">Its findings</a> `}${changes.length > 0 && html`<a href="#${namespaceId('changes', name)}">Its YAML before and after</a>`}</p>
${steps.length > 0 && html`<h4>Steps in order</h4><ol class="steps">${steps.map((step, index) => stepOf(step, index === done))}</ol>`}
</details></li>
`
}

function wayOf({ now, then }: NamespaceReport['dataplane']): Markup | string {
  if (now === then) return now === 'none' ? 'not in the mesh' : `stays ${dataplaneWords[now]}`
  return html`${dataplaneWords[now]} <span class="arrow" aria-hidden="true">→</span><span class="unseen"> then </span> ${dataplaneWords[then]}`
}

function tallyOf({ denial, warning, note }: NamespaceReport['counts']): Markup | string {
  const parts = [
    denial > 0 && html`<span class="denial">${grouped(denial)} denied</span>`,
    warning > 0 && html`<span class="warning">${grouped(warning)} ${warning === 1 ? 'warning' : 'warnings'}</span>`,
    note > 0 && html`<span>${grouped(note)} ${note === 1 ? 'note' : 'notes'}</span>`,
  ].filter(part => part !== false)
  return parts.length > 0 ? html`${parts.map((part, index) => html`${index > 0 && ', '}${part}`)}` : 'nothing found'
}

function stepOf({ title, reason, objects, isDone }: Step, isNext: boolean): Markup {
  return html`<li class="${isDone ? 'done' : isNext ? 'next' : 'later'}"><p><strong>${title}</strong> <span class="mark">${isDone ? 'done' : isNext ? 'next' : ''}</span></p>
<p>${reason}</p>
${objectsOf(objects)}</li>
`
}

/** A step of a large namespace writes hundreds. */
const fewObjects = 6

function objectsOf(objects: readonly string[]): Markup {
  if (objects.length === 0) return html``
  const list = html`<ul class="objects">${objects.map(object => html`<li><code>${object}</code></li>`)}</ul>`
  if (objects.length <= fewObjects) return list
  return html`<details><summary>${grouped(objects.length)} objects</summary>${list}</details>`
}
