// The restart of workloads, on an API server that is made up; the whole way is in test/e2e/migrate.test.ts.
import t from 'tap'
import { ApiError, type ApiServer } from '../../src/reconciler/api-server.ts'
import { MigrationError, restarted } from '../../src/reconciler/migrate.ts'
import { hasSidecar } from '../../src/translate/restarts.ts'

const pod = {
  metadata: {
    name: 'lab-5b8c-x',
    namespace: 'team-a',
    labels: { 'pod-template-hash': '5b8c' },
    annotations: { 'sidecar.istio.io/status': '{}' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'lab-5b8c', uid: 'u', controller: true }],
  },
}
const deployment = {
  metadata: { name: 'lab', namespace: 'team-a', generation: 1 },
  spec: { replicas: 0 },
  status: { observedGeneration: 1 },
}
const collections: Record<string, object[]> = {
  '/api/v1/namespaces/team-a/pods': [pod],
  '/apis/apps/v1/namespaces/team-a/deployments': [deployment],
}

function refusing(status: number): ApiServer {
  return {
    list: async path => ({ metadata: {}, items: (collections[path] ?? []) as { metadata: object }[] }),
    watch: async () => {},
    send: async () => {
      throw new ApiError(status, 'no')
    },
  }
}

const options = {
  timeout: 1000,
  interval: 1,
  isRestarting: true,
  onEvent: () => {},
  signal: new AbortController().signal,
}

t.test('who may not restart a workload is told which role may', async t => {
  const errorOf = (status: number) =>
    restarted(refusing(status), 'team-a', hasSidecar, options).catch((error: unknown) => error)
  const error = await errorOf(403)
  t.ok(error instanceof MigrationError)
  t.match(error, { message: /you may not patch Deployment team-a\/lab; bind sidestep-migrate-restart/ })
  t.match(await errorOf(500), { status: 500, message: 'no' }, 'another refusal is told as it is')
})
