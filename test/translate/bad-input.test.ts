// What hostile and careless people write: any value in any field, objects as large as the API server takes, names at
// their limits. The answer is a coded diagnostic or routes that the API server would store, within bounded time.
import { readFileSync } from 'node:fs'
import { Ajv, type AnySchema } from 'ajv'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import { authorizationPolicyFates } from '../../src/translate/authorization-policy/fates.ts'
import type { Shape, Table } from '../../src/translate/fate.ts'
import { gatewayFates } from '../../src/translate/gateway/fates.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { requestAuthenticationFates } from '../../src/translate/request-authentication/fates.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import type { Translation } from '../../src/translate/translation.ts'
import { virtualServiceFates } from '../../src/translate/virtual-service/fates.ts'
import { crdFiles } from '../control-plane/binaries.ts'

const [mapping] = profiles.kubeflow.gateways
const settings: Settings = {
  ...profiles.kubeflow,
  subsets: 'services',
  referenceGrants: 'create',
  gateways: mapping ? [{ ...mapping, create: true }] : [],
}

const destination = { host: 'app', port: { number: 80 } }
const route = [{ destination }]

function virtualService(spec: object, metadata: object = {}): KubernetesObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'app', namespace: 'team-a', ...metadata },
    spec: { hosts: ['*'], gateways: ['kubeflow/kubeflow-gateway'], ...spec },
  } as KubernetesObject
}

function istioGateway(servers: unknown): KubernetesObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'kubeflow-gateway', namespace: 'kubeflow' },
    spec: { selector: { istio: 'ingressgateway' }, servers },
  } as KubernetesObject
}

const server = { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }
const tlsServer = {
  port: { number: 8443, name: 'tls', protocol: 'TLS' },
  hosts: ['*.example.com'],
  tls: { mode: 'PASSTHROUGH' },
}
const tcpServer = { port: { number: 9000, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] }
const others: KubernetesObject[] = [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'team-a', labels: { 'istio.io/dataplane-mode': 'ambient' } },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'app', namespace: 'team-a' },
    spec: { ports: [{ port: 80 }], selector: { app: 'app' } },
  } as KubernetesObject,
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'team-b', labels: { 'istio.io/dataplane-mode': 'ambient', 'istio.io/use-waypoint': 'waypoint' } },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'app', namespace: 'team-b' },
    spec: { ports: [{ port: 80, targetPort: 8080 }], selector: { app: 'app-b' } },
  } as KubernetesObject,
]

function translated(object: KubernetesObject, more: KubernetesObject[] = []): Translation {
  const isGateway = object.kind === 'Gateway'
  const gateway = isGateway ? [] : [istioGateway([server, tlsServer, tcpServer])]
  return translate(object, snapshotOf([...others, ...gateway, ...more, object]), settings)
}

/** A policy for the pods behind Service app of team-b, which a waypoint serves. */
function policyOf(kind: string, spec: object, metadata: object = {}): KubernetesObject {
  return {
    apiVersion: 'security.istio.io/v1',
    kind,
    metadata: { name: 'app', namespace: 'team-b', ...metadata },
    spec: { selector: { matchLabels: { app: 'app-b' } }, ...spec },
  } as KubernetesObject
}

const authorizationPolicy = (spec: object, metadata: object = {}) => policyOf('AuthorizationPolicy', spec, metadata)

function codesOf({ warnings, denial }: Translation): string[] {
  return [...(denial?.reasons ?? []), ...warnings].map(({ code }) => code)
}

// Any value in any field ---------------------------------------------------------------------------------------------

function nested(levels: number): unknown {
  let value: unknown = {}
  for (let i = 0; i < levels; i++) value = { a: [value] }
  return value
}

const shown = (value: unknown) => attempt(() => String(JSON.stringify(value)).slice(0, 40)) ?? 'too deep to print'

