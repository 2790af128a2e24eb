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
      'ztunnel ignores CUSTOM, every request would pass unchecked; attach it to a Service or Gateway with targetRefs',
  },
  'AP-ACTION-AUDIT': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'ztunnel ignores AUDIT, nothing would be recorded; attach it to a Service or Gateway with targetRefs',
  },
  'AP-ACTION-DENY': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'ztunnel ignores DENY by HTTP attributes, and callers of pod addresses pass the waypoint by; use ALLOW rules',
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
  'AP-PORTS-MAPPED': {
    severity: 'denial',
    since: '0.1.0',
    message: 'at a waypoint ports are those of Service {service}, which maps {ports}; give both the same number',
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
    severity: 'denial',
    since: '0.1.0',
    message:
      'waypoint {waypoint} serves other namespaces, where the policy would hold too; give this one a waypoint of its own',
  },
  'AP-WAYPOINT-PENDING': {
    severity: 'warning',
    since: '0.1.0',
    message: 'stays on its selector, where ztunnel admits less, until {missing} is in place; nothing to do',
  },
  'AP-WORKLOAD-NONE': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'selects no known workload, so where it belongs is unknown and it is left as it is; check the selector',
  },
  'AP-WORKLOAD-SIDECAR': {
    severity: 'warning',
    since: '0.1.0',
    message: 'selects {workload}, whose sidecar reads selectors only, so it stays as it is until the pod runs without',
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
      'calls through headless Service {service} reach pods directly, only the L4 rules admit them; give it an address',
  },
  'AP-TARGETS-LIMIT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'would need {count} targetRefs where 16 are possible; narrow the selector',
  },
  'AP-ROOT-RULES': {
    severity: 'denial',
    since: '0.1.0',
    message: 'waypoints do not read mesh-wide policies and would pass what this decides; write it in each namespace',
  },
  'AP-ROOT-SELECTOR': {
    severity: 'denial',
    since: '0.1.0',
    message: 'a selector in the root namespace cannot name waypoint targets elsewhere; write it in each namespace',
  },
  'AP-GATEWAY-BOTH': {
    severity: 'note',
    since: '0.1.0',
    message: 'the old gateway still runs, so the policy stays on it and {twin} guards Gateway {gateway}',
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
      'admits an ingress gateway by HTTP attributes, but its traffic passes the waypoint by; set ingressUseWaypoint',
  },
  'AP-PRINCIPAL-ADDED': {
    severity: 'note',
    since: '0.1.0',
    message: '{added} is named beside {old}, since requests arrive from both gateways',
  },
  'AP-COMPANION-KEPT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'AuthorizationPolicy {policy} is kept beside it: {purpose}',
  },
  'AP-COMPANION-FOREIGN': {
    severity: 'denial',
    since: '0.1.0',
    message: 'AuthorizationPolicy {policy} is there already and not ours, so its place is taken; rename one of the two',
  },
} as const satisfies Record<string, CatalogueEntry>
