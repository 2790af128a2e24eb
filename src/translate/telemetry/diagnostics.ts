// Every finding about a Telemetry. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const telemetryDiagnostics = {
  'TM-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'TM-SELECTOR': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'ztunnel reads no Telemetry and waypoints no selectors, so it ends; name a waypoint or Service in targetRefs',
  },
  'TM-TARGET-UNBOUND': {
    severity: 'warning',
    since: '0.1.0',
    message: 'no Envoy reports as it says for {target}: {why}',
  },
  'TM-WAYPOINT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'holds at waypoints only, and pods of {namespace} without one report connections alone; add a waypoint',
  },
  'TM-REPORTER': {
    severity: 'note',
    since: '0.1.0',
    message: 'the waypoint reports in place of the pods, as reporter=waypoint; look for that in dashboards and alerts',
  },
} as const satisfies Record<string, CatalogueEntry>
