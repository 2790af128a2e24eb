// The same thing said in both APIs, and what only a diagnostic makes the same (research/virtualservice.md 1.1 to 1.3).
import t from 'tap'
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { allowed, announcedVirtualHosts } from './announced.ts'
import type { Request } from './answer.ts'
import { istioIngress, kubernetesIngress, type PortName } from './configuration.ts'
import { answerOf, routeFor } from './envoy.ts'
import { answerFromHTTPRoutes } from './http-route-evaluator.ts'
import {
  diagnostic,
  everywhere,
  fullPath,
  httpRoute,
  plain,
  rule,
  serviceOf,
  serviceOfSubset,
  sorted,
  to,
  virtualService,
} from './samples.ts'
import { virtualHostsOfVirtualServices } from './virtual-service-evaluator.ts'

const hosts = ['example.org', 'example.org:8080']
const paths = ['/a', '/a/', '/a/b', '/ab', '/A', '/Ab', '/']

/** The same thing in both APIs; `said` are the codes without which it is not the same. */
const pairs: {
  name: string
  http: istio.HTTPRoute
  rule: gateway.HTTPRouteRule
  kept?: core.KubernetesObject[]
  said?: string[]
  port?: PortName
}[] = [
  {
    name: 'a subset, and a Service for it',
    http: { route: [{ destination: { host: 'one', subset: 'v1' } }] },
    rule: { backendRefs: [{ name: 'one-v1', port: 8080 }] },
    kept: [serviceOfSubset({ app: 'one', version: 'v1' })],
  },
  {
    name: 'retries',
    http: { ...to('one'), retries: { attempts: 3, perTryTimeout: '2s', backoff: '100ms' } },
    rule: { ...rule({}), retry: { attempts: 3, backoff: '100ms' }, timeouts: { backendRequest: '2s' } },
  },
  {
    name: 'retries of which nothing is said',
    http: { ...to('one'), retries: { attempts: 2 } },
    rule: { ...rule({}), retry: {} },
  },
  {
    name: 'a mirror of a fraction of 100',
    http: { ...to('one'), mirror: { host: 'other' }, mirrorPercentage: { value: 5 } },
    rule: {
      ...rule({}),
      filters: [
        {
          type: 'RequestMirror',
          requestMirror: { backendRef: { name: 'other', port: 9090 }, fraction: { numerator: 5 } },
        },
      ],
    },
  },
  {
    name: 'retries on codes, and on connections which are always added',
    http: { ...to('one'), retries: { attempts: 3, retryOn: '503,504' } },
    rule: { ...rule({}), retry: { attempts: 3, codes: [503, 504] } },
    said: ['VS-RETRIES-GAINED'],
  },
  {
    name: 'retries on gateway errors',
    http: { ...to('one'), retries: { attempts: 3, retryOn: 'gateway-error,connect-failure' } },
    rule: { ...rule({}), retry: { attempts: 3, codes: [502, 503, 504] } },
    said: ['VS-RETRIES-GAINED'],
  },
  {
    name: 'mirrors',
    http: {
      ...to('one'),
      mirrors: [
        { destination: { host: 'other' }, percentage: { value: 0.5 } },
        { destination: { host: 'one', subset: 'v1' } },
      ],
    },
    rule: {
      ...rule({}),
      filters: [
        {
          type: 'RequestMirror',
          requestMirror: { backendRef: { name: 'other', port: 9090 }, fraction: { numerator: 5, denominator: 1000 } },
        },
        { type: 'RequestMirror', requestMirror: { backendRef: { name: 'one-v1', port: 8080 }, percent: 100 } },
      ],
    },
    kept: [serviceOfSubset({ app: 'one', version: 'v1' })],
  },
  {
    name: 'CORS, all said',
    http: {
      ...to('one'),
      corsPolicy: {
        allowOrigins: [{ exact: 'https://app.example.com' }, { regex: 'http://.*\\.example\\.com' }],
        allowMethods: ['GET'],
        allowHeaders: ['x-a'],
        exposeHeaders: ['x-b'],
        maxAge: '24h',
        allowCredentials: true,
        unmatchedPreflights: 'IGNORE',
      },
    },
    rule: {
      ...rule({}),
      filters: [
        {
          type: 'CORS',
          cors: {
            allowOrigins: ['https://app.example.com', 'http://*.example.com'],
            allowMethods: ['GET'],
            allowHeaders: ['x-a'],
            exposeHeaders: ['x-b'],
            maxAge: 86400,
            allowCredentials: true,
          },
        },
      ],
    },
  },
  {
    name: 'CORS, nothing said',
    http: { ...to('one'), corsPolicy: { allowOrigins: [{ exact: '*' }] } },
    rule: { ...rule({}), filters: [{ type: 'CORS', cors: { allowOrigins: ['*'] } }] },
    said: ['VS-CORS-MAX-AGE', 'VS-CORS-PREFLIGHT', 'VS-CORS-NULL-ORIGIN'],
  },
  {
    name: 'a response of 500 without a body',
    http: { directResponse: { status: 500 } },
    rule: {},
  },
  {
    name: 'a redirect on the usual port',
    http: { redirect: { uri: '/b' } },
    rule: { filters: [{ type: 'RequestRedirect', requestRedirect: fullPath }] },
    port: 'https',
  },
  {
    name: "a redirect to the server's port",
    http: { redirect: { uri: '/b', derivePort: 'FROM_REQUEST_PORT' } },
    rule: { filters: [{ type: 'RequestRedirect', requestRedirect: fullPath }] },
    port: 'extra',
  },
  {
    name: 'a redirect on another port',
    http: { redirect: { uri: '/b' } },
    rule: { filters: [{ type: 'RequestRedirect', requestRedirect: fullPath }] },
    port: 'extra',
    said: ['VS-REDIRECT-PORT-ADDED'],
  },
  {
    name: 'an authority with the port that clients write',
    http: { match: [{ authority: { exact: 'example.org' } }], ...to('one') },
    rule: rule({}),
    said: ['VS-MATCH-AUTHORITY-PORT'],
  },
  {
    name: 'a prefix without regard to case',
    http: { match: [{ uri: { prefix: '/A' }, ignoreUriCase: true }], ...to('one') },
    rule: rule({ matches: [{ path: { type: 'RegularExpression', value: '(?i)/A.*' } }] }),
  },
  {
    name: 'a string prefix, and a regex beside PathPrefix',
    http: { match: [{ uri: { prefix: '/a' } }], ...to('one') },
    rule: rule({
      matches: [
        { path: { type: 'PathPrefix', value: '/a' } },
        { path: { type: 'RegularExpression', value: '/a[^/].*' } },
      ],
    }),
  },
  {
    name: 'headers on the route, and on its only destination',
    http: { ...to('one'), headers: { request: { set: { 'x-a': '1' } } } },
    rule: {
      backendRefs: [
        {
          name: 'one',
          port: 8080,
          filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'X-A', value: '1' }] } }],
        },
      ],
    },
  },
]

