// The first screen: what the audit says in words, in numbers, and what to do about it first.
import type { AuditReport, NamespaceReport } from '../report.ts'
import { filterHref } from './filter.ts'
import type { FindingGroup } from './findings.ts'
import { counted, grouped, html, type Markup } from './markup.ts'
import { namespaceId, namespaceName } from './namespaces.ts'

/** The verdict, and what it rests on. */
export function verdictSentence({
  verdict,
  namespaces,
  counts,
  unread = [],
}: AuditReport): [verdict: string, ground: string] {
  const all = counted(namespaces.filter(({ name }) => name !== '').length, 'namespace')
  const blocked = namespaces.filter(namespace => namespace.verdict === 'blocked').length
  if (verdict === 'blocked')
    return [
      'Not yet.',
      `${counted(counts.denial, 'thing')} in ${grouped(blocked)} of ${all} cannot be said in ambient.`,
    ]
  // Nobody may call ready of which a part was not seen.
  if (verdict === 'warnings' && counts.warning === 0)
    return ['Not all is known.', `${counted(unread.length, 'kind')} of objects could not be read.`]
  const warned = namespaces.filter(({ counts }) => counts.warning > 0).length
  if (verdict === 'warnings')
    return [
      'Ready, with warnings.',
      `${counted(counts.warning, 'thing')} in ${grouped(warned)} of ${all} will differ from today.`,
    ]
  return ['Ready.', `Nothing in ${all} stands in the way.`]
}

export function overview(report: AuditReport, groups: readonly FindingGroup[]): Markup {
  const { counts, objects, namespaces, unread = [], remarks = [] } = report
  const of = (verdict: string) => namespaces.filter(namespace => namespace.verdict === verdict).length
  const numbers: [string, number, string?][] = [
    ['objects read', objects],
    ['rewritten', counts.rewritten],
    ['companions', counts.companions],
    ['denials', counts.denial, 'denial'],
    ['warnings', counts.warning, 'warning'],
    ['notes', counts.note],
  ]
  const first = firstThings(report, groups)
  return html`<dl class="numbers">${numbers.map(
    ([word, number, tone]) =>
      html`<div${number > 0 && tone && html` class="${tone}"`}><dt>${word}</dt><dd>${grouped(number)}</dd></div>`,
  )}</dl>
<p class="lead">${counted(of('ready'), 'namespace')} ready, ${grouped(of('warnings'))} with warnings, ${grouped(of('blocked'))} blocked.</p>
${
  unread.length > 0 &&
  html`<div class="unread"><h2>Not everything could be read</h2><p>The report knows less than there is:</p><ul>${unread.map(
    ({ resource, reason }) => html`<li><code>${resource}</code>: ${reason}</li>`,
  )}</ul></div>`
}
${remarks.map(remark => html`<p class="lead">But ${remark}.</p>`)}
${first.length > 0 && html`<h2>What to do first</h2><ol class="first">${first}</ol>`}`
}

/** The most common reasons of denials, then where to begin, then what to read. Five are a list, twenty would be another report. */
function firstThings({ namespaces }: AuditReport, groups: readonly FindingGroup[]): Markup[] {
  const denials = groups.filter(({ severity }) => severity === 'denial')
  const warnings = groups.filter(({ severity }) => severity === 'warning')
  const beginning = namespaces.find(({ verdict, name, steps }) => verdict !== 'blocked' && name !== '' && nextOf(steps))
  return [
    ...denials.slice(0, 3).map(group => clearing(group)),
    ...(denials.length > 3
      ? [
          html`<li><a href="${filterHref({ severity: 'denial' })}">The other ${counted(denials.length - 3, 'code')} that deny</a></li>`,
        ]
      : []),
    ...(beginning ? [begin(beginning)] : []),
    ...warnings.slice(0, 1).map(({ findings }) => {
      const rest = warnings.length > 1 ? `, and ${counted(warnings.length - 1, 'more code')}` : ''
      return html`<li>Read <a href="${filterHref({ severity: 'warning' })}">what differs</a>: ${counted(findings.length, 'finding')} of <code>${warnings[0]?.code}</code>${rest}.</li>`
    }),
  ]
}

function clearing({ code, sentence, findings, namespaces }: FindingGroup): Markup {
  return html`<li><a href="${filterHref({ code })}"><code>${code}</code></a>, ${counted(findings.length, 'time')} in ${counted(namespaces, 'namespace')}: ${sentence}</li>`
}

function begin({ name, verdict, steps }: NamespaceReport): Markup {
  const state = verdict === 'ready' ? 'is ready' : 'has nothing that denies'
  return html`<li>Begin with <a href="#${namespaceId('namespace', name)}">${namespaceName(name)}</a>, which ${state}. Its next step: ${nextOf(steps)?.title}.</li>`
}

function nextOf(steps: NamespaceReport['steps']): NamespaceReport['steps'][number] | undefined {
  return steps.find(({ isDone }) => !isDone)
}
