// Every finding about a RequestAuthentication. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const requestAuthenticationDiagnostics = {
  'RA-FIELD-UNKNOWN': {
    severity: 'denial',
    since: '0.1.0',
    message: 'is no field that sidestep knows, and token checks half understood are not moved; check its spelling',
  },
  'RA-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'RA-WAYPOINT-NONE': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'ztunnel checks no tokens and no waypoint serves {target}, so none would be validated; enrol it in the settings',
  },
  'RA-WAYPOINT-PARTIAL': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'waypoint {waypoint} serves only some Services of the namespace, the others check no tokens; use a selector',
  },
  'RA-WAYPOINT-SHARED': {
    severity: 'note',
    since: '0.1.0',
    message: 'waypoint {waypoint} serves other namespaces too, so it is attached to each Service of this one',
  },
  'RA-WAYPOINT-PENDING': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'is not at the waypoint as written until {missing} is in place, and tokens may go unchecked meanwhile; nothing to do',
  },
  'RA-WORKLOAD-NONE': {
    severity: 'warning',
    since: '0.1.0',
    message: 'selects no known workload, so which Services lead there is unknown and it keeps its selector; check it',
  },
  'RA-WORKLOAD-SIDECAR': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'selects {workload}, whose sidecar reads selectors only, so it keeps its selector until the pod runs without',
  },
  'RA-WORKLOAD-MIXED': {
    severity: 'denial',
    since: '0.1.0',
    message: 'selects {workloads}, which different proxies serve in ambient; write one for each',
  },
  'RA-SERVICE-NONE': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'no Service with an address leads to {workload}, so no waypoint can check tokens; create one that selects it',
  },
  'RA-SERVICE-WIDER': {
    severity: 'denial',
    since: '0.1.0',
    message: 'Service {service} leads to other pods too, whose tokens would be checked; create one with this selector',
  },
  'RA-SERVICE-HEADLESS': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'calls through headless Service {service} reach pods directly, their tokens go unchecked; give it an address',
  },
  'RA-TARGETS-LIMIT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'has {count} targetRefs where the API server takes 16; write a second one for the rest',
  },
  'RA-TARGET-INVALID': {
    severity: 'denial',
    since: '0.1.0',
    message: '{target} cannot be a target, and Istio would check no tokens: {why}',
  },
  'RA-TARGET-UNBOUND': {
    severity: 'warning',
    since: '0.1.0',
    message: 'nobody checks tokens for {target}: {why}',
  },
  'RA-GATEWAY-PENDING': {
    severity: 'warning',
    since: '0.1.0',
    message: 'checks no tokens at Gateway {gateway} until {missing} stands there; nothing to do',
  },
  'RA-GATEWAY-BOTH': {
    severity: 'note',
    since: '0.1.0',
    message: 'the old gateway still runs, so it stays there and {twin} checks tokens at Gateway {gateway}',
  },
  'RA-GATEWAY-UNMAPPED': {
    severity: 'note',
    since: '0.1.0',
    message: 'selects a gateway that the settings do not map, and is left as it is, which works as before',
  },
  'RA-GATEWAY-NAMESPACE': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'Gateway {gateway} is in another namespace, so nothing here can name it; write the RequestAuthentication there',
  },
  'RA-COMPANION-KEPT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'RequestAuthentication {policy} is kept beside it: {purpose}',
  },
  'RA-COMPANION-FOREIGN': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'RequestAuthentication {policy} is there already and not of this one, so its place is taken; rename one of the two',
  },
} as const satisfies Record<string, CatalogueEntry>
