// What the hash of the address says of the findings shown. The script in report.js reads it the same way.
import type { Severity } from '../../translate/diagnostics.ts'

export interface Filter {
  q?: string
  severity?: Severity
  namespace?: string
  code?: string
}

/** `#namespace=team-a&code=VS-FAULT`. The empty namespace is that of objects which have none. */
export function filterHref(filter: Filter): string {
  return `#${new URLSearchParams(Object.entries(filter))}`
}
