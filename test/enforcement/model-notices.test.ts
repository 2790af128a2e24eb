// The model sees an open door: clusters that are wrong by hand, each in one way, must come out looser, or as a loss.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import { looser, worldBefore } from './compare.ts'
import { type EndState, endStateOf, type Source } from './end-state.ts'
import { at, type Landscape, landscapeOf, usual } from './landscape.ts'
import { lost } from './losses.ts'
import type { HTTP, Request } from './request.ts'
import { requestsOf } from './requests.ts'
import { worldOf } from './world.ts'

const mapped = { ...usual, ports: { 'team-a/api': [at(80, 8080), at(9090)] } }
const landscape = landscapeOf(mapped)
const http: HTTP = { method: 'GET', host: 'host.example', path: '/a', headers: {}, externalAuthorizer: 'allows' }
const https: HTTP[] = [http, { ...http, path: '/b' }]
const waypointOfA = 'cluster.local/ns/team-a/sa/waypoint'

const toA = { to: [{ operation: { paths: ['/a'] } }] }
const fromTeamB = { from: [{ source: { namespaces: ['team-b'] } }] }
const fromWaypoint = { from: [{ source: { principals: [waypointOfA] } }] }
const notWaypoint = { when: [{ key: 'source.principal', notValues: [waypointOfA] }] }
const l7Allow = policy('team-a', 'notebook', { action: 'ALLOW', rules: [toA] })
const l4Allow = policy('kubeflow', 'ml-pipeline', { action: 'ALLOW', rules: [fromTeamB] })
const l7Deny = policy('team-a', 'notebook', { action: 'DENY', rules: [toA] })
const allowNothing = policy('istio-system', undefined, {})

// Applications ----------------------------------------------------------------------------------------------------------

t.test('a guard that is dropped leaves pod addresses open', async t => {
  const objects = translated([l7Allow])
  t.strictSame(opened(objects, [l7Allow]), [], 'closed before')
  const without = objects.filter(object => !(isPolicy(object) && object.spec.selector))
  t.match(opened(without, [l7Allow])[0], { to: { pod: 'team-a/notebook' }, http: { path: '/b' } })
})

t.test('a DENY by HTTP attributes that is left on its selector denies nothing', async t => {
  const [request] = opened([...translated([]), l7Deny], [l7Deny])
  t.match(request, { to: { pod: 'team-a/notebook' }, http: { path: '/a' } })
})

t.test('a DENY by HTTP attributes at the waypoint is evaded by pod address, without a DENY at ztunnel', async t => {
  const copy = targeted(l7Deny, 'Service', 'notebook')
  const guard = policy('team-a', 'notebook', { action: 'DENY', rules: [notWaypoint] })
  t.strictSame(opened([...translated([]), copy, guard], [l7Deny]), [], 'closed with it')
  const ways = opened([...translated([]), copy], [l7Deny])
  t.ok(ways.length > 0 && ways.every(({ from, to }) => !('service' in to) || /legacy|outside/.test(from)))
})

t.test('a DENY by remoteIpBlocks is one by HTTP attributes', async t => {
  const source = policy('team-a', 'notebook', {
    action: 'DENY',
    rules: [{ from: [{ source: { remoteIpBlocks: ['198.51.100.0/24'] } }] }],
  })
  const forwarded = requestsOf([{ ...http, forwardedFor: '198.51.100.9' }], landscape)
  t.match(opened([...translated([]), source], [source], { requests: forwarded })[0], {
    to: { pod: 'team-a/notebook' },
    http: { forwardedFor: '198.51.100.9' },
  })
  t.strictSame(opened([...translated([]), source], [source]), [], 'whose callers are asked for where they come from')
})

t.test('a guard admits everybody when the allow-nothing has no twin at the waypoints', async t => {
  const objects = [...translated([allowNothing]), policy('team-a', 'notebook', { rules: [fromWaypoint] })]
  t.strictSame(opened(objects, [allowNothing]), [], 'closed before')
  const without = objects.filter(object => !(isPolicy(object) && object.spec.targetRefs))
  t.match(opened(without, [allowNothing])[0], { to: { service: 'team-a/notebook' } })
})

t.test('an L4 ALLOW of an enrolled Service lets everybody in without its copy at the waypoint', async t => {
  const objects = translated([l4Allow])
  t.strictSame(opened(objects, [l4Allow]), [], 'closed before')
  const without = objects.filter(object => !(isPolicy(object) && object.spec.targetRefs))
  t.match(opened(without, [l4Allow])[0], { from: 'team-a/api-1', to: { service: 'kubeflow/ml-pipeline' } })
})

