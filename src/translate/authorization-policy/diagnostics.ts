// Every finding about an AuthorizationPolicy. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const authorizationPolicyDiagnostics = {
  'AP-FIELD-UNKNOWN': {
    severity: 'denial',
    since: '0.1.0',
    message: 'is no field that sidestep knows, and a policy half understood is not moved; check its spelling',
  },
  'AP-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'AP-ACTION-UNKNOWN': {
    severity: 'denial',
    since: '0.1.0',
    message: '{action} is no action of Istio; use ALLOW, DENY, CUSTOM or AUDIT',
  },
  'AP-ACTION-CUSTOM': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'ztunnel ignores CUSTOM and no waypoint serves its pods, every request would pass unchecked; enrol them in a waypoint',
  },
  'AP-ACTION-AUDIT': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'ztunnel ignores AUDIT and no waypoint serves its pods, nothing is recorded; enrol them in a waypoint',
  },
  'AP-ACTION-DENY': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'callers that bypass the waypoint are denied whatever {action} could match, which only an Envoy can tell; call the Service',
  },
  'AP-DRY-RUN': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'ztunnel tries no policies out and no waypoint serves its pods, nothing is recorded; enrol them in a waypoint',
  },
  'AP-WHEN-UNKNOWN': {
    severity: 'denial',
    since: '0.1.0',
    message: '{key} is no attribute of Istio and the condition would match nothing; check its spelling',
  },
  'AP-WHEN-DESTINATION-IP': {
    severity: 'denial',
    since: '0.1.0',
    message: 'a waypoint sees the Service address where a pod sees its own, the rule would match nothing; use ports',
  },
  'AP-PORTS-UNKNOWN': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'port {port} of Service {service} leads to {target}, no one number on its pods, so rules by port refuse there; name a number',
  },
  'AP-WAYPOINT-NONE': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'ztunnel cannot check HTTP attributes and no waypoint serves {target}; enrol it in a waypoint in the settings',
  },
  'AP-WAYPOINT-PARTIAL': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'waypoint {waypoint} serves only some Services of the namespace, the others would go unchecked; use a selector',
  },
  'AP-WAYPOINT-SHARED': {
    severity: 'note',
    since: '0.1.0',
    message: 'waypoint {waypoint} serves other namespaces too, so the policy is attached to each Service of this one',
  },
  'AP-WAYPOINT-PENDING': {
    severity: 'warning',
    since: '0.1.0',
    message: 'is not in force as written until {missing} is in place, and may refuse more meanwhile; nothing to do',
  },
  'AP-WORKLOAD-NONE': {
    severity: 'warning',
    since: '0.1.0',
    message: 'selects no known workload, so which Services lead there is unknown and it keeps its selector; check it',
  },
  'AP-WORKLOAD-SIDECAR': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'selects {workload}, whose sidecar reads selectors only, so it keeps its selector until the pod runs without',
  },
  'AP-WORKLOAD-UNSERVED': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'only the sidecar of {workload} enforces it; without, no waypoint asks it and its guard denies whatever it could refuse: enrol the Services in a waypoint',
  },
  'AP-WORKLOAD-OPTED-OUT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'selects {workload}, which stays out of ambient, where nothing enforces the policy; take its opt-out away',
  },
  'AP-WORKLOAD-MIXED': {
    severity: 'denial',
    since: '0.1.0',
    message: 'selects {workloads}, which different proxies serve in ambient; write a policy for each',
  },
  'AP-SERVICE-NONE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'no Service with an address leads to {workload}, so no waypoint can check it; create one that selects it',
  },
  'AP-SERVICE-WIDER': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'Service {service} leads to other pods too, where the policy would hold as well; create one with this selector',
  },
  'AP-SERVICE-HEADLESS': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'calls through headless Service {service} bypass the waypoint and meet only what ztunnel checks; give it an address',
  },
  'AP-POD-ADDRESS': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'callers of pod addresses bypass the waypoint, and only rules without HTTP attributes admit them; see directCallers',
  },
  'AP-TARGETS-LIMIT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'has {count} targetRefs where the API server takes 16; write a second policy for the rest',
  },
  'AP-TARGET-INVALID': {
    severity: 'denial',
    since: '0.1.0',
    message: '{target} cannot be a target, and Istio would ignore the policy: {why}',
  },
  'AP-TARGET-UNBOUND': {
    severity: 'warning',
    since: '0.1.0',
    message: 'nobody enforces the policy for {target}: {why}',
  },
  'AP-RULES-LIMIT': {
    severity: 'denial',
    since: '0.1.0',
    message: '{policy} would have {count} rules where the API server takes 512; join rules of the same callers',
  },
  'AP-ACCOUNTS-LIMIT': {
    severity: 'denial',
    since: '0.1.0',
    message: '{policy} would name {count} serviceAccounts in one list where 16 are possible; use principals',
  },
  'AP-GUARD-GIVEN': {
    severity: 'note',
    since: '0.1.0',
    message: 'names the waypoint of its own pods, so it is taken for a guard made by hand and left as it is',
  },
  'AP-GATEWAY-PORTS': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'is by port, and Gateway {gateway} has other ports than the old one, or no Service says which; use hosts or paths',
  },
  'AP-GATEWAY-BOTH': {
    severity: 'note',
    since: '0.1.0',
    message: 'the old gateway still runs, so the policy stays on it and {twin} guards Gateway {gateway}',
  },
  'AP-GATEWAY-MOVED': {
    severity: 'warning',
    since: '0.1.0',
    message: 'no pod of the old gateway is known, so the policy is on Gateway {gateway} alone',
  },
  'AP-GATEWAY-PENDING': {
    severity: 'warning',
    since: '0.1.0',
    message: 'is not on Gateway {gateway} until {missing} stands there, which refuses; nothing to do',
  },
  'AP-GATEWAY-UNMAPPED': {
    severity: 'note',
    since: '0.1.0',
    message: 'selects a gateway that the settings do not map, and is left as it is, which works as before',
  },
  'AP-GATEWAY-NAMESPACE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'Gateway {gateway} is in another namespace, so no policy here can name it; write the policy there',
  },
  'AP-GATEWAY-INGRESS': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'admits an ingress gateway by HTTP attributes, but its traffic bypasses the waypoint; set ingressUseWaypoint',
  },
  'AP-PRINCIPAL-ADDED': {
    severity: 'note',
    since: '0.1.0',
    message: '{added} is named beside {old}, since requests arrive from both gateways',
  },
  'AP-PRINCIPAL-PENDING': {
    severity: 'note',
    since: '0.1.0',
    message: '{added} is not admitted beside {old} until {missing} stands on the new gateway; nothing to do',
  },
  'AP-PRINCIPAL-REPLACED': {
    severity: 'note',
    since: '0.1.0',
    message: '{new} is named instead of {old}, since no pod of the old gateway is left',
  },
  'AP-TRUST-DOMAIN': {
    severity: 'warning',
    since: '0.1.0',
    message:
      '{principal} is not of trust domain {trustDomain}, and ztunnel compares literally; name an alias of the mesh in the settings',
  },
  'AP-COMPANION-KEPT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'AuthorizationPolicy {policy} is kept beside it: {purpose}',
  },
  'AP-COMPANION-FOREIGN': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'AuthorizationPolicy {policy} is there already and not of this policy, so its place is taken; rename one of the two',
  },
} as const satisfies Record<string, CatalogueEntry>
