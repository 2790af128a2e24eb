// What `sidestep audit` says to a person: what stands in the way, worst first, and at the end what it comes to and what to do.
import type { AuditFinding, AuditReport, NamespaceReport, Verdict } from '../audit/report.ts'
import { count, inert } from './print.ts'

export interface TableOptions {
  /** Whether to show notes, namespaces about which nothing is said, and every finding in its own words. */
  isVerbose: boolean
  isColoured: boolean
}

type Paint = (colour: keyof typeof colours, text: string) => string

const colours = { blocked: 31, denial: 31, warnings: 33, warning: 33, ready: 32, note: 36 } as const
const width = 120

export function toTable(report: AuditReport, { isVerbose, isColoured }: TableOptions): string {
  const paint: Paint = (colour, text) => (isColoured ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text)
  const told = report.namespaces.map(each => ({
    ...each,
    findings: each.findings.filter(({ severity }) => isVerbose || severity !== 'note'),
  }))
  const blocks = alike(told.filter(({ findings }) => isVerbose || findings.length > 0))
    .toSorted(([a], [b]) => order.indexOf(a.verdict) - order.indexOf(b.verdict))
    .map(namespaces => blockOf(namespaces, isVerbose, paint))
  return [...blocks, summaryOf(report, paint)].join('\n')
}

const order: Verdict[] = ['blocked', 'warnings', 'ready']

// Namespaces -------------------------------------------------------------------------------------------------------

type Alike = [NamespaceReport, ...NamespaceReport[]]

/** A hundred namespaces that a controller made from one template have the same to say, and say it once. */
function alike(namespaces: NamespaceReport[]): Alike[] {
  const groups = new Map<string, Alike>()
  for (const each of namespaces) {
    const { verdict, dataplane, findings } = each
    const codes = [...new Set(findings.map(({ code, kind, field }) => `${code} ${kind} ${field}`))].sort()
    const key = [verdict, dataplane.now, dataplane.then, ...codes].join('\n')
    const group = groups.get(key)
    if (group) group.push(each)
    else groups.set(key, [each])
  }
  return [...groups.values()]
}

function blockOf(namespaces: Alike, isVerbose: boolean, paint: Paint): string {
  const [{ verdict, dataplane }] = namespaces
  const { now, then } = dataplane
  const sum = (of: (each: NamespaceReport) => number) => namespaces.reduce((sum, each) => sum + of(each), 0)
  const numbers = [
    now === then ? `stays ${now === 'none' ? 'out of the mesh' : now}` : `${now} to ${then}`,
    count(
      sum(({ objects }) => objects),
      'object',
    ),
    `${sum(({ counts }) => counts.rewritten)} rewritten`,
    count(
      sum(({ counts }) => counts.companions),
      'companion',
    ),
  ]
  const names = namespaces.map(({ name }) => nameOf(name))
  const title = namespaces.length > 1 ? `${namespaces.length} namespaces alike: ${listOf(names)}` : (names[0] ?? '')
  const folded = fold(
    namespaces.flatMap(({ findings }) => findings),
    isVerbose,
  ).map(group => foldedLines(group, paint))
  return `${paint(verdict, verdictWords[verdict])}  ${inert(title)}\n  ${numbers.join(', ')}\n${folded.join('')}`
}

const verdictWords = { blocked: 'BLOCKED', warnings: 'WARNINGS', ready: 'READY' } as const

function nameOf(namespace: string): string {
  return namespace || '(no namespace)'
}

// Findings ---------------------------------------------------------------------------------------------------------

type Folded = [AuditFinding, ...AuditFinding[]]

