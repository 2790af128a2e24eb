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
    message: 'the namespace stays out of the mesh, as its label says',
  },
  'NS-SIDECARS-RUNNING': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: '{count} pods still run sidecars, so nothing is cut over yet; restart them without injection',
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
  'NS-INJECTION-REMOVED': {
    severity: 'note',
    since: '0.1.0',
    message: '{label} is taken off, since a pod with a sidecar is left out of ambient',
  },
  'NS-COMPANION-KEPT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'waypoint Gateway {gateway} is kept in it',
  },
} as const satisfies Record<string, CatalogueEntry>
