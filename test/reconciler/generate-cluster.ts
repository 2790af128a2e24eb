// Small clusters in which everything has to do with everything: each slot is one object that is there in one of a few
// variants, or is not. A change puts another variant, or nothing, into one slot.
import fc from 'fast-check'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'

const own = { create: true, services: 'all' as const, ingressUseWaypoint: true, directCallers: [] }

/** Two ingresses (one Gateway is somebody else's, one is kept by sidestep, its old pods elsewhere) and shared waypoints. */
export const settings: Settings = {
  ...profiles.generic,
  gateways: [
    {
      istioGateways: ['kubeflow/public', 'istio-system/second'],
      gateway: 'istio-system/ingress',
      pods: { namespace: 'istio-system', labels: { istio: 'ingressgateway' } },
      serviceAccounts: { old: ['istio-system/old'], new: ['istio-system/ingress-istio'] },
    },
    {
      istioGateways: ['team-b/private'],
      gateway: 'edge/private',
      pods: { namespace: 'old-edge', labels: { istio: 'private' } },
      serviceAccounts: { old: ['old-edge/old'], new: ['edge/private-istio'] },
      create: true,
    },
  ],
  namespaces: [
    { names: ['kubeflow'], dataplaneMode: 'ambient', waypoint: { ...own, name: 'named', services: ['app'] } },
    { matchLabels: { place: 'apart' }, dataplaneMode: 'ambient', waypoint: { ...own, name: 'w', namespace: 'apart' } },
    { matchLabels: { place: 'own' }, dataplaneMode: 'ambient', waypoint: { ...own, name: 'w' } },
  ],
}

export const variations: fc.Arbitrary<Settings> = fc
  .record({
    subsets: fc.constantFrom<Settings['subsets'][]>('deny', 'services'),
    referenceGrants: fc.constantFrom<Settings['referenceGrants'][]>('given', 'create'),
    ruleOrder: fc.constantFrom<Settings['ruleOrder'][]>('specificity', 'regex'),
    grpcRoutes: fc.boolean(),
  })
  .map(chosen => ({ ...settings, ...chosen }))

// Slots ---------------------------------------------------------------------------------------------------------------

interface Content {
  labels?: Record<string, string>
  annotations?: Record<string, string>
  [field: string]: unknown
}

function slot(apiVersion: string, kind: string, key: string, ...variants: Content[]): KubernetesObject[] {
  const [name, namespace] = key.split('/').reverse()
  return variants.map(({ labels, annotations, ...content }: Content) => ({
    apiVersion,
    kind,
    metadata: { name, ...(namespace && { namespace }), ...(labels && { labels }), ...(annotations && { annotations }) },
    ...content,
  })) as KubernetesObject[]
}

const spec = (content: Content): Content => ({ spec: content })
const labels = (given: Record<string, string>): Content => ({ labels: given })
const useWaypoint = (namespace: string, name = 'w') => ({
  'istio.io/use-waypoint': name,
  'istio.io/use-waypoint-namespace': namespace,
})
const ambient = { 'istio.io/dataplane-mode': 'ambient' }

const namespaces = [
  slot('v1', 'Namespace', 'istio-system', labels({}), labels({ 'sidestep.dev/mode': 'observe' })),
  slot('v1', 'Namespace', 'edge', labels({}), labels({ admitted: 'yes' })),
  slot('v1', 'Namespace', 'old-edge', labels({})),
  slot('v1', 'Namespace', 'apart', labels({}), labels(ambient)),
  slot('v1', 'Namespace', 'kubeflow', labels({}), labels(ambient), labels({ 'sidestep.dev/mode': 'off' })),
  ...['team-a', 'team-b'].map((name, i) =>
    slot(
      'v1',
      'Namespace',
      name,
      labels({ place: 'own' }),
      labels({ place: 'own', ...ambient }),
      labels({ place: 'own', ...ambient, admitted: 'yes' }),
      labels({ place: 'own', ...ambient, 'istio.io/use-waypoint': 'w', 'istio.io/ingress-use-waypoint': 'true' }),
      labels({ place: 'apart', ...ambient }),
      labels({ place: 'apart', ...ambient, ...useWaypoint('apart') }),
      labels({ place: 'own', ...ambient, ...useWaypoint(['team-b', 'team-a'][i] ?? '') }),
      labels({ place: 'own', 'istio-injection': 'enabled' }),
      labels({ place: 'own', 'istio.io/dataplane-mode': 'none' }),
      labels({ place: 'own', 'sidestep.dev/mode': 'off' }),
      labels({ place: 'own', 'sidestep.dev/mode': 'observe' }),
    ),
  ),
]

