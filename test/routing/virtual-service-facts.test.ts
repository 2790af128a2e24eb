// What proxies do with VirtualServices, fact by fact: research/virtualservice.md 1 to 4 and 10, and istiod's sources as
// the evaluator names them.
import t from 'tap'
import type * as istio from '../../src/apis/istio.ts'
import type { Answer, Request } from './answer.ts'
import { istioIngress, kubernetesIngress, type PortName, registryWith, services } from './configuration.ts'
import { type ConnectionRoute, chainFor, chainsOfRoutes, chainsOfVirtualServices } from './connections.ts'
import { answerOf, routeFor } from './envoy.ts'
import { ask, before, everywhere, named, plain, serviceOf, to, virtualService } from './samples.ts'
import { virtualHostsOfSidecar } from './virtual-service-evaluator.ts'

t.test('conditions of a match', async t => {
  const meets = (match: istio.HTTPMatchRequest, request: Partial<Request> = {}, port: PortName = 'http') =>
    before([{ match: [match], ...to('one') }], request, port).kind === 'route'

  t.ok(meets({ uri: { regex: '/a.' } }, { path: '/ab' }))
  t.notOk(meets({ uri: { regex: '/a.' } }, { path: '/abc' }), 'a regex must match all of the path')
  t.notOk(meets({ uri: { regex: 'a.' } }, { path: '/ab' }))
  t.ok(meets({ uri: { prefix: '/a' }, ignoreUriCase: true }, { path: '/AB' }))
  t.ok(meets({ uri: { exact: '/Ab' }, ignoreUriCase: true }, { path: '/aB' }))
  t.notOk(meets({ uri: { regex: '/a' }, ignoreUriCase: true }, { path: '/A' }), 'a regex minds the case all the same')

  t.ok(meets({ method: { regex: 'GET|POST' } }, { method: 'POST' }))
  t.notOk(meets({ method: { regex: 'GE|POST' } }, { method: 'GET' }))
  t.ok(meets({ method: { prefix: 'P' } }, { method: 'PUT' }))
  t.notOk(meets({ method: { exact: 'get' } }), 'methods are compared as they are')

  t.ok(meets({ authority: { exact: 'example.org' } }))
  t.notOk(meets({ authority: { exact: 'example.org' } }, { host: 'example.org:8080' }), 'with the port')
  t.ok(meets({ headers: { Host: { exact: 'example.org' } } }), 'Host is another name of :authority')
  t.notOk(meets({ headers: { ':method': { exact: 'POST' } } }))

  t.ok(meets({ scheme: { exact: 'http' } }))
  t.notOk(meets({ scheme: { exact: 'http' } }, {}, 'https'))
  t.ok(meets({ port: 443 }, {}, 'https'))
  t.notOk(meets({ port: 443 }))

  t.ok(meets({ headers: { 'X-A': {} } }, { headers: { 'x-a': '' } }), 'presence')
  t.ok(meets({ headers: { 'x-a': { regex: '*' } } }, { headers: { 'x-a': 'v' } }), 'presence, as it was written once')
  t.notOk(meets({ headers: { 'x-a': {} } }))
  t.ok(meets({ headers: { 'x-a': { prefix: 'v' } } }, { headers: { 'x-a': 'v1' } }))
  t.notOk(meets({ headers: { 'x-a': { regex: 'v' } } }, { headers: { 'x-a': 'v1' } }))
  t.notOk(meets({ withoutHeaders: { 'x-a': {} } }, { headers: { 'x-a': 'v1' } }))
  t.ok(meets({ withoutHeaders: { 'x-a': {} } }))
  t.ok(meets({ withoutHeaders: { 'x-a': { exact: 'v1' } } }, { headers: { 'x-a': 'v2' } }))
  t.notOk(meets({ withoutHeaders: { 'x-a': { regex: '.*' } } }), 'a missing header counts as empty')
  t.ok(meets({ queryParams: { q: {} } }, { queryParams: { q: '' } }))
  t.notOk(meets({ queryParams: { q: { prefix: 'v' } } }, { queryParams: { q: 'w' } }))

  t.ok(meets({ sourceNamespace: 'istio-system' }), 'a gateway is its own caller')
  t.notOk(meets({ sourceNamespace: 'a' }))
  t.ok(meets({ sourceLabels: { istio: 'public-gateway' } }))
  t.notOk(meets({ sourceLabels: { app: 'client' } }))
  t.ok(meets({ gateways: ['istio-system/public'], sourceNamespace: 'a' }), 'with gateways, the source is not asked for')
  t.notOk(meets({ gateways: ['mesh'] }))
})