const values: unknown[] = [
  null,
  0,
  -1,
  1.5,
  65_536,
  1e300,
  Number.NaN,
  '',
  ' ',
  '*',
  '/',
  '\u0000',
  '\ud800',
  'ümläut.example.com',
  'xn--bcher-kva.example.com',
  '10.0.0.1',
  '[::1]:80',
  'app.example.com:8080',
  '*.*.example.com',
  'a.*.example.com',
  `${'a'.repeat(63)}.`.repeat(4).concat('com'),
  `${'a'.repeat(63)}.`.repeat(3).concat('a'.repeat(61)),
  'app.\u0000.svc.cluster.local',
  'app.a_b.svc.cluster.local',
  `app.${'a'.repeat(64)}.svc.cluster.local`,
  '-1s',
  '999999h',
  '/a?b',
  '/a/../b',
  '/\\1',
  'FTP',
  'a'.repeat(5000),
  '(a+)+$',
  '1s',
  [],
  {},
  [null],
  [''],
  ['\u0000'],
  [{}],
  true,
  false,
  nested(50),
  nested(10_000),
  JSON.parse('{"__proto__": {"polluted": true}}'),
  { constructor: { prototype: {} }, toString: 1, hasOwnProperty: null },
]

/** Every field of a table, with a list's first item, and one key of a map. */
function* pathsOf(shape: Shape, path: (string | number)[] = []): Generator<[(string | number)[], Shape]> {
  if (path.length > 0) yield [path, shape]
  if (typeof shape === 'string') return
  if ('list' in shape) yield* pathsOf(shape.list, [...path, 0])
  else if ('map' in shape) yield* pathsOf(shape.map, [...path, 'x-key'])
  else for (const [name, [, field]] of Object.entries(shape.fields)) yield* pathsOf(field, [...path, name])
}

/** A copy with a value at a path, and what is needed to hold it on the way. */
function withValue(base: unknown, [name, ...rest]: (string | number)[], value: unknown): unknown {
  if (name === undefined) return value
  if (typeof name === 'number') {
    const items = Array.isArray(base) ? [...base] : []
    items[name] = withValue(items[name], rest, value)
    return items
  }
  const fields = base as Record<string, unknown> | undefined
  return { ...fields, [name]: withValue(fields && Object.hasOwn(fields, name) ? fields[name] : undefined, rest, value) }
}

/** Whether a value has the type of its shape; the oracle, written apart from what it judges. */
function isTyped(value: unknown, shape: Shape): boolean {
  if (value === null || shape === 'any') return true
  if (shape === 'integer') return Number.isSafeInteger(value)
  if (shape === 'number') return Number.isFinite(value)
  if (typeof shape === 'string') return typeof value === shape
  if ('list' in shape) return Array.isArray(value) && value.every(item => item !== null && isTyped(item, shape.list))
  if (typeof value !== 'object' || Array.isArray(value)) return false
  if ('map' in shape) return Object.values(value).every(item => isTyped(item, shape.map))
  return Object.entries(value).every(
    ([key, item]) => !Object.hasOwn(shape.fields, key) || isTyped(item, shape.fields[key]?.[1] ?? 'any'),
  )
}

const bases: [name: string, object: KubernetesObject, table: Table, prefix: 'VS' | 'GW' | 'AP' | 'RA'][] = [
  [
    'a VirtualService',
    virtualService({
      http: [{ match: [{ uri: { prefix: '/app/' } }], route }],
      tls: [{ match: [{ sniHosts: ['a.example.com'], port: 8443 }], route }],
      tcp: [{ match: [{ port: 9000 }], route }],
    }),
    virtualServiceFates,
    'VS',
  ],
  ['an Istio Gateway', istioGateway([server, tlsServer, tcpServer]), gatewayFates, 'GW'],
  [
    'an AuthorizationPolicy',
    authorizationPolicy({
      rules: [
        {
          from: [{ source: { principals: ['cluster.local/ns/a/sa/b'] } }],
          to: [{ operation: { ports: ['8080'] } }],
          when: [{ key: 'request.headers[x]', values: ['1'] }],
        },
      ],
    }),
    authorizationPolicyFates,
    'AP',
  ],
  [
    'a RequestAuthentication of the root namespace',
    policyOf('RequestAuthentication', { jwtRules: [{ issuer: 'a' }] }, { namespace: 'istio-system' }),
    requestAuthenticationFates,
    'RA',
  ],
]

