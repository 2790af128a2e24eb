// The findings, by code: thousands of them are often a dozen codes. What a code means and the way out stand once.
import { catalogue, type Severity } from '../../translate/diagnostics.ts'
import type { AuditFinding, AuditReport, PageOf } from '../report.ts'
import { filterHref } from './filter.ts'
import { sectionsOf } from './markdown.ts'
import { chunked, counted, grouped, html, type Markup } from './markup.ts'
import { namespaceName } from './namespaces.ts'

export interface FindingGroup {
  code: string
  severity: Severity
  /** What all of them say, or what the catalogue says for all, with its blanks. */
  sentence: Markup
  hasOneMessage: boolean
  findings: PlacedFinding[]
  namespaces: number
}

/** With the namespace under which the report lists it: that of a Namespace is the one it is, not the one it has. */
type PlacedFinding = AuditFinding & { place: string }

const severities: Severity[] = ['denial', 'warning', 'note']

/** First what denies, then what concerns most. A code whose severity differs by a setting has a group for each. */
export function groupsOf({ namespaces }: AuditReport): FindingGroup[] {
  const groups = new Map<string, PlacedFinding[]>()
  for (const finding of namespaces.flatMap(({ name, findings }) => findings.map(f => ({ ...f, place: name })))) {
    const key = `${finding.severity} ${finding.code}`
    const group = groups.get(key)
    if (group) group.push(finding)
    else groups.set(key, [finding])
  }
  return [...groups.values()]
    .flatMap(findings => groupOfAll(findings))
    .sort(
      (a, b) =>
        severities.indexOf(a.severity) - severities.indexOf(b.severity) || b.findings.length - a.findings.length,
    )
}

function groupOfAll(findings: PlacedFinding[]): FindingGroup[] {
  const [finding] = findings
  if (!finding) return []
  const { code, severity, message } = finding
  const hasOneMessage = findings.every(other => other.message === message)
  const sentence = hasOneMessage ? html`${message}` : withBlanks(catalogue[code]?.message ?? '')
  const namespaces = new Set(findings.map(({ place }) => place)).size
  return [{ code, severity, sentence, hasOneMessage, findings, namespaces }]
}

/** The catalogue's `{names}` are filled in where a code is reported. */
function withBlanks(message: string): Markup {
  return html`${message.split(/\{(\w+)\}/).map((part, index) => (index % 2 === 1 ? html`<var>${part}</var>` : part))}`
}

export function findingsSection(report: AuditReport, groups: readonly FindingGroup[], pageOf: PageOf): Markup {
  const total = groups.reduce((sum, { findings }) => sum + findings.length, 0)
  if (total === 0) return html`<p>Nothing was found: every object means the same in ambient.</p>`
  return html`${filterForm(report, groups)}
<p id="shown" role="status">${counted(total, 'finding')}</p>
<ol class="groups">${groups.map((group, index) => groupOf(group, pageOf(group.code), index === 0))}</ol>`
}

function filterForm({ namespaces }: AuditReport, groups: readonly FindingGroup[]): Markup {
  const concerned = namespaces.filter(({ findings }) => findings.length > 0)
  const codes = [...new Set(groups.map(({ code }) => code))].sort()
  return html`<form id="filter" role="search" aria-label="Findings">
<label class="wide">Search <kbd>/</kbd><input type="search" name="q" autocomplete="off" spellcheck="false" placeholder="name, field, file, message"></label>
<label>Severity<select name="severity"><option value="*">all</option>${severities.map(
    severity => html`<option>${severity}</option>`,
  )}</select></label>
<label>Namespace<select name="namespace"><option value="*">all</option>${concerned.map(
    ({ name }) => html`<option value="${name}">${namespaceName(name)}</option>`,
  )}</select></label>
<label>Code<select name="code"><option value="*">all</option>${codes.map(code => html`<option>${code}</option>`)}</select></label>
<button type="button">Clear</button>
</form>`
}

function groupOf(group: FindingGroup, page: string | undefined, isOpen: boolean): Markup {
  const { code, severity, sentence, hasOneMessage, findings, namespaces } = group
  return html`<li><details class="group" data-code="${code}" data-severity="${severity}"${isOpen && html` open`}><summary data-walk>
<h3><code>${code}</code></h3> <span class="severity ${severity}">${severity}</span>
<span class="count"><span data-count>${grouped(findings.length)}</span><span class="in">${namespaces > 1 && ` in ${namespaces} namespaces`}</span></span>
<span class="sentence">${sentence}</span>
</summary>
${page !== undefined && pageMarkup(code, page)}
${chunked(
  findings.map(finding => findingOf(finding, !hasOneMessage)),
  { noun: 'finding', size: 50 },
)}
</details></li>
`
}

function pageMarkup(code: string, page: string): Markup {
  const [introduction, ...sections] = sectionsOf(page)
  const [written, ...answers] = sections
  return html`<div class="page" id="page-${code}">
${introduction?.body}
<div class="answers">${answers.map(({ heading, body }) => html`<div><h4>${heading}</h4>${body}</div>`)}</div>
${written && html`<details><summary>${written.heading}: an example</summary>${written.body}</details>`}
<p class="source">As <code>sidestep explain ${code}</code> prints it, from docs/diagnostics/${code}.md.</p>
<p class="source"><a href="${filterHref({ code })}">Only ${code}</a></p>
</div>`
}

function findingOf(finding: PlacedFinding, hasMessage: boolean): Markup {
  const { kind, apiVersion, namespace, name, field, message, file, line, place } = finding
  return html`<li class="finding" data-namespace="${place}"><p><span class="object"><span class="kind" title="${apiVersion}">${kind}</span> ${namespace !== '' && `${namespace}/`}<b>${name}</b></span> <code>${field}</code></p>
${hasMessage && html`<p class="message">${message}</p>`}
${file !== undefined && html`<p class="where"><code>${file}${line !== undefined && `:${line}`}</code></p>`}</li>
`
}
