// Every finding about an EnvoyFilter. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const envoyFilterDiagnostics = {
  'EF-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'EF-SIDECAR': {
    severity: 'denial',
    since: '0.1.0',
    message: 'patches sidecars, which pods in ambient lack, so it would end in silence; use policies, or a WasmPlugin',
  },
  'EF-WAYPOINT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'waypoints take patches only by targetRefs, so this does nothing; name the Gateway or the Service there',
  },
  'EF-TARGET': {
    severity: 'note',
    since: '0.1.0',
    message: 'Istio has EnvoyFilters at waypoints as an alpha feature only; check it with every new version',
  },
  'EF-TARGET-UNBOUND': {
    severity: 'warning',
    since: '0.1.0',
    message: 'no Envoy is patched for {target}: {why}',
  },
  'EF-GATEWAY': {
    severity: 'warning',
    since: '0.1.0',
    message: 'Gateway {gateway} takes over without this patch; attach it there by targetRefs, or as a policy, before',
  },
} as const satisfies Record<string, CatalogueEntry>
