import t from 'tap'
import { profiles, snapshotOf, translate } from '../src/index.ts'

t.test('an object of another kind passes through', async t => {
  const object = { apiVersion: 'v1', kind: 'X', metadata: {} }
  t.equal(translate(object, snapshotOf([]), profiles.kubeflow).object, object)
})
