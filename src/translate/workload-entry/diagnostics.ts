// Every finding about a WorkloadEntry or a WorkloadGroup. A code is API: once published never renamed, once retired never
// reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const workloadEntryDiagnostics = {
  'WE-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'WE-VM': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'virtual machines cannot join ambient, and their sidecars bypass waypoints; keep what they call in sidecars',
  },
} as const satisfies Record<string, CatalogueEntry>
