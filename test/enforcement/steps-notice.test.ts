// The steps see what opens on the way: translators that are spoilt by hand, each in one way, must be caught in some order
// of writes, where the translator as it is, if it can do the like, is caught in none.
import t, { type Test } from 'tap'
import type * as core from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import { translate } from '../../src/translate/index.ts'
import type { Workload } from '../../src/translate/snapshot.ts'
import type { Translation } from '../../src/translate/translation.ts'
import { policyOf } from './generate.ts'
import { landscapeOf, usual } from './landscape.ts'
import { idOf } from './live-cluster.ts'
import type { Sidecar } from './people.ts'
import type { HTTP } from './request.ts'
import { requestsOf } from './requests.ts'
import { follow, openAtEnd, type Start } from './steps.ts'

const http: HTTP = { method: 'GET', host: 'host.example', path: '/a', headers: {}, externalAuthorizer: 'allows' }
const toB = [{ to: [{ operation: { paths: ['/b'] } }] }]
const toA = [{ to: [{ operation: { paths: ['/a'] } }] }]
const fromTeamB = [{ from: [{ source: { namespaces: ['team-b'] } }] }]
const notebook = { namespace: 'team-a', selector: { app: 'notebook' } }
const l7Allow = policyOf({ place: notebook, spec: { action: 'ALLOW', rules: toB } }, 'policy-1')
const l4Allow = policyOf({ place: notebook, spec: { action: 'ALLOW', rules: fromTeamB } }, 'policy-1')
const otherL4Allow = policyOf({ place: notebook, spec: { action: 'ALLOW', rules: fromTeamB } }, 'policy-2')
const l7Deny = policyOf({ place: notebook, spec: { action: 'DENY', rules: toA } }, 'policy-1')

const start: Start = {
  landscape: landscapeOf(usual),
  translate,
  sources: [],
  present: 0,
  changes: [],
  late: [],
  ambient: [],
  injected: [],
  sidecars: [],
  ingress: 'old',
  patient: false,
}

type Translate = typeof translate

/** Takes for done what only comes later. */
const hasty: Translate = (object, cluster, settings) => translate(object, { ...cluster, statuses: 'assumed' }, settings)

t.test('a policy that is moved before its waypoint serves', async t => {
  const given = { ...start, sources: [l7Allow], present: 1 }
  t.strictSame(caught(given), [])
  isCaught(t, { ...given, translate: hasty }, /AuthorizationPolicy team-a\/policy-1/)
})

t.test('a guard that admits the waypoint before anything checks there', async t => {
  const given = { ...start, sources: [l4Allow], present: 1, ambient: ['team-a'] }
  const reversed: Translate = (object, cluster, settings) => {
    const translation = hasty(object, cluster, settings)
    return { ...translation, companions: translation.companions.toReversed() }
  }
  t.strictSame(caught(given), [])
  isCaught(t, { ...given, translate: reversed }, /^applies AuthorizationPolicy team-a\/policy-1/)
})

t.test('a new policy that the webhook stores worse than its author wrote it', async t => {
  const given = { ...start, sources: [l4Allow] }
  const emptied = spoilt(({ object }) => ({ object: { ...object, spec: { rules: [{}] } } as typeof object }))
  t.strictSame(caught(given), [])
  isCaught(t, { ...given, translate: emptied }, /^user creates/)
})

t.test('companions that stay as the policy once was', async t => {
  const fromLegacy = [{ from: [{ source: { namespaces: ['legacy'] } }] }]
  const changed = policyOf({ place: notebook, spec: { action: 'ALLOW', rules: fromLegacy } }, 'policy-1')
  const change = { policy: idOf(l4Allow), source: changed, form: 'replace' as const }
  const given = { ...start, sources: [l4Allow], present: 1, changes: [change] }
  t.strictSame(caught({ ...given, translate: hasty }), [])
  const stale = spoilt(({ companions }) => ({ companions: companions.map(withOldRules) }), hasty)
  t.strictSame(caught({ ...given, translate: stale }), ['open at the end'])
})

t.test('a policy that leans on another, which its user deletes', async t => {
  const change = { policy: idOf(l4Allow), form: 'replace' as const }
  const given = { ...start, sources: [l4Allow, otherL4Allow], present: 2, changes: [change] }
  t.strictSame(caught({ ...given, translate: hasty }), [])
  const leaning: Translate = (object, cluster, settings) => {
    const translation = hasty(object, cluster, settings)
    const isOther = idOf(object) === idOf(otherL4Allow)
    const isThere = cluster.authorizationPolicies.get('team-a')?.has('policy-1')
    const companions = translation.companions.filter(
      companion => !(companion as istio.AuthorizationPolicy).spec.targetRefs,
    )
    return isOther && isThere ? { ...translation, companions } : translation
  }
  isCaught(t, { ...given, translate: leaning }, /policy-1/)
})

