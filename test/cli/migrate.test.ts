// What `sidestep migrate` takes and refuses on its command line; what it does to a cluster is in test/e2e/migrate.test.ts.
import t from 'tap'
import { FakeApiServer } from '../reconciler/fake-api-server.ts'
import { sidestep } from './memory.ts'

t.test('names its steps, and refuses what it does not know', async t => {
  t.match(await sidestep(['migrate', '--help']), {
    code: 0,
    stdout: /prepare.*capture.*restart.*enrol.*routes.*verify/s,
  })
  t.match(await sidestep(['migrate']), { code: 2, stderr: /missing required argument 'namespace'/ })
  t.match(await sidestep(['migrate', 'a', '--until', 'b']), { code: 2, stderr: /Allowed choices are prepare, capture/ })
  t.match(await sidestep(['migrate', 'a', '--timeout', 'b']), { code: 2, stderr: /number of seconds/ })
  t.match(await sidestep(['migrate', 'a', '--revert', '--until', 'prepare']), {
    code: 2,
    stderr: /cannot be used with/,
  })
})

t.test('who may list nothing is told so', async t => {
  const server = new FakeApiServer()
  const { kubeconfig } = await server.start(t)
  t.teardown(() => server.stop())
  t.match(await sidestep(['migrate', 'a', '--kubeconfig', kubeconfig]), { code: 2, stderr: /you may list nothing/ })
  t.strictSame(server.writes, [])
})

t.test('is interrupted while it reads', async t => {
  const server = new FakeApiServer()
  const { kubeconfig } = await server.start(t)
  t.teardown(() => server.stop())
  const { code, stderr } = await sidestep(['migrate', 'a', '--kubeconfig', kubeconfig], { signal: AbortSignal.abort() })
  t.strictSame([code, stderr], [130, 'interrupted; run it again to go on\n'])
})