t.test('an L4 DENY of an enrolled Service knows nobody behind the waypoint without its copy there', async t => {
  const source = policy('team-a', 'notebook', { action: 'DENY', rules: [fromTeamB] })
  t.strictSame(
    opened([...translated([]), source, targeted(source, 'Service', 'notebook')], [source]),
    [],
    'closed with it',
  )
  t.match(opened([...translated([]), source], [source])[0], {
    from: 'team-b/notebook',
    to: { service: 'team-a/notebook' },
  })
})

t.test('a policy that is moved before its namespace is enrolled holds nowhere', async t => {
  const objects = translated([l7Allow])
    .filter(object => !(isPolicy(object) && object.spec.selector))
    .map(object => (object.kind === 'Namespace' ? notEnrolled(object) : object))
  t.match(opened(objects, [l7Allow])[0], { to: { service: 'team-a/notebook' }, http: { path: '/b' } })
})

t.test('ports at a waypoint are those of the Service', async t => {
  const denied = (ports: string[]) => ({
    action: 'DENY' as const,
    rules: [{ to: [{ operation: { ports, methods: ['GET'] } }] }],
  })
  const source = policy('team-a', 'api', denied(['8080']))
  const guard = policy('team-a', 'api', {
    action: 'DENY',
    rules: [{ to: [{ operation: { ports: ['8080'] } }], ...notWaypoint }],
  })
  const withCopy = (port: string, there = landscape) => {
    const copies = ['api', 'api-v2'].map(name =>
      targeted(policy('team-a', undefined, denied([name === 'api' ? port : '8080'])), 'Service', name),
    )
    return [...translated([], there), guard, ...copies]
  }
  t.strictSame(opened(withCopy('80'), [source]), [], 'closed when they are mapped')
  t.match(opened(withCopy('8080'), [source])[0], { to: { service: 'team-a/api', port: 80 } })
  const swapped = landscapeOf({ ...usual, ports: { 'team-a/api': [at(8080, 9090), at(9090, 'port-8080')] } })
  t.match(opened(withCopy('8080', swapped), [source], { landscape: swapped })[0], {
    to: { service: 'team-a/api', port: 9090 },
  })
})

t.test('CUSTOM that is dropped, or left on its selector, lets everybody in', async t => {
  const source = policy('team-a', 'notebook', { action: 'CUSTOM', provider: { name: 'authorizer' }, rules: [toA] })
  const requests = requestsOf([{ ...http, externalAuthorizer: 'denies' }], landscape)
  const guard = policy('team-a', 'notebook', { action: 'DENY', rules: [notWaypoint] })
  const complete = [...translated([]), targeted(source, 'Service', 'notebook'), guard]
  t.strictSame(opened(complete, [source], { requests }), [], 'closed when it is moved')
  for (const objects of [translated([]), [...translated([]), source], [...translated([]), guard]])
    t.match(opened(objects, [source], { requests })[0], { to: { service: 'team-a/notebook' } })
})

t.test('a policy for a waypoint holds for all that it serves', async t => {
  const shared = landscapeOf({ ...usual, waypoint: 'neighbour' })
  const forA = policy('team-a', undefined, { rules: [{}] })
  const forB = policy('team-b', 'notebook', { rules: [toA] })
  const guard = policy('team-b', 'notebook', { rules: [fromWaypoint] })
  const objects = [...translated([], shared), targeted(forB, 'Service', 'notebook'), guard]
  const closed = opened(objects, [forA, forB], { landscape: shared })
  t.strictSame(closed, [], 'closed with its own alone')
  const leaking = opened([...objects, targeted(forA, 'Gateway', 'waypoint')], [forA, forB], { landscape: shared })
  t.match(leaking[0], { to: { service: 'team-b/notebook' }, http: { path: '/b' } })
})

t.test('a dry run decides nothing, and neither may what is made of it', async t => {
  const trial = dryRun(policy('team-b', 'notebook', { rules: [fromTeamB] }))
  const enforced = policy('team-b', 'notebook', { rules: [fromTeamB] })
  const sources = [allowNothing, trial]
  t.strictSame(opened([...translated([allowNothing]), trial], sources), [], 'closed as it is')
  t.match(opened([...translated([allowNothing]), enforced], sources)[0], { from: 'team-b/notebook' })
  t.match(opened([...translated([]), dryRun(l4Allow)], [l4Allow])[0], { to: { pod: 'kubeflow/ml-pipeline' } })
})

