import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { ApiError, type ApiServer, type Call } from '../../src/reconciler/api-server.ts'
import { carryOut } from '../../src/reconciler/apply.ts'
import type { Operation } from '../../src/reconciler/plan.ts'

const signal = new AbortController().signal
const path = '/apis/gateway.networking.k8s.io/v1/namespaces/a/httproutes/lab'
const wanted: KubernetesObject = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'lab', namespace: 'a', labels: { ours: '1' } },
}
const stored = { ...wanted, metadata: { ...wanted.metadata, uid: 'u', resourceVersion: '7' } }

/** What is sent for an operation, answered by these in order. */
async function sent(operation: Operation, answers: (KubernetesObject | Error)[] = [], at?: KubernetesObject) {
  const calls: Call[] = []
  const api = {
    async send(call: Call) {
      calls.push(call)
      const answer = answers[calls.length - 1] ?? stored
      if (answer instanceof Error) throw answer
      return answer
    },
  } as unknown as ApiServer
  const answer = await carryOut(operation, () => at, api, signal)
  const bodies = calls.map(({ body }) => body as KubernetesObject | undefined)
  return { calls, bodies, answer }
}

t.test('a source goes through admission by an empty patch', async t => {
  const { calls } = await sent({ kind: 'readmit', object: stored, into: wanted })
  t.strictSame(calls, [
    {
      method: 'PATCH',
      path,
      query: { fieldManager: 'sidestep' },
      body: {},
      contentType: 'application/merge-patch+json',
    },
  ])
})

t.test('a Service gets nothing but labels, and takes none from anybody', async t => {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'app', namespace: 'a', uid: 'u' }, spec: {} }
  const { calls } = await sent({ kind: 'label', object: service as KubernetesObject, labels: { l: '1' } })
  const metadata = { name: 'app', namespace: 'a', uid: 'u', labels: { l: '1' } }
  t.strictSame(calls[0]?.body, { apiVersion: 'v1', kind: 'Service', metadata }, 'nor does it come back when it is gone')
  t.notOk(calls[0]?.query?.force)
})

t.test('what is not there is not forced, and what is ours is forced by its uid', async t => {
  const created = await sent({ kind: 'apply', object: wanted })
  t.equal(created.calls[0]?.query?.force, 'false')
  t.notOk(created.bodies[0]?.metadata.uid)
  const changed = await sent({ kind: 'apply', object: wanted }, [], stored)
  t.equal(changed.calls[0]?.query?.force, 'true')
  t.equal(changed.bodies[0]?.metadata.uid, 'u')
  t.equal(changed.calls.length, 1)
})

t.test('what others have added to the spec goes by writing the whole, of the version that was answered', async t => {
  const managedFields = [{ manager: 'them', fieldsV1: { 'f:spec': { 'f:hostnames': {} } } }]
  const labels = { ours: '0', theirs: '2' }
  const edited = { ...stored, metadata: { ...stored.metadata, resourceVersion: '8', labels, managedFields } }
  const { calls, bodies } = await sent({ kind: 'apply', object: wanted }, [edited], stored)
  t.strictSame(
    calls.map(({ method }) => method),
    ['PATCH', 'PUT'],
  )
  const { metadata = {} } = bodies[1] ?? {}
  t.equal(metadata.resourceVersion, '8')
  t.strictSame(metadata.labels, { ours: '1', theirs: '2' }, 'labels of others stay')
  t.notOk('managedFields' in metadata)
})

t.test('what somebody has added as sidestep to a policy goes by writing the whole', async t => {
  const spec = { action: 'DENY', rules: [{}] }
  const policy = { ...stored, apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', spec }
  const narrowed = { ...policy, spec: { ...spec, selector: { matchLabels: { app: 'none' } } } }
  const { calls, bodies } = await sent({ kind: 'apply', object: policy }, [narrowed], narrowed)
  t.strictSame(
    calls.map(({ method }) => method),
    ['PATCH', 'PUT'],
  )
  t.strictSame((bodies[1] as { spec?: unknown }).spec, spec)
})

t.test('deletes just the version that was seen, and is content when it is gone', async t => {
  const { calls, answer } = await sent({ kind: 'delete', object: stored })
  t.strictSame(calls[0]?.body, {
    preconditions: { uid: 'u', resourceVersion: '7' },
    propagationPolicy: 'Background',
  })
  t.equal(answer, undefined)
  t.equal((await sent({ kind: 'delete', object: stored }, [new ApiError(404, 'gone')])).answer, undefined)
  await t.rejects(sent({ kind: 'delete', object: stored }, [new ApiError(409, 'changed')]), /changed/)
})
