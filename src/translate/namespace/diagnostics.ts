// Every finding about a Namespace. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const namespaceDiagnostics = {
  'NS-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'NS-DATAPLANE-MODE-UNKNOWN': {
    severity: 'denial',
    since: '0.1.0',
    message: '{mode} is no data plane mode, and istio-cni may capture the pods all the same; use ambient or none',
  },
  'NS-DATAPLANE-MODE-SYSTEM': {
    severity: 'denial',
    since: '0.1.0',
    message: 'ambient would capture the control plane in {namespace} and could cut it off; leave the label away',
  },
  'NS-DATAPLANE-MODE-NONE': {
    severity: 'note',
    since: '0.1.0',
    message: 'the namespace stays out of ambient, as its label says',
  },
  'NS-DATAPLANE-MODE-LEFT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'pods leave ambient at once, and nothing checks their callers until they run sidecars; {remedy}, or take none off again',
  },
  'NS-SIDECARS-RUNNING': {
    severity: 'warning',
    since: '0.1.0',
    message: '{count} pods still run sidecars, so {consequence}; {remedy}',
  },
  'NS-INJECTION-BOTH': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'new pods still get sidecars by {label}, and pods without one are in ambient already; take it off, then restart them all',
  },
  'NS-CUT-OVER-UNKNOWN': {
    severity: 'warning',
    since: '0.1.0',
    message: '{value} is read as if it were not there, and cuts nothing over; write "true", or take the annotation off',
  },
  'NS-WAYPOINT-KEPT': {
    severity: 'note',
    since: '0.1.0',
    message: 'waypoint {waypoint} was chosen by label, and the settings do not change it',
  },
  'NS-WAYPOINT-PENDING': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'waypoint {waypoint} serves it only once {missing} is in place, so that nothing passes unchecked; nothing to do',
  },
  'NS-WAYPOINT-UNFIT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'Gateway {waypoint} is no waypoint for Services, since {reason}, so nothing is sent through it; mend it or name another',
  },
  'NS-WAYPOINT-REFUSED': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'waypoint {waypoint} does not admit namespace {namespace}, so nothing is sent through it; allow it in allowedRoutes',
  },
  'NS-CAPTURE-PENDING': {
    severity: 'warning',
    since: '0.1.0',
    message: 'is made ambient only once the guard of {missing} stands, which ztunnel makes nothing of; nothing to do',
  },
  'NS-INJECTION-REMOVED': {
    severity: 'note',
    since: '0.1.0',
    message: '{label} is taken off, since a pod with a sidecar is left out of ambient',
  },
  'NS-REVISION-MOVED': {
    severity: 'note',
    since: '0.1.0',
    message: '{label} is moved to waypoint Gateway {gateway}, since on a Namespace it injects sidecars',
  },
  'NS-COMPANION-KEPT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'waypoint Gateway {gateway} is kept in it',
  },
} as const satisfies Record<string, CatalogueEntry>
