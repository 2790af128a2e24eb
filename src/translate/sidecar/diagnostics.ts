// Every finding about a Sidecar. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const sidecarDiagnostics = {
  'SC-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'SC-HOSTS': {
    severity: 'warning',
    since: '0.1.0',
    message: 'ztunnel knows every Service, so this scope ends with the sidecars and needs no successor; remove it then',
  },
  'SC-LISTENER': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'no proxy in the pod listens here in ambient, so such calls fail; let the application listen or call itself',
  },
  'SC-CONNECTION-POOL': {
    severity: 'warning',
    since: '0.1.0',
    message: 'ztunnel limits no connections to pods; use connectionPool of a DestinationRule and a waypoint',
  },
  'SC-OUTBOUND-REGISTRY': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'ztunnel lets calls to every host out, so REGISTRY_ONLY would hold no more; use a NetworkPolicy for egress',
  },
  'SC-OUTBOUND-PROXY': {
    severity: 'warning',
    since: '0.1.0',
    message: 'ztunnel sends calls to unknown hosts straight out and past this proxy; use an egress waypoint',
  },
} as const satisfies Record<string, CatalogueEntry>
