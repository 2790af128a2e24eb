// Collects the diagnostics of one translation. Problems are data: nothing here throws.
import { catalogue, type DiagnosticCode, type Parameters, type Severity, sentenceOf } from './diagnostics.ts'
import type { Settings } from './settings.ts'

/** One finding about the user's configuration. */
export interface Diagnostic {
  code: DiagnosticCode
  severity: Severity
  /** The field as in the user's YAML, for example `spec.http[0].rewrite`. */
  field: string
  message: string
}

/** Reports a finding; `parameters` fill the `{names}` of the catalogue's message. */
export interface Report {
  <C extends DiagnosticCode>(code: C, field: string, ...parameters: Parameters[C]): void
  readonly diagnostics: readonly Diagnostic[]
  /** Takes over the findings of another report of the same object. */
  adopt(other: Pick<Report, 'diagnostics'>): void
  /** Whether a reported code means that the object cannot be translated and stays as it is. */
  readonly untranslatable: boolean
}

/** A report for one object, with the severities that the settings give. */
export function createReport(settings: Pick<Settings, 'severities'>): Report {
  const diagnostics: Diagnostic[] = []
  const known = new Set<string>()
  const report = (code: DiagnosticCode, field: string, parameters: Record<string, string> = {}) => {
    const severity = severityOf(code, settings)
    add({ code, severity, field, message: sentenceOf(code, name => parameters[name] ?? `<${name}>`) })
  }
  const add = (diagnostic: Diagnostic) => {
    const { code, severity, field, message } = diagnostic
    if (severity === 'denial' || isReason(code)) collector.untranslatable = true
    const finding = `${code} ${field}\n${message}`
    if (known.has(finding)) return
    known.add(finding)
    diagnostics.push(diagnostic)
  }
  const adopt = (other: Pick<Report, 'diagnostics'>) => void other.diagnostics.forEach(add)
  const collector = Object.assign(report as Report, { diagnostics, adopt, untranslatable: false })
  return collector
}

/** Whether a code, as the catalogue has it, keeps an object from being translated. */
export function isReason(code: DiagnosticCode): boolean {
  const entry = catalogue[code]
  return entry.severity === 'denial' || 'untranslated' in entry
}

/**
 * The severity of a code under these settings. Patterns (`VS-*`) may only raise; a denial is lowered by its exact code,
 * so that nobody opens a door with a wildcard.
 */
export function severityOf(code: DiagnosticCode, { severities }: Pick<Settings, 'severities'>): Severity {
  const named = severities[code]
  if (named) return named
  const patterns = Object.entries(severities).filter(
    ([pattern]) => pattern.endsWith('*') && code.startsWith(pattern.slice(0, -1)),
  )
  return patterns.reduce<Severity>(
    (severity, [, raised]) => (rank[raised] > rank[severity] ? raised : severity),
    catalogue[code].severity,
  )
}

const rank: Record<Severity, number> = { note: 0, warning: 1, denial: 2 }
