// `sidestep explain-policy`: a policy at every step of its way, as files with status say it, and what goes wrong.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { identityOf } from '../../src/cli/objects.ts'
import { policyResources } from '../../src/reconciler/read.ts'
import { explainPolicy, type PolicyExplanation } from '../../src/translate/explain-policy/index.ts'
import { translate } from '../../src/translate/index.ts'
import type { Policy } from '../../src/translate/policy/targets.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import { FakeApiServer } from '../reconciler/fake-api-server.ts'
import { readFixtures } from '../translate/fixtures.ts'
import { sidestep } from './memory.ts'

// biome-ignore lint/suspicious/noExplicitAny: objects of many kinds, as files hold them
type Fields = Record<string, any>

const profile = { 'app.kubernetes.io/part-of': 'kubeflow-profile' }
const captured = { ...profile, 'istio.io/dataplane-mode': 'ambient' }
const served = { ...captured, 'istio.io/use-waypoint': 'waypoint', 'istio.io/ingress-use-waypoint': 'true' }
const old = 'cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account'

const namespace = (labels: object) => made('v1', 'Namespace', 'team-a', { metadata: { name: 'team-a', labels } })
const service = (conditions?: object[]) =>
  made('v1', 'Service', 'lab', {
    spec: { clusterIP: '10.0.0.1', selector: { app: 'lab' }, ports: [{ port: 80, targetPort: 8888 }] },
    ...(conditions ? { status: { conditions } } : {}),
  })
const waypoint = (status?: object) =>
  made('gateway.networking.k8s.io/v1', 'Gateway', 'waypoint', {
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
    },
    ...(status ? { status } : {}),
  })
const addresses = [{ value: '10.0.0.9' }]
const programmed = { addresses, conditions: [{ type: 'Programmed', status: 'True' }] }
const policy = (name: string, spec: object, metadata: object = {}) =>
  made('security.istio.io/v1', 'AuthorizationPolicy', name, {
    metadata: { name, namespace: 'team-a', ...metadata },
    spec,
  })
const tokens = (spec: object = {}, metadata: object = {}) =>
  made('security.istio.io/v1', 'RequestAuthentication', 'tokens', {
    metadata: { name: 'tokens', namespace: 'team-a', ...metadata },
    spec: { ...spec, jwtRules: [{ issuer: 'https://issuer.example.com' }] },
  })
const owner = policy('owner', {
  rules: [
    { from: [{ source: { principals: [old] } }], when: [{ key: 'request.headers[user]', values: ['ada'] }] },
    { when: [{ key: 'source.namespace', values: ['team-a'] }] },
  ],
})
const noPosts = policy('no-posts', { action: 'DENY', rules: [{ to: [{ operation: { methods: ['POST'] } }] }] })

function made(apiVersion: string, kind: string, name: string, fields: Fields): KubernetesObject {
  return { apiVersion, kind, metadata: { name, namespace: 'team-a' }, ...fields } as KubernetesObject
}

/** A cluster in files, in which an object replaces the one before of its name. */
class World {
  readonly #objects = new Map<string, KubernetesObject>()

  constructor(...objects: KubernetesObject[]) {
    this.put(...objects)
  }

  put(...objects: KubernetesObject[]): void {
    for (const object of objects) this.#objects.set(identityOf(object), object)
  }

