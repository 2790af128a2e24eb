// The rest of docs.test.ts: the commands that need a cluster, on a real API server, and every object of the pages, which it has
// to take. The longest page is in docs-kubeflow.test.ts.
import t from 'tap'
import { collectionOf } from '../../src/reconciler/paths.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { needsCluster, runInClusters } from '../docs/in-clusters.ts'
import { pagePaths, readPage } from '../docs/pages.ts'
import { yamlOf } from '../docs/yaml.ts'
import { sendAs, succeeded } from './controllers/send.ts'

const only = process.env.SIDESTEP_PAGE
const pages = pagePaths().map(readPage)
const withCluster = pages
  .filter(({ path }) => (only ? path.startsWith(only) : path !== 'docs/getting-started-kubeflow.md'))
  .filter(needsCluster)
const installs = withCluster.filter(({ blocks }) =>
  blocks.some(({ text }) => /^(helm install|kubectl apply -k)/m.test(text)),
)
const others = withCluster.filter(page => !installs.includes(page))

t.test('every command for a cluster runs, and prints what the page says', t =>
  runInClusters(t, [...installs.map(page => [page]), others]),
)

t.test('the API server takes every object of the pages', { skip: only ?? false }, async t => {
  const controlPlane = await controlPlaneOrSkip(t, { channel: 'experimental' })
  if (!controlPlane) return
  await controlPlane.grant('controller', 'cluster-admin')
  const objects = pages.flatMap(page => yamlOf(page).objects)
  const names = new Set(objects.flatMap(({ object }) => object.metadata?.namespace ?? []))
  await controlPlane.apply(
    [...names, 'default'].map(name => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
  )
  const send = sendAs(controlPlane, 'docs')
  const served = new Set<string>()
  let tried = 0
  for (const { where, object } of objects) {
    const group = object.apiVersion.includes('/') ? `/apis/${object.apiVersion}` : `/api/${object.apiVersion}`
    if (!served.has(group) && (await send('GET', group)).status !== 200) {
      t.comment(`${where} is not tried: ${object.apiVersion} has no CRDs here`)
      continue
    }
    served.add(group)
    const { kind, apiVersion, metadata } = object
    const namespaced = succeeded(await send('GET', group)).body.resources.find(
      (resource: { kind: string; namespaced: boolean }) => resource.kind === kind,
    )?.namespaced
    const address = { ...metadata, ...(namespaced && { namespace: metadata.namespace ?? 'default' }) }
    const path = `${collectionOf({ apiVersion, kind, metadata: address })}?dryRun=All&fieldValidation=Strict`
    // That an object is there already is no refusal of what it says.
    const { status, body } = await send('POST', path, { ...object, metadata: address })
    t.ok(status === 201 || status === 409, `${where}: ${kind} ${metadata.name}: ${body.message ?? 'taken'}`)
    tried++
  }
  t.comment(`${tried} objects have been tried`)
  t.ok(tried > 20)
})
