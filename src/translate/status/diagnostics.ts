// Every finding about what istiod and others say of an object in its status. Only `audit` asks: a status is no part of what an
// author writes, so admission has nothing to do with it. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const statusDiagnostics = {
  'ST-POLICY-UNENFORCED': {
    severity: 'warning',
    since: '0.1.0',
    message: '{condition}, so a part of it or all is enforced nowhere; mend what it names, then look again',
  },
  'ST-POLICY-ZTUNNEL': {
    severity: 'warning',
    since: '0.1.0',
    message: '{condition}, so ztunnel enforces something else than is written; let sidestep move it to a waypoint',
  },
  'ST-POLICY-CLASS': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'istiod accepts it on Gateway {gateway}, but nothing says that class {class} is enforced by Istio; target another',
  },
  'ST-WAYPOINT-UNBOUND': {
    severity: 'warning',
    since: '0.1.0',
    message: '{condition}, so requests bypass its waypoint and nothing checks them there; mend what it names',
  },
  'ST-WAYPOINT-DOWN': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'the waypoint {lack}, so what is sent through it fails, or passes it by unchecked; look at its pods and istiod',
  },
} as const satisfies Record<string, CatalogueEntry>
