// Every finding about Knative. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const knativeDiagnostics = {
  'KN-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'KN-AMBIENT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'Knative does not support ambient, so it stays with the old gateway, past waypoints; deploy it in a namespace without',
  },
} as const satisfies Record<string, CatalogueEntry>