for (const { name, http, rule, kept = [], said = [], port = 'http' } of pairs) {
  t.test(name, async t => {
    for (let i = 0; i <= said.length; i += 1) {
      // Each code is needed: with one less it is not the same.
      const codes = i === said.length ? said : said.filter((_, j) => j !== i)
      const same = paths.every(path => hosts.every(host => agrees({ ...plain, path, host }, codes)))
      t.equal(same, i === said.length, `with ${codes.join(' ') || 'nothing said'}`)
    }
    function agrees(request: Request, codes: string[]): boolean {
      const ingress = istioIngress(everywhere, 'public', port)
      const diagnostics = new Map([['a/x', codes.map(diagnostic)]])
      const hosts = announcedVirtualHosts(
        virtualHostsOfVirtualServices([virtualService({ http: [http] })], ingress),
        diagnostics,
        ingress,
      )
      const route = routeFor(hosts, request, ingress)
      const after = answerFromHTTPRoutes(
        [httpRoute([rule as gateway.HTTPRouteRule])],
        kubernetesIngress(everywhere, 'public', port, kept),
        request,
      )
      const announced = answerOf(route, request, ingress)
      const expected = route ? allowed(announced, after, route, diagnostics) : announced
      return JSON.stringify(sorted(after)) === JSON.stringify(sorted(expected))
    }
  })
}

t.test('what is announced is no more than what a code says', async t => {
  const retry = (retryOn: string, rule: gateway.HTTPRouteRule['retry']) => {
    const ingress = istioIngress(everywhere)
    const http = { ...to('one'), retries: { attempts: 3, retryOn } }
    const diagnostics = new Map([['a/x', [diagnostic('VS-RETRIES-GAINED')]]])
    const route = routeFor(virtualHostsOfVirtualServices([virtualService({ http: [http] })], ingress), plain, ingress)
    const spec = { backendRefs: [{ name: 'one', port: 8080 }], retry: rule } as gateway.HTTPRouteRule
    const after = answerFromHTTPRoutes([httpRoute([spec])], kubernetesIngress(everywhere), plain)
    if (!route) throw new Error('there must be a route')
    const expected = allowed(answerOf(route, plain, ingress), after, route, diagnostics)
    return JSON.stringify(sorted(after)) === JSON.stringify(sorted(expected))
  }
  t.ok(retry('503', { attempts: 3, codes: [503] }))
  t.notOk(retry('503', { attempts: 3, codes: [503, 504] }), 'a code more')
  t.notOk(retry('503', { attempts: 3 }), 'a code less')
  t.notOk(retry('503', { attempts: 2, codes: [503] }), 'other attempts')
  t.notOk(retry('gateway-error', { attempts: 3 }), 'nothing in its place')

  const port = (redirect: istio.HTTPRedirect, name: PortName) => {
    const ingress = istioIngress(everywhere, 'public', name)
    const diagnostics = new Map([['a/x', [diagnostic('VS-REDIRECT-PORT-ADDED')]]])
    const hosts = virtualHostsOfVirtualServices([virtualService({ http: [{ redirect }] })], ingress)
    const answer = answerOf(
      routeFor(announcedVirtualHosts(hosts, diagnostics, ingress), plain, ingress),
      plain,
      ingress,
    )
    return answer.kind === 'redirect' && answer.location.host
  }
  t.equal(port({}, 'extra'), 'example.org:8080')
  t.equal(port({ port: 8443 }, 'extra'), 'example.org:8443', 'a port that is said stays')
  t.equal(port({ scheme: 'https' }, 'extra'), 'example.org', 'nor is one added to another scheme')
  t.equal(port({}, 'http'), 'example.org', 'nor the usual one')
})

t.test('a Service that sends to another port of the pods is another destination', async t => {
  const [ports] = [[{ port: 8080, targetPort: 8081 }]]
  const service = (kept: core.KubernetesObject[]) =>
    serviceOf(
      answerFromHTTPRoutes(
        [httpRoute([{ backendRefs: [{ name: 'one-v1', port: 8080 }] }])],
        kubernetesIngress(everywhere, 'public', 'http', kept),
        plain,
      ),
    )
  const subset = serviceOfSubset({ app: 'one' })
  t.equal(service([subset]), 'a{app=one}:8080')
  t.equal(service([{ ...subset, spec: { ...subset.spec, ports } } as core.Service]), 'a{app=one}:8081')
})