t.test('order in one VirtualService and between several', async t => {
  const first = before([
    { match: [{ uri: { prefix: '/' }, port: 443 }], ...to('other') },
    { match: [{ uri: { prefix: '/a' } }], ...to('one') },
    { match: [{ uri: { prefix: '/' } }], ...to('other') },
    { match: [{ uri: { exact: '/b' } }], ...to('one') },
  ])
  t.equal(serviceOf(first), 'a{app=one}:8080', 'a match for another port is not written')

  const older = virtualService({ http: [to('one')] }, { name: 'x', creationTimestamp: '2023-01-01T00:00:00Z' })
  const younger = virtualService(
    { http: [{ match: [{ uri: { prefix: '/a' } }], ...to('other') }] },
    { name: 'y', creationTimestamp: '2024-01-01T00:00:00Z' },
  )
  t.equal(serviceOf(ask([older, younger])), 'a{app=other}:9090', 'a bare catch-all is moved to the end')
  const conditional = { match: [{ method: { exact: 'GET' } }], ...to('one') }
  const fresh = virtualService({ http: [conditional] })
  t.equal(serviceOf(ask([fresh, younger])), 'a{app=other}:9090', 'no timestamp is the youngest')
  const long = virtualService({ http: [conditional] }, { creationTimestamp: '2023-01-01T00:00:00Z' })
  t.equal(serviceOf(ask([long, younger])), 'a{app=one}:8080', 'a catch-all with a condition stays where it is')
  const private_ = virtualService(
    { exportTo: ['istio-system'], http: [{ match: [{ uri: { prefix: '/a' } }], ...to('one') }] },
    { name: 'z', creationTimestamp: '2025-01-01T00:00:00Z' },
  )
  t.equal(serviceOf(ask([younger, private_])), 'a{app=one}:8080', 'exported by name goes before exported to all')
  for (const exportTo of [['.'], ['~'], ['a']]) {
    t.equal(ask([virtualService({ exportTo, http: [to('one')] })]).kind, 'none', `not exported: ${exportTo}`)
  }
})

t.test('hosts, and servers of one namespace', async t => {
  const hosts = (hosts: string[], host: string, serverHosts = ['*']) =>
    ask([virtualService({ hosts, http: [to('one')] })], { host }, 'http', { ...everywhere, serverHosts }).kind
  t.equal(hosts(['one'], 'one.a.svc.cluster.local'), 'route', 'a short host is completed')
  t.equal(hosts(['one'], 'one'), 'none')
  t.equal(hosts(['App.example.com'], 'app.example.com'), 'route')
  t.equal(hosts(['app.example.com'], 'app.example.com:8080'), 'route', 'the port does not count')
  t.equal(hosts(['*.example.com'], 'a.b.example.com'), 'route')
  t.equal(hosts(['*'], 'example.org', ['*.example.com']), 'none')
  t.equal(hosts(['*'], 'example.org', ['a/*']), 'route')
  t.equal(hosts(['*'], 'example.org', ['b/*']), 'none')
  t.equal(hosts(['*'], 'example.org', ['./*']), 'none')
  t.equal(hosts(['*'], 'example.org', ['b/*', 'a/example.org']), 'route')
  const specific = virtualService({
    hosts: ['example.org'],
    http: [{ match: [{ uri: { exact: '/b' } }], ...to('one') }],
  })
  t.equal(ask([specific, virtualService({ http: [to('other')] }, { name: 'y' })]).kind, 'none', 'no way back to *')
  for (const name of ['istio-system/public', 'public.istio-system.svc.cluster.local']) {
    t.equal(ask([virtualService({ gateways: [name], http: [to('one')] })]).kind, 'route', name)
  }
  t.equal(ask([virtualService({ gateways: ['public'], http: [to('one')] })]).kind, 'none', 'a bare name is near')
})

