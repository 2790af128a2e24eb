// The evaluators against the table that they were written from: research/virtualservice.md 1.3, corrected by 10.
// Each row: prefix and rewrite of the VirtualService, and what /foo/bar, /foo and /foobar become; then the HTTPRoute form
// that Istio knows for it, and what it makes of the same. `-` is 404.
import t from 'tap'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Answer } from './answer.ts'
import { type Configuration, istioIngress, kubernetesIngress } from './configuration.ts'
import { answerFromHTTPRoutes } from './http-route-evaluator.ts'
import { answerFromVirtualServices } from './virtual-service-evaluator.ts'

const everywhere: Configuration = { virtualServices: [], granted: false }

const rows = [
  { prefix: '/foo/', uri: '/', before: '/bar - -', pathPrefix: '/foo', replace: '/', after: '/bar / -' },
  { prefix: '/foo', uri: '/', before: '//bar / /bar', pathPrefix: '/foo', replace: '/', after: '/bar / -' },
  { prefix: '/foo/', uri: '/foo/', before: '/foo/bar - -', pathPrefix: '/foo', after: '/foo/bar /foo -' },
  { prefix: '/foo', uri: '/foo', before: '/foo/bar /foo /foobar', pathPrefix: '/foo/', after: '/foo/bar /foo -' },
  {
    prefix: '/foo/',
    uri: '/bar/',
    before: '/bar/bar - -',
    pathPrefix: '/foo',
    replace: '/bar',
    after: '/bar/bar /bar -',
  },
  {
    prefix: '/foo',
    uri: '/bar',
    before: '/bar/bar /bar /barbar',
    pathPrefix: '/foo',
    replace: '/bar',
    after: '/bar/bar /bar -',
  },
  {
    prefix: '/foo',
    uri: '/bar/',
    before: '/bar//bar /bar/ /bar/bar',
    pathPrefix: '/foo',
    replace: '/bar/',
    after: '/bar/bar /bar -',
  },
  {
    prefix: '/foo/',
    uri: '/bar',
    before: '/barbar - -',
    pathPrefix: '/foo',
    replace: '/bar',
    after: '/bar/bar /bar -',
  },
  {
    prefix: '/',
    uri: '/x',
    before: '/xfoo/bar /xfoo /xfoobar',
    pathPrefix: '/',
    replace: '/x',
    after: '/xfoo/bar /xfoo /xfoobar',
  },
  {
    prefix: '/',
    uri: '/x/',
    before: '/x/foo/bar /x/foo /x/foobar',
    pathPrefix: '/',
    replace: '/x/',
    after: '/xfoo/bar /xfoo /xfoobar',
  },
  {
    prefix: '/',
    uri: '/',
    before: '/foo/bar /foo /foobar',
    pathPrefix: '/',
    replace: '/',
    after: '/foo/bar /foo /foobar',
  },
]

for (const { prefix, uri, before, pathPrefix, replace, after } of rows) {
  t.test(`${prefix} -> ${uri}`, async t => {
    const http: istio.HTTPRoute = {
      match: [{ uri: { prefix } }],
      rewrite: { uri },
      route: [{ destination: { host: 'one' } }],
    }
    t.equal(
      paths(request => answerFromVirtualServices([virtualService([http])], istioIngress(everywhere), request)),
      before,
      'as VirtualService',
    )
    const rule: gateway.HTTPRouteRule = {
      matches: [{ path: { type: 'PathPrefix', value: pathPrefix } }],
      backendRefs: [{ name: 'one', port: 8080 }],
      ...(replace
        ? {
            filters: [
              { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: replace } } },
            ],
          }
        : {}),
    }
    t.equal(
      paths(request => answerFromHTTPRoutes([httpRoute([rule])], kubernetesIngress(everywhere), request)),
      after,
      'as HTTPRoute',
    )
  })
}

t.test('an exact or a regex match replaces the whole path', async t => {
  const rewritten = (uri: istio.StringMatch) =>
    paths(request => {
      const http = { match: [{ uri }], rewrite: { uri: '/x' }, route: [{ destination: { host: 'one' } }] }
      return answerFromVirtualServices([virtualService([http])], istioIngress(everywhere), request)
    })
  t.equal(rewritten({ exact: '/foo' }), '- /x -')
  t.equal(rewritten({ regex: '/foo.*' }), '/x /x /x')
})

t.test('Istio deletes a regex rule beside PathPrefix /', async t => {
  const regex = { type: 'RegularExpression', value: '/foo.*' } as const
  const rules = (last: gateway.HTTPPathMatch): gateway.HTTPRouteRule[] => [
    { matches: [{ path: regex }], backendRefs: [{ name: 'one', port: 8080 }] },
    { matches: [{ path: last }], backendRefs: [{ name: 'other', port: 9090 }] },
  ]
  const service = (last: gateway.HTTPPathMatch) => {
    const request = { host: 'example.org', path: '/foo', method: 'GET', headers: {}, queryParams: {} }
    const answer = answerFromHTTPRoutes([httpRoute(rules(last))], kubernetesIngress(everywhere), request)
    return answer.kind === 'route' ? answer.destinations[0]?.service : answer.kind
  }
  t.equal(service({ type: 'PathPrefix', value: '/' }), 'a{app=other}:9090')
  t.equal(service({ type: 'RegularExpression', value: '/.*' }), 'a{app=one}:8080', 'by length among regexes')
})

function virtualService(http: istio.HTTPRoute[]): istio.VirtualService {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { namespace: 'a', name: 'x' },
    spec: { hosts: ['*'], gateways: ['istio-system/public'], http },
  }
}

function httpRoute(rules: gateway.HTTPRouteRule[]): gateway.HTTPRoute {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { namespace: 'a', name: 'x' },
    spec: { parentRefs: [{ namespace: 'istio-system', name: 'ingress' }], rules },
  }
}

function paths(answer: (request: Parameters<typeof answerFromHTTPRoutes>[2]) => Answer): string {
  return ['/foo/bar', '/foo', '/foobar']
    .map(path => answer({ host: 'example.org', path, method: 'GET', headers: {}, queryParams: {} }))
    .map(answer => (answer.kind === 'route' ? answer.path : '-'))
    .join(' ')
}