  /** The object of this name and kind, with fields over its own. */
  change(kind: string, name: string, fields: Fields): void {
    const object = [...this.#objects.values()].find(each => each.kind === kind && each.metadata.name === name)
    if (!object) throw new Error(`no ${kind} ${name}`)
    this.put({ ...object, ...fields })
  }

  /** What sidestep makes of a policy at this moment: `object` by its admission, `companions` by the reconciler. */
  translated(kind: string, name: string) {
    const object = [...this.#objects.values()].find(each => each.kind === kind && each.metadata.name === name)
    if (!object) throw new Error(`no ${kind} ${name}`)
    return translate(object, snapshotOf(this.#objects.values(), 'observed'), profiles.kubeflow)
  }

  admit(name: string, kind = 'AuthorizationPolicy'): void {
    this.put(this.translated(kind, name).object)
  }

  reconcile(name: string, kind = 'AuthorizationPolicy'): void {
    this.put(...this.translated(kind, name).companions)
  }

  /** What the command says of it, as JSON. */
  async explained(t: Test, name: string, ...flags: string[]): Promise<PolicyExplanation> {
    const { code, stdout, stderr } = await this.run(t, name, '-o', 'json', '--as-is', ...flags)
    t.equal(stderr, '')
    const explanation = JSON.parse(stdout)
    t.equal(code, explanation.outcome === 'denied' ? 1 : 0)
    return explanation
  }

  run(t: Test, name: string, ...flags: string[]) {
    const directory = t.testdir()
    const items = [...this.#objects.values()]
    writeFileSync(join(directory, 'cluster.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    return sidestep(['explain-policy', name, '--snapshot', directory, ...flags])
  }
}

/** `done what`, `next what: what it waits for`, … */
const told = ({ steps }: PolicyExplanation) =>
  steps.map(({ what, state, missing }) =>
    (state === 'next' || state === 'unreported') && missing ? `${state} ${what}: ${missing}` : `${state} ${what}`,
  )
const next = (explanation: PolicyExplanation) => told(explanation).find(line => !/^(done|later) /.test(line))

t.test('an ALLOW by headers, step by step from its selector to the waypoint', async t => {
  const world = new World(namespace(captured), service(), owner)
  const start = await world.explained(t, 'owner')
  t.strictSame(told(start), [
    'next waypoint team-a/waypoint takes traffic: Gateway team-a/waypoint, which is not there',
    'later guard team-a/owner-guard at the pods',
    'later the policy on Gateway waypoint',
    'later the guard lets the waypoint through',
    'later Namespace team-a enrolled',
    'later istiod has bound Service team-a/lab',
    'later istiod accepts owner',
  ])
  t.strictSame(start.enforcement.now, [
    {
      by: 'ztunnel',
      where: ['every pod of Namespace team-a'],
      does: 'admits by 1 of 2 rules, the others need a waypoint',
      policies: ['team-a/owner'],
    },
  ])
  t.match(start.enforcement.end, [
    { by: 'ztunnel', does: 'admits Namespace team-a and waypoint team-a/waypoint', policies: ['team-a/owner-guard'] },
    { by: 'waypoint', where: ['Gateway team-a/waypoint'], does: 'checks both rules', policies: ['team-a/owner'] },
  ])
  t.match(start.waiting, ['enrolment in team-a'])
  t.match(start.companions, [{ policy: 'AuthorizationPolicy team-a/owner-guard', state: 'missing' }])
  t.match(
    start.diagnostics.map(({ code }) => code),
    ['AP-PRINCIPAL-ADDED', 'AP-WAYPOINT-PENDING'],
  )

  const walk: [does: () => void, next: string | undefined][] = [
    [
      () => world.put(waypoint()),
      'next waypoint team-a/waypoint takes traffic: Gateway team-a/waypoint, which has no address yet',
    ],
    [
      () => world.put(waypoint({ addresses })),
      'next waypoint team-a/waypoint takes traffic: Gateway team-a/waypoint, which is not Programmed yet',
    ],
    [
      () => world.put(waypoint(programmed)),
      'next guard team-a/owner-guard at the pods: AuthorizationPolicy team-a/owner-guard',
    ],
    [() => world.reconcile('owner'), 'next the policy on Gateway waypoint'],
    [() => world.admit('owner'), 'next the guard lets the waypoint through'],
    [
      () => world.reconcile('owner'),
      'next Namespace team-a enrolled: label istio.io/use-waypoint: waypoint of Namespace team-a',
    ],
    [
      () => world.put(namespace(served)),
      'unreported istiod has bound Service team-a/lab: Service team-a/lab has no condition istio.io/WaypointBound',
    ],
    [
      () =>
        world.put(
          service([{ type: 'istio.io/WaypointBound', status: 'False', reason: 'WaypointIsNotReady', message: 'no' }]),
        ),
      'next istiod has bound Service team-a/lab: Service team-a/lab: istio.io/WaypointBound is False, WaypointIsNotReady: no',
    ],
    [
      () => world.put(service([{ type: 'istio.io/WaypointBound', status: 'True', reason: 'WaypointAccepted' }])),
      'unreported istiod accepts owner: AuthorizationPolicy team-a/owner has no condition WaypointAccepted',
    ],
    [
      // Istio joins the verdicts on several targets: True as soon as one is bound.
      () => accept('True', 'PartiallyInvalid'),
      'next istiod accepts owner: AuthorizationPolicy team-a/owner: WaypointAccepted is True, PartiallyInvalid: said istiod',
    ],
    [
      () => accept('False', 'AncestorNotBound'),
      'next istiod accepts owner: AuthorizationPolicy team-a/owner: WaypointAccepted is False, AncestorNotBound: said istiod',
    ],
    [() => accept('True', 'Accepted'), undefined],
  ]
  function accept(status: string, reason: string) {
    const condition = { type: 'WaypointAccepted', status, reason, message: 'said istiod' }
    world.change('AuthorizationPolicy', 'owner', { status: { conditions: [condition] } })
  }
  for (const [does, expected] of walk) {
    does()
    t.equal(next(await world.explained(t, 'owner')), expected)
  }
  const end = await world.explained(t, 'owner')
  t.strictSame(end.enforcement.now, end.enforcement.end)
  t.strictSame(end.waiting, [])
  t.match(end.companions, [{ state: 'in place' }])

  world.change('AuthorizationPolicy', 'owner-guard', { spec: { action: 'ALLOW', rules: [{}] } })
  const tampered = await world.explained(t, 'owner')
  t.match(tampered.companions, [{ state: 'different' }])
  t.match(next(tampered), /^next guard team-a\/owner-guard at the pods/)
})

t.test('text in lines of at most 120 characters', async t => {
  const world = new World(namespace(captured), service(), waypoint(programmed), owner)
  world.reconcile('owner')
  const { code, stdout } = await world.run(t, 'owner', '--as-is')
  t.equal(code, 0)
  t.equal(
    stdout,
    `AuthorizationPolicy team-a/owner
ALLOW for every pod of Namespace team-a

Enforced now:
  ztunnel   every pod of Namespace team-a: admits by 1 of 2 rules, the others need a waypoint (team-a/owner)
  ztunnel   every pod of Namespace team-a: admits Namespace team-a (team-a/owner-guard)

Enforced when every step is done:
  ztunnel   every pod of Namespace team-a: admits Namespace team-a and waypoint team-a/waypoint (team-a/owner-guard)
  waypoint  Gateway team-a/waypoint: checks both rules (team-a/owner)

Steps:
  done  1  waypoint team-a/waypoint takes traffic
  done  2  guard team-a/owner-guard at the pods
  NEXT  3  the policy on Gateway waypoint: nothing is in its way
        4  the guard lets the waypoint through
        5  Namespace team-a enrolled
        6  istiod has bound Service team-a/lab
        7  istiod accepts owner

Waiting for it:
  enrolment in team-a

Kept beside it:
  AuthorizationPolicy team-a/owner-guard: it keeps the pods shut while the policy moves

Findings:
  note    AP-PRINCIPAL-ADDED spec.rules[0].from[0].source.principals:
          cluster.local/ns/istio-system/sa/ambient-ingressgateway-istio is named beside
          cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account, since requests arrive from both
          gateways
  warning AP-POD-ADDRESS spec.rules[0]: callers of pod addresses bypass the waypoint, and only rules without HTTP
          attributes admit them; see directCallers
`,
  )
  for (const { input, cluster, settings } of readFixtures('test/translate')) {
    for (const object of input.filter(isPolicy)) {
      const { toText } = await import('../../src/cli/print-policy.ts')
      const wide = toText(explainPolicy(object, cluster, settings), false)
        .split('\n')
        .filter(line => line.length > 120 && line.trim().includes(' '))
      t.strictSame(
        wide.filter(line => !/^\s+\S+$/.test(line)),
        [],
      )
    }
  }
})

t.test('without --as-is, files are judged by the end state', async t => {
  const { stdout } = await new World(namespace(profile), service(), owner).run(t, 'owner')
  t.match(stdout, 'Steps, taken for done as far as sidestep does them')
  t.notMatch(stdout, /NEXT|Enforced now|missing/)
})

t.test('a guard opens only after what refuses holds, and both say so', async t => {
  const world = new World(namespace(captured), service(), waypoint(programmed), owner, noPosts)
  const deny = await world.explained(t, 'no-posts')
  t.match(deny.waiting, [/^guards of ALLOW policies in team-a/, 'enrolment in team-a'])
  t.match(deny.enforcement.end, [
    {
      by: 'ztunnel',
      does: 'denies every caller that bypasses the waypoint and matches 1 rule with the HTTP conditions left out',
    },
    { by: 'waypoint', does: 'checks its rule' },
  ])
  t.strictSame(deny.enforcement.now, [], 'ztunnel makes nothing of it')
  t.match((await world.run(t, 'no-posts', '--as-is')).stdout, 'nobody    nothing enforces it')
  world.reconcile('owner')
  world.admit('owner')
  t.equal(
    next(await world.explained(t, 'owner')),
    'next the guard lets the waypoint through: AuthorizationPolicy no-posts',
  )
  world.reconcile('no-posts')
  world.admit('no-posts')
  t.equal(next(await world.explained(t, 'owner')), 'next the guard lets the waypoint through')
})

t.test('before its Namespace is ambient, sidecars enforce it', async t => {
  const sidecar = made('v1', 'Pod', 'lab-0', {
    metadata: {
      name: 'lab-0',
      namespace: 'team-a',
      labels: { app: 'lab' },
      annotations: { 'sidecar.istio.io/status': '{}' },
    },
    spec: { containers: [{ name: 'lab' }] },
  })
  const world = new World(namespace({ ...profile, 'istio-injection': 'enabled' }), service(), sidecar, noPosts)
  const { enforcement } = await world.explained(t, 'no-posts')
  t.match(enforcement.now, [
    { by: 'sidecar', where: ['pods of Namespace team-a that have one'], does: 'checks its rule' },
  ])
  t.equal(enforcement.now.length, 1)
  t.strictSame(told(await world.explained(t, 'no-posts')).slice(0, 3), [
    'next guard team-a/no-posts-guard at the pods: AuthorizationPolicy team-a/no-posts-guard',
    'later Namespace team-a is ambient',
    'later waypoint team-a/waypoint takes traffic',
  ])
  world.reconcile('no-posts')
  t.match(
    next(await world.explained(t, 'no-posts')),
    /^next Namespace team-a is ambient: label istio\.io\/dataplane-mode: ambient of Namespace team-a: 1 pods still run/,
  )
  world.put(namespace(captured))
  t.match((await world.explained(t, 'no-posts')).enforcement.now, [
    { by: 'ztunnel', policies: ['team-a/no-posts-guard'] },
    { by: 'sidecar', where: ['Pod/lab-0 of Namespace team-a'], policies: ['team-a/no-posts'] },
  ])
})

t.test('a RequestAuthentication has steps, too', async t => {
  const world = new World(namespace(captured), service(), waypoint(), tokens())
  t.equal(
    next(await world.explained(t, 'tokens')),
    'next waypoint team-a/waypoint takes traffic: Gateway team-a/waypoint, which has no address yet',
  )
  world.put(waypoint(programmed))
  t.strictSame(told(await world.explained(t, 'ra/tokens')), [
    'done waypoint team-a/waypoint takes traffic',
    'next the policy on Gateway waypoint',
    'later Namespace team-a enrolled',
    'later istiod has bound Service team-a/lab',
  ])
  world.admit('tokens', 'RequestAuthentication')
  t.match(next(await world.explained(t, 'tokens')), /^next Namespace team-a enrolled/)
  const { enforcement, kind } = await world.explained(t, 'tokens')
  t.equal(kind, 'RequestAuthentication')
  t.match(enforcement.end, [{ by: 'waypoint', does: 'checks tokens of 1 issuer' }])
  t.strictSame(enforcement.now, [], 'the waypoint checks none before traffic passes it')
})

t.test('the policies of an ingress move together, and each says what it waits for', async t => {
  const at = { namespace: 'istio-system' }
  const selector = { matchLabels: { istio: 'ingressgateway' } }
  const gateway = 'Gateway istio-system/ambient-ingressgateway'
  const pod = made('v1', 'Pod', 'ingress', {
    metadata: { name: 'ingress', ...at, labels: { app: 'istio-ingressgateway', istio: 'ingressgateway' } },
    spec: { containers: [{ name: 'istio-proxy' }] },
  })
  const allow = policy('allow', { selector, rules: [{}] }, { name: 'allow', ...at })
  const login = policy(
    'login',
    { selector, action: 'CUSTOM', provider: { name: 'oauth2-proxy' }, rules: [{}] },
    { name: 'login', ...at },
  )
  const world = new World(pod, allow, login, tokens({ selector }, { ...at }))
  t.strictSame(told(await world.explained(t, 'allow')), [
    `next all that refuses at the ingress on ${gateway}: AuthorizationPolicy login`,
    'done whoever keeps the old gateway out keeps the new one out',
    `later twin istio-system/allow-gateway on ${gateway}`,
    `later the policy on ${gateway} alone`,
  ])
  t.equal(next(await world.explained(t, 'login')), `next twin istio-system/login-gateway on ${gateway}`)
  t.match((await world.explained(t, 'login')).waiting, [
    /^ALLOW policies/,
    /^RequestAuthentications/,
    /^policies that name/,
  ])
  t.match((await world.explained(t, 'login')).enforcement.now, [
    { by: 'gateway', where: ['pods of the old gateway in Namespace istio-system'], policies: ['istio-system/login'] },
  ])
  t.equal(
    next(await world.explained(t, 'tokens')),
    `next every AuthorizationPolicy of the ingress on ${gateway}: AuthorizationPolicy allow`,
  )
  world.reconcile('login')
  t.match((await world.explained(t, 'login')).enforcement.now, [
    {
      by: 'gateway',
      where: ['pods of the old gateway in Namespace istio-system', 'Gateway istio-system/ambient-ingressgateway'],
    },
  ])
  t.equal(next(await world.explained(t, 'allow')), `next twin istio-system/allow-gateway on ${gateway}`)
  world.reconcile('allow')
  t.equal(
    next(await world.explained(t, 'allow')),
    `next the policy on ${gateway} alone: the end of the old gateway's pods in Namespace istio-system`,
  )
  t.equal(next(await world.explained(t, 'tokens')), `next twin istio-system/tokens-gateway on ${gateway}`)
})

t.test('a denied policy is explained by its reasons, and exits with 1', async t => {
  const world = new World(namespace({ 'istio.io/dataplane-mode': 'ambient' }), service(), noPosts)
  const { outcome, diagnostics, steps, enforcement } = await world.explained(t, 'no-posts')
  t.equal(outcome, 'denied')
  t.match(diagnostics, [{ code: 'AP-WAYPOINT-NONE', severity: 'denial' }])
  t.strictSame([steps, enforcement], [[], { now: [], end: [] }])
  t.match((await world.run(t, 'no-posts', '--as-is')).stdout, /Denied: .*\n\nFindings:\n {2}denial {2}AP-WAYPOINT-NONE/)
  const broken = new World(policy('broken', { selector: 'app', rules: 7, targetRefs: 'x', action: {} }))
  t.match(await broken.explained(t, 'broken'), { outcome: 'denied', diagnostics: [{ code: 'AP-FIELD-TYPE' }] })
})

t.test('a policy that is left alone says why', async t => {
  const l4 = policy('l4', { rules: [{ from: [{ source: { namespaces: ['team-b'] } }] }] })
  const cases: [why: RegExp, objects: KubernetesObject[], name?: string][] = [
    [/no rule of the settings makes Namespace team-a ambient/, [namespace({}), noPosts]],
    [/stays out of ambient, by its label/, [namespace({ ...profile, 'istio.io/dataplane-mode': 'none' }), noPosts]],
    [/sidestep\.dev\/mode: off/, [namespace({ ...served, 'sidestep.dev/mode': 'off' }), noPosts]],
    [/ztunnel can check all of it/, [namespace({ 'istio.io/dataplane-mode': 'ambient' }), service(), l4], 'l4'],
    [
      /its author wrote its targets/,
      [namespace(served), policy('given', { targetRefs: [{ kind: 'Service', name: 'lab', group: '' }] })],
      'given',
    ],
    [
      /selects no known workload/,
      [
        namespace(served),
        policy('nobody', {
          selector: { matchLabels: { app: 'none' } },
          rules: [{ to: [{ operation: { methods: ['GET'] } }] }],
        }),
      ],
      'nobody',
    ],
    [
      /kept by sidestep beside AuthorizationPolicy\/team-a\/owner/,
      [
        policy(
          'owner-guard',
          {},
          {
            labels: { 'app.kubernetes.io/managed-by': 'sidestep' },
            annotations: { 'sidestep.dev/source': 'AuthorizationPolicy/team-a/owner' },
          },
        ),
      ],
      'owner-guard',
    ],
    [
      /at the end of its way it would be denied: AP-WAYPOINT-PARTIAL/,
      [
        namespace({ ...profile, 'istio-injection': 'enabled' }),
        made('v1', 'Service', 'out', {
          metadata: { name: 'out', namespace: 'team-a', labels: { 'istio.io/use-waypoint': 'none' } },
          spec: { selector: { app: 'out' } },
        }),
        noPosts,
      ],
    ],
  ]
  for (const [why, objects, name = 'no-posts'] of cases) {
    const explanation = await new World(...objects).explained(t, name)
    t.equal(explanation.outcome, 'unchanged', String(why))
    t.match(explanation.why, why)
  }
  const observing = new World(namespace({ ...served, 'sidestep.dev/mode': 'observe' }), service(), noPosts)
  t.match((await observing.run(t, 'no-posts')).stdout, 'sidestep warns and does none of this')
})

t.test("targets that its author wrote are read in istiod's status", async t => {
  const given = (status: object) => ({
    ...policy('given', { targetRefs: [{ kind: 'Service', name: 'lab', group: '' }], rules: [{}] }, { generation: 3 }),
    status,
  })
  const accepted = { type: 'WaypointAccepted', status: 'True', reason: 'Accepted' }
  const world = new World(namespace(served), service(), waypoint(programmed))
  world.put(given({ conditions: [{ ...accepted, observedGeneration: '2' }] }))
  t.match(told(await world.explained(t, 'given')), [
    /^unreported istiod has bound/,
    'next istiod accepts given: AuthorizationPolicy team-a/given: WaypointAccepted is about an older version',
  ])
  t.match((await world.explained(t, 'given')).enforcement.now, [
    { by: 'waypoint', where: ['Service team-a/lab (waypoint team-a/waypoint)'] },
  ])
  world.put(given({ conditions: [{ ...accepted, observedGeneration: '3' }] }))
  t.match(told(await world.explained(t, 'given')), [/^unreported/, 'done istiod accepts given'])
  for (const status of [7, { conditions: {} }, { conditions: ['x', null] }]) {
    world.put(given(status as object))
    t.match(told(await world.explained(t, 'given')), [/^unreported/, /^unreported/])
  }
})

// Names ------------------------------------------------------------------------------------------------------------

t.test('a name may say kind and namespace', async t => {
  const other = policy('owner', {}, { name: 'owner', namespace: 'team-b' })
  const world = new World(namespace(served), owner, other, tokens(), policy('tokens', {}))
  const explained = async (...args: [string, ...string[]]) => {
    const { stdout, stderr } = await world.run(t, ...args)
    return stdout.split('\n')[0] + stderr
  }
  t.equal(await explained('owner', '-n', 'team-b'), 'AuthorizationPolicy team-b/owner')
  t.equal(await explained('team-a/owner'), 'AuthorizationPolicy team-a/owner')
  t.equal(await explained('AuthorizationPolicy/team-a/owner'), 'AuthorizationPolicy team-a/owner')
  t.equal(await explained('ra/tokens'), 'RequestAuthentication team-a/tokens')
  t.equal(
    await explained('tokens'),
    'AuthorizationPolicy team-a/tokensnote: RequestAuthentication team-a/tokens has the same name: ra/tokens explains it\n',
  )
  const mistakes: [args: [string, ...string[]], message: string][] = [
    [['owner'], 'AuthorizationPolicy owner is in several namespaces; choose one with -n: team-a, team-b'],
    [['ownr'], 'there is no policy ownr; the nearest are team-a/owner, team-b/owner, team-a/tokens, ra/team-a/tokens'],
    [['ra/owner'], 'there is no RequestAuthentication owner; the nearest are ra/team-a/tokens'],
    [
      ['owner', '-n', 'c'],
      'there is no policy owner in namespace c; the nearest are team-a/owner, team-b/owner, team-a/tokens, ra/team-a/tokens',
    ],
    [['a/b/c/d'], 'a/b/c/d is no name of a policy; write ap/NAME, ra/NAME or NAMESPACE/NAME'],
    [['team-a/owner', '-n', 'team-b'], 'team-a/owner is no name of a policy; write ap/NAME, ra/NAME or NAMESPACE/NAME'],
  ]
  for (const [args, message] of mistakes)
    t.strictSame(await world.run(t, ...args), { code: 2, stdout: '', stderr: `error: ${message}\n` })
  t.match(await new World(namespace(served)).run(t, 'owner'), { code: 2, stderr: /owner; there is none at all/ })
})

t.test('files that cannot be read end it with 2', async t => {
  const { code, stdout, stderr } = await sidestep(['explain-policy', 'owner', '-f', '-'], { stdin: 'a: [' })
  t.strictSame([code, stdout], [2, ''])
  t.match(stderr, /^stdin:2:1: error: is no YAML/)
  t.match(await sidestep(['explain-policy', 'owner', '-f', '-', '--context', 'x']), {
    code: 2,
    stderr: /cannot be used with/,
  })
})

// A cluster --------------------------------------------------------------------------------------------------------

async function startServer(t: Test, absent: string[] = []) {
  const server = new FakeApiServer()
  server.install(...policyResources.map(({ path }) => path).filter(path => !absent.includes(path)))
  const { kubeconfig } = await server.start(t)
  t.teardown(() => server.stop())
  const put = (object: KubernetesObject) => {
    const resource = policyResources.find(({ kind }) => kind === object.kind)
    if (resource) server.put(resource.path, object)
  }
  return {
    server,
    put,
    explain: (...args: string[]) => sidestep(['explain-policy', ...args, '--kubeconfig', kubeconfig]),
  }
}

t.test('without files it asks the cluster, and goes by the status there', async t => {
  const { put, explain } = await startServer(t, ['/apis/gateway.networking.k8s.io/v1/gateways'])
  const dryRun = { ...owner.metadata, annotations: { 'istio.io/dry-run': 'true' } }
  for (const object of [namespace(captured), service(), { ...owner, metadata: dryRun }]) put(object)
  const { code, stdout, stderr } = await explain('owner')
  t.strictSame([code, stderr], [0, ''])
  t.match(
    stdout,
    /NEXT +1 {2}waypoint team-a\/waypoint takes traffic: waits for Gateway team-a\/waypoint, which is not there/,
  )
  t.match(stdout, 'ALLOW that is only tried out', 'the annotation is read')
})

t.test('a cluster that does not answer, or not everything, is one sentence', async t => {
  const { server, explain } = await startServer(t)
  const fail = (status: number, ...kinds: string[]) => {
    for (const { path, kind } of policyResources) if (kinds.includes(kind)) server.fail(path, status)
  }
  fail(403, 'Pod', 'AuthorizationPolicy')
  t.strictSame(await explain('owner'), {
    code: 2,
    stdout: '',
    stderr:
      'error: you may not list pods, authorizationpolicies.security.istio.io; ask for a ClusterRole with the verb list for them\n',
  })
  fail(401, 'Pod')
  t.match(
    (await explain('owner')).stderr,
    /^error: the cluster does not accept the credentials of the kubeconfig; renew them\n$/,
  )
  fail(500, 'Pod')
  t.match((await explain('owner')).stderr, /^error: the cluster cannot be read: GET \/api\/v1\/pods: HTTP 500/)
  t.match((await explain('owner', '--context', 'prod')).stderr, /^error: .* has no context prod; its contexts are x\n$/)
  await server.stop()
  t.match(await explain('owner'), {
    code: 2,
    stderr: /^error: the cluster cannot be reached: connect ECONNREFUSED [^\n]*\n$/,
  })
})

t.test('what it lists is all that decides about policies', async t => {
  const listed = policyResources.map(({ kind }) => kind)
  t.strictSame(listed.toSorted(), [
    'AuthorizationPolicy',
    'Gateway',
    'Namespace',
    'Pod',
    'RequestAuthentication',
    'Service',
    'ServiceEntry',
  ])
  const unread = new Proxy(new Map(), {
    get(_, name) {
      throw new Error(`read ${String(name)} of a kind that is not listed`)
    },
  })
  for (const { name, input, cluster, settings } of readFixtures('test/translate')) {
    for (const statuses of ['observed', 'assumed'] as const) {
      const blind = {
        ...cluster,
        statuses,
        istioGateways: unread,
        httpRoutes: unread,
        tlsRoutes: unread,
        tcpRoutes: unread,
        grpcRoutes: unread,
        referenceGrants: unread,
        virtualServices: unread,
        destinationRules: unread,
        peerAuthentications: unread,
        apiServerCalls: unread,
      }
      for (const object of input.filter(isPolicy))
        t.doesNotThrow(() => explainPolicy(object, blind as never, settings), name)
    }
  }
})

function isPolicy(object: KubernetesObject): object is Policy {
  return object.kind === 'AuthorizationPolicy' || object.kind === 'RequestAuthentication'
}