t.test('where requests go', async t => {
  const service = (destination: istio.Destination, port: PortName = 'http') =>
    serviceOf(before([{ route: [{ destination }] }], {}, port))
  t.equal(service({ host: 'one' }), 'a{app=one}:8080', 'the only port')
  t.equal(service({ host: 'several' }), 'a{app=several}:80', "the listener's port")
  t.equal(service({ host: 'several' }, 'https'), 'no port 443 of several.a.svc.cluster.local')
  t.equal(service({ host: 'one.b' }), 'no Service one.b:80', 'a name with a dot is not completed')
  t.equal(service({ host: 'one', subset: 'v1' }), 'a{app=one,version=v1}:8080')
  t.equal(service({ host: 'several', subset: 'v2', port: { number: 81 } }), 'a{app=several,version=v2}:81')
  t.equal(service({ host: 'one', subset: 'v9' }), 'no subset v9 of one.a.svc.cluster.local')

  const weights = (...weights: (number | undefined)[]) => {
    const route = weights.map(weight => ({ destination: { host: 'one' }, ...(weight === undefined ? {} : { weight }) }))
    const answer = before([{ route }])
    return answer.kind === 'route' ? answer.destinations.map(({ weight }) => weight) : []
  }
  t.strictSame(weights(0), [1], 'alone, a weight does not count')
  t.strictSame(weights(50, 10, 0, undefined), [5, 1], 'among several, 0 and none are none')
})

t.test('headers', async t => {
  const effects = (headers: istio.Headers, ...own: istio.Headers[]) => {
    const route = own.map(headers => ({ destination: { host: 'one' }, weight: 1, headers }))
    const answer = before([{ headers, route }])
    return answer.kind === 'route' ? answer.destinations.map(({ host, request }) => ({ host, request })) : []
  }
  const host = 'example.org'
  t.strictSame(
    effects({ request: { set: { 'X-A': '1' }, add: { 'x-a': '2' } } }, { request: { add: { 'x-a': '3' } } }),
    [{ host, request: { 'x-a': ['=1', '+2', '+3'] } }],
    "an only destination's come after the route's",
  )
  t.strictSame(
    effects({ request: { set: { 'x-a': '1' } } }, { request: { set: { 'x-a': '2' } } }, {}),
    [
      { host, request: { 'x-a': ['=1'] } },
      { host, request: { 'x-a': ['=1'] } },
    ],
    "among several, the route's come last",
  )
  t.strictSame(
    effects({ request: { set: { 'x-a': '1' } } }, { request: { remove: ['X-A'] } }),
    [{ host, request: { 'x-a': ['=1'] } }],
    'removals of one list come first',
  )
  t.strictSame(effects({ request: { remove: ['X-A'] } }, {}), [{ host, request: { 'x-a': ['-'] } }])
  t.strictSame(
    effects({ request: { remove: ['x-a'] } }, { request: { add: { 'x-a': '1' } } }, {}),
    [
      { host, request: { 'x-a': ['-'] } },
      { host, request: { 'x-a': ['-'] } },
    ],
    'what the route removes is gone, wherever it came from',
  )
  t.strictSame(
    effects({ request: { set: { Host: 'in.example.com' }, add: { host: 'not.example.com' } } }, {}),
    [{ host: 'in.example.com', request: {} }],
    'a Host that is set goes before one that is added',
  )
  t.strictSame(
    effects({ request: { set: { Host: 'in.example.com' } } }, { request: { set: { Host: 'not.example.com' } } }),
    [{ host: 'in.example.com', request: {} }],
    "Host rewrites the host, and the route's wins",
  )
})

