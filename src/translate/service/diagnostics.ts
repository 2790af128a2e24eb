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
  'SVC-WAYPOINT-PENDING': {
    severity: 'warning',
    since: '0.1.0',
    message: 'waits for {missing} before waypoint {waypoint} serves it, so that nothing passes unchecked',
  },
  'SVC-WAYPOINT-UNFIT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'Gateway {waypoint} is no waypoint for Services, since {reason}, so nothing is sent through it; mend it or name another',
  },
  'SVC-WAYPOINT-REFUSED': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'waypoint {waypoint} does not admit namespace {namespace}, so nothing is sent through it; allow it in allowedRoutes',
  },
} as const satisfies Record<string, CatalogueEntry>
