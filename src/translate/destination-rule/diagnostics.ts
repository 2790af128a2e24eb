// Every finding about a DestinationRule. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const destinationRuleDiagnostics = {
  'DR-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'DR-WAYPOINT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'no waypoint serves {host}, so calls of pods lose this trafficPolicy; enrol it in a waypoint',
  },
  'DR-NAMESPACE': {
    severity: 'warning',
    since: '0.1.0',
    message: 'the waypoint of {host} reads no DestinationRules of {namespace}; move it to the namespace of the Service',
  },
  'DR-SELECTOR': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'configures sidecars of callers, which the selected pods lose; drop the selector, and let a waypoint do it',
  },
  'DR-SUBSETS': {
    severity: 'warning',
    since: '0.1.0',
    message: 'no HTTPRoute can name a subset; write a Service for each, or set subsets: services',
  },
  'DR-TLS-MUTUAL': {
    severity: 'note',
    since: '0.1.0',
    message: 'ztunnel encrypts what the mesh calls anyway, and waypoints pass ISTIO_MUTUAL over; nothing to do',
  },
  'DR-TLS-DISABLE': {
    severity: 'warning',
    since: '0.1.0',
    message: 'ztunnel goes on with mTLS, and gateways alone would call {host} in plaintext, as nobody; remove it',
  },
  'DR-TLS-ORIGINATION': {
    severity: 'warning',
    since: '0.1.0',
    message: 'no waypoint serves {host}, so calls of pods leave without this TLS; enrol it in a waypoint',
  },
  'DR-TLS-FILES': {
    severity: 'warning',
    since: '0.1.0',
    message: 'the waypoint of {host} has none of these files, so its calls fail; use credentialName',
  },
} as const satisfies Record<string, CatalogueEntry>