const ports = [{ name: 'http', port: 80, targetPort: 8080 }]
const services = [
  ...['team-a', 'team-b', 'kubeflow'].map(namespace =>
    slot(
      'v1',
      'Service',
      `${namespace}/app`,
      spec({ selector: { app: 'app' }, ports }),
      spec({ selector: { app: 'app' }, ports: [{ port: 80, targetPort: 9090 }, { port: 81 }] }),
      { ...labels({ 'istio.io/use-waypoint': 'w' }), ...spec({ selector: { app: 'app' }, ports }) },
      { ...labels({ 'istio.io/use-waypoint': 'none' }), ...spec({ selector: { app: 'app' }, ports }) },
      {
        ...labels(useWaypoint(namespace === 'team-a' ? 'team-b' : 'team-a')),
        ...spec({ selector: { app: 'app' }, ports }),
      },
    ),
  ),
  slot('v1', 'Service', 'team-a/app-v1', spec({ selector: { app: 'app', version: 'v1' }, ports })),
  slot('v1', 'Service', 'team-b/db', spec({ selector: { app: 'db' }, ports: [{ name: 'tcp', port: 5432 }] })),
  slot(
    'v1',
    'Service',
    'istio-system/old',
    spec({ selector: { istio: 'ingressgateway' }, ports }),
    spec({ selector: { istio: 'ingressgateway' }, ports: [{ port: 8080, targetPort: 80 }] }),
  ),
  slot(
    'v1',
    'Service',
    'old-edge/old',
    spec({ selector: { istio: 'private' }, ports: [{ port: 80, targetPort: 80 }] }),
  ),
]

function pod(key: string, account: string, its: Record<string, string>, container = 'app'): KubernetesObject[] {
  const containers = [{ name: container, ports: [{ name: 'http', containerPort: 8080 }] }]
  const content = { labels: its, spec: { serviceAccountName: account, containers } }
  return slot(
    'v1',
    'Pod',
    key,
    content,
    { ...content, annotations: { 'sidecar.istio.io/status': '{}' } },
    { ...content, annotations: { 'ambient.istio.io/redirection': 'enabled' } },
    { ...content, labels: { ...its, version: 'v1' } },
    { ...content, spec: { ...content.spec, serviceAccountName: 'other' } },
  )
}

const waypointPod = { 'gateway.networking.k8s.io/gateway-name': 'w' }
const pods = [
  pod('team-a/app-1', 'app', { app: 'app' }),
  pod('team-b/app-1', 'app', { app: 'app' }),
  pod('kubeflow/app-1', 'app', { app: 'app' }),
  pod('team-a/w', 'w', waypointPod, 'istio-proxy'),
  pod('apart/w', 'w', waypointPod, 'istio-proxy'),
  pod('istio-system/old', 'old', { istio: 'ingressgateway' }, 'istio-proxy'),
  pod('old-edge/old', 'old', { istio: 'private' }, 'istio-proxy'),
]

// Gateways ------------------------------------------------------------------------------------------------------------

const programmed = {
  status: {
    addresses: [{ value: '10.0.0.1' }],
    conditions: [
      { type: 'Accepted', status: 'True' },
      { type: 'Programmed', status: 'True' },
    ],
  },
}

