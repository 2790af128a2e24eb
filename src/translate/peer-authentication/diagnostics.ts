// Every finding about a PeerAuthentication. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const peerAuthenticationDiagnostics = {
  'PA-FIELD-UNKNOWN': {
    severity: 'denial',
    since: '0.1.0',
    message: 'is no field that sidestep knows, and who may come in is not judged by half; check its spelling',
  },
  'PA-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'PA-MODE-UNKNOWN': {
    severity: 'denial',
    since: '0.1.0',
    message: '{mode} is no mode of Istio, and the API server would refuse it; use STRICT, PERMISSIVE or UNSET',
  },
  'PA-MODE-DISABLE': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'ztunnel takes DISABLE for PERMISSIVE and goes on with mTLS; use PERMISSIVE, or dataplane-mode none on the pods',
  },
  'PA-MODE-INHERITED': {
    severity: 'note',
    since: '0.1.0',
    message: 'the inherited STRICT is written out, since istiod can drop it together with the ports where it is not',
  },
  'PA-PORT-INVALID': {
    severity: 'denial',
    since: '0.1.0',
    message: '{port} is no container port, and the API server would refuse it; use a number from 1 to 65535',
  },
  'PA-PORT-DISABLE': {
    severity: 'note',
    since: '0.1.0',
    message: 'becomes PERMISSIVE: plaintext is admitted as before, and mTLS too, which ztunnel uses between mesh pods',
  },
  'PA-PORT-STRICT': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'istiod drops the STRICT ports of {policy} under a STRICT mesh; set a mode in a PeerAuthentication of {namespace}',
  },
  'PA-PORT-IGNORED': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'Istio reads ports only where a selector stands, outside the root namespace, so they do nothing; move them',
  },
  'PA-ROOT-SELECTOR': {
    severity: 'warning',
    since: '0.1.0',
    message: 'Istio passes over a selector in the root namespace, so this protects nothing; write it in each namespace',
  },
  'PA-POLICY-OLDER': {
    severity: 'note',
    since: '0.1.0',
    message: '{policy} is older and holds in its place, with sidecars as in ambient; keep one of the two',
  },
  'PA-WORKLOAD-OPEN': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'istiod drops this mode and the ports of {policy}, whose pods then take plaintext on all; apply that again',
  },
  'PA-WEBHOOK-STRICT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'refuses kube-apiserver, which calls {service} without mTLS; select its pods with portLevelMtls {port}: PERMISSIVE',
  },
} as const satisfies Record<string, CatalogueEntry>