for (const [name, base, table, prefix] of bases) {
  t.test(`any value in any field of ${name}`, async t => {
    const refusals = await refusing()
    t.not(translated(base).companions.length, 0, 'the base is translated')
    const { spec } = base as { spec?: unknown }
    let stored = 0
    for (const [path, shape] of pathsOf(table)) {
      for (const value of values) {
        const object = { ...base, spec: withValue(spec, path, value) } as KubernetesObject
        const where = `${path.join('.')} = ${shown(value)}`
        const result = attempt(() => translated(object))
        if (!result) {
          t.fail(`threw at ${where}`)
          continue
        }
        const codes = codesOf(result)
        if (value !== null && !isTyped(value, shape)) {
          if (!codes.includes(`${prefix}-FIELD-TYPE`)) t.fail(`no type is wanted at ${where}: ${codes}`)
          if (result.companions.length > 0) t.fail(`routes of a mistyped object at ${where}`)
        }
        for (const companion of result.companions) {
          // What the API server would refuse in the first place may stay as it is in a companion.
          const refusal = refusals(object) ? undefined : refusals(companion)
          if (refusal) t.fail(`${where} becomes a ${companion.kind} that is refused: ${refusal}`)
          stored++
        }
      }
    }
    t.equal(({} as Record<string, unknown>).polluted, undefined, 'no prototype is polluted')
    t.ok(stored > 100, `${stored} companions`)
  })

  t.test(`a field that nobody knows, at every level of ${name}`, async t => {
    const { spec } = base as { spec?: unknown }
    for (const [path, shape] of [[[], table] as [(string | number)[], Shape], ...pathsOf(table)]) {
      if (typeof shape === 'string' || !('fields' in shape)) continue
      for (const key of ['unknown', '__proto__', 'constructor', 'toString']) {
        const there = Object.fromEntries([[key, { polluted: true }]])
        const object = { ...base, spec: merged(spec, path, there) } as KubernetesObject
        const result = translated(object)
        if (!codesOf(result).includes(`${prefix}-FIELD-UNKNOWN`))
          t.fail(`${[...path, key].join('.')}: ${codesOf(result)}`)
        if (result.companions.length > 0) t.fail(`${[...path, key].join('.')} is lost`)
      }
    }
  })
}

// As large as the API server takes --------------------------------------------------------------------------------------

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const dictionary = <T>(count: number, value: T) => Object.fromEntries(times(count, i => [`x-${i}`, value]))
const to = (i: number) => [{ destination: { host: `app-${i}`, port: { number: 80 } } }]

