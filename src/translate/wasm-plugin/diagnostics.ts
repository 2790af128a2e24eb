// Every finding about a WasmPlugin or a TrafficExtension. A code is API: once published never renamed, once retired never
// reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const wasmPluginDiagnostics = {
  'WP-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'WP-SIDECAR': {
    severity: 'warning',
    since: '0.1.0',
    message: 'ztunnel runs no plugins, and waypoints only by targetRefs, so it ends; name a waypoint or Service there',
  },
  'WP-PHASE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'decides who may call, and neither ztunnel nor a waypoint would ask it; use targetRefs behind a waypoint',
  },
  'WP-TARGET-UNBOUND': {
    severity: 'warning',
    since: '0.1.0',
    message: 'no Envoy runs the plugin for {target}: {why}',
  },
  'WP-GATEWAY': {
    severity: 'warning',
    since: '0.1.0',
    message: 'Gateway {gateway} takes over without this plugin; attach it there by targetRefs before',
  },
} as const satisfies Record<string, CatalogueEntry>
