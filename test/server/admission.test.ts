import jsonPatch, { type Operation } from 'fast-json-patch'
import t from 'tap'
import type { AdmissionRequest, AdmissionResponse } from '../../src/apis/admission.ts'
import { decide, respond, type Webhook } from '../../src/server/admission.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import { create, deepFreeze, translateWidget, update, widget } from './reviews.ts'

const cluster = snapshotOf([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a' } }])
const enforce = profiles.generic
const observe = { ...profiles.generic, mode: 'observe' as const }

function answer(request: AdmissionRequest, webhook: Webhook, settings = enforce): AdmissionResponse {
  return respond(deepFreeze(request), cluster, settings, webhook, translateWidget)
}

function patchOf({ patch = '' }: AdmissionResponse): Operation[] {
  return JSON.parse(Buffer.from(patch, 'base64').toString())
}

t.test('/mutate patches what the translation changes, and nothing else', async t => {
  const object = widget({ rewrite: true }, { labels: { app: 'x' } })
  const response = answer(create(object), 'mutate')
  t.match(response, { uid: create(object).uid, allowed: true, patchType: 'JSONPatch' })
  t.strictSame(patchOf(response), [{ op: 'add', path: '/metadata/labels/istio.io~1dataplane-mode', value: 'ambient' }])
  const patched = jsonPatch.applyPatch(structuredClone(object), patchOf(response)).newDocument
  t.strictSame(patched, translateWidget(object).object)
})

t.test('/mutate adds the labels themselves to an object without any', async t => {
  const response = answer(create(widget({ rewrite: true })), 'mutate')
  t.strictSame(patchOf(response), [
    { op: 'add', path: '/metadata/labels', value: { 'istio.io/dataplane-mode': 'ambient' } },
  ])
})

t.test('/mutate sends no patch when nothing changes', async t => {
  const response = answer(create(widget({})), 'mutate')
  t.notOk('patch' in response || 'patchType' in response || 'warnings' in response)
  t.equal(response.allowed, true)
})

t.test('/mutate says nothing about a denial, which is the business of /validate', async t => {
  const response = answer(create(widget({ deny: ['VS-A'], warn: ['VS-B'], rewrite: true })), 'mutate')
  t.strictSame(response, {
    uid: response.uid,
    allowed: true,
    auditAnnotations: { mode: 'enforce', outcome: 'admitted', codes: 'VS-A' },
  })
})

t.test('/validate never patches', async t => {
  const response = answer(create(widget({ rewrite: true })), 'validate')
  t.strictSame(response, {
    uid: response.uid,
    allowed: true,
    auditAnnotations: { mode: 'enforce', outcome: 'admitted', codes: '' },
  })
})

t.test('/validate refuses with all reasons at once, each with code, field, sentence and page', async t => {
  const response = answer(create(widget({ deny: ['VS-A', 'VS-B'], warn: ['VS-C'] })), 'validate')
  t.equal(response.allowed, false)
  t.match(response.status, { code: 403, reason: 'Forbidden' })
  t.equal(
    response.status?.message,
    [
      'sidestep: this would not work in ambient mode, for 2 reasons:',
      '- VS-A spec.x: is not possible; use y',
      '  see docs/diagnostics/VS-A.md',
      '- VS-B spec.x: is not possible; use y',
      '  see docs/diagnostics/VS-B.md',
    ].join('\n'),
  )
  t.strictSame(response.warnings, ['VS-C spec.x: is not possible; use y'])
  t.strictSame(response.auditAnnotations, { mode: 'enforce', outcome: 'denied', codes: 'VS-A,VS-B,VS-C' })
})

t.test('both webhooks print warnings, and neither prints notes', async t => {
  for (const webhook of ['mutate', 'validate'] as const) {
    const { warnings } = answer(create(widget({ warn: ['VS-A'], note: ['VS-B'] })), webhook)
    t.strictSame(warnings, ['VS-A spec.x: is not possible; use y'])
  }
})

t.test('a namespace with mode off is not looked at', async t => {
  const namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'team-a', labels: { 'sidestep.dev/mode': 'off' } },
  }
  for (const webhook of ['mutate', 'validate'] as const) {
    const response = respond(
      create(widget({ throw: true })),
      snapshotOf([namespace]),
      enforce,
      webhook,
      translateWidget,
    )
    t.strictSame(response, {
      uid: response.uid,
      allowed: true,
      auditAnnotations: { mode: 'off', outcome: 'skipped', codes: '' },
    })
  }
})