t.test('a Service that comes late and is passed over', async t => {
  const landscape = landscapeOf({ ...usual, copies: 1 })
  const late = { ...start, landscape, sources: [l4Allow], present: 1, late: ['team-a/notebook-1'] }
  const forgetful: Translate = (object, cluster, settings) => {
    const services = new Map(cluster.services)
    services.set('team-a', new Map([...(services.get('team-a') ?? [])].filter(([name]) => name !== 'notebook-1')))
    return translate(object, object.kind === 'Service' ? cluster : { ...cluster, services }, settings)
  }
  t.strictSame(caught(late), [])
  isCaught(t, { ...late, translate: forgetful }, /open at the end/)
})

t.test('a pod that comes back without its sidecar and meets a DENY that ztunnel does not read', async t => {
  const idle = spoilt((_, source) => ({ object: source, companions: [] }))
  const given = { ...start, sources: [l7Deny], present: 1, ambient: ['team-a'], injected: ['team-a'], translate: idle }
  isCaught(t, given, /^owner restarts team-a\/notebook/)
  t.strictSame(
    caught({ ...given, ambient: [], translate: withoutMode(idle) }),
    [],
    'outside ambient nothing is promised',
  )
})

t.test('a pod that comes to have a sidecar, and a guard that sidecars pass over', async t => {
  const comes = { ...start, sources: [l7Deny], present: 1, sidecars: [notebookSidecar('template')] }
  const passedOver = spoilt(({ companions }) => ({ companions: companions.map(forZtunnelAlone) }), hasty)
  t.strictSame(caught(comes), [])
  isCaught(t, { ...comes, translate: passedOver }, /^owner restarts team-a\/notebook with a sidecar/)
})

t.test('a pod that comes to have a sidecar, and a policy that left its selector before its guard stood', async t => {
  const sidecars = [notebookSidecar('template')]
  const comes = { ...start, sources: [l7Deny], present: 1, injected: ['team-a'], sidecars }
  const early: Translate = (object, cluster, settings) => {
    const byName = new Map(cluster.authorizationPolicies.get('team-a'))
    if (!byName.get('policy-1')?.spec?.targetRefs) byName.delete('policy-1')
    const authorizationPolicies = new Map(cluster.authorizationPolicies).set('team-a', byName)
    return translate(object, { ...cluster, authorizationPolicies }, settings)
  }
  t.strictSame(caught(comes), [])
  isCaught(t, { ...comes, translate: early }, /^owner restarts team-a\/notebook with a sidecar/)
})

t.test('a pod that comes to have a sidecar, and is taken for one without', async t => {
  const denyB = policyOf({ place: notebook, spec: { action: 'DENY', rules: toB } }, 'policy-1')
  const comes = { ...start, sources: [denyB], present: 1, sidecars: [notebookSidecar('template')] }
  const blind: Translate = (object, cluster, settings) => {
    const workloads = new Map(
      [...cluster.workloads].map(([namespace, byName]) => [namespace, new Map([...byName].map(withoutSidecar))]),
    )
    return translate(object, { ...cluster, workloads }, settings)
  }
  t.strictSame(caught(comes), [])
  isCaught(t, { ...comes, translate: blind }, /^denied at rest/)
})

t.test('injection that comes back unseen, and a Namespace that leaves ambient for it', async t => {
  const given = { ...start, injected: ['team-a'], sidecars: [notebookSidecar('unjudged label')], sources: [l7Deny] }
  const forgetful: Translate = (object, cluster, settings) => {
    const { labels = {}, annotations: _, ...metadata } = cluster.namespaces.get('team-a')?.metadata ?? {}
    const { 'istio.io/dataplane-mode': __, ...others } = labels
    const bare = { apiVersion: 'v1', kind: 'Namespace', metadata: { ...metadata, labels: others } } as const
    const isBack = labels['istio-injection'] === 'enabled' && object.kind === 'Namespace'
    const namespaces = new Map(cluster.namespaces).set('team-a', bare)
    return translate(object, isBack ? { ...cluster, namespaces } : cluster, settings)
  }
  t.strictSame(caught(given), [])
  isCaught(t, { ...given, translate: forgetful }, /^istio-cni lets go team-a/)
})

