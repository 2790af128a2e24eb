// Collects the diagnostics of one translation. Problems are data: nothing here throws.
import { catalogue, type DiagnosticCode, type Parameters, type Severity } from './diagnostics.ts'
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
  readonly diagnostics: Diagnostic[]
  /** Whether a reported code means that the object cannot be translated and stays as it is. */
  readonly untranslatable: boolean
}

/** A report for one object, with the severities that the settings give. */
export function createReport(settings: Pick<Settings, 'severities'>): Report {
  const diagnostics: Diagnostic[] = []
  const known = new Set<string>()
  let untranslatable = false
  const report = (code: DiagnosticCode, field: string, parameters: Record<string, string> = {}) => {
    const severity = severityOf(code, settings)
    if (severity === 'denial' || isReason(code)) untranslatable = true
    const message = catalogue[code].message.replace(/\{(\w+)\}/g, (_, name) => parameters[name] ?? `{${name}}`)
    const finding = `${code} ${field}\n${message}`
    if (known.has(finding)) return
    known.add(finding)
    diagnostics.push({ code, severity, field, message })
  }
  return Object.defineProperties(report as Report, {
    diagnostics: { value: diagnostics },
    untranslatable: { get: () => untranslatable },
  })
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
