// Every finding about an Istio Gateway. A code is API: once published never renamed, once retired never reused.
// None is a denial: on its old pods the Gateway works as before, whatever becomes of the new one.
import type { CatalogueEntry } from '../diagnostics.ts'

export const gatewayDiagnostics = {
  'GW-FIELD-UNKNOWN': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'is no field that sidestep knows, so no Kubernetes Gateway is kept; check its spelling',
  },
  'GW-FIELD-TYPE': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'must be of type {wanted}, and Istio would not serve it; correct the value',
  },
  'GW-SELECTOR-PODS': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'the selector picks the pods of {gateway} too, where both would claim its hosts; change labels in the settings',
  },
  'GW-SERVICE-ACCOUNT': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'the new Gateway would run as {account}, whom no policy would admit; add it to serviceAccounts.new',
  },
  'GW-SERVER-BIND': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'a listener cannot bind to one address and would be open on all; remove it, or keep the old gateway',
  },
  'GW-SERVER-ENDPOINT': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'a listener has no default endpoint, so no Kubernetes Gateway is kept; route to a Service instead',
  },
  'GW-PORT-PROTOCOL': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'no listener speaks {protocol}, so no Kubernetes Gateway is kept; use HTTP, HTTPS, TLS or TCP',
  },
  'GW-PORT-CONFLICT': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: '{other} has the same port with another protocol, and one listener would be refused; use two ports',
  },
  'GW-PORT-MAPPED': {
    severity: 'warning',
    since: '0.1.0',
    message: 'clients use port {port} of Service {service}, the new Gateway opens {number}; use {port} in the servers',
  },
  'GW-HOSTS-INVALID': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'a listener takes DNS names and *.names only, {host} would be refused; use a host name',
  },
  'GW-HOSTS-CONFLICT': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: '{other} serves {host} on the same port in another way, and one listener can do one; keep one of them',
  },
  'GW-LISTENERS-LIMIT': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'would need {count} listeners where 64 are possible; use wildcard hosts, or another Kubernetes Gateway',
  },
  'GW-TLS-PROTOCOL': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'TLS settings and protocol {protocol} contradict each other, which Istio refuses too; use HTTPS or TLS',
  },
  'GW-TLS-MODE': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'no listener does TLS mode {mode}, so no Kubernetes Gateway is kept; use another mode or the old gateway',
  },
  'GW-TLS-VERSION': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'Istio has no TLS versions for listeners, clients would get 1.2 and 1.3; use meshConfig.tlsDefaults',
  },
  'GW-TLS-CIPHER-SUITES': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'becomes a listener option that Istio reads since 1.29, older versions offer all suites; check the version',
  },
  'GW-TLS-CREDENTIAL': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'a listener takes its certificate from a Secret, and {credential} names none; put it into a Secret',
  },
  'GW-TLS-GRANT': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'Gateways of {namespace} may not read Secret {secret}, so none is kept; let its owner add a ReferenceGrant',
  },
  'GW-TLS-FILES': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'a listener reads no files of its pods, so no Kubernetes Gateway is kept; use a Secret and credentialName',
  },
  'GW-TLS-CA': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'Istio takes the CA of a listener from Secret NAME-cacert only, so none is kept; put it there',
  },
  'GW-TLS-VERIFY': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'a listener cannot check client certificates so, and others would get in; use policies, or the old gateway',
  },
  'GW-TLS-COALESCED': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'each host becomes a listener, and a browser that reuses a connection for two gets 404; use one wildcard host',
  },
  'GW-REDIRECT-KEPT': {
    severity: 'note',
    since: '0.1.0',
    message: 'HTTPRoute {route} is kept beside it and redirects to HTTPS',
  },
  'GW-REDIRECT-PORT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'redirects to port {port}, where the port of the request is kept today; check what clients reach',
  },
  'GW-COMPANION-KEPT': {
    severity: 'warning',
    since: '0.1.0',
    message: 'Kubernetes Gateway {gateway} is kept for it, with {pods}',
  },
  'GW-COMPANION-SHARED': {
    severity: 'note',
    since: '0.1.0',
    message: 'its servers are part of Kubernetes Gateway {gateway}, which is kept for {source}',
  },
  'GW-COMPANION-REFUSED': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'shares its Kubernetes Gateway with {source}, which cannot be translated, so none is kept; see its findings',
  },
  'GW-COMPANION-FOREIGN': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: '{companion} is there already and not ours, so its place is taken; remove it, or say create: false',
  },
} as const satisfies Record<string, CatalogueEntry>