// Ingress ---------------------------------------------------------------------------------------------------------------

t.test('an ALLOW on a new gateway opens what a DENY has yet to close there', async t => {
  const moving = landscapeOf({ ...usual, ingress: 'both' })
  const gateway = 'ambient-ingressgateway'
  const allow = policy('istio-system', 'istio-ingressgateway', { rules: [{}] })
  const deny = policy('istio-system', 'istio-ingressgateway', { action: 'DENY', rules: [toA] })
  const admitting = ['team-a', 'team-b', 'kubeflow', 'legacy'].map(name => policy(name, undefined, { rules: [{}] }))
  const sources = [allowNothing, allow, deny, ...admitting]
  const objects = [...translated([], moving), ...sources]
  t.strictSame(opened(objects, sources, { landscape: moving }), [], 'closed while nothing is there')
  const early = opened([...objects, targeted(allow, 'Gateway', gateway)], sources, { landscape: moving })
  t.match(early[0], { from: `istio-system/${gateway}`, http: { path: '/a' } })
  t.ok(early.every(({ http }) => http.path === '/a'))
  const both = [...objects, targeted(allow, 'Gateway', gateway), targeted(deny, 'Gateway', gateway)]
  t.strictSame(opened(both, sources, { landscape: moving }), [], 'closed with both')
})

t.test('a port at an ingress is the one of its own pod', async t => {
  const deny = policy('istio-system', 'istio-ingressgateway', {
    action: 'DENY',
    rules: [{ to: [{ operation: { ports: ['8080'] } }] }],
  })
  const moved = (ingressPort: number) => {
    const there = landscapeOf({ ...usual, ingress: 'new', ingressPort })
    return opened([...translated([], there), targeted(deny, 'Gateway', 'ambient-ingressgateway')], [deny], {
      landscape: there,
    })
  }
  t.match(moved(8080)[0], { from: 'istio-system/ambient-ingressgateway' })
  t.strictSame(moved(80), [], 'where nothing came by that port, nothing is opened')
})

// Settings --------------------------------------------------------------------------------------------------------------

t.test('the settings let direct callers through, and nobody else', async t => {
  const direct = landscapeOf({ ...mapped, directCallers: [{ namespaces: ['team-b'] }] })
  const guard = (namespaces: string[]) =>
    policy('team-a', 'notebook', { rules: [fromWaypoint, { from: [{ source: { namespaces } }] }] })
  const objects = [...translated([], direct), targeted(l7Allow, 'Service', 'notebook')]
  t.strictSame(opened([...objects, guard(['team-b'])], [l7Allow], { landscape: direct }), [], 'as they say')
  const wider = opened([...objects, guard(['team-b', 'legacy'])], [l7Allow], { landscape: direct })
  t.match(wider[0], { from: 'legacy/batch' })
  t.match(
    opened([...objects, guard(['team-b'])], [l7Allow])[0],
    { from: 'team-b/notebook' },
    'not without the settings',
  )
  const l4Deny = policy('team-a', 'notebook', { action: 'DENY', rules: [fromTeamB] })
  const past = opened([...objects, guard(['team-b'])], [l7Allow, l4Deny], { landscape: direct })
  t.match(
    past[0],
    { from: 'team-b/notebook', to: { pod: 'team-a/notebook' } },
    'a DENY by L4 attributes holds for them',
  )
})

// Losses ----------------------------------------------------------------------------------------------------------------

t.test('an L4 ALLOW that does not admit the waypoint cuts an enrolled Service off', async t => {
  const [difference] = losses([...translated([]), l4Allow], l4Allow)
  t.match(difference, { from: 'team-b/notebook', to: { service: 'kubeflow/ml-pipeline' } })
})

t.test('a DENY with a not* attribute denies the waypoint, unless that is left out', async t => {
  const rule = { from: [{ source: { notNamespaces: ['team-b'] } }] }
  const source = policy('team-b', 'notebook', { action: 'DENY', rules: [rule] })
  const repaired = policy('team-b', 'notebook', {
    action: 'DENY',
    rules: [{ ...rule, when: [{ key: 'source.principal', notValues: ['cluster.local/ns/team-b/sa/waypoint'] }] }],
  })
  const elsewhere = policy('team-a', 'notebook', {
    action: 'DENY',
    rules: [{ from: [{ source: { notNamespaces: ['team-b'] } }] }],
  })
  t.match(losses([...translated([]), elsewhere], elsewhere)[0], {
    from: 'team-b/notebook',
    to: { service: 'team-a/notebook' },
  })
  t.strictSame(losses([...translated([]), repaired, targeted(source, 'Service', 'notebook')], source), [])
})