/** Findings of one code together, or only those of one message, in the order in which each comes first. */
function fold(findings: AuditFinding[], byMessage = false): Folded[] {
  const groups = new Map<string, Folded>()
  for (const each of findings) {
    const key = `${each.severity} ${each.code} ${byMessage ? each.message : ''}`
    const group = groups.get(key)
    if (group) group.push(each)
    else groups.set(key, [each])
  }
  const severities = ['denial', 'warning', 'note']
  return [...groups.values()].sort(([a], [b]) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
}

function foldedLines(findings: Folded, paint: Paint): string {
  const [{ severity, code, message }] = findings
  const places = [...new Set(findings.map(subjectOf))]
  const others = findings.filter(each => each.message !== message).length
  const more = others === 0 ? '' : ` (${count(others, 'other')} in other words, which --verbose shows)`
  const text = wrap(`  ${severity.padEnd(8)} `, `${code}: ${message}${more}`)
  const shown = places.length > 5 ? [...places.slice(0, 4), `and ${places.length - 4} more`] : places
  const lines = shown.map(place => wrap(' '.repeat(12), place))
  return `${[text.replace(severity, paint(severity, severity)), ...lines].join('\n')}\n`
}

/** `VirtualService team-a/lab spec.http[0].fault (lab.yaml:12)` */
function subjectOf({ kind, namespace, name, field, file, line }: AuditFinding): string {
  const place = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`
  return `${kind} ${namespace ? `${namespace}/` : ''}${name}${field ? ` ${field}` : ''}${place}`
}

// Summary ----------------------------------------------------------------------------------------------------------

function summaryOf(report: AuditReport, paint: Paint): string {
  const { namespaces, counts, objects, source, profile, unread = [], remarks = [] } = report
  const withVerdict = (verdict: Verdict) => namespaces.filter(each => each.verdict === verdict).map(each => each.name)
  const sentences: [Verdict, string, string][] = [
    ['ready', 'is ready', 'are ready'],
    ['warnings', 'is ready, with warnings to read', 'are ready, with warnings to read'],
    ['blocked', 'is blocked', 'are blocked'],
  ]
  const lines = sentences.flatMap(([verdict, one, many]) => {
    const names = withVerdict(verdict)
    if (names.length === 0) return []
    const text = wrap(
      '',
      `${count(names.length, 'namespace')} ${names.length === 1 ? one : many}: ${listOf(names.map(nameOf), 12)}`,
    )
    return [paint(verdict, text)]
  })
  const numbers = [
    count(objects, 'object'),
    `${counts.rewritten} to be rewritten`,
    `${count(counts.companions, 'companion')} to be kept beside them`,
    count(counts.denial, 'denial'),
    count(counts.warning, 'warning'),
    `${count(counts.note, 'note')}${counts.note > 0 ? ' (--verbose shows them)' : ''}`,
  ].join(', ')
  return [
    wrap('', `${listOf(source.split(', '), 2)} with profile ${profile}: ${numbers}`),
    ...lines,
    ...unread.map(({ resource, reason }) => paint('warnings', `Not read: ${inert(resource)}, since ${inert(reason)}`)),
    ...remarks.map(remark => paint('warnings', wrap('But: ', `${remark}.`))),
    '',
    wrap('First: ', firstOf(namespaces, unread.length)),
    '',
  ].join('\n')
}

/** One thing to do. What is not known comes before what is wrong, and that before what is only different. */
function firstOf(namespaces: NamespaceReport[], unread: number): string {
  if (unread > 0) return 'have somebody grant the ClusterRole sidestep-audit (docs/audit.md), and run this again.'
  const findings = namespaces.flatMap(each => each.findings)
  for (const severity of ['denial', 'warning'] as const) {
    const [most, ...others] = fold(findings.filter(each => each.severity === severity)).toSorted(
      (a, b) => b.length - a.length,
    )
    if (!most) continue
    const where = listOf([...new Set(most.map(({ namespace, name }) => namespace || name))], 3)
    const rest = others.length > 0 ? `; then ${count(others.length, 'other code')}` : ''
    const verb = severity === 'denial' ? 'mend' : 'read'
    const means = `sidestep explain ${most[0].code} says how`
    return `${verb} ${most[0].code}, ${count(most.length, severity)} in ${where} (${means})${rest}.`
  }
  const open = namespaces.flatMap(({ name, steps }) =>
    steps.filter(({ isDone }) => !isDone).map(step => ({ name, step })),
  )
  const [next] = open
  if (!next) return 'nothing is left to do.'
  return 'nothing stands in the way. Install sidestep with these settings (docs/install.md), and take injection off one namespace.'
}

// Words ------------------------------------------------------------------------------------------------------------

/** Some names, and how many more there are. */
function listOf(names: readonly string[], most = 4): string {
  const shown = names.length > most + 1 ? [...names.slice(0, most), `${names.length - most} more`] : names
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`
}

/** Lines of at most so many characters, of which the later ones begin below the first. */
function wrap(head: string, text: string): string {
  const lines: string[] = []
  let line = head
  for (const word of inert(text).split(' ')) {
    if (line.length + 1 + word.length > width && line.trim() !== '') {
      lines.push(line)
      line = ' '.repeat(head.length)
    }
    line += line === head || line.trim() === '' ? word : ` ${word}`
  }
  return [...lines, line].join('\n')
}