t.test('redirects and responses', async t => {
  const location = (redirect: istio.HTTPRedirect, host = 'example.org', port: PortName = 'http') => {
    const answer = before([{ match: [{ uri: { prefix: '/a' } }], redirect }], { host, path: '/a/x' }, port)
    if (answer.kind !== 'redirect') return answer.kind
    const { scheme, host: to, path } = answer.location
    return `${answer.code} ${scheme}://${to}${path}`
  }
  t.equal(location({}), '301 http://example.org/a/x')
  t.equal(location({ uri: '/b', redirectCode: 308 }), '308 http://example.org/b')
  t.equal(location({ prefixRewrite: '/b' }), '301 http://example.org/b/x')
  t.equal(location({ authority: 'new.example.com', port: 8443 }), '301 http://new.example.com:8443/a/x')
  t.equal(location({ port: 8443 }, 'example.org:8000'), '301 http://example.org:8443/a/x')
  t.equal(location({}, 'example.org:80'), '301 http://example.org:80/a/x')
  t.equal(location({ port: 80 }), '301 http://example.org/a/x', "the scheme's own port is left out")
  t.equal(location({ port: 443, scheme: 'https' }), '301 https://example.org/a/x')
  t.equal(location({}, 'example.org:8000', 'extra'), '301 http://example.org:8000/a/x', "the client's port stays")
  t.equal(
    location({ derivePort: 'FROM_REQUEST_PORT' }, 'example.org', 'extra'),
    '301 http://example.org:8080/a/x',
    "the server's port, not the client's",
  )
  t.equal(
    location({ derivePort: 'FROM_PROTOCOL_DEFAULT' }, 'example.org:8000', 'extra'),
    '301 http://example.org:8000/a/x',
  )
  t.equal(location({ scheme: 'https' }, 'example.org:80'), '301 https://example.org/a/x', 'but not to another scheme')

  const refused = { directResponse: { status: 403, body: { string: 'no' } }, ...to('one') }
  t.match(before([refused]), { kind: 'response', status: 403, body: 'no' }, 'before destinations')
  t.equal(before([{ ...refused, redirect: { uri: '/b' } }]).kind, 'redirect', 'before responses')
})

t.test('rewrites by regex', async t => {
  const path = (match: string, rewrite: string) => {
    const answer = before([{ rewrite: { uriRegexRewrite: { match, rewrite } }, ...to('one') }], { path: '/a/b/c' })
    return answer.kind === 'route' && answer.path
  }
  t.equal(path('^/a(/|$)(.*)', '/\\2'), '/b/c')
  t.equal(path('/[a-z]', '/x'), '/x/x/x', 'everywhere')
  t.equal(path('/.*', '/$1'), '/$1')
})

