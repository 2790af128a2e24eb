// Every finding about a VirtualService. A code is API: once published never renamed, once retired never reused.
// `{name}` in a message is filled in where the code is reported.
import type { CatalogueEntry } from '../diagnostics.ts'
import { actionDiagnostics } from './diagnostics-actions.ts'
import { connectionDiagnostics } from './diagnostics-connections.ts'
import { destinationDiagnostics } from './diagnostics-destinations.ts'

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
    severity: 'note',
    untranslated: true,
    since: '0.1.0',
    message:
      'without hosts this is a delegate and stays as it is; its rules go into the HTTPRoutes of the roots that name it',
  },
  'VS-HOSTS-INVALID': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute takes DNS names and *.names only, {host} would be left out and get 404; use a host name',
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
  'VS-HOSTS-NARROWED': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'the listeners of the new Gateway serve {listener} only, and other hosts of {host} end there; add a listener if they are in use',
  },
  'VS-HOSTS-WIDER': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'no rule here is left for {host}, which gets 404 today and would fall to VirtualService {other}; give the host a rule',
  },
  'VS-GATEWAYS-MESH': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'no waypoint serves {service}, so nobody would apply the route and nothing is changed; enrol the Service in a waypoint',
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
    severity: 'note',
    since: '0.1.0',
    message:
      'a server of {gateway} only redirects to HTTPS and serves no route, so none is attached there; keep the redirect on the new Gateway',
  },
  'VS-GATEWAYS-ALLOWED': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'no listener of Gateway {gateway} admits routes of namespace {namespace}, so nothing is changed; allow it in allowedRoutes',
  },
  'VS-GATEWAYS-INGRESS': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'requests from ingress gateways go through the waypoint of {service} too and would get these rules; switch that off with ingress-use-waypoint',
  },
  'VS-EXPORT-TO': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'the gateway in {namespace} does not see it and a route would be seen, so nothing is changed; export it there, or drop the gateway',
  },
  'VS-MATCH-STAT-PREFIX': {
    severity: 'note',
    since: '0.1.0',
    message: 'HTTPRoute names no statistics; metrics under this prefix end, requests are routed as before',
  },
  'VS-MATCH-SCHEME': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute has a scheme only through its listener, every scheme would match; match http or https exactly, on a gateway',
  },
  'VS-MATCH-PORT': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'the ports of {gateway} are not known, every port would match; add the Istio Gateway, or a VirtualService per port',
  },
  'VS-MATCH-AUTHORITY': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'HTTPRoute matches plain host names only, in hostnames, every host would match; write a VirtualService per host',
  },
  'VS-MATCH-SOURCE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'no Gateway API route knows its caller, every caller would match; use an AuthorizationPolicy',
  },
  'VS-MATCH-WITHOUT-HEADERS': {
    severity: 'denial',
    since: '0.1.0',
    message: 'no later rule answers all requests with {name}, more requests would match; end with a rule for them',
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
    message: '{regex} is no RE2 expression of 1 to 1024 characters (4096 in headers), it would be refused; correct it',
  },
  'VS-MATCH-PATH-DEAD': {
    severity: 'note',
    since: '0.1.0',
    message: '{path} never matches: a path begins with / and comes without its query, in Istio too; remove it',
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
  'VS-SPEC-SIZE': {
    severity: 'denial',
    since: '0.1.0',
    message:
      '{what} are more than sidestep compares with each other, their order would be unknown; split the VirtualService',
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
    message:
      'as HTTPRoute {taker} would answer {sample}, where {loser} does today; give that request a match of its own',
  },
  'VS-ORDER-OVERLAP': {
    severity: 'denial',
    since: '0.1.0',
    message: 'as HTTPRoutes {taker} would answer {sample}, where {loser} does today; make the paths differ',
  },
  'VS-ORDER-REGEX': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'Istio ranks a regex below every prefix, {taker} would answer {sample} in place of {loser}; use a prefix or exact path',
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
  ...connectionDiagnostics,
  ...destinationDiagnostics,
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
    message: 'HTTPRoute redirects by 301, 302, 303, 307 and 308 only, {statusCode} would be refused; use one of them',
  },
  'VS-REDIRECT-CODE-CRD': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'the installed HTTPRoute CRD refuses the redirect code {statusCode}; install Gateway API v1.5 or later, or use 301 or 302',
  },
  'VS-REDIRECT-PORT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'FROM_REQUEST_PORT with a scheme has no HTTPRoute form, the port would change; set redirect.port',
  },
  'VS-REDIRECT-PORT-ADDED': {
    severity: 'warning',
    since: '0.1.0',
    message:
      "the Location now names the port {port} where a listener has it and kept the client's before; set redirect.scheme or port",
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
    message: 'HTTPRoute answers nothing by itself but an empty 500, and would here; route to a small static backend',
  },
  'VS-FAULT': {
    severity: 'denial',
    since: '0.1.0',
    message: 'HTTPRoute injects no faults, requests would pass unharmed; remove fault or inject it in the app',
  },
  ...actionDiagnostics,
  'VS-TIMEOUT': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'Istio and HTTPRoute take whole milliseconds from 1ms on, as in 1h30m or 1s500ms, and would refuse {timeout}; write it so',
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
  'VS-ORDER-ROUTE': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'HTTPRoute {route} on the same Gateway matches {sample} as well, and the more specific rule will answer; check which should',
  },
  'VS-GATEWAYS-LISTENER': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'Gateway {gateway} has no listener for {port} that these rules could attach to, so nothing is changed; add one',
  },
  'VS-HOSTS-SERVICE': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'the snapshot has no Service {host} that a mesh route could attach to, so nothing is changed; create it first',
  },
  'VS-HOSTS-OVERRIDE': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'a waypoint reads routes of the namespace of {service} only, this one would be ignored; write it there, for all callers',
  },
  'VS-HOSTS-LOSER': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message:
      'sidecars apply {other} to {service} and never this one, which would come alive, so nothing is changed; remove one of the two',
  },
  'VS-EXPORT-TO-MESH': {
    severity: 'denial',
    since: '0.1.0',
    message:
      'a waypoint applies its routes to every caller, callers it is not exported to would be rerouted; export it to all',
  },
  'VS-MATCH-AUTHORITY-PORT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'hostnames ignore the port, so requests that write {host}:80 or {host}:443 match too; nothing to do unless those differ',
  },
  'VS-MATCH-NOWHERE': {
    severity: 'note',
    since: '0.1.0',
    message:
      'no server of its gateways meets its port, scheme, gateways or source, so it never matches, today or in ambient; remove it',
  },
  'VS-REWRITE-BACKSLASH': {
    severity: 'denial',
    since: '0.1.0',
    message: 'in an HTTPRoute Istio reads a backslash as a reference, the app would get another path; leave it out',
  },
  'VS-REWRITE-MATCH': {
    severity: 'denial',
    since: '0.1.0',
    message:
      '{path} has to be a regex in HTTPRoute, in which no prefix can be replaced, the path would stay; use a plain prefix',
  },
  'VS-COMPANION-KEPT': {
    severity: 'warning',
    since: '0.1.0',
    message: '{route} is kept beside it and routes in its place',
  },
  'VS-COMPANION-SERVICE': {
    severity: 'warning',
    since: '0.1.0',
    message: 'Service {service} is kept beside it for the pods of the subset',
  },
  'VS-COMPANION-GRANT': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'ReferenceGrant {grant} is kept, so that all routes of its kind in this namespace may refer to the Services in it',
  },
  'VS-COMPANION-TAKEN': {
    severity: 'warning',
    untranslated: true,
    since: '0.1.0',
    message: '{companion} is there already and not for this, so nothing is changed; rename one of the two',
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