t.test('an ingress that moves, and its ALLOW before its DENY', async t => {
  const ingress = { namespace: 'istio-system', selector: { app: 'istio-ingressgateway' } }
  const sources = [
    policyOf({ place: { namespace: 'istio-system' }, spec: {} }, 'policy-1'),
    policyOf({ place: ingress, spec: { action: 'ALLOW', rules: [{}] } }, 'policy-2'),
    policyOf({ place: ingress, spec: { action: 'DENY', rules: toA } }, 'policy-3'),
    policyOf({ place: { namespace: 'team-a' }, spec: { action: 'ALLOW', rules: [{}] } }, 'policy-4'),
  ]
  const landscape = landscapeOf({ ...usual, ingress: 'new' })
  const gateway = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'ambient-ingressgateway' }
  const early = {
    ...policyOf({ place: { namespace: 'istio-system' }, spec: { rules: [{}], targetRefs: [gateway] } }, 'early'),
  }
  const companion = {
    ...early,
    metadata: {
      ...early.metadata,
      annotations: { 'sidestep.dev/source': 'AuthorizationPolicy/istio-system/policy-2' },
    },
  }
  const slow = spoilt((_, source) => {
    if (idOf(source).endsWith('policy-3')) return { object: source, companions: [] }
    return idOf(source).endsWith('istio-system/policy-2') ? { object: source, companions: [companion] } : {}
  })
  const given = { ...start, landscape, sources, present: 4, translate: slow }
  isCaught(t, given, /^istiod deploys/, /AuthorizationPolicy istio-system\/early/)
})

// ------------------------------------------------------------------------------------------------------------------------

/** The last writes of those of some ways on which something opens, and whether something is open at the end of one. */
function caught(given: Start): string[] {
  const requests = requestsOf([http], given.landscape)
  const seeds = Array.from({ length: 40 }, (_, i) => i + 1)
  const writes = seeds.map(seed => {
    const outcome = follow({ ...given, patient: seed % 2 === 0 }, requests, chooser(seed))
    if (outcome.opened.length > 0) return outcome.writes.at(-1)
    if (outcome.lost.length > 0) return `denied at rest after ${outcome.writes.at(-1)}`
    return openAtEnd(outcome, given.landscape, requests).length > 0 ? 'open at the end' : undefined
  })
  return [...new Set(writes)].filter(write => write !== undefined)
}

function isCaught(t: Test, given: Start, ...patterns: RegExp[]): void {
  const writes = caught(given)
  for (const pattern of patterns)
    t.ok(
      writes.some(write => pattern.test(write)),
      `${pattern} in ${writes.join(', ')}`,
    )
}

/** A linear congruential generator: the same choices every time. */
function chooser(seed: number): (options: number) => number {
  let state = seed
  return options => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return (state >> 8) % options
  }
}

/** The translator with some of its result replaced where it translates a user's policy, whether it refuses that or not. */
function spoilt(
  change: (result: Translation, source: istio.AuthorizationPolicy) => Partial<Translation>,
  inner = translate,
): Translate {
  const spoil = (source: core.KubernetesObject, ...rest: [never, never]) => {
    const result = inner(source, ...rest) as Translation
    const isCompanion = source.metadata.annotations?.['sidestep.dev/source'] !== undefined
    if (source.kind !== 'AuthorizationPolicy' || isCompanion) return result
    const spoiled = change(result, source as istio.AuthorizationPolicy)
    const { denial: _, ...kept } = result
    return Object.keys(spoiled).length > 0 ? { ...kept, ...spoiled } : result
  }
  return spoil as unknown as Translate
}

function notebookSidecar(by: Sidecar['by']): Sidecar {
  return { pod: 'team-a/notebook', by }
}

/** With the condition by HTTP that no request meets, as guards have it as long as the policy itself is at the sidecars. */
function forZtunnelAlone(object: core.KubernetesObject): core.KubernetesObject {
  const { spec } = object as istio.AuthorizationPolicy
  if (spec.targetRefs || spec.action !== 'DENY') return object
  const from = [{ source: { notIpBlocks: ['0.0.0.0/32'], requestPrincipals: ['nobody'] } }]
  const rules = (spec.rules ?? []).map(rule => ({ ...rule, from }))
  return { ...object, spec: { ...spec, rules } } as core.KubernetesObject
}

function withoutSidecar([name, workload]: [string, Workload]): [string, Workload] {
  return [name, { ...workload, state: workload.state === 'sidecar' ? 'ambient' : workload.state }]
}

function withOldRules(object: core.KubernetesObject): core.KubernetesObject {
  const { spec } = object as istio.AuthorizationPolicy
  return spec.targetRefs ? ({ ...object, spec: { ...spec, rules: fromTeamB } } as core.KubernetesObject) : object
}

/** Nobody makes a namespace ambient. */
function withoutMode(inner: Translate): Translate {
  const left = (object: core.KubernetesObject, ...rest: [never, never]) =>
    object.kind === 'Namespace' ? { object, companions: [], warnings: [] } : inner(object, ...rest)
  return left as unknown as Translate
}
