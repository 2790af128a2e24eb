// The differences that a translation may make because it says so: the routes of the VirtualServices, changed in exactly
// what a diagnostic of that very VirtualService announces for that very match, and in nothing else.
// Definitions: src/translate/virtual-service/diagnostics.ts and research/virtualservice.md 1.1, 1.3 and 10.
import type { DiagnosticCode } from '../../src/translate/diagnostics.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import type { PathRewrite, Route, VirtualHost } from './envoy.ts'
import { removePrefix, withoutLastSlash } from './istio-routes.ts'

/** The diagnostics of each VirtualService, by `namespace/name`. */
export type DiagnosticsByObject = ReadonlyMap<string, Diagnostic[]>

export function announcedVirtualHosts(virtualHosts: VirtualHost[], diagnostics: DiagnosticsByObject): VirtualHost[] {
  return virtualHosts.map(({ domain, routes }) => ({
    domain,
    routes: routes.map(route => announcedRoute(route, diagnostics)),
  }))
}

/** VS-ORDER-DEAD: the route is left out, and what others no longer match does not come to it. */
export function withoutDead(virtualHosts: VirtualHost[], diagnostics: DiagnosticsByObject): VirtualHost[] {
  return virtualHosts.map(({ domain, routes }) => ({
    domain,
    routes: routes.filter(route => !says('VS-ORDER-DEAD', route, diagnostics)),
  }))
}

/**
 * Whether a diagnostic names the match that the route was made from, or its whole entry; and in its message a path that
 * fits: what is not named is not announced.
 */
export function says(
  code: DiagnosticCode,
  { origin }: Route,
  diagnostics: DiagnosticsByObject,
  fits?: (path: string) => boolean,
): boolean {
  return (diagnostics.get(origin.object) ?? []).some(diagnostic => {
    const [, entry, match] = /^spec\.http\[(\d+)\](?:\.match\[(\d+)\])?/.exec(diagnostic.field) ?? []
    return (
      diagnostic.code === code &&
      Number(entry) === origin.entry &&
      (match === undefined || Number(match) === origin.match) &&
      (!fits || diagnostic.message.split(/[\s,;]+/).some(fits))
    )
  })
}

/**
 * - VS-MATCH-PREFIX-SLASH, on `/a/`: the bare path `/a` matches too. It becomes what `/a/` becomes, less the last slash.
 * - VS-MATCH-PREFIX-ELEMENT, on `/a`: the text continuations (`/ab`, `/a.b`) no longer match.
 * - VS-REWRITE-SLASH, on `/a` with a rewrite that ends in a slash: no double slash below `/a`, and none after bare `/a`.
 */
function announcedRoute(route: Route, diagnostics: DiagnosticsByObject): Route {
  const { type, value } = route.match.path
  if (type !== 'prefix' || value === '/') return route
  const bare = withoutLastSlash(value)
  const separated: Route = { ...route, match: { ...route.match, path: { type: 'pathSeparatedPrefix', value: bare } } }
  if (value !== bare) {
    // `/a/` -> `/b` glues names together (`/bx`), and no code announces that another path comes out.
    const glues = rewriteOf(route)?.endsWith('/') === false
    const gainsBare = !glues && says('VS-MATCH-PREFIX-SLASH', route, diagnostics, path => path === bare)
    return gainsBare ? withoutSlashOfRewrite(separated, bare) : route
  }
  const losesText = says('VS-MATCH-PREFIX-ELEMENT', route, diagnostics, path => path === bare)
  const mendsSlash = says('VS-REWRITE-SLASH', route, diagnostics, path => path.startsWith(`${bare}/`))
  const matched = losesText ? separated : route
  return mendsSlash ? withoutSlashOfRewrite(matched, bare) : matched
}

function rewriteOf({ action }: Route): string | undefined {
  return action.kind !== 'response' && action.path?.type === 'prefix' ? action.path.value : undefined
}

function withoutSlashOfRewrite(route: Route, prefix: string): Route {
  const rewrite = rewriteOf(route)
  if (rewrite === undefined || route.action.kind === 'response') return route
  const value = withoutLastSlash(rewrite)
  const path: PathRewrite = value ? { type: 'prefix', value } : removePrefix(prefix)
  return { ...route, action: { ...route.action, path } }
}