function waypoint(key: string): KubernetesObject[] {
  const listener = { name: 'mesh', port: 15008, protocol: 'HBONE' }
  const from = (from: string, more: Content = {}) => ({
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ ...listener, allowedRoutes: { namespaces: { from, ...more } } }],
    },
  })
  return slot(
    'gateway.networking.k8s.io/v1',
    'Gateway',
    key,
    from('Same'),
    { ...from('Same'), ...programmed },
    { ...from('All'), ...programmed },
    { ...from('Selector', { selector: { matchLabels: { admitted: 'yes' } } }), ...programmed },
    { spec: { gatewayClassName: 'other', listeners: [listener] }, ...programmed },
  )
}

const http = (more: Content = {}) => ({ name: 'http', port: 80, protocol: 'HTTP', ...more })
const gateways = [
  waypoint('team-a/w'),
  waypoint('team-b/w'),
  waypoint('apart/w'),
  waypoint('kubeflow/named'),
  ...['istio-system/ingress', 'edge/private'].map(key =>
    slot(
      'gateway.networking.k8s.io/v1',
      'Gateway',
      key,
      spec({ gatewayClassName: 'istio', listeners: [http({ allowedRoutes: { namespaces: { from: 'All' } } })] }),
      {
        ...spec({ gatewayClassName: 'istio', listeners: [http({ allowedRoutes: { namespaces: { from: 'All' } } })] }),
        ...programmed,
      },
      spec({
        gatewayClassName: 'istio',
        listeners: [
          http({
            allowedRoutes: { namespaces: { from: 'Selector', selector: { matchLabels: { admitted: 'yes' } } } },
          }),
          { name: 'tls', port: 443, protocol: 'TLS', tls: { mode: 'Passthrough' } },
        ],
      }),
    ),
  ),
  ...['kubeflow/public', 'istio-system/second', 'team-b/private'].map(key =>
    slot(
      'networking.istio.io/v1',
      'Gateway',
      key,
      spec({
        selector: { istio: 'ingressgateway' },
        servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
      }),
      spec({
        selector: { istio: 'private' },
        servers: [
          { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['team-a/*'], tls: { httpsRedirect: true } },
          { port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: ['*'], tls: { mode: 'PASSTHROUGH' } },
        ],
      }),
    ),
  ),
]

// Routes --------------------------------------------------------------------------------------------------------------

const to = (host: string, subset?: string) => [{ destination: { host, ...(subset && { subset }) } }]
const entry = (prefix: string, host = 'app', subset?: string): Content => ({
  match: [{ uri: { prefix } }],
  route: to(host, subset),
})
const gatewayed = (content: Content, gateway = 'kubeflow/public', hosts = ['*']): Content =>
  spec({ hosts, gateways: [gateway], ...content })
const asking = (condition: Content): Content => ({ match: [{ uri: { prefix: '/q' }, ...condition }], route: to('app') })
const tlsTo = (host: string): Content => ({
  tls: [{ match: [{ sniHosts: ['a.example.com'] }], route: [{ destination: { host, port: { number: 80 } } }] }],
})

function virtualService(key: string, created: string): KubernetesObject[] {
  const variants = slot(
    'networking.istio.io/v1',
    'VirtualService',
    key,
    gatewayed({ http: [entry('/a')] }),
    gatewayed({ http: [entry('/a/b', 'app.team-b.svc.cluster.local')] }),
    gatewayed({ http: [entry('/a', 'app', 'v1')] }),
    gatewayed({ http: [entry('/')] }, 'team-b/private'),
    gatewayed({ http: [entry('/a')] }, 'istio-system/second', ['a.example.com']),
    gatewayed({ http: [{ match: [{ uri: { regex: '/a.*' } }], route: to('app.team-a.svc.cluster.local', 'v1') }] }),
    gatewayed({ http: [{ match: [{ uri: { prefix: '/d' } }], delegate: { name: 'leaf', namespace: 'team-b' } }] }),
    gatewayed({ ...tlsTo('app') }, 'kubeflow/public', ['a.example.com']),
    gatewayed({ http: [entry('/z')], ...tlsTo('app') }, 'istio-system/second', ['a.example.com']),
    spec({ hosts: ['app'], http: [entry('/a')] }),
    spec({ hosts: ['app.team-b.svc.cluster.local'], http: [entry('/')] }),
    spec({ hosts: ['*.team-a.svc.cluster.local'], http: [entry('/')] }),
    spec({ http: [entry('/d/a')] }),
    spec({ http: [entry('/d', 'app', 'v1'), entry('/d/b')] }),
    gatewayed({ http: [asking({ authority: { exact: 'a.example.com' } })] }),
    gatewayed({ http: [asking({ scheme: { exact: 'https' } })] }, 'istio-system/second', ['a.example.com']),
    gatewayed({ http: [asking({ sourceLabels: { istio: 'other' } })] }, 'kubeflow/public', ['*.example.com']),
    gatewayed({ http: [entry('/a/b'), entry('/a'), { match: [{ uri: { exact: '/a/b/c' } }], route: to('app') }] }),
    gatewayed({ http: [{ match: [{ uri: { regex: '/a.*b' } }], route: to('app') }, entry('/a/b')] }),
  )
  return variants.map(object => ({ ...object, metadata: { ...object.metadata, creationTimestamp: created } }))
}

