// What a person reads in the terminal: findings as the warnings and the refusal that kubectl prints.
import type { AdmissionResponse } from '../apis/admission.ts'
import type { Diagnostic } from '../translate/report.ts'

// The API server cuts each warning at 256 characters and drops what exceeds 4096 in total (k8s.io/apiserver,
// endpoints/filters/warning.go). Cutting here keeps whole words, and says how much is missing.
const warningLength = 256
const warningsLength = 4096

/** One finding as one line: the code first, since it is the name of its page. */
export function toLine({ code, field, message }: Diagnostic): string {
  return [code, field ? `${field}:` : '', message].filter(Boolean).join(' ')
}

/** Lines as the `warnings` of a response: each in one line, each once, none too long, and not too many. */
export function toWarnings(lines: Iterable<string>): string[] {
  const warnings = [...new Set([...lines].map(toWarning))]
  const total = warnings.reduce((length, warning) => length + warning.length, 0)
  if (total <= warningsLength) return warnings
  const kept: string[] = []
  let left = warningsLength - moreLines(warnings.length).length
  for (const warning of warnings) {
    left -= warning.length
    if (left < 0) break
    kept.push(warning)
  }
  return [...kept, moreLines(warnings.length - kept.length)]
}

function moreLines(count: number): string {
  return `and ${count} more that do not fit here`
}

/** Control characters would make the whole HTTP Warning header invalid, and the API server would drop it. */
function toWarning(line: string): string {
  const text = line.replace(/[\s\p{Cc}]+/gu, ' ').trim()
  if (text.length <= warningLength) return text
  const cut = text.slice(0, warningLength - 1)
  const space = cut.lastIndexOf(' ')
  // A single endless word is cut anywhere, but not inside a surrogate pair.
  return `${space > 0 ? cut.slice(0, space) : cut.replace(/[\uD800-\uDBFF]$/, '')}…`
}

// An object of 1 MB can have 50,000 unknown fields, and the API server hands the whole message on.
const reasonsShown = 100

/** The refusal: every reason at once, each with its code, field, sentence and page, as long as somebody may read them. */
export function toStatus(reasons: readonly Diagnostic[]): NonNullable<AdmissionResponse['status']> {
  const heading =
    reasons.length === 1
      ? 'sidestep: this would not work in ambient mode:'
      : `sidestep: this would not work in ambient mode, for ${reasons.length} reasons:`
  const lines = reasons
    .slice(0, reasonsShown)
    .map(reason => `- ${toLine(reason)}\n  see docs/diagnostics/${reason.code}.md`)
  if (reasons.length > reasonsShown) lines.push(`and ${reasons.length - reasonsShown} more`)
  return { code: 403, reason: 'Forbidden', message: [heading, ...lines].join('\n') }
}
