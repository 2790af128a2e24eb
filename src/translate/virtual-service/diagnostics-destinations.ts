// The findings about where a VirtualService sends requests: its destinations and its delegates. Part of diagnostics.ts.
import type { CatalogueEntry } from '../diagnostics.ts'

export const destinationDiagnostics = {
  'VS-DESTINATION-HOST': {
    severity: 'denial',
    since: '0.1.0',
    message:
      '{host} is no Service, nor of a ServiceEntry beside the VirtualService, and would get 500; use <service>.<namespace>.svc.{domain}',
  },
  'VS-DESTINATION-SUBSET': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute knows no subsets, every pod of the Service would answer; make a Service for it, or set subsets: services',
  },
  'VS-DESTINATION-SUBSET-ABSENT': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'no DestinationRule of Service {service} gives pods to subset {subset}, so requests get 503 today; define it there',
  },
  'VS-DESTINATION-SUBSET-SERVICE': {
    severity: 'denial',
    since: '0.1.0',
    message: '{reason}, so sidestep cannot keep a Service for the subset, which would be lost; make one yourself',
  },
  'VS-DESTINATION-SUBSET-POLICY': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'a policy on Service {service} would not hold for the new Service {subset}; make that Service yourself and name it here',
  },
  'VS-DESTINATION-SUBSET-TRAFFIC': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'the trafficPolicy of DestinationRule {rule} does not hold for the Service of the subset; write one for its host',
  },
  'VS-DESTINATION-PORT': {
    severity: 'denial',
    since: '0.1.0',
    message:
      "{owner} has not just one port and none is named, which means the listener's today and nothing in an HTTPRoute; set port.number",
  },
  'VS-DESTINATION-UNKNOWN': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'Service {service} is not there to look up port or subset, so no HTTPRoute is kept yet; create it, or name another',
  },
  'VS-DESTINATION-GRANT': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'Service {service} is in another namespace and would get 500; let its owner add a ReferenceGrant from {from}, or set referenceGrants: create',
  },
  'VS-DELEGATE': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'Istio takes no delegate in a delegate, nor beside route or redirect, and nothing would answer; leave one of the two',
  },
  'VS-DELEGATE-UNKNOWN': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'delegate {delegate} is not in the files, so its rules are unknown and no HTTPRoute is made; give it as well',
  },
  'VS-DELEGATE-ABSENT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'delegate {delegate} is not there, so Istio passes over this entry, and the HTTPRoute too; create it',
  },
  'VS-DELEGATE-EXPORT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'delegate {delegate} is not exported to {namespace}, so Istio passes over this entry, and the HTTPRoute too; export it',
  },
  'VS-DELEGATE-CONFLICT': {
    severity: 'note',
    since: '0.1.0',
    message:
      "goes beyond the matches of its root, so Istio leaves it out, and the HTTPRoute too; narrow its matches to the root's",
  },
} as const satisfies Record<string, CatalogueEntry>
