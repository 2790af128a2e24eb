// Every finding about a NetworkPolicy. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const networkPolicyDiagnostics = {
  'NP-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'NP-INGRESS-HBONE': {
    severity: 'warning',
    since: '0.1.0',
    message: 'callers in the mesh come to port 15008 instead, which no policy of these pods admits for them; add it',
  },
  'NP-INGRESS-WAYPOINT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'requests for Service {service} come from waypoint {waypoint}, which no policy of its pods admits; admit it on port 15008',
  },
  'NP-INGRESS-PROBES': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'probes of the kubelet come from 169.254.7.127, which some network plugins then refuse; admit ipBlock 169.254.7.127/32',
  },
  'NP-WAYPOINT-CALLERS': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'holds for waypoint {waypoint} too, where callers of Service {service} may not come; admit them to its pods on port 15008',
  },
  'NP-WAYPOINT-CALLS': {
    severity: 'warning',
    since: '0.1.0',
    message: 'holds for waypoint {waypoint} too, which may not call {whom}; allow it for its pods',
  },
  'NP-GATEWAY-PEER': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'admits the old gateway, and nobody admits the pods of Gateway {gateway}; give them {labels} by infrastructure',
  },
  'NP-GATEWAY-CALLERS': {
    severity: 'warning',
    since: '0.1.0',
    message: 'holds for the pods of Gateway {gateway} too, where nobody from outside may come; admit all to its ports',
  },
  'NP-EGRESS-HBONE': {
    severity: 'warning',
    since: '0.1.0',
    message: 'calls of pods in the mesh go to port 15008 instead, which no policy allows there; add it',
  },
  'NP-EGRESS-WAYPOINT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'calls of these pods go to waypoint {waypoint} instead, which no policy allows; allow its pods on port 15008',
  },
} as const satisfies Record<string, CatalogueEntry>
