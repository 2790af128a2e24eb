// What is in the way of a revert, and what becomes of it when somebody else writes too. The real API server is in
// test/e2e/revert.test.ts.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { ApiError, type ApiServer, type Call } from '../../src/reconciler/api-server.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { carryOut, obstaclesIn, revertResources, tryOut } from '../../src/reconciler/revert.ts'
import { recordOriginal, withField } from '../../src/translate/original.ts'
import { revertPlan } from '../../src/translate/revert.ts'

const scope = { rootNamespace: 'istio-system' }
const { signal } = new AbortController()
const team = object('v1', 'Namespace', { name: 'team-a' })
const written = object('security.istio.io/v1', 'AuthorizationPolicy', {
  name: 'posts',
  namespace: 'team-a',
  resourceVersion: '7',
})
const stored = recordOriginal(written, withField(written, ['spec'], { targetRefs: [{ kind: 'Service', name: 'lab' }] }))
const steps = revertPlan([team, stored], scope)

t.test('webhook configurations of sidestep are in the way, by label or by the names of webhooks', async t => {
  const configuration = (labels: object, webhook: string) => ({
    ...object('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', { name: 'hooks', labels } as never),
    webhooks: [{ name: webhook }],
  })
  const obstacles = (...objects: KubernetesObject[]) => obstaclesIn(objects, steps, new Date())
  t.match(obstacles(team, configuration({ 'app.kubernetes.io/name': 'sidestep' }, 'a.b.c')), [
    /kubectl delete mutating/,
  ])
  t.match(obstacles(team, configuration({}, 'mutate.sidestep.dev')), [/MutatingWebhookConfiguration hooks/])
  t.strictSame(obstacles(team, configuration({}, 'sidecar-injector.istio.io')), [])
  const off = withField(team, ['metadata', 'labels', 'sidestep.dev/mode'], 'off')
  t.strictSame(obstacles(off, configuration({}, 'mutate.sidestep.dev')), [], 'it leaves these alone')
})

t.test('a Lease is in the way as long as somebody renews it', async t => {
  const lease = (spec: object) => ({
    ...object('coordination.k8s.io/v1', 'Lease', { name: 'sidestep', namespace: 'sidestep-system' }),
    spec: { holderIdentity: 'sidestep-0', renewTime: '2026-01-01T00:00:00.000000Z', leaseDurationSeconds: 15, ...spec },
  })
  const at = (time: string, spec = {}) => obstaclesIn([team, lease(spec)], steps, new Date(time))
  t.match(at('2026-01-01T00:00:14Z'), [/sidestep-0 holds Lease sidestep-system\/sidestep .*scale its Deployment to 0/])
  t.strictSame(at('2026-01-01T00:00:15Z'), [])
  t.strictSame(at('2026-01-01T00:00:01Z', { holderIdentity: '' }), [])
})

t.test('what comes back rewritten is told before and after', async t => {
  const rewriting = new Memory([team, stored], () => stored)
  t.match(await tryOut(rewriting, steps, { signal }), [/AuthorizationPolicy team-a\/posts comes back rewritten/])
  await t.rejects(carryOut(rewriting, scope, { signal }), { code: 'REVERT_REFUSED', message: /comes back rewritten/ })
})

t.test('who was faster is looked at again, and who always is, is named', async t => {
  const conflict = () => {
    throw new ApiError(409, 'conflict')
  }
  let conflicts = 2
  const busy = new Memory([team, stored], call => (conflicts-- > 0 ? conflict() : merged(call)))
  t.strictSame(await carryOut(busy, scope, { signal }), [])
  t.match(busy.sent.at(-1), {
    query: { fieldManager: 'sidestep-revert' },
    body: { metadata: { resourceVersion: '7' } },
  })
  await t.rejects(carryOut(new Memory([team, stored], conflict), scope, { signal }), {
    code: 'REVERT_REFUSED',
    message: /authorizationpolicies\/posts is written back again and again/,
  })
})

t.test('what the API server refuses ends it, in its own words', async t => {
  const refusing = new Memory([team, stored], () => {
    throw new ApiError(403, 'PATCH /x: HTTP 403: forbidden')
  })
  await t.rejects(carryOut(refusing, scope, { signal }), { code: 'REVERT_REFUSED', message: /HTTP 403/ })
  t.match(await tryOut(refusing, steps, { signal, isThorough: true }), [/HTTP 403/])
})

t.test('a trial of a DELETE says so in its body, where the API server looks for it', async t => {
  const guard = withField(
    object('security.istio.io/v1', 'AuthorizationPolicy', { name: 'posts-guard', namespace: 'team-a', uid: 'u' }),
    ['metadata'],
    {
      name: 'posts-guard',
      namespace: 'team-a',
      uid: 'u',
      labels: { 'app.kubernetes.io/managed-by': 'sidestep' },
      annotations: { 'sidestep.dev/source': 'AuthorizationPolicy/team-a/posts' },
    },
  )
  const api = new Memory([guard], () => guard)
  t.strictSame(await tryOut(api, revertPlan([guard], scope), { signal, isThorough: true }), [])
  t.match(api.sent, [{ method: 'DELETE', body: { preconditions: { uid: 'u' }, dryRun: ['All'] } }])
})

/** An API server that holds a few objects and answers writes as the test says. */
class Memory implements ApiServer {
  readonly sent: Call[] = []
  readonly #objects: Map<string, KubernetesObject>
  readonly #answer: (call: Call) => KubernetesObject

  constructor(objects: KubernetesObject[], answer: (call: Call) => KubernetesObject) {
    this.#objects = new Map(objects.map(each => [pathOf(each), each]))
    this.#answer = answer
  }

  async list(path: string) {
    const kind = revertResources.find(resource => resource.path === path)?.kind
    const items = [...this.#objects.values()].filter(each => each.kind === kind && !path.includes('gateway.networking'))
    return { metadata: {}, items }
  }

  async watch() {}

  async send(call: Call) {
    this.sent.push(call)
    const answer = this.#answer(call)
    if (call.query?.dryRun === undefined) this.#objects.set(call.path, answer)
    return answer
  }
}

/** What becomes of the stored policy by the merge patch of a revert. */
function merged({ body }: Call): KubernetesObject {
  const { spec } = body as { spec?: unknown }
  return withField(written, ['spec'], spec === null ? undefined : withField(spec, ['targetRefs'], undefined))
}

function object(apiVersion: string, kind: string, metadata: KubernetesObject['metadata']): KubernetesObject {
  return { apiVersion, kind, metadata }
}
