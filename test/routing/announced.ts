// The differences that a translation may make because it says so: the routes of the VirtualServices, changed in exactly
// what a diagnostic of that very VirtualService announces for that very match, and in nothing else.
// Definitions: src/translate/virtual-service/diagnostics.ts and research/virtualservice.md 1.1, 1.2, 1.3 and 10. Codes are
// plain strings, since some are not published yet; a code that nobody says changes nothing.
import type { Diagnostic } from '../../src/translate/report.ts'
import type { Answer, Cors, Ingress } from './answer.ts'
import type { PathRewrite, Route, VirtualHost } from './envoy.ts'
import { removePrefix, withoutLastSlash } from './istio-routes.ts'

/** The diagnostics of each VirtualService, by `namespace/name`. */
export type DiagnosticsByObject = ReadonlyMap<string, Diagnostic[]>

/** Whether the message names a path that fits: what is not named is not announced. */
type Names = (fits: (path: string) => boolean) => boolean

/** What each code announces of a route. They are applied in this order; one line for each code. */
const changes: Record<string, (route: Route, names: Names, ingress: Ingress) => Route> = {
  // On `/a/`: the bare path `/a` matches too. It becomes what `/a/` becomes, less the last slash.
  'VS-MATCH-PREFIX-SLASH': gainsBarePath,
  // On `/a`: the text continuations (`/ab`, `/a.b`) no longer match.
  'VS-MATCH-PREFIX-ELEMENT': (route, names) => {
    const { type, value } = route.match.path
    return type === 'prefix' && !value.endsWith('/') && names(path => path === value) ? separated(route) : route
  },
  // On `/a` with a rewrite that ends in a slash: no double slash below `/a`, and none after bare `/a`.
  'VS-REWRITE-SLASH': (route, names) => {
    const { type, value } = route.match.path
    const mends = type !== 'regex' && type !== 'exact' && !value.endsWith('/')
    return mends && names(path => path.startsWith(`${value}/`)) ? withoutSlashOfRewrite(route, value) : route
  },
  // The authority is compared with the port that the client writes, a hostname is not.
  'VS-MATCH-AUTHORITY-PORT': route => ({
    ...route,
    match: {
      ...route.match,
      headers: route.match.headers.map(matcher =>
        matcher.name === ':authority'
          ? {
              ...matcher,
              type: 'regex',
              value: `(?:${matcher.type === 'exact' ? matcher.value.replaceAll('.', '\\.') : matcher.value})(:[0-9]+)?`,
            }
          : matcher,
      ),
    },
  }),
  // The Location names the listener's port, where the client's own stayed.
  'VS-REDIRECT-PORT-ADDED': (route, _, { port, scheme }) => {
    const { action } = route
    const usual = scheme === 'https' ? 443 : 80
    if (action.kind !== 'redirect' || action.port || action.scheme || port === usual) return route
    return { ...route, action: { ...action, port } }
  },
  // The CRD's default of 5 seconds, where nothing was said.
  'VS-CORS-MAX-AGE': withCors(({ maxAge = '5' }) => ({ maxAge })),
  'VS-CORS-PREFLIGHT': withCors(() => ({ forwardsUnmatchedPreflights: false })),
  'VS-CORS-NULL-ORIGIN': withCors(({ origins }) => ({ origins: origins.filter(origin => origin !== 'null') })),
}

/** Istio adds the four conditions on connections; a condition that stands for codes may be written as codes. */
const retriesOtherwise = (before: Answer, after: Answer): Answer => {
  if (before.kind !== 'route' || after.kind !== 'route' || !before.retries || !after.retries) return before
  const { retryOn, codes } = before.retries
  const written = after.retries
  const ranges: Record<string, (code: number) => boolean> = {
    'gateway-error': code => [502, 503, 504].includes(code),
    '5xx': code => code >= 500,
    'retriable-4xx': code => code === 409,
  }
  const stand = retryOn.flatMap(condition => ranges[condition] ?? [])
  const covered =
    codes.every(code => written.codes.includes(code)) &&
    written.codes.every(code => codes.includes(code) || stand.some(covers => covers(code))) &&
    // What stands for codes must not vanish without any.
    (stand.length === 0 || written.codes.length > codes.length)
  return covered
    ? { ...before, retries: { ...before.retries, retryOn: written.retryOn, codes: written.codes } }
    : before
}

