// Every finding about a ProxyConfig. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const proxyConfigDiagnostics = {
  'PC-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'PC-SELECTOR': {
    severity: 'warning',
    since: '0.1.0',
    message: 'configures sidecars, which the pods that it selects lose, so it does nothing in ambient; remove it',
  },
  'PC-PROXIES': {
    severity: 'note',
    since: '0.1.0',
    message: 'configures waypoints and gateways only, since no other pod in ambient has a proxy; nothing to do',
  },
} as const satisfies Record<string, CatalogueEntry>
