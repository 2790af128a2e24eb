// What `npm run bench` sends is what it says, or its figures would be about something else.
import t from 'tap'
import { differenceTo, rewritten } from '../bench/throughput/agreement.ts'
import { cluster, clusterObjects, payloads, placeholderUid, settings } from '../bench/throughput/payloads.ts'
import type { AdmissionRequest } from '../src/apis/admission.ts'
import { decide } from '../src/server/admission.ts'
import { isCompanion } from '../src/translate/companion.ts'
import { snapshotOf } from '../src/translate/snapshot.ts'

const sizes: Record<string, [number, number]> = {
  'virtual-service': [3_500, 4_500],
  namespace: [1_000, 2_000],
  'virtual-service-200-routes': [50_000, 70_000],
  'virtual-service-1000-routes': [900_000, 1_100_000],
}

for (const { name, title, mix, rewrites } of payloads) {
  t.test(`${title}: is that, and is rewritten or left as it says`, async t => {
    t.equal(rewrites.length, mix.length)
    for (const [i, { body }] of mix.entries()) {
      const text = JSON.stringify(body)
      const [least = 0, most = 0] = sizes[name] ?? sizes['virtual-service'] ?? []
      t.ok(text.length >= least && text.length <= most, `${text.length} bytes are ${least} to ${most}`)
      // Once for the review, and once for object and oldObject each.
      t.equal(text.split(placeholderUid).length - 1, name.endsWith('-new') ? 3 : 1, 'uids')

      const { outcome } = decide(body.request as AdmissionRequest, cluster, settings, 'mutate')
      t.equal(outcome, rewrites[i] ? 'patched' : 'admitted')
      const { kind, metadata } = rewritten(body)
      if (kind === 'Namespace') t.equal(metadata.labels?.['istio.io/dataplane-mode'], 'ambient')
      else t.equal(metadata.labels?.['istio.io/rev'], 'sidestep-parked')
    }
  })
}

t.test('nothing is parked where the gateway has not accepted the routes', async t => {
  const unaccepted = snapshotOf(
    clusterObjects.filter(object => !isCompanion(object)),
    'observed',
  )
  const { outcome } = decide(
    reviewOf('virtual-service-rewriting').request as AdmissionRequest,
    unaccepted,
    settings,
    'mutate',
  )
  t.equal(outcome, 'admitted')
})

t.test('who does less than sidestep, or more, is disqualified', async t => {
  const review = reviewOf('virtual-service-rewriting')
  const { object } = review.request
  const label = toPatch([{ op: 'add', path: '/metadata/labels/istio.io~1rev', value: 'sidestep-parked' }])
  t.match(differenceTo(rewritten(review), object, undefined), /sidestep.dev~1original/)
  t.match(differenceTo(rewritten(review), object, label), /sidestep.dev~1original/)
  t.match(differenceTo(object, object, label), /istio.io~1rev/)
  t.equal(differenceTo(object, object, undefined), undefined)
})

function reviewOf(name: string) {
  const body = payloads.find(payload => payload.name === name)?.mix[0]?.body
  if (!body) throw new Error(`there is no ${name}`)
  return body
}

function toPatch(operations: object[]): string {
  return Buffer.from(JSON.stringify(operations)).toString('base64')
}