const large: Record<string, () => KubernetesObject> = {
  '10,000 entries': () =>
    virtualService({ http: times(10_000, i => ({ match: [{ uri: { prefix: `/${i}/` } }], route })) }),
  '10,000 entries with a field that nobody knows': () =>
    virtualService({ http: times(10_000, i => ({ match: [{ uri: { prefix: `/${i}/` } }], route, bogus: 1 })) }),
  '10,000 entries that are no objects': () => virtualService({ http: times(10_000, () => 1) }),
  '10,000 matches': () =>
    virtualService({ http: [{ match: times(10_000, i => ({ uri: { exact: `/${i}` } })), route }] }),
  '1,000 matches': () =>
    virtualService({ http: [{ match: times(1000, i => ({ uri: { prefix: `/${i}/` } })), route }] }),
  '1,000 rules on header alone': () =>
    virtualService({
      http: times(1000, i => ({ match: [{ headers: { [`x-${i}`]: { exact: '1' } } }], route: to(i) })),
    }),
  '200 rules on header alone': () =>
    virtualService({ http: times(200, i => ({ match: [{ headers: { [`x-${i}`]: { exact: '1' } } }], route: to(i) })) }),
  '5,000 headers': () => virtualService({ http: [{ match: [{ headers: dictionary(5000, { exact: '1' }) }], route }] }),
  '5,000 negated headers': () =>
    virtualService({ http: [{ match: [{ withoutHeaders: dictionary(5000, { exact: '1' }) }], route }, { route }] }),
  '12 entries with 16 negated headers each': () =>
    virtualService({
      http: times(12, i => ({
        match: [{ withoutHeaders: Object.fromEntries(times(16, k => [`x-${i}-${k}`, {}])) }],
        route: to(i),
      })),
    }),
  '10,000 header operations': () =>
    virtualService({ http: [{ headers: { request: { set: dictionary(10_000, '1') } }, route }] }),
  '50,000 names to remove': () =>
    virtualService({ http: [{ headers: { request: { remove: times(50_000, i => `x-${i}`) } }, route }] }),
  'an expression of 1 MB': () =>
    virtualService({ http: [{ match: [{ uri: { regex: `/${'a'.repeat(1e6)}` } }], route }] }),
  'a header expression of 1 MB': () =>
    virtualService({ http: [{ match: [{ withoutHeaders: { x: { regex: '(a|b)*'.repeat(160_000) } } }], route }] }),
  'a path of 1 MB': () => virtualService({ http: [{ match: [{ uri: { prefix: `/${'{'.repeat(1e6)}` } }], route }] }),
  'nested counted repetitions': () =>
    virtualService({ http: [{ match: [{ uri: { regex: '((a{1000}){1000}){1000}' } }], route }] }),
  '500 expressions with counts': () =>
    virtualService({ http: times(500, i => ({ match: [{ uri: { regex: `/${i}\\pL{1,999}` } }], route: to(i) })) }),
  '100 long expressions with counts': () =>
    virtualService({
      http: times(100, i => ({ match: [{ uri: { regex: `/${i}${'\\pL{1,999}'.repeat(90)}` } }], route: to(i) })),
    }),
  '100 expressions beside 100 long paths': () =>
    virtualService({
      http: times(100, i => ({
        match: [{ uri: { regex: `/(a+)+$${i}` } }, { uri: { exact: `/${'a'.repeat(1000)}${i}` } }],
        route: to(i),
      })),
    }),
  '100 times (.*)* beside long paths': () =>
    virtualService({
      http: times(100, i => ({
        match: [{ uri: { regex: `/${'(.*)*'.repeat(100)}${i}` } }, { uri: { exact: `/${'a'.repeat(900)}${i}` } }],
        route: to(i),
      })),
    }),
  '200,000 methods': () =>
    virtualService({ http: [{ match: [{ method: { regex: times(200_000, i => `M${i}`).join('|') } }], route }] }),
  '50,000 hosts': () => virtualService({ hosts: times(50_000, i => `h${i}.example.com`), http: [{ route }] }),
  '1,000 hosts': () => virtualService({ hosts: times(1000, i => `h${i}.example.com`), http: [{ route }] }),
  '10,000 hosts in the mesh': () =>
    virtualService({ hosts: times(10_000, i => `h${i}`), gateways: ['mesh'], http: [{ route }] }),
  '10,000 gateways': () => virtualService({ gateways: times(10_000, i => `a/b${i}`), http: [{ route }] }),
  '10,000 times one gateway': () =>
    virtualService({ gateways: times(10_000, () => 'kubeflow/kubeflow-gateway'), http: [{ route }] }),
  '1,000 authorities': () =>
    virtualService({ http: times(1000, i => ({ match: [{ authority: { exact: `h${i}.example.com` } }], route })) }),
  '400 authorities beside 400 paths': () =>
    virtualService({
      http: times(400, i => ({
        match: [
          { authority: { exact: `h${i}.example.com` }, uri: { prefix: `/a${i}` } },
          { uri: { prefix: `/b${i}` } },
        ],
        route,
      })),
    }),
  '10,000 destinations': () =>
    virtualService({ http: [{ route: times(10_000, i => ({ destination: { host: `a${i}` }, weight: 1 })) }] }),
  '10,000 mirrors': () => virtualService({ http: [{ mirrors: times(10_000, () => ({ destination })), route }] }),
  '20,000 origins': () =>
    virtualService({
      http: [{ corsPolicy: { allowOrigins: times(20_000, i => ({ exact: `x://${i}` })), maxAge: '1s' }, route }],
    }),
  'an origin of 1 MB': () =>
    virtualService({ http: [{ corsPolicy: { allowOrigins: [{ exact: `https://${'a.'.repeat(5e5)}!` }] }, route }] }),
  'a timeout of 1 MB': () => virtualService({ http: [{ timeout: '1s'.repeat(5e5), route }] }),
  '5,000 tls entries': () =>
    virtualService({ tls: times(5000, i => ({ match: [{ sniHosts: [`h${i}.example.com`] }], route })) }),
  '1,000 tls matches': () =>
    virtualService({
      hosts: ['*.example.com'],
      tls: [{ match: times(1000, i => ({ sniHosts: [`h${i}.example.com`] })), route }],
    }),
  '20,000 names of one tls match': () =>
    virtualService({ tls: [{ match: [{ sniHosts: times(20_000, i => `h${i}.example.com`) }], route }] }),
  '20,000 hosts of a server': () => istioGateway([{ ...server, hosts: times(20_000, i => `h${i}.example.com`) }]),
  '8,000 servers': () => istioGateway(times(8000, () => tlsServer)),
}