t.test('policies', async t => {
  const policy = (http: istio.HTTPRoute) => before([{ ...to('one'), ...http }]) as Extract<Answer, { kind: 'route' }>
  const mesh = ['cancelled', 'connect-failure', 'refused-stream', 'unavailable']
  t.match(policy({}).retries, { attempts: 2, perTryTimeoutMs: 0, backoffMs: 0 }, "the mesh's own")
  t.strictSame(policy({}).retries?.retryOn, mesh)
  t.strictSame(policy({}).retries?.codes, [])
  t.equal(policy({ retries: { attempts: 0 } }).retries, undefined, 'none')
  t.strictSame(policy({ retries: { attempts: 2 } }).retries, policy({}).retries)
  t.strictSame(
    policy({
      retries: { attempts: 1, retryOn: '503, reset,retriable-status-codes', perTryTimeout: '2s', backoff: '25ms' },
    }).retries,
    {
      attempts: 1,
      retryOn: ['reset'],
      codes: [503],
      perTryTimeoutMs: 2000,
      backoffMs: 25,
      avoidsPreviousHosts: true,
      avoidsPreviousPriorities: false,
    },
  )
  t.match(policy({ retries: { attempts: 1, retryIgnorePreviousHosts: false } }).retries, { avoidsPreviousHosts: false })

  t.equal(policy({ timeout: '1.5s' }).timeoutMs, 1500)
  t.equal(policy({ timeout: null }).timeoutMs, 0)

  const one = 'a{app=one}:8080'
  t.strictSame(policy({ mirror: { host: 'one' } }).mirrors, [{ service: one, millionths: 1_000_000 }])
  t.strictSame(policy({ mirror: { host: 'one' }, mirrorPercentage: { value: 0.5 } }).mirrors, [
    { service: one, millionths: 5000 },
  ])
  t.strictSame(policy({ mirror: { host: 'one' }, mirrorPercent: 20 }).mirrors, [{ service: one, millionths: 200_000 }])
  t.strictSame(policy({ mirror: { host: 'one' }, mirrorPercent: 20, mirrorPercentage: { value: 0 } }).mirrors, [])
  t.strictSame(policy({ mirrors: [{ destination: { host: 'one' }, percentage: { value: 0 } }] }).mirrors, [])

  const cors = (corsPolicy: istio.CorsPolicy) => policy({ corsPolicy }).cors
  t.strictSame(cors({}), {
    origins: [],
    credentials: false,
    methods: '',
    headers: '',
    exposed: '',
    maxAge: undefined,
    forwardsUnmatchedPreflights: true,
  })
  t.ok(cors({ allowOrigins: [{ exact: '*' }] })?.origins.includes('null'))
  t.strictSame(cors({ allowOrigin: ['https://example.com'] })?.origins, ['https://example.com'])
  t.strictSame(cors({ allowOrigins: [{ regex: 'https://.*\\.example\\.com' }] })?.origins, [
    'https://app.example.com',
    'https://a.app.example.com',
  ])
  t.match(cors({ maxAge: '1.5s', unmatchedPreflights: 'IGNORE' }), { maxAge: '1', forwardsUnmatchedPreflights: false })

  t.strictSame(policy({ fault: { abort: { httpStatus: 503, percentage: { value: 0.1 } } } }).fault, {
    delay: undefined,
    abort: { status: 'http 503', millionths: 1000 },
  })
  t.equal(policy({ fault: { abort: { httpStatus: 503 } } }).fault, undefined, 'without a percentage never')
  t.match(policy({ fault: { delay: { fixedDelay: '5s', percent: 10 } } }).fault, {
    delay: { ms: 5000, millionths: 100_000 },
  })
})