const virtualServices = [
  virtualService('team-a/lab', '2024-01-01T00:00:00Z'),
  virtualService('team-a/lab-mesh', '2024-01-02T00:00:00Z'),
  virtualService('team-b/lab', '2024-01-03T00:00:00Z'),
  virtualService('team-b/leaf', '2024-01-04T00:00:00Z'),
  virtualService('kubeflow/lab', '2024-01-05T00:00:00Z'),
]

const aroundRoutes = [
  slot(
    'gateway.networking.k8s.io/v1',
    'HTTPRoute',
    'team-a/lab',
    spec({
      parentRefs: [{ name: 'ingress', namespace: 'istio-system' }],
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/a' } }] }],
    }),
    spec({ parentRefs: [{ name: 'app', kind: 'Service', group: '' }], rules: [{}] }),
  ),
  slot(
    'gateway.networking.k8s.io/v1beta1',
    'ReferenceGrant',
    'team-b/grant',
    spec({
      from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'team-a' }],
      to: [{ group: '', kind: 'Service' }],
    }),
  ),
  slot(
    'networking.istio.io/v1',
    'DestinationRule',
    'team-a/app',
    spec({ host: 'app', subsets: [{ name: 'v1', labels: { version: 'v1' } }] }),
    spec({ host: 'app', subsets: [{ name: 'v1', labels: { version: 'v2' } }] }),
  ),
  slot(
    'networking.istio.io/v1',
    'DestinationRule',
    'istio-system/all',
    spec({ host: '*.svc.cluster.local', subsets: [{ name: 'v1', labels: { version: 'v1' } }] }),
  ),
  slot(
    'networking.istio.io/v1',
    'ServiceEntry',
    'team-a/entry',
    spec({ hosts: ['app'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] }),
  ),
]

// Policies ------------------------------------------------------------------------------------------------------------

const principal = (account: string) => `cluster.local/ns/${account.replace('/', '/sa/')}`
const from = (...accounts: string[]) => [{ source: { principals: accounts.map(principal) } }]
const notFrom = (...accounts: string[]) => [{ source: { notPrincipals: accounts.map(principal) } }]
const get = [{ operation: { methods: ['GET'] } }]

function policy(key: string, selector?: Record<string, string>): KubernetesObject[] {
  const chosen = selector ? { selector: { matchLabels: selector } } : {}
  const rules = (action: string, ...rules: Content[]) => spec({ ...chosen, action, rules })
  return slot(
    'security.istio.io/v1',
    'AuthorizationPolicy',
    key,
    spec(chosen),
    rules('ALLOW', { from: from('istio-system/old') }),
    rules('ALLOW', { from: from('istio-system/old', 'old-edge/old'), to: get }),
    rules('ALLOW', { to: [{ operation: { ports: ['8080'] } }] }, { to: get }),
    rules('ALLOW', { from: notFrom('istio-system/old') }),
    rules('DENY', { from: from('old-edge/old') }),
    rules('DENY', { to: get }),
    rules('DENY', { to: [{ operation: { ports: ['80'], methods: ['GET'] } }] }),
    { ...rules('CUSTOM', { to: get }), spec: { ...chosen, action: 'CUSTOM', provider: { name: 'x' }, rules: [{}] } },
    spec({ targetRefs: [{ kind: 'Service', group: '', name: 'app' }], rules: [{ to: get }] }),
  )
}

