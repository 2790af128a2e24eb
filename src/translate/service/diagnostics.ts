// Every finding about a Service. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const serviceDiagnostics = {
  'SVC-ENROLLED': {
    severity: 'note',
    since: '0.1.0',
    message: 'is labelled for waypoint {waypoint}, as the settings name it',
  },
} as const satisfies Record<string, CatalogueEntry>
