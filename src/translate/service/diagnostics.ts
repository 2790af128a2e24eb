// Every finding about a Service. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const serviceDiagnostics = {
  'SVC-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'SVC-ENROLLED': {
    severity: 'note',
    since: '0.1.0',
    message: 'is labelled for waypoint {waypoint}, as the settings name it',
  },
} as const satisfies Record<string, CatalogueEntry>
