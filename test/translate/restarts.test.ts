// Who makes pods anew, what a rollout cannot do, and when one is done.
import t from 'tap'
import type { KubernetesObject, Pod } from '../../src/apis/core.ts'
import { hasSidecar, isBare, restartsOf, rolloutLack } from '../../src/translate/restarts.ts'

const pod = (name: string, owner?: [kind: string, name: string], more: object = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'team-a',
    labels: { 'pod-template-hash': '5b8c' },
    annotations: { 'sidecar.istio.io/status': '{}' },
    ...(owner && {
      ownerReferences: [{ apiVersion: 'apps/v1', kind: owner[0], name: owner[1], uid: 'u', controller: true }],
    }),
  },
  ...more,
})
const workload = (kind: string, name: string, spec: object = {}, status?: object, generation = 1) =>
  ({
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace: 'team-a', generation },
    spec,
    ...(status && { status }),
  }) as KubernetesObject

t.test('pods are put together by what makes them', async t => {
  const pods = [
    pod('a', ['ReplicaSet', 'api-5b8c']),
    pod('b', ['ReplicaSet', 'api-5b8c']),
    pod('n-0', ['StatefulSet', 'n']),
  ]
  t.strictSame(restartsOf(pods, [workload('Deployment', 'api'), workload('StatefulSet', 'n')]), [
    { kind: 'Deployment', namespace: 'team-a', name: 'api', pods: 2 },
    { kind: 'StatefulSet', namespace: 'team-a', name: 'n', pods: 1 },
  ])
})

t.test('what no rollout makes anew is left to a person', async t => {
  const injecting = { template: { metadata: { labels: { 'sidecar.istio.io/inject': 'true' } } } }
  const cases: [Pod, KubernetesObject[], RegExp][] = [
    [pod('bare'), [], /create it anew/],
    [pod('j', ['Job', 'j']), [], /wait for its end/],
    [pod('s', ['SparkApplication', 's']), [], /only its controller knows how/],
    [pod('d', ['StatefulSet', 'd']), [], /it is gone/],
    [pod('d', ['DaemonSet', 'd']), [workload('DaemonSet', 'd', { updateStrategy: { type: 'OnDelete' } })], /OnDelete/],
    [
      pod('d', ['StatefulSet', 'd']),
      [workload('StatefulSet', 'd', { updateStrategy: { rollingUpdate: { partition: 2 } } })],
      /partition/,
    ],
    [pod('d', ['ReplicaSet', 'd-5b8c']), [workload('Deployment', 'd', { paused: true })], /paused/],
    [pod('d', ['ReplicaSet', 'd-5b8c']), [workload('Deployment', 'd', injecting)], /demands a sidecar/],
  ]
  for (const [each, workloads, text] of cases) t.match(restartsOf([each], workloads)[0]?.byHand, text)
  const [back] = restartsOf([pod('d', ['ReplicaSet', 'd-5b8c'])], [workload('Deployment', 'd', injecting)], {
    toSidecars: true,
  })
  t.notOk(back?.byHand, 'on the way back the label is no hindrance')
})

t.test('a gateway has no sidecar, nor a pod that has ended, and who is marked to get none is not bare', async t => {
  t.ok(hasSidecar(pod('a')))
  for (const phase of ['Succeeded', 'Failed']) t.notOk(hasSidecar({ ...pod('j'), status: { phase } }), phase)
  t.notOk(hasSidecar({ ...pod('g'), spec: { containers: [{ name: 'istio-proxy' }] } }))
  const captured = { ...pod('c').metadata, annotations: { 'ambient.istio.io/redirection': 'enabled' } }
  t.ok(isBare({ ...pod('c'), metadata: captured }))
  t.notOk(isBare({ ...pod('c'), metadata: captured, status: { phase: 'Succeeded' } }))
  t.notOk(isBare({ ...pod('c'), metadata: { ...captured, labels: { 'sidecar.istio.io/inject': 'false' } } }))
})

t.test('a rollout is done when kubectl rollout status says so', async t => {
  const done = { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2, readyReplicas: 2 }
  const lack = (kind: string, spec: object, status: object) => rolloutLack(workload(kind, 'a', spec, status, 2))
  t.equal(lack('Deployment', { replicas: 2 }, done), undefined)
  t.match(lack('Deployment', { replicas: 2 }, { ...done, observedGeneration: 1 }), 'has not seen it')
  t.match(lack('Deployment', { replicas: 2 }, { ...done, updatedReplicas: 1 }), '1 of 2 pods are new')
  t.match(lack('Deployment', { replicas: 2 }, { ...done, replicas: 3 }), 'old pods')
  t.match(lack('Deployment', { replicas: 2 }, { ...done, availableReplicas: 1 }), '1 of 2 pods run')
  const late = { type: 'Progressing', reason: 'ProgressDeadlineExceeded', message: 'late' }
  t.match(lack('Deployment', { replicas: 2 }, { ...done, conditions: [late] }), 'no progress: late')
  const revisions = { currentRevision: 'a', updateRevision: 'a' }
  t.equal(lack('StatefulSet', { replicas: 2 }, { ...done, ...revisions }), undefined)
  t.match(lack('StatefulSet', { replicas: 2 }, { ...done, ...revisions, updateRevision: 'b' }), 'pods are new')
  t.match(lack('StatefulSet', { replicas: 2 }, { ...done, ...revisions, readyReplicas: 1 }), '1 of 2 pods run')
  const nodes = { observedGeneration: 2, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2 }
  t.equal(lack('DaemonSet', {}, nodes), undefined)
  t.match(lack('DaemonSet', {}, { ...nodes, updatedNumberScheduled: 1 }), '1 of 2 pods are new')
  t.match(lack('DaemonSet', {}, { ...nodes, numberAvailable: 1 }), '1 of 2 pods run')
})