t.test('what ztunnel cannot admit is lost past the waypoint, and must be said', async t => {
  const guard = policy('team-a', 'notebook', { rules: [fromWaypoint] })
  const objects = [...translated([]), guard, targeted(l7Allow, 'Service', 'notebook')]
  t.match(losses(objects, l7Allow)[0], { to: { pod: 'team-a/notebook' }, http: { path: '/a' } })
  t.match(losses(objects, l7Allow, 'AP-ACTION-DENY')[0], { to: { pod: 'team-a/notebook' } }, 'by a word that fits')
  t.strictSame(losses(objects, l7Allow, 'AP-POD-ADDRESS'), [])
  t.match(
    losses([...translated([]), guard, targeted(l7Deny, 'Service', 'notebook'), l7Allow], l7Allow, 'AP-POD-ADDRESS')[0],
    {
      to: { service: 'team-a/notebook' },
    },
  )
})

t.test('what a DENY takes away beyond its HTTP attributes is lost past the waypoint, and must be said', async t => {
  const rules = [{ ...fromTeamB, ...toA }]
  const source = policy('team-a', 'notebook', { action: 'DENY', rules })
  const guard = (rule: istio.Rule) =>
    policy('team-a', 'notebook', { action: 'DENY', rules: [{ ...rule, ...notWaypoint }] })
  const objects = [...translated([]), targeted(source, 'Service', 'notebook')]
  const lostBy = (rule: istio.Rule, code?: string) => losses([...objects, guard(rule)], source, code)
  t.match(lostBy(fromTeamB)[0], { from: 'team-b/notebook', to: { pod: 'team-a/notebook' }, http: { path: '/b' } })
  t.strictSame(lostBy(fromTeamB, 'AP-ACTION-DENY'), [])
  t.match(lostBy({}, 'AP-ACTION-DENY')[0], { from: 'team-a/api-1' }, 'no more than what it says of the caller')
})

// ------------------------------------------------------------------------------------------------------------------------

function policy(
  namespace: string,
  app: string | undefined,
  spec: istio.AuthorizationPolicySpec,
): istio.AuthorizationPolicy {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'policy', namespace },
    spec: { ...(app ? { selector: { matchLabels: { app } } } : {}), ...spec },
  }
}

function targeted(source: istio.AuthorizationPolicy, kind: 'Service' | 'Gateway', name: string) {
  const { selector: _, ...spec } = source.spec
  const group = kind === 'Service' ? '' : 'gateway.networking.k8s.io'
  return { ...source, spec: { ...spec, targetRefs: [{ group, kind, name }] } }
}

function dryRun(source: istio.AuthorizationPolicy): istio.AuthorizationPolicy {
  return { ...source, metadata: { ...source.metadata, annotations: { 'istio.io/dry-run': 'true' } } }
}

function translated(policies: istio.AuthorizationPolicy[], there = landscape): KubernetesObject[] {
  return endStateOf({ landscape: there, policies, requestAuthentications: [] }).objects
}

interface Asked {
  landscape?: Landscape
  requests?: Request[]
}

function opened(objects: KubernetesObject[], sources: Source[], asked: Asked = {}): Request[] {
  const there = asked.landscape ?? landscape
  const world = worldOf(objects, there.settings)
  const before = worldBefore(world, sources, there)
  const requests = asked.requests ?? requestsOf(https, there)
  return looser([before], world, requests, there.settings).map(({ request }) => request)
}

function losses(objects: KubernetesObject[], source: Source, code?: string): Request[] {
  const world = worldOf(objects, landscape.settings)
  const warning = { code } as Diagnostic
  const end: EndState = { world, objects, sources: [source], warnings: [{ source, warning }], refused: [] }
  const before = worldBefore(world, [source], landscape)
  return lost(before, world, end, requestsOf(https, landscape)).map(({ request }) => request)
}

function isPolicy(object: KubernetesObject): object is istio.AuthorizationPolicy {
  return object.kind === 'AuthorizationPolicy'
}

function notEnrolled(namespace: KubernetesObject): KubernetesObject {
  const { 'istio.io/use-waypoint': _, ...labels } = namespace.metadata.labels ?? {}
  return { ...namespace, metadata: { ...namespace.metadata, labels } }
}