t.test('observe neither patches nor denies, and says what enforce would do', async t => {
  const rewritten = answer(create(widget({ rewrite: true })), 'mutate', observe)
  t.notOk('patch' in rewritten)
  t.strictSame(rewritten.warnings, ['sidestep would rewrite metadata.labels, but only observes here'])
  t.equal(rewritten.auditAnnotations?.outcome, 'would-patch')

  const denied = answer(create(widget({ deny: ['VS-A'], warn: ['VS-B'] })), 'validate', observe)
  t.equal(denied.allowed, true)
  t.strictSame(denied.warnings, [
    'VS-A spec.x: would be denied: is not possible; use y',
    'VS-B spec.x: is not possible; use y',
  ])
  t.equal(denied.auditAnnotations?.outcome, 'would-deny')
})

t.test('DELETE, CONNECT and requests without an object are allowed', async t => {
  const old = widget({ deny: ['VS-A'] })
  for (const webhook of ['mutate', 'validate'] as const) {
    for (const request of [
      create(null, { operation: 'DELETE', oldObject: old }),
      create({ kind: 'PodExecOptions' }, { operation: 'CONNECT' }),
      create(null),
      create(undefined),
    ])
      t.equal(answer(request, webhook).allowed, true)
  }
})

t.test('a kind without a translator is allowed as it is', async t => {
  const { response } = decide(create(widget({ deny: ['VS-A'] })), cluster, enforce, 'validate')
  t.equal(response.allowed, true)
})

t.test('the ratchet', async t => {
  t.test('an update that leaves spec and labels is never denied, nor nagged about', async t => {
    const old = widget({ deny: ['VS-A'] }, { labels: { a: 'b' }, finalizers: ['x'] } as object)
    const response = answer(update(widget({ deny: ['VS-A'] }, { labels: { a: 'b' } }), old), 'validate')
    t.equal(response.allowed, true)
    t.notOk('warnings' in response)
    t.equal(response.auditAnnotations?.outcome, 'tolerated')
  })

  t.test('no labels and empty labels are the same', async t => {
    const old = widget({ deny: ['VS-A'] }, { labels: {} })
    t.equal(answer(update(widget({ deny: ['VS-A'] }), old), 'validate').auditAnnotations?.outcome, 'tolerated')
  })

  t.test('an update is not denied for what was stored before, and is told so', async t => {
    const response = answer(update(widget({ deny: ['VS-A'], n: 2 }), widget({ deny: ['VS-A'], n: 1 })), 'validate')
    t.equal(response.allowed, true)
    t.strictSame(response.warnings, ['VS-A spec.x: is let through as before: is not possible; use y'])
  })

  t.test('an update is denied for what it adds, and only for that', async t => {
    const response = answer(update(widget({ deny: ['VS-A', 'VS-B'] }), widget({ deny: ['VS-A'] })), 'validate')
    t.equal(response.allowed, false)
    t.match(response.status?.message, /- VS-B/)
    t.notMatch(response.status?.message, /VS-A/)
    t.strictSame(response.warnings, ['VS-A spec.x: is let through as before: is not possible; use y'])
  })

  t.test('a change of labels alone is judged, since labels decide what holds', async t => {
    const old = widget({ deny: ['VS-A'] }, { labels: { a: 'b' } })
    const clean = widget({}, { labels: { a: 'b' } })
    t.equal(answer(update(widget({ deny: ['VS-A'] }), old), 'validate').allowed, true)
    t.equal(answer(update(widget({ deny: ['VS-A'] }), clean), 'validate').allowed, false)
  })

  t.test('a new object has no past to lean on', async t => {
    const object = widget({ deny: ['VS-A'] })
    t.equal(answer(create(object, { oldObject: object }), 'validate').allowed, false)
  })
})

t.test('the decision tells logs and metrics what happened', async t => {
  const decision = decide(
    create(widget({ rewrite: true, warn: ['VS-B', 'VS-A', 'VS-B'] })),
    cluster,
    enforce,
    'mutate',
    translateWidget,
  )
  t.match(decision, { mode: 'enforce', outcome: 'patched', codes: ['VS-A', 'VS-B'], patchOperations: 1 })
})
