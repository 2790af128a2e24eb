// JUnit XML, as CI systems show it: a suite for each namespace, a case for each object of which something is said or done.
import type { AuditFinding, AuditReport, NamespaceReport, Unread } from './report.ts'

/** What fails a case: denials, warnings as well, or nothing. */
export function toJunit({ namespaces, unread = [] }: AuditReport, failOn: 'warning' | 'denial' | 'never'): string {
  const suites = [...namespaces.map(each => suiteOf(each, failOn)), ...unreadSuites(unread)]
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="sidestep audit"${totals(suites)}>`,
    ...suites.map(({ xml }) => xml),
    '</testsuites>',
    '',
  ].join('\n')
}

/** A suite of its own, since it is nobody's failure and must show somewhere. */
function unreadSuites(unread: Unread[]): Suite[] {
  if (unread.length === 0) return []
  const numbers = { tests: 1, failures: 0 }
  const text = unread.map(({ resource, reason }) => `${resource} is not read: ${reason}\n`).join('')
  return [{ ...numbers, xml: suiteText('not read', numbers, caseLines('unread', 'kinds', [], text)) }]
}

interface Numbers {
  tests: number
  failures: number
}

type Suite = Numbers & { xml: string }

function suiteOf({ name, findings, changes }: NamespaceReport, failOn: 'warning' | 'denial' | 'never'): Suite {
  const cases = new Map<string, AuditFinding[]>()
  for (const each of [...changes, ...findings]) {
    const object = [each.kind, each.namespace, each.name].filter(Boolean).join('/')
    const its = cases.get(object) ?? []
    cases.set(object, 'code' in each ? [...its, each] : its)
  }
  if (cases.size === 0) cases.set(`Namespace/${name}`, [])
  const isFailing = ({ severity }: AuditFinding) =>
    failOn !== 'never' && (severity === 'denial' || (severity === 'warning' && failOn === 'warning'))
  const suite = name || 'cluster'
  const failures = [...cases.values()].filter(findings => findings.some(isFailing)).length
  const numbers = { tests: cases.size, failures }
  const lines = [...cases].flatMap(([object, findings]) => {
    const said = findings
      .filter(each => !isFailing(each))
      .map(lineOf)
      .join('')
    return caseLines(suite, object, findings.filter(isFailing), said)
  })
  return { ...numbers, xml: suiteText(suite, numbers, lines) }
}

function suiteText(name: string, numbers: Numbers, cases: string[]): string {
  return [`  <testsuite name="${escaped(name)}"${totals([numbers])}>`, ...cases, '  </testsuite>'].join('\n')
}

function totals(all: Numbers[]): string {
  const sum = (of: keyof Numbers) => all.reduce((sum, each) => sum + each[of], 0)
  return ` tests="${sum('tests')}" failures="${sum('failures')}" errors="0"`
}

/** More than one failure in a case is read by few: so all reasons stand in the one. */
function caseLines(suite: string, object: string, failing: AuditFinding[], said: string): string[] {
  const [first] = failing
  const head = `    <testcase classname="${escaped(suite)}" name="${escaped(object)}"`
  if (!first && !said) return [`${head}/>`]
  return [
    `${head}>`,
    ...(first
      ? [
          `      <failure type="${first.code}" message="${escaped(first.message)}">${escaped(failing.map(lineOf).join(''))}</failure>`,
        ]
      : []),
    ...(said ? [`      <system-out>${escaped(said)}</system-out>`] : []),
    '    </testcase>',
  ]
}

function lineOf({ code, severity, field, message, file, line }: AuditFinding): string {
  const place = file === undefined ? '' : `${file}${line === undefined ? '' : `:${line}`}: `
  return `${place}${severity} ${code}${field ? ` ${field}` : ''}: ${message}\n`
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** XML 1.0 has no form for most control characters, nor for half of a surrogate pair. */
function escaped(text: string): string {
  return (
    text
      .replace(/[&<>"]/g, character => entities[character] ?? '')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point.
      .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd')
  )
}
