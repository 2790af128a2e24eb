// Every finding about a VirtualService. A code is API: once published never renamed, once retired never reused.
// `{name}` in a message is filled in where the code is reported.
import type { CatalogueEntry } from '../diagnostics.ts'

export const virtualServiceDiagnostics = {
  'VS-FIELD-UNKNOWN': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'is no field that sidestep knows, so the VirtualService is left as it is; check its spelling',
  },
  'VS-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'VS-HOSTS-DELEGATE': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'without hosts this is a delegate, which HTTPRoute does not have; write its rules into the root VirtualService',
  },
  'VS-HOSTS-INVALID': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute takes DNS names and *.names only, {host} would attach to nothing; use a host name',
  },
  'VS-HOSTS-UNMATCHED': {
    severity: 'note',
    since: '0.1.0',
    message: 'no server of its gateways serves {host}, so nothing is routed for it, today or in ambient',
  },
  'VS-HOSTS-LISTENER': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'no listener of the new Gateway serves {host}, which would end, so nothing is changed; add a listener for it',
  },
  'VS-HOSTS-SERVICE': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: '{host} is no Service here, and without sidecars no other host can have routes in the mesh; create it',
  },
  'VS-HOSTS-OVERRIDE': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'Service {service} is in another namespace, and its waypoint reads only routes there; move the VirtualService there',
  },
  'VS-GATEWAYS-MESH': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'without sidecars nobody applies mesh routes; serve the host by a waypoint and write an HTTPRoute for its Service',
  },
  'VS-GATEWAYS-UNMAPPED': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'Gateway {gateway} has no Kubernetes Gateway in the settings, so the VirtualService is left as it is; map it',
  },
  'VS-GATEWAYS-KNATIVE': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'Knative routes cannot run in ambient and are left as they are; use KServe RawDeployment with enableGatewayApi',
  },
  'VS-GATEWAYS-REDIRECT': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'Gateway {gateway} redirects to HTTPS, which an HTTPRoute here would bypass; add the redirect to the new Gateway',
  },
  'VS-GATEWAYS-LISTENER': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'no listener of Gateway {gateway} takes the place of {port}, which would end, so nothing is changed; add one',
  },
  'VS-EXPORT-TO': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: 'HTTPRoute has no exportTo and would be seen by the gateway; remove exportTo, or keep the VirtualService',
  },
  'VS-MATCH-STAT-PREFIX': {
    severity: 'note',
    since: '0.1.0',
    message: 'HTTPRoute names no statistics; metrics under this prefix end, requests are routed as before',
  },
  'VS-MATCH-SCHEME': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute cannot match the scheme, every scheme would match; attach the route to one listener instead',
  },
  'VS-MATCH-PORT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute cannot match the port, every port would match; use a Gateway listener per port',
  },
  'VS-MATCH-AUTHORITY': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute matches hosts only in hostnames, every host would match; write a VirtualService per host',
  },
  'VS-MATCH-GATEWAYS': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute binds whole routes to gateways, the match would hold on all; write a VirtualService per gateway',
  },
  'VS-MATCH-SOURCE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'no Gateway API route knows its caller, every caller would match; use an AuthorizationPolicy',
  },
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
  'VS-MATCH-URI-CASE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'PathPrefix and Exact mind the case, requests in another case would be lost; list the spellings',
  },
  'VS-MATCH-WITHOUT-HEADERS': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute cannot match the absence of a header, more requests would match; put a rule with the header first',
  },
  'VS-MATCH-METHOD': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute matches single standard methods only, {method} would be lost; list them as exact matches',
  },
  'VS-MATCH-HEADER-NAME': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute cannot match a name like {name}, the condition would be lost; match an ordinary header',
  },
  'VS-MATCH-REGEX': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must have 1 to 1024 characters (4096 in headers), the API server would refuse it; shorten it',
  },
  'VS-MATCH-PATH': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute refuses paths with //, /./, /../, %2F, # or other characters outside RFC 3986; write it plainly',
  },
  'VS-MATCH-PATH-DEAD': {
    severity: 'note',
    since: '0.1.0',
    message: '{path} does not begin with / and never matches a request, in Istio either; remove it',
  },
  'VS-MATCH-PREFIX-SLASH': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'PathPrefix ignores the last slash, so {path} now matches too; nothing to do unless it was served elsewhere',
  },
  'VS-MATCH-PREFIX-ELEMENT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'PathPrefix matches whole elements, {path} no longer matches {sample}; if it must, list it in pathPrefixes',
  },
  'VS-MATCH-LIMIT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'a route takes at most {limit}, the API server would refuse it; split the VirtualService',
  },
  'VS-ORDER-DEAD': {
    severity: 'note',
    since: '0.1.0',
    message:
      'is never reached, {earlier} answers first, and is left out of the route, where it would come alive; remove it',
  },
  'VS-ORDER-INVERTED': {
    severity: 'denial',
    since: '0.1.0',
    message: 'as HTTPRoute this would answer {sample}, where {other} does today; give that request a match of its own',
  },
  'VS-ORDER-OVERLAP': {
    severity: 'denial',
    since: '0.1.0',
    message: 'VirtualService {other} answers {sample} today, as HTTPRoutes this one would; make the paths differ',
  },
  'VS-ORDER-REGEX': {
    severity: 'denial',
    since: '0.1.0',
    message: 'Istio ranks a regex below every prefix, {other} would answer {sample}; use a prefix or exact path',
  },
  'VS-ORDER-CONFLICT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'VirtualService {other} has {place} too, and the older route alone would serve; remove one of the two',
  },
  'VS-ROUTE-EMPTY': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'has neither route nor redirect, and an HTTPRoute rule without backends answers 500; give it a destination',
  },
  'VS-ROUTE-WEIGHT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'weights must be whole numbers from 0 to 1000000 with a sum above 0, else requests get 500; correct them',
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
  'VS-DESTINATION-HOST': {
    severity: 'denial',
    since: '0.1.0',
    message: '{host} is no Kubernetes Service name and would get 500; use <service>.<namespace>.svc.{domain}',
  },
  'VS-DESTINATION-SUBSET': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute knows no subsets, every pod of the Service would answer; make a Service for it',
  },
  'VS-DESTINATION-PORT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'Service {service} has several ports and none is named, the HTTPRoute would be refused; set port.number',
  },
  'VS-DESTINATION-UNKNOWN': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'Service {service} is not there, so its port is unknown and no HTTPRoute is kept yet; create it or set port.number',
  },
  'VS-DESTINATION-GRANT': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'Service {service} is in another namespace, requests would get 500; let its owner add a ReferenceGrant from {from}',
  },
  'VS-REWRITE-REGEX': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute cannot rewrite by regex, the path would stay as it is; use rewrite.uri',
  },
  'VS-REWRITE-SLASH': {
    severity: 'warning',
    since: '0.1.0',
    message: 'the app now gets {after} where it got {before} for {sample}; check that it serves both',
  },
  'VS-REWRITE-PREFIX': {
    severity: 'denial',
    since: '0.1.0',
    message: 'the app would get {after} where it gets {before} for {sample}; end prefix and rewrite.uri alike',
  },
  'VS-REWRITE-AUTHORITY': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute rewrites to a host name without port or wildcard, the Host would stay; use a plain name',
  },
  'VS-REDIRECT-AUTHORITY': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute redirects to DNS names only, {authority} would be refused; use a host name',
  },
  'VS-REDIRECT-CODE': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'the redirect code {statusCode} is not one of 301, 302, 303, 307 or 308, the route would be refused; use one of them',
  },
  'VS-REDIRECT-PORT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'FROM_REQUEST_PORT with a scheme has no HTTPRoute form, the port would change; set redirect.port',
  },
  'VS-REDIRECT-PREFIX': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute replaces the path elements of a prefix match only, the path would change; end both in / or use redirect.uri',
  },
  'VS-REDIRECT-ROUTE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'a redirect leaves no request for route and rewrite, and HTTPRoute refuses them together; remove one',
  },
  'VS-DIRECT-RESPONSE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute cannot answer by itself, requests would get 500; route to a small static backend',
  },
  'VS-DELEGATE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute has no delegates, the rule would answer 500; write its rules here',
  },
  'VS-RETRIES': {
    severity: 'denial',
    since: '0.1.0',
    message: 'standard HTTPRoute has no retries, the mesh default of 2 would apply; remove retries if that will do',
  },
  'VS-FAULT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute injects no faults, requests would pass unharmed; remove fault or inject it in the app',
  },
  'VS-MIRROR': {
    severity: 'denial',
    since: '0.1.0',
    message: 'mirrors are not translated yet and copies would stop; write an HTTPRoute with RequestMirror',
  },
  'VS-CORS': {
    severity: 'denial',
    since: '0.1.0',
    message: 'corsPolicy is not translated yet and browsers would be refused; answer CORS in the app',
  },
  'VS-TIMEOUT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute takes durations such as 1h30m or 1s500ms from 1ms on, {timeout} would be refused; write it so',
  },
  'VS-TIMEOUT-CRD': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'the installed HTTPRoute CRD has no timeouts and would drop it in silence; install Gateway API v1.2 or later',
  },
  'VS-HEADERS': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute refuses header {name}: names are tokens, values not empty, at most 16 of each; change it',
  },
  'VS-COMPANION-KEPT': {
    severity: 'warning',
    since: '0.1.0',
    message: '{route} is kept beside it and routes in its place',
  },
  'VS-COMPANION-FOREIGN': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: '{route} is there already and not ours, so nothing is changed; rename one of the two',
  },
  'VS-PARKING-REVISION': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'istiod runs without REVISION and would still apply it beside the HTTPRoute; set a revision, or remove the old Gateway',
  },
} as const satisfies Record<string, CatalogueEntry>