// About 1.5 s at worst on an idle machine; what is meant to be caught takes minutes.
const boundMilliseconds = 10_000

for (const [name, make] of Object.entries(large)) {
  t.test(`${name}: an answer in time`, async t => {
    const object = make()
    const start = process.cpuUsage()
    const result = translated(object)
    const { user } = process.cpuUsage(start)
    t.ok(user / 1000 < boundMilliseconds, `${Math.round(user / 1000)} ms`)
    const codes = new Set(codesOf(result))
    t.not(codes.size, 0, [...codes].join())
    if (result.denial) t.strictSame(result.companions, [])
  })
}

t.test('a cluster full of rivals: an answer in time, the same in any order, that names some of them', async t => {
  const born = (creationTimestamp: string) => ({ creationTimestamp })
  const rivals = times(10_000, i =>
    virtualService(
      { http: [{ match: [{ uri: { prefix: `/${i}/` } }], route: to(i) }] },
      { name: `rival-${i}`, ...born('2024-01-01T00:00:00Z') },
    ),
  )
  const own = virtualService(
    { http: [{ match: [{ headers: { x: { exact: '1' } } }], route }] },
    born('2025-01-01T00:00:00Z'),
  )
  const result = translated(own, rivals)
  t.strictSame(codesOf(result), Array(16).fill('VS-ORDER-OVERLAP'))
  t.strictSame(translated(own, rivals.toReversed()), result)
})

t.test('the order of objects does not matter', async t => {
  const many = times(40, i =>
    virtualService(
      {
        hosts: [i % 3 === 0 ? '*' : '*.example.com'],
        http: [{ match: [{ uri: { prefix: `/${i % 7}` } }, { headers: { x: { exact: `${i % 5}` } } }], route: to(i) }],
        tls: [{ match: [{ sniHosts: [`h${i % 4}.example.com`] }], route }],
        tcp: [{ match: [{ port: 9000 }], route }],
      },
      { name: `app-${(i * 7) % 40}`, namespace: i % 2 ? 'team-a' : 'team-b' },
    ),
  )
  for (const object of many) {
    const result = translated(object, many)
    t.strictSame(translated(object, many.toReversed()), result)
    t.strictSame(translated(object, [...many.slice(20), ...many.slice(0, 20)]), result)
  }
})

