// What proxies do with routes of Gateway API, fact by fact: research/virtualservice.md 2.2, 3, 4 and 10, and istiod's
// sources as the evaluator names them.
import t from 'tap'
import type * as gateway from '../../src/apis/gateway.ts'
import { kubernetesIngress, type PortName, registryWith, services } from './configuration.ts'
import { answerOf, routeFor } from './envoy.ts'
import { answerFromHTTPRoutes, virtualHostsOfWaypoint } from './http-route-evaluator.ts'
import { everywhere, httpRoute, plain, rule, serviceOf } from './samples.ts'

t.test('listeners: names, ports, hostnames, namespaces, schemes', async t => {
  const reaches = (
    spec: Partial<gateway.HTTPRoute['spec']>,
    port: PortName = 'http',
    configuration = everywhere,
    host = 'example.org',
  ) => {
    const route = httpRoute([rule({})], spec)
    return (
      answerFromHTTPRoutes([route], kubernetesIngress(configuration, 'public', port), { ...plain, host }).kind ===
      'route'
    )
  }
  const parent = { namespace: 'istio-system', name: 'ingress' }
  t.ok(reaches({}) && reaches({}, 'https'), 'without a section all listeners')
  t.notOk(reaches({ parentRefs: [{ ...parent, sectionName: 'https' }] }))
  t.ok(
    reaches(
      {
        parentRefs: [
          { ...parent, sectionName: 'http' },
          { ...parent, sectionName: 'https' },
        ],
      },
      'https',
    ),
  )
  t.notOk(reaches({ parentRefs: [{ ...parent, port: 443 }] }))
  t.ok(reaches({ parentRefs: [{ ...parent, port: 443 }] }, 'https'))
  t.notOk(reaches({ parentRefs: [{ ...parent, kind: 'Service' }] }))
  t.notOk(reaches({ parentRefs: [{ name: 'ingress' }] }), "without a namespace it is the route's own")
  t.notOk(reaches({ hostnames: ['app.example.com'] }))
  t.ok(reaches({ hostnames: ['*.org'] }))
  t.notOk(reaches({}, 'http', { ...everywhere, serverHosts: ['b/*'] }), 'namespaces are selected')
  t.ok(reaches({}, 'http', { ...everywhere, serverHosts: ['a/*'] }))
  t.notOk(reaches({}, 'http', { ...everywhere, serverHosts: ['./*'] }))
  const two = { ...everywhere, serverHosts: ['*', 'b/example.org'] }
  t.notOk(
    reaches({ hostnames: ['example.org'] }, 'http', two),
    'a hostname belongs to the most specific listener, even where that one is closed',
  )
  t.ok(reaches({ hostnames: ['example.net'] }, 'http', two, 'example.net'))
})

t.test('sorting within a hostname, and not between them', async t => {
  const request = { ...plain, host: 'app.example.com', headers: { 'x-a': '1' } }
  const asked = (...routes: gateway.HTTPRoute[]) =>
    serviceOf(answerFromHTTPRoutes(routes, kubernetesIngress(everywhere), request))
  const path = (type: gateway.HTTPPathMatch['type'], value: string): gateway.HTTPRouteMatch => ({
    path: { type, value },
  })
  const [one, other] = [
    (matches: gateway.HTTPRouteMatch) => rule({ matches: [matches] }),
    (matches: gateway.HTTPRouteMatch) => ({
      ...rule({ matches: [matches] }),
      backendRefs: [{ name: 'other', port: 9090 }],
    }),
  ]
  const wins = (winner: gateway.HTTPRouteMatch, loser: gateway.HTTPRouteMatch, why: string) =>
    t.equal(asked(httpRoute([other(loser), one(winner)])), 'a{app=one}:8080', why)
  wins(path('Exact', '/a'), path('PathPrefix', '/a'), 'Exact before PathPrefix')
  wins(path('PathPrefix', '/'), path('RegularExpression', '/a.*'), 'PathPrefix before regex')
  wins(path('RegularExpression', '/a(?:)'), path('RegularExpression', '/a'), 'a longer regex first, (?:) counts')
  wins(
    { ...path('PathPrefix', '/'), method: 'GET' },
    { ...path('PathPrefix', '/'), headers: [{ type: 'RegularExpression', name: 'x-a', value: '.*' }] },
    'a method before headers',
  )
  t.equal(
    asked(httpRoute([one(path('PathPrefix', '/a')), other(path('PathPrefix', '/a/'))])),
    'a{app=one}:8080',
    'the last slash does not count, and equals keep their order',
  )
  const at = (name: string, namespace: string, rules: gateway.HTTPRouteRule[], hostnames?: string[]) =>
    httpRoute(rules, hostnames ? { hostnames } : {}, { name, namespace })
  t.equal(
    asked(at('y', 'a', [one(path('PathPrefix', '/a'))]), at('x', 'b', [other(path('PathPrefix', '/a'))])),
    'a{app=one}:8080',
    'of one age: by namespace, then by name',
  )
  t.equal(
    asked(
      at('a', 'a', [one(path('PathPrefix', '/a'))], ['*']),
      at('b', 'a', [other(path('Exact', '/a'))], ['app.example.com']),
    ),
    'a{app=other}:9090',
    'the more specific hostname, whatever the path',
  )
  const narrowed = kubernetesIngress({ ...everywhere, serverHosts: ['app.example.com'] })
  const routes = [
    at('a', 'a', [one(path('PathPrefix', '/a'))]),
    at('b', 'a', [other(path('Exact', '/a'))], ['app.example.com']),
  ]
  t.equal(
    serviceOf(answerFromHTTPRoutes(routes, narrowed, { ...plain, host: 'app.example.com' })),
    'a{app=one}:8080',
    'hostnames that are spelled otherwise meet in a virtual host and are not sorted together',
  )
})

