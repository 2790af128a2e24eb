// The part of the VirtualService catalogue about mirrors, retries and CORS; diagnostics.ts holds all of it.
import type { CatalogueEntry } from '../diagnostics.ts'

export const actionDiagnostics = {
  'VS-MIRROR': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'the installed HTTPRoute CRD cannot mirror a part and would copy every request; install Gateway API v1.3 or later',
  },
  'VS-RETRIES': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'the installed HTTPRoute CRD has no retry, the mesh default of 2 would apply; install the experimental CRDs, or remove retries',
  },
  'VS-RETRIES-OFF': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute cannot switch retries off, the mesh default would repeat requests; set attempts, or remove retries if that will do',
  },
  'VS-RETRIES-CONDITION': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute retries by response codes, {condition} is none and would be lost; list codes',
  },
  'VS-RETRIES-HOSTS': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute retries on another host of the same locality, {setting} would be lost; remove it',
  },
  'VS-RETRIES-GAINED': {
    severity: 'warning',
    since: '0.1.0',
    message: 'HTTPRoute always retries on {conditions} too; check that such requests may be sent twice',
  },
  'VS-RETRIES-LOST': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'of {conditions} HTTPRoute keeps the codes: a broken connection or a try that takes too long is not retried; retry in the client',
  },
  'VS-CORS': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'the installed HTTPRoute CRD has no CORS filter and would drop it in silence; install Gateway API v1.5 or later',
  },
  'VS-CORS-ORIGIN': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute cannot allow {origin}, browsers there would be refused; use https://a.example.com, or the regex https://.*\\.example\\.com',
  },
  'VS-CORS-NAME': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute allows standard methods and header names, or * alone, and would be refused for {name}; change it',
  },
  'VS-CORS-SECONDS': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute takes whole seconds from 1s on, {maxAge} would be refused; write it so',
  },
  'VS-CORS-MAX-AGE': {
    severity: 'note',
    since: '0.1.0',
    message:
      'without maxAge the HTTPRoute says 5 seconds, which browsers take anyway when nothing is said; set it for another time',
  },
  'VS-CORS-PREFLIGHT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'the gateway now answers preflights of other origins itself, the app no longer sees them; if it answered them, allow its origins here',
  },
  'VS-CORS-NULL-ORIGIN': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'of all origins Istio no longer allows null, which local files and sandboxed frames have; if they matter, answer CORS in the app',
  },
  'VS-CORS-WILDCARD': {
    severity: 'warning',
    since: '0.1.0',
    message: '{origin} names no port, and origins with a port may be refused; write these as exact origins',
  },
  'VS-CORS-EMPTY': {
    severity: 'note',
    since: '0.1.0',
    message:
      'without an origin in allowOrigins it does nothing, today or in ambient, and is left out; name the origins',
  },
} as const satisfies Record<string, CatalogueEntry>
