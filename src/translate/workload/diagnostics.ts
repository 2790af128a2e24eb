// Every finding about a Pod or a pod template. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const workloadDiagnostics = {
  'POD-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'POD-INJECT-TRUE': {
    severity: 'warning',
    since: '0.1.0',
    message: 'gives the pod a sidecar, so ambient leaves it out and its calls go past waypoints; remove the label',
  },
  'POD-INJECT-REVISION': {
    severity: 'warning',
    since: '0.1.0',
    message: 'makes istiod inject a sidecar, so ambient leaves the pod out; remove the label',
  },
  'POD-INJECT-FALSE': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'keeps no pod out of ambient, which captures it; nothing to do, or label it istio.io/dataplane-mode: none to stay out',
  },
  'POD-INJECT-REFUSED': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'keeps no pod out of ambient, where {refusals}; admit them, or label the pod istio.io/dataplane-mode: none to stay out',
  },
  'POD-DATAPLANE-MODE': {
    severity: 'warning',
    since: '0.1.0',
    message: '{mode} is no mode, and the pod is captured all the same; write none to keep it out, or remove the label',
  },
  'POD-HOST-NETWORK': {
    severity: 'note',
    since: '0.1.0',
    message: 'a pod on the network of its host has no identity, so {policy} does not know it; admit it in another way',
  },
  'POD-INBOUND': {
    severity: 'note',
    since: '0.1.0',
    message: 'ztunnel takes what comes to any port, where policies hold too; none refuses callers today, so remove it',
  },
  'POD-INBOUND-REFUSED': {
    severity: 'warning',
    since: '0.1.0',
    message: 'ztunnel takes what comes to any port, and on {ports} {refusals}; admit them there',
  },
  'POD-OUTBOUND': {
    severity: 'note',
    since: '0.1.0',
    message: 'ztunnel takes all calls: those into the mesh get mTLS, others leave as they are; remove it',
  },
  'POD-INTERFACES': {
    severity: 'warning',
    since: '0.1.0',
    message: 'ambient excludes no interface, so what comes by it is captured too; remove it, or keep the pod out',
  },
  'POD-INTERFACES-VIRTUAL': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'only sidecars read it, so calls of virtual machines go past ambient; use istio.io/reroute-virtual-interfaces',
  },
  'POD-SIDECAR-CALLED': {
    severity: 'warning',
    since: '0.1.0',
    message: 'calls the sidecar ({call}), and nobody answers there in ambient; remove the call',
  },
  'POD-SIDECAR-SETTINGS': {
    severity: 'note',
    since: '0.1.0',
    message: 'only a sidecar reads {names}, and pods in ambient have none; remove it',
  },
} as const satisfies Record<string, CatalogueEntry>
