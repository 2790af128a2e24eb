import t from 'tap'
import { readReview, readTimeout } from '../../src/server/review.ts'
import { create, review, widget } from './reviews.ts'

const good = create(widget({}))

t.test('a review gives its request, the very same object', async t => {
  t.equal(readReview(review(good)), good)
})

t.test('a malformed review is answered with a sentence that says what is wrong', async t => {
  const cases: [unknown, RegExp][] = [
    [undefined, /^The body must be an AdmissionReview/],
    [[], /^The body must be/],
    [{ ...review(good), kind: 'Pod' }, /^kind must be AdmissionReview, not "Pod"/],
    [{ ...review(good), apiVersion: 'admission.k8s.io/v1beta1' }, /^apiVersion must be admission\.k8s\.io\/v1, not/],
    [review(undefined), /^request must be an object/],
    [review({ ...good, uid: 7 }), /^request\.uid must be a string/],
    [review({ ...good, uid: '' }), /^request\.uid must be/],
    [review({ ...good, kind: 'Widget' }), /^request\.kind must be an object/],
    [review({ ...good, operation: 'PATCH' }), /^request\.operation must be one of CREATE, .*not "PATCH"/],
    [review({ ...good, operation: undefined }), /not absent/],
    [review({ ...good, object: 'text' }), /^request\.object must be an object with/],
    [review({ ...good, object: {} }), /^request\.object must be/],
    [review({ ...good, object: widget({}, { labels: 'x' } as object) }), /^request\.object must be/],
    [review({ ...good, oldObject: 1 }), /^request\.oldObject must be/],
  ]
  for (const [body, sentence] of cases) t.match(readReview(body), sentence)
})

t.test('the timeout in the URL is read as Go writes it', async t => {
  t.equal(readTimeout({ timeout: '10s' }), 10)
  t.equal(readTimeout({ timeout: '1m30s' }), 90)
  t.equal(readTimeout({ timeout: '2.5s' }), 2.5)
  for (const timeout of ['', '10', 'soon', '500ms', ['1s', '2s']]) t.equal(readTimeout({ timeout }), undefined)
  t.equal(readTimeout({}), undefined)
})
