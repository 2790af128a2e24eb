// Every finding about a ServiceEntry. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const serviceEntryDiagnostics = {
  'SE-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'SE-EXPORT-TO': {
    severity: 'warning',
    since: '0.1.0',
    message: 'ztunnel shows its hosts to all namespaces, whatever exportTo says; give namespaces hosts of their own',
  },
  'SE-HOST-WILDCARD': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'ztunnel passes over {host}, and its calls go straight out; use DYNAMIC_DNS and a waypoint, or plain hosts',
  },
} as const satisfies Record<string, CatalogueEntry>