// Names, delegates, annotations and settings ------------------------------------------------------------------------------

t.test('names of 253 characters give routes whose names are distinct and no longer', async t => {
  const hosts = times(40, i => `h${i}.example.com`)
  for (const name of ['a'.repeat(253), `${'a'.repeat(243)}.${'b'.repeat(9)}`]) {
    const { companions } = translated(virtualService({ hosts, http: [{ route }] }, { name }))
    const names = companions.map(({ metadata }) => metadata.name ?? '')
    t.equal(new Set(names).size, 3)
    for (const each of names) t.match(each, /^(?=.{1,253}$)[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/)
  }
})

t.test('delegates that are the root itself, each other, or nobody', async t => {
  const root = (name: string, delegate: object) => virtualService({ http: [{ delegate }] }, { name })
  const leaf = (name: string, http: unknown) =>
    virtualService({ hosts: undefined, gateways: undefined, http }, { name })
  const cycle = [leaf('a', [{ delegate: { name: 'b' } }]), leaf('b', [{ delegate: { name: 'a' } }])]
  t.match(codesOf(translated(root('own', { name: 'own' }))), ['VS-DELEGATE-UNKNOWN'])
  t.match(codesOf(translated(root('own', { name: 'a' }), cycle)), ['VS-DELEGATE'])
  t.match(codesOf(translated(root('own', {}))), ['VS-DELEGATE-UNKNOWN'])
  for (const object of cycle) t.match(codesOf(translated(object, cycle)), ['VS-HOSTS-DELEGATE'])
  const matches = times(500, i => ({ headers: { [`x-${i}`]: { exact: '1' } } }))
  const product = virtualService({ http: [{ match: matches, delegate: { name: 'many' } }] })
  const many = leaf(
    'many',
    times(50, () => ({ match: matches, route })),
  )
  t.match(codesOf(translated(product, [many])), ['VS-SPEC-SIZE'])
})

t.test('an annotation that claims to be ours is nothing more than what its author could write anyway', async t => {
  const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`
  const claims = [
    'no json',
    '[]',
    '{"__proto__":{"was":1}}',
    '{"metadata/labels/istio.io~1rev":{"was":"x"}}',
    '{"metadata/labels/istio.io/rev":{"was":{"a":1},"wrote":"0"}}',
    `{"metadata/labels/istio.io/rev":{"was":${deep}}}`,
    '{"spec/http":{"was":[]},"spec/hosts":{"was":[]}}',
  ]
  const plain = translated(virtualService({ http: [{ route }] }))
  for (const claim of claims) {
    const object = virtualService({ http: [{ route }] }, { annotations: { 'sidestep.dev/original': claim } })
    const result = translated(object)
    t.strictSame(
      result.companions.map(({ metadata, ...rest }) => rest),
      plain.companions.map(({ metadata, ...rest }) => rest),
      claim.slice(0, 60),
    )
  }
  // Fields that a policy has: as if they had been written here.
  const claim = '{"spec/rules":{"was":[1]},"spec/selector":{"was":1}}'
  const result = translated(virtualService({ http: [{ route }] }, { annotations: { 'sidestep.dev/original': claim } }))
  t.strictSame([codesOf(result), result.companions], [['VS-FIELD-UNKNOWN', 'VS-FIELD-UNKNOWN'], []])
})

// Policies -----------------------------------------------------------------------------------------------------------

const http = { to: [{ operation: { paths: ['/admin'] } }] }
const isName = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

function service(name: string, ports: unknown[], namespace = 'team-b'): KubernetesObject {
  const spec = { ports, selector: { app: 'app-b' } }
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec } as KubernetesObject
}

function rulesOf(object: KubernetesObject | undefined): istio.Rule[] {
  return (object as istio.AuthorizationPolicy | undefined)?.spec.rules ?? []
}

t.test('an action or an attribute that Istio does not have is named, and nothing moves', async t => {
  for (const action of ['allow', 'DENY ', 'PERMIT', '', 'constructor']) {
    const object = authorizationPolicy({ action, rules: [http] })
    const result = translated(object)
    t.strictSame([codesOf(result), result.object], [['AP-ACTION-UNKNOWN'], object], action)
  }
  const keys = ['', 'request.header[x]', 'request.headers[]', 'source', 'SOURCE.IP', 'toString', 'x'.repeat(5000)]
  for (const key of keys) {
    const result = translated(authorizationPolicy({ rules: [{ when: [{ key, values: ['1'] }] }] }))
    t.strictSame([codesOf(result), result.companions], [['AP-WHEN-UNKNOWN'], []], key.slice(0, 40))
    for (const { message } of result.denial?.reasons ?? []) t.ok(message.length <= 256, `${message.length}`)
  }
})

t.test('targets that cannot be, and principals of other trust domains', async t => {
  const refs = [
    { group: '', kind: 'Service', name: 'app', namespace: 'team-a' },
    { group: 'gateway.networking.k8s.io', kind: 'GatewayClass', name: 'istio-waypoint' },
    { group: 'constructor', kind: 'toString', name: 'x'.repeat(5000) },
    {},
  ]
  for (const ref of refs) {
    const object = authorizationPolicy({ selector: undefined, targetRefs: [ref], rules: [http] })
    t.strictSame(codesOf(translated(object)), ['AP-TARGET-INVALID'], shown(ref))
  }
  const principals = [
    'elsewhere/ns/a/sa/b',
    '/ns/a/sa/b',
    'cluster.local.evil/ns/a/sa/b',
    `${'x'.repeat(5000)}/ns/a/sa/b`,
  ]
  for (const principal of principals) {
    const result = translated(authorizationPolicy({ rules: [{ from: [{ source: { principals: [principal] } }] }] }))
    t.match(codesOf(result), ['AP-TRUST-DOMAIN'], principal.slice(0, 40))
    t.strictSame(rulesOf(result.object)[0]?.from, [{ source: { principals: [principal] } }], 'it stays as it is')
  }
})

t.test('512 rules are moved when their guard has room, and refused when it has not', async t => {
  const by = (i: number) => ({ from: [{ source: { namespaces: [`team-${i}`] } }] })
  const full = [...times(511, by), { to: [{ operation: { ports: ['8080'] } }, ...http.to] }]
  const room = translated(authorizationPolicy({ rules: [...times(511, by), http] }))
  t.equal(rulesOf(room.companions[0] as KubernetesObject).length, 512)
  const refused = translated(authorizationPolicy({ rules: full }))
  t.match(codesOf(refused), ['AP-RULES-LIMIT'])
  t.strictSame(refused.companions, [])
  // A DENY needs no rule more.
  t.equal(rulesOf(translated(authorizationPolicy({ action: 'DENY', rules: full })).companions[0]).length, 512)
})

t.test('names at their limits give companions whose names are valid and distinct', async t => {
  const many = [
    ...times(20, i => service(`${'s'.repeat(61)}${String(i).padStart(2, '0')}`, [{ port: 80, targetPort: 8080 }])),
    service('guard', [{ port: 81, targetPort: 8080 }]),
    service('waypoint', [{ port: 82, targetPort: 8080 }]),
  ]
  const rules = [{ to: [{ operation: { ports: ['8080'], methods: ['GET'] } }] }]
  for (const name of [
    'a',
    'a'.repeat(253),
    `${'a'.repeat(240)}.${'b'.repeat(12)}`,
    `${'a'.repeat(243)}.${'b'.repeat(9)}`,
  ]) {
    for (const namespace of ['team-b', 'istio-system']) {
      const { companions } = translated(authorizationPolicy({ rules }, { name, namespace }), many)
      const keys = companions.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
      t.ok(keys.length > 20, `${keys.length} of ${name.length} characters in ${namespace}`)
      t.equal(new Set(keys).size, keys.length, 'distinct')
      for (const { metadata } of companions) t.match(metadata.name, isName)
    }
  }
})

t.test('an empty selector means the namespace, and so does one without labels', async t => {
  const wanted = translated(authorizationPolicy({ selector: undefined, rules: [http] }))
  for (const selector of [{}, { matchLabels: {} }, null]) {
    const result = translated(authorizationPolicy({ selector, rules: [http] }))
    t.strictSame(
      result.companions.map(({ metadata, ...rest }) => rest),
      wanted.companions.map(({ metadata, ...rest }) => rest),
      shown(selector),
    )
    t.strictSame(codesOf(result), codesOf(wanted))
  }
})

t.test('ports that are none: an ALLOW admits nobody by them at the waypoint, and nothing throws', async t => {
  for (const port of ['http', '0', '70000', '-1', '080', '8080 ', '', '99999999999999999999']) {
    for (const [action, rules] of [
      ['ALLOW', []],
      ['DENY', undefined],
    ] as const) {
      const object = authorizationPolicy({
        action,
        rules: [{ to: [{ operation: { ports: [port], methods: ['GET'] } }] }],
      })
      const result = translated(object)
      if (action === 'ALLOW') t.strictSame(rulesOf(result.object), rules, port)
      // No port of the Service leads there, so the waypoint has nothing to say, and the guard says it at the pods.
      else t.strictSame([result.companions.length, rulesOf(result.object)], [1, rulesOf(object)], port)
    }
  }
  for (const targetPort of ['http', 0, 70_000, -1, '8080']) {
    const odd = [service('app', [{ port: 80, targetPort }])]
    const rules = [{ to: [{ operation: { ports: ['8080'], methods: ['GET'] } }] }]
    const { companions, object } = translated(authorizationPolicy({ rules }), odd)
    const admits = rulesOf(object).concat(companions.slice(1).flatMap(rulesOf))
    t.equal(admits.length, targetPort === '8080' ? 1 : 0, `targetPort ${targetPort}`)
  }
})

/** The spec with more fields in the object at a path. */
function merged(base: unknown, path: (string | number)[], fields: object): unknown {
  let here = base as Record<string | number, unknown> | undefined
  for (const name of path) here = here?.[name] as typeof here
  const all = Object.fromEntries([...Object.entries(here ?? {}), ...Object.entries(fields)])
  return withValue(base, path, all)
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch {
    return undefined
  }
}

/** What the schemas of the CRDs have against a companion; nothing where they are not installed. */
async function refusing(): Promise<(object: KubernetesObject) => string | undefined> {
  const files = await crdFiles()
  if ('reason' in files) return () => undefined
  const ajv = new Ajv({ strict: false, validateFormats: false })
  const validators = new Map(
    [...files.gatewayApi.standard, ...files.istio].flatMap(file =>
      parseAllDocuments(readFileSync(file, 'utf8')).flatMap(document => {
        const { spec } = document.toJS() as Crd
        if (spec.group === 'networking.istio.io') return []
        const schema = spec.versions.find(({ name }) => name === 'v1')?.schema.openAPIV3Schema
        return schema ? [[spec.names.kind, ajv.compile(schema)] as const] : []
      }),
    ),
  )
  return object => {
    if (/[\ud800-\udbff](?![\udc00-\udfff])/.test(JSON.stringify(object))) return 'half a surrogate pair'
    const validate = validators.get(object.kind)
    if (!validate || validate(object)) return undefined
    return ajv.errorsText(validate.errors).slice(0, 300)
  }
}

interface Crd {
  spec: { group: string; names: { kind: string }; versions: { name: string; schema: { openAPIV3Schema: AnySchema } }[] }
}