t.test('delegates', async t => {
  const answer = (root: istio.HTTPRoute, leaf: istio.HTTPRoute, request: Partial<Request> = {}, exportTo?: string[]) =>
    ask(
      [
        virtualService({ http: [{ delegate: { name: 'd', namespace: 'b' }, ...root }] }),
        virtualService({ http: [leaf], ...(exportTo ? { exportTo } : {}) }, { name: 'd', namespace: 'b' }, true),
      ],
      request,
    )
  t.equal(serviceOf(answer({}, to('one'))), 'b{app=one}:8080', "short names are of the delegate's namespace")
  const under = { match: [{ uri: { prefix: '/a' } }] }
  t.equal(answer(under, { match: [{ uri: { prefix: '/a/b' } }], ...to('one') }, { path: '/a/b' }).kind, 'route')
  t.equal(answer(under, { match: [{ uri: { prefix: '/' } }], ...to('one') }).kind, 'none', 'must lie within the root')
  t.equal(answer(under, { match: [{ uri: { regex: '/a.*' } }], ...to('one') }).kind, 'none', 'no regex goes with it')
  t.equal(answer(under, { match: [{ headers: { 'x-a': {} } }], ...to('one') }).kind, 'none')
  t.equal(
    answer(under, { match: [{ headers: { 'x-a': {} } }], ...to('one') }, { headers: { 'x-a': '1' } }).kind,
    'route',
    'conditions add up',
  )
  t.equal(
    answer(
      { match: [{ uri: { prefix: '/a' }, ignoreUriCase: true }] },
      { match: [{ uri: { prefix: '/a' } }], ...to('one') },
    ).kind,
    'none',
    'ignoreUriCase must be equal',
  )
  t.equal(
    answer(
      { match: [{ headers: { 'x-a': {} } }] },
      { match: [{ headers: { 'x-b': {} } }], ...to('one') },
      { headers: { 'x-b': '1' } },
    ).kind,
    'none',
    "the root's headers and the delegate's",
  )
  t.equal(
    ask([
      virtualService({ http: [{ delegate: { name: 'y' } }] }),
      virtualService({ http: [to('one')], hosts: ['example.net'] }, { name: 'y' }),
    ]).kind,
    'none',
    'what has hosts is no delegate',
  )
  t.equal(answer({}, to('one'), {}, ['.']).kind, 'none', 'not exported to the root')
  t.equal(answer({}, to('one'), {}, ['a']).kind, 'route')
  t.match(answer({ timeout: '3s' }, to('one')), { timeoutMs: 3000 }, "the root's where the delegate says nothing")
  t.match(answer({ timeout: '3s' }, { timeout: '1s', ...to('one') }), { timeoutMs: 1000 })
  t.equal(
    serviceOf(ask([virtualService({ http: [{ delegate: { name: 'gone' } }, to('other')] })])),
    'a{app=other}:9090',
    'a missing delegate takes only its entry with it',
  )
  t.equal(ask([virtualService({ http: [to('one')] }, {}, true)]).kind, 'none', 'nothing by itself')
})

t.test('a sidecar asks one VirtualService for each Service', async t => {
  const [one] = services
  if (!one) throw new Error('there must be a Service')
  const from = (namespace: string, ...virtualServices: istio.VirtualService[]) => {
    const proxy = { gateway: 'mesh', pods: { namespace, labels: { app: 'client' } }, registry: registryWith([]) }
    const ingress = { port: 8080, scheme: 'http' as const }
    const request: Request = { ...plain, host: 'one.a.svc.cluster.local' }
    return serviceOf(
      answerOf(routeFor(virtualHostsOfSidecar(virtualServices, one, 8080, proxy), request, ingress), request, ingress),
    )
  }
  const mesh = (spec: istio.VirtualServiceSpec, creationTimestamp = '2024-01-01T00:00:00Z') => {
    const { gateways: _, ...rest } = virtualService({ hosts: ['one'], ...spec }).spec
    return { ...virtualService({}, { name: creationTimestamp, creationTimestamp }), spec: rest }
  }
  const other = mesh({ http: [to('other')] })
  t.equal(from('a'), 'a{app=one}:8080', 'without one, the Service itself')
  t.equal(from('a', other), 'a{app=other}:9090', 'without gateways it is for the mesh')
  t.equal(from('a', mesh({ gateways: ['istio-system/public'], http: [to('other')] })), 'a{app=other}:9090')
  const older = mesh({ http: [{ match: [{ uri: { exact: '/nothing' } }], ...to('one') }] }, '2023-01-01T00:00:00Z')
  t.equal(from('a', other, older), 'none', 'the first one wins, and no other is asked')
  const wildcard = mesh({ hosts: ['*.a.svc.cluster.local'], http: [to('one')] }, '2023-01-01T00:00:00Z')
  t.equal(from('a', wildcard, other), 'a{app=other}:9090', 'an exact host before a wildcard')
  t.equal(from('b', mesh({ exportTo: ['.'], http: [to('other')] })), 'a{app=one}:8080', 'not exported to the client')
  const elsewhere = mesh({ http: [{ match: [{ port: 81 }], ...to('one') }] }, '2023-01-01T00:00:00Z')
  t.equal(from('a', elsewhere, other), 'a{app=other}:9090', 'one without routes for the port is none')
  t.equal(from('b', mesh({ http: [{ match: [{ sourceNamespace: 'a' }], ...to('other') }] })), 'a{app=one}:8080')
})