const rootPolicies = [
  policy('istio-system/all'),
  policy('istio-system/app', { app: 'app' }),
  slot(
    'security.istio.io/v1',
    'RequestAuthentication',
    'istio-system/tokens-of-apps',
    spec({ selector: { matchLabels: { app: 'app' } }, jwtRules: [{ issuer: 'x' }] }),
    spec({ selector: { matchLabels: { app: 'app' } }, jwtRules: [{ issuer: 'y' }] }),
  ),
]

const policies = [
  policy('team-a/all'),
  policy('team-a/app', { app: 'app' }),
  policy('team-b/app', { app: 'app' }),
  policy('kubeflow/app', { app: 'app' }),
  policy('istio-system/ingress', { istio: 'ingressgateway' }),
  policy('edge/ingress', { istio: 'private' }),
  ...[
    ['team-a/tokens', { app: 'app' }],
    ['istio-system/tokens', { istio: 'ingressgateway' }],
  ].map(([key, matchLabels]) =>
    slot(
      'security.istio.io/v1',
      'RequestAuthentication',
      key as string,
      spec({ selector: { matchLabels }, jwtRules: [{ issuer: 'x' }] }),
      spec({ jwtRules: [{ issuer: 'x' }] }),
    ),
  ),
  ...['team-a/app', 'team-a/all', 'istio-system/all'].map(key =>
    slot(
      'security.istio.io/v1',
      'PeerAuthentication',
      key,
      spec({ mtls: { mode: 'STRICT' } }),
      spec({ mtls: { mode: 'PERMISSIVE' } }),
      spec({ selector: { matchLabels: { app: 'app' } }, portLevelMtls: { 8080: { mode: 'DISABLE' } } }),
      spec({ selector: { matchLabels: { app: 'app' } }, portLevelMtls: { 8080: { mode: 'STRICT' } } }),
    ),
  ),
]

const others = [
  slot('admissionregistration.k8s.io/v1', 'ValidatingWebhookConfiguration', 'app', {
    webhooks: [{ clientConfig: { service: { namespace: 'team-a', name: 'app', port: 80 } } }],
  }),
  slot('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'grpcroutes.gateway.networking.k8s.io', {
    spec: { versions: [{ name: 'v1', served: true, schema: {} }] },
  }),
]

/** What belongs together: a cluster has much of one group and little of another. */
const groups = [namespaces, services, pods, gateways, virtualServices, aroundRoutes, policies, rootPolicies, others]
export const slots: readonly (readonly KubernetesObject[])[] = groups.flat()

/** What is in a slot: the number of a variant, or one that is beyond them, for nothing. */
export interface Filling {
  slot: number
  variant: number
}

export const fillings: fc.Arbitrary<Filling> = fc
  .constantFrom(...groups)
  .chain(group => fc.constantFrom(...group))
  .chain(variants =>
    fc.record({ slot: fc.constant(slots.indexOf(variants)), variant: fc.nat({ max: variants.length }) }),
  )

/** For each slot what is in it at first. */
export const starts: fc.Arbitrary<Filling[]> = fc
  .tuple(...groups.map(group => groupStart(group)))
  .map(all => all.flat())

function groupStart(group: KubernetesObject[][]): fc.Arbitrary<Filling[]> {
  const isThere = fc.constantFrom(group === namespaces ? 100 : 10, 50, 90)
  const chances = { minLength: group.length, maxLength: group.length }
  return fc
    .tuple(isThere, fc.array(fc.nat({ max: 99 }), chances), fc.array(fc.nat({ max: 99 }), chances))
    .map(([percent, chances, variants]) =>
      group.map((slot, i) => ({
        slot: slots.indexOf(slot),
        variant: (chances[i] ?? 0) < percent ? (variants[i] ?? 0) % slot.length : slot.length,
      })),
    )
}