/** What each code announces of an answer that several translations could give: the answer before, led to the one after. */
const allowances: Record<string, (before: Answer, after: Answer) => Answer> = {
  'VS-RETRIES-GAINED': retriesOtherwise,
  'VS-RETRIES-LOST': retriesOtherwise,
}

type Paths = 'moved' | 'kept' | 'exact'

/**
 * The routes with what is announced of them. `paths: 'kept'` leaves out what prefixes gain and lose, and
 * `paths: 'exact'` also what becomes of a double slash: a rule made for one such path keeps it.
 */
export function announcedVirtualHosts(
  virtualHosts: VirtualHost[],
  diagnostics: DiagnosticsByObject,
  ingress: Ingress,
  paths: Paths = 'moved',
): VirtualHost[] {
  return virtualHosts.map(({ domain, routes }) => ({
    domain,
    routes: routes.map(route => announcedRoute(route, diagnostics, ingress, paths)),
  }))
}

/** VS-ORDER-DEAD: the route is left out, and what others no longer match does not come to it. */
export function withoutDead(virtualHosts: VirtualHost[], diagnostics: DiagnosticsByObject): VirtualHost[] {
  return virtualHosts.map(({ domain, routes }) => ({
    domain,
    routes: routes.filter(route => !says('VS-ORDER-DEAD', route, diagnostics)),
  }))
}

/** The answer of a route, with what may differ from the answer after taken from that. */
export function allowed(before: Answer, after: Answer, route: Route, diagnostics: DiagnosticsByObject): Answer {
  return Object.entries(allowances).reduce(
    (answer, [code, allowance]) => (says(code, route, diagnostics) ? allowance(answer, after) : answer),
    before,
  )
}

export function says(code: string, route: Route, diagnostics: DiagnosticsByObject): boolean {
  return saying(code, route, diagnostics).length > 0
}

/** The diagnostics with a code that name the match that the route was made from, or its whole entry. */
function saying(code: string, { origin }: Route, diagnostics: DiagnosticsByObject): Diagnostic[] {
  return (diagnostics.get(origin.object) ?? []).filter(diagnostic => {
    if (diagnostic.code !== code) return false
    const [, entry, leaf, match] =
      /^spec\.http\[(\d+)\](?:\.delegate\.http\[(\d+)\])?(?:\.match\[(\d+)\])?/.exec(diagnostic.field) ?? []
    return (
      Number(entry) === origin.entry &&
      (leaf === undefined || Number(leaf) === origin.leaf) &&
      (match === undefined || origin.match === undefined || Number(match) === origin.match)
    )
  })
}

function announcedRoute(route: Route, diagnostics: DiagnosticsByObject, ingress: Ingress, paths: Paths): Route {
  if (!diagnostics.get(route.origin.object)?.length) return route
  return Object.entries(changes).reduce((changed, [code, change]) => {
    const isLeftOut =
      (paths !== 'moved' && code.startsWith('VS-MATCH-PREFIX-')) || (paths === 'exact' && code === 'VS-REWRITE-SLASH')
    const said = isLeftOut ? [] : saying(code, route, diagnostics)
    const names: Names = fits => said.some(({ message }) => message.split(/[\s,;]+/).some(fits))
    return said.length > 0 ? change(changed, names, ingress) : changed
  }, route)
}

function gainsBarePath(route: Route, names: Names): Route {
  const { type, value } = route.match.path
  const bare = withoutLastSlash(value)
  // `/a/` -> `/b` glues names together (`/bx`), and no code announces that another path comes out.
  const glues = rewriteOf(route)?.endsWith('/') === false
  if (type !== 'prefix' || value === '/' || bare === value || glues || !names(path => path === bare)) return route
  return withoutSlashOfRewrite(separated(route), bare)
}

function separated(route: Route): Route {
  const value = withoutLastSlash(route.match.path.value)
  return { ...route, match: { ...route.match, path: { type: 'pathSeparatedPrefix', value } } }
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

function withCors(change: (cors: Cors) => Partial<Cors>): (route: Route) => Route {
  return route => {
    const { cors } = route.action
    return cors ? { ...route, action: { ...route.action, cors: { ...cors, ...change(cors) } } } : route
  }
}