t.test('connections: tls and tcp', async t => {
  const chains = (protocol: 'TLS' | 'TCP', ...specs: istio.VirtualServiceSpec[]) => {
    const virtualServices = specs.map((spec, i) => virtualService(spec, { name: `x${i}` }))
    const port = protocol === 'TLS' ? 'tls' : 'tcp'
    return chainsOfVirtualServices(virtualServices, protocol, istioIngress(everywhere, 'public', port))
  }
  const goes = (found: ReturnType<typeof chains>, serverName: string) =>
    chainFor(found, serverName)
      ?.destinations.map(({ service, weight }) => `${weight} ${service}`)
      .join() ?? 'nowhere'
  const tls = chains('TLS', {
    tls: [
      { match: [{ sniHosts: ['*.example.com'] }], ...to('one') },
      { match: [{ sniHosts: ['app.example.com'] }], ...to('other') },
      { match: [{ sniHosts: ['www.example.com', 'app.example.com'] }], ...to('several') },
      { match: [{ sniHosts: ['example.org'], port: 443 }], ...to('one') },
    ],
  })
  t.equal(goes(tls, 'app.example.com'), '1 a{app=other}:9090', 'the most specific, whatever the order')
  t.equal(goes(tls, 'www.example.com'), '1 a{app=one}:8080', 'a match with a name that is taken is left out whole')
  t.equal(goes(tls, 'example.org'), 'nowhere', 'for another port')
  const tcp = chains('TCP', { tcp: [{ match: [{ port: 9999 }], ...to('one') }, to('other'), to('one')] })
  t.equal(goes(tcp, ''), '1 a{app=other}:9090', 'the first that fits takes all')
  const weighted = {
    route: [
      { destination: { host: 'one' }, weight: 50 },
      { destination: { host: 'other' }, weight: 100 },
    ],
  }
  t.equal(goes(chains('TCP', { tcp: [weighted] }), ''), '1 a{app=one}:8080,2 a{app=other}:9090')

  const routes = (route: ConnectionRoute['spec'], kind: ConnectionRoute['kind'], configuration = everywhere) => {
    const parentRefs = [{ namespace: 'istio-system', name: 'ingress' }]
    const object: ConnectionRoute = { ...named({}), apiVersion: '', kind, spec: { parentRefs, ...route } }
    const port = kind === 'TLSRoute' ? 'tls' : 'tcp'
    return chainsOfRoutes([object], port === 'tls' ? 'TLS' : 'TCP', kubernetesIngress(configuration, 'public', port))
  }
  const rules = [{ backendRefs: [{ name: 'one', port: 8080 }] }]
  t.equal(goes(routes({ hostnames: ['app.example.com'], rules }, 'TLSRoute'), 'app.example.com'), '1 a{app=one}:8080')
  t.equal(goes(routes({ hostnames: ['app.example.com'], rules }, 'TLSRoute'), 'www.example.com'), 'nowhere')
  t.equal(goes(routes({ rules }, 'TCPRoute'), ''), '1 a{app=one}:8080')
  const elsewhere = [{ backendRefs: [{ name: 'one', namespace: 'b', port: 8080 }] }]
  t.equal(goes(routes({ rules: elsewhere }, 'TCPRoute'), ''), '1 b{app=one}:8080')
  t.match(goes(routes({ rules: elsewhere }, 'TCPRoute', { ...everywhere, granted: false }), ''), /not\.granted/)
})