t.test('a waypoint', async t => {
  const [one] = services
  if (!one) throw new Error('there must be a Service')
  const asked = (...routes: gateway.HTTPRoute[]) => {
    const ingress = { port: 8080, scheme: 'http' as const, service: one, registry: registryWith([]) }
    const hosts = virtualHostsOfWaypoint(routes, ingress)
    return serviceOf(answerOf(routeFor(hosts, plain, ingress), plain, ingress))
  }
  const forOne = { group: '', kind: 'Service', name: 'one' }
  const away = [{ ...rule({}), backendRefs: [{ name: 'other', namespace: 'b', port: 9090 }] }]
  t.equal(asked(), 'a{app=one}:8080', 'without routes, the Service itself')
  t.equal(asked(httpRoute(away, { parentRefs: [forOne] })), 'b{app=other}:9090', 'no grant is asked for')
  t.equal(asked(httpRoute(away, { parentRefs: [{ ...forOne, name: 'other' }] })), 'a{app=one}:8080')
  t.equal(asked(httpRoute(away, { parentRefs: [{ ...forOne, port: 81 }] })), 'a{app=one}:8080', 'for another port')
  t.equal(asked(httpRoute(away, { parentRefs: [{ ...forOne, port: 8080 }] })), 'b{app=other}:9090')
  t.equal(
    asked(httpRoute(away, { parentRefs: [{ ...forOne, namespace: 'a' }] }, { namespace: 'b' })),
    'a{app=one}:8080',
    "a route outside the Service's namespace is not read",
  )
  t.equal(asked(httpRoute(away, { parentRefs: [forOne], hostnames: ['nowhere.org'] })), 'b{app=other}:9090')
  const nothing = [{ ...rule({ matches: [{ path: { type: 'Exact', value: '/nothing' } }] }) }]
  t.equal(asked(httpRoute(nothing, { parentRefs: [forOne] })), 'none')
  const catchAll = httpRoute(away, { parentRefs: [forOne] }, { name: 'a' })
  const specific = httpRoute(
    [rule({ matches: [{ path: { type: 'Exact', value: '/a' } }] })],
    { parentRefs: [{ ...forOne, port: 8080 }] },
    { name: 'b' },
  )
  t.equal(asked(catchAll, specific), 'b{app=other}:9090', 'with a port and without: not sorted together')
})

t.test('what cannot be converted', async t => {
  const answer = (rule: gateway.HTTPRouteRule, configuration = everywhere) =>
    answerFromHTTPRoutes([httpRoute([rule as gateway.HTTPRouteRule])], kubernetesIngress(configuration), plain)
  t.match(answer({}), { kind: 'response', status: 500 }, 'no backends')
  t.match(answer({ backendRefs: [{ name: 'one', port: 8080, weight: 0 }] }), { kind: 'response', status: 500 })
  t.equal(answer({ backendRefs: [{ name: 'one' }] }).kind, 'none', 'no port: all rules are lost')
  t.equal(answer({ backendRefs: [{ name: 'one.a', port: 8080 }] }).kind, 'none')
  const abroad: gateway.HTTPBackendRef = { name: 'one', namespace: 'b', port: 8080 }
  t.equal(serviceOf(answer({ backendRefs: [abroad] })), 'b{app=one}:8080')
  t.match(serviceOf(answer({ backendRefs: [abroad] }, { ...everywhere, granted: false })), /not\.granted/)
  const mirror: gateway.HTTPRouteRule = {
    ...rule({}),
    filters: [{ type: 'RequestMirror', requestMirror: { backendRef: abroad } }],
  }
  t.match(answer(mirror), { mirrors: [{ service: 'b{app=one}:8080' }] })
  t.match(answer(mirror, { ...everywhere, granted: false }), { kind: 'route' })
  t.notOk(JSON.stringify(answer(mirror, { ...everywhere, granted: false })).includes('not.granted'), 'no such mirror')
  const wildcard = (allowOrigins: string[]): gateway.HTTPRouteRule => ({
    ...rule({}),
    filters: [{ type: 'CORS', cors: { allowOrigins } }],
  })
  t.match(answer(wildcard(['*'])), { cors: { maxAge: '5', forwardsUnmatchedPreflights: false } })
  t.notOk(JSON.stringify(answer(wildcard(['*']))).includes('"null"'), '* is no opaque origin')
  t.match(answer({ ...rule({}), timeouts: { backendRequest: '2s' } }), { timeoutMs: 2000 }, 'of all, without retry')
})
