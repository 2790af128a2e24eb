// Findings about spec.tls and spec.tcp.
import type { CatalogueEntry } from '../diagnostics.ts'

export const connectionDiagnostics = {
  'VS-MATCH-SUBNET': {
    severity: 'denial',
    since: '0.1.0',
    message: 'no Gateway API route matches addresses, every address would match; use a listener or Service of its own',
  },
  'VS-MATCH-SNI': {
    severity: 'denial',
    since: '0.1.0',
    message: 'TLSRoute takes DNS names and *.names only, {host} would be refused; name the hosts',
  },
  'VS-MATCH-SNI-MESH': {
    severity: 'denial',
    since: '0.1.0',
    message: 'a waypoint does not look at SNI, every connection would match or none; let sniHosts be {host} alone',
  },
  'VS-ROUTE-UNREACHED': {
    severity: 'note',
    since: '0.1.0',
    message: 'no server or port where it could hold speaks so, and it routes nothing, today or in ambient; remove it',
  },
  'VS-ROUTE-CRD': {
    severity: 'denial',
    since: '0.1.0',
    message: 'the cluster has no {kind} v1, so the connections would end; install Gateway API {version} or later',
  },
  'VS-ORDER-CONFLICT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'VirtualService {other} has {place} too, and the older route alone would serve; remove one of the two',
  },
} as const satisfies Record<string, CatalogueEntry>
