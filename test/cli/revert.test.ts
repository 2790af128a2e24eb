// `sidestep revert` of files: what convert made of them goes back to what it was. And what the command says of a cluster
// that it cannot use; how it carries a revert out is in test/e2e/revert.test.ts.
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { revertResources } from '../../src/reconciler/revert.ts'
import { isEqual } from '../../src/translate/canonical.ts'
import { FakeApiServer } from '../reconciler/fake-api-server.ts'
import { sidestep } from './memory.ts'

const examples = 'examples/kubeflow'
const valuesOf = (yaml: string) => parseAllDocuments(yaml).map(document => document.toJS())
const lastLine = (text: string) => text.trimEnd().split('\n').at(-1)

t.test('takes back what convert has done', async t => {
  const { stdout: ambient } = await sidestep(['convert', '-f', examples])
  const { stdout: written } = await sidestep(['revert', '-f', examples])
  const { code, stdout, stderr } = await sidestep(['revert', '-f', '-'], { stdin: ambient })
  t.equal(code, 0)
  t.equal(lastLine(stderr), '20 objects, 6 restored, 7 companions left out')
  t.match(
    stderr,
    /^stdin:\d+:\d+: warning Service kubeflow\/ml-pipeline metadata.labels\[istio.io\/use-waypoint\]: names/,
  )
  const withoutLabel = (object: { kind: string; metadata: { labels?: unknown } }) => {
    if (object.kind !== 'Service') return object
    const { labels: _, ...metadata } = object.metadata
    return { ...object, metadata }
  }
  const [before, after] = [written, stdout].map(text => valuesOf(text).map(withoutLabel))
  t.equal(after?.length, 13)
  t.strictSame(
    after?.filter((object, i) => !isEqual(object, before?.[i])),
    [],
  )
})

t.test('what nobody has rewritten comes out as it is written', async t => {
  const text = '# mine\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a } # flow\n'
  t.strictSame(await sidestep(['revert', '-f', '-'], { stdin: text }), {
    code: 0,
    stdout: text,
    stderr: '1 object, 0 restored, 0 companions left out\n',
  })
})

t.test('keeps the first comments and the order of what it restores', async t => {
  const stdin = `# the lab
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata:
  name: lab
  annotations: { note: "on", sidestep.dev/original: '{"metadata/labels/istio.io/rev":{"wrote":"DIGEST"}}' }
  labels: { istio.io/rev: sidestep-parked, app: lab }
spec: { hosts: [lab] }
`
  const { digest } = await import('../../src/translate/canonical.ts')
  const { stdout } = await sidestep(['revert', '-f', '-'], {
    stdin: stdin.replace('DIGEST', digest('sidestep-parked')),
  })
  t.equal(
    stdout,
    `# the lab
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: lab
  annotations:
    note: "on"
  labels:
    app: lab
spec:
  hosts:
  - lab
`,
  )
})

t.test('prints one List with -o json', async t => {
  const { stdout } = await sidestep(['revert', '-f', examples, '-o', 'json'])
  t.match(JSON.parse(stdout), { kind: 'List' })
})

t.test('prints nothing when something of the input cannot be read', async t => {
  const { code, stdout, stderr } = await sidestep(['revert', '-f', '-'], { stdin: 'kind: A\n' })
  t.equal(code, 2)
  t.equal(stdout, '')
  t.match(lastLine(stderr), /^0 objects, 0 restored, 0 companions left out; 2 errors, so nothing is printed/)
})

t.test('a flag of a cluster does not go with files', async t => {
  for (const flag of ['--yes', '--dry-run', '--namespace=a', '--context=a'])
    t.match(await sidestep(['revert', '-f', examples, flag]), { code: 2, stderr: /cannot be used with option/ }, flag)
  t.match(await sidestep(['revert', '--yes', '--dry-run']), { code: 2, stderr: /cannot be used with option/ })
})

t.test('says that nothing is left, and what it may not list', async t => {
  const server = new FakeApiServer()
  const { kubeconfig } = await server.start(t)
  t.teardown(() => server.stop())
  server.install(...revertResources.map(({ path }) => path))
  t.strictSame(await sidestep(['revert', '--kubeconfig', kubeconfig]), {
    code: 0,
    stdout: 'Nothing is left of sidestep here.\n',
    stderr: '',
  })
  server.fail('/apis/coordination.k8s.io/v1/leases', 403)
  t.match(await sidestep(['revert', '--kubeconfig', kubeconfig, '--yes']), { code: 2, stderr: /leases: HTTP 403/ })
})
