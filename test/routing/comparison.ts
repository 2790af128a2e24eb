// Before and after: the answers of the old gateway from all VirtualServices, and of the new one from the HTTPRoutes of
// those that were translated. What was refused stays on the old gateway, and on the new one nobody may answer for it.
import { isDeepStrictEqual } from 'node:util'
import type * as gateway from '../../src/apis/gateway.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import type { Translation } from '../../src/translate/translation.ts'
import { announcedVirtualHosts, says, withoutDead } from './announced.ts'
import type { Answer, Request } from './answer.ts'
import { type Configuration, istioIngress, keyOf, kubernetesIngress } from './configuration.ts'
import { answerOf, type Route, routeFor, virtualHostFor } from './envoy.ts'
import { refusals } from './http-route-admission.ts'
import { virtualHostsOfHTTPRoutes } from './http-route-evaluator.ts'
import { oldestFirst, virtualHostsOfVirtualServices } from './virtual-service-evaluator.ts'

export interface Difference {
  /**
   * `rerouted`: the request is answered otherwise than the translated VirtualServices say.
   * `taken over`: a refused VirtualService answers, today or after what is announced, or only refused ones have the host;
   * but on the new gateway somebody else does.
   */
  kind: 'rerouted' | 'taken over'
  request: Request
  /** `namespace/name spec.http[i].match[j]` of the VirtualService that answers today, if any. */
  servedBy: string
  before: Answer
  /** What the diagnostics say will be answered. */
  announced: Answer
  after: Answer
  /** In which order the HTTPRoutes were created. */
  created: Created
  /** Where the answer after comes from, in the HTTPRoutes. */
  answeredBy: string
}

/** All in one second, or one after the other, in the order of their VirtualServices' age or in the reverse of it. */
type Created = 'at once' | 'in order' | 'in reverse'

/** The requests that are answered otherwise than before and otherwise than announced. */
export function* differences(
  configuration: Configuration,
  translations: ReadonlyMap<string, Translation>,
  requests: Request[],
): Generator<Difference> {
  const diagnostics = diagnosticsOf(translations)
  const before = virtualHostsOfVirtualServices(configuration.virtualServices, istioIngress(configuration))
  const announced = announcedVirtualHosts(before, diagnostics)
  const announcedAlive = withoutDead(announced, diagnostics)
  const translated = new Set(
    [...translations].filter(([, { companions }]) => companions.length > 0).map(([key]) => key),
  )
  const isTranslated = ({ origin }: Route) => translated.has(origin.object)
  const ingress = kubernetesIngress(configuration)
  const routesByAge = oldestFirst(configuration.virtualServices).flatMap(virtualService =>
    httpRoutesOf(translations.get(keyOf(virtualService))),
  )
  const compared = new Set<string>()
  for (const [created, routes] of inEveryOrder(routesByAge)) {
    const after = virtualHostsOfHTTPRoutes(routes, ingress)
    const order = JSON.stringify(after.map(({ domain, routes }) => [domain, routes.map(({ origin }) => origin)]))
    if (compared.has(order)) continue
    compared.add(order)
    for (const request of requests) {
      const served = routeFor(before, request, ingress)
      const answering = routeFor(after, request, ingress)
      const answer = answerOf(answering, request, ingress)
      const isAnswerOf = (route: Route | undefined) =>
        isDeepStrictEqual(answer, answerOf(route && isTranslated(route) ? route : undefined, request, ingress))
      if (isAnswerOf(served) || isAnswerOf(routeFor(announced, request, ingress))) continue
      // What answers today is not dead, whatever is said: leaving it out announces nothing.
      const dead = served !== undefined && says('VS-ORDER-DEAD', served, diagnostics)
      const announcedRoute = routeFor(announcedAlive, request, ingress)
      if (!dead && isAnswerOf(announcedRoute)) continue
      const concerned = [served, announcedRoute].filter(route => route !== undefined)
      const refused =
        concerned.some(route => !isTranslated(route)) ||
        virtualHostFor(before, request.host)?.routes.every(route => !isTranslated(route))
      yield {
        kind: refused ? 'taken over' : 'rerouted',
        request,
        servedBy: sourceOf(served, 'http', 'match'),
        before: answerOf(served, request, ingress),
        announced: answerOf(announcedRoute, request, ingress),
        after: answer,
        created,
        answeredBy: sourceOf(answering, 'rules', 'matches'),
      }
    }
  }
}

/** What an API server would refuse of the HTTPRoutes. */
export function refusedRoutes(translations: ReadonlyMap<string, Translation>): string[] {
  return [...translations.values()]
    .flatMap(httpRoutesOf)
    .flatMap(route =>
      refusals(route).map(refusal => `HTTPRoute ${route.metadata.namespace}/${route.metadata.name}: ${refusal}`),
    )
}

export function httpRoutesOf(translation: Translation | undefined): gateway.HTTPRoute[] {
  return (translation?.companions ?? []).filter(
    (companion): companion is gateway.HTTPRoute => companion.kind === 'HTTPRoute',
  )
}

function diagnosticsOf(translations: ReadonlyMap<string, Translation>): Map<string, Diagnostic[]> {
  return new Map(
    [...translations].map(([key, { warnings, denial }]) => [key, [...warnings, ...(denial?.reasons ?? [])]]),
  )
}

/** Which HTTPRoute is created first nobody decides, and one that is deleted by mistake comes again as the youngest. */
function inEveryOrder(routes: gateway.HTTPRoute[]): [Created, gateway.HTTPRoute[]][] {
  if (routes.length < 2) return [['at once', routes]]
  return [
    ['at once', routes],
    ['in order', routes.map(createdInTurn)],
    ['in reverse', routes.toReversed().map(createdInTurn)],
  ]
}

function createdInTurn(route: gateway.HTTPRoute, i: number): gateway.HTTPRoute {
  return { ...route, metadata: { ...route.metadata, creationTimestamp: new Date(1000 * i).toISOString() } }
}

function sourceOf(route: Route | undefined, list: 'http' | 'rules', matches: 'match' | 'matches'): string {
  if (!route) return 'nobody'
  const { object, entry, match } = route.origin
  return `${object} spec.${list}[${entry}].${matches}[${match}]`
}
