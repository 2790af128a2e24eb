// What an audit reads of a cluster: every kind in a version that is served, and a word about what it may not read.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { ApiError, type ApiServer } from '../../src/reconciler/api-server.ts'
import { auditResources, readAll } from '../../src/reconciler/read-all.ts'
import { nameOf } from '../../src/reconciler/watch.ts'

const { signal } = new AbortController()

/** An API server that has these groups, and answers a list by its path. */
function serving(groups: Record<string, string[]>, answer: (path: string) => object[] | Error): ApiServer {
  return {
    async list(path) {
      const items = answer(path)
      if (items instanceof Error) throw items
      return { metadata: {}, items: items as { metadata: object }[] }
    },
    async send({ path }) {
      const versions = groups[path.replace('/apis/', '')]
      if (!versions) throw new ApiError(404, 'not found')
      return { versions: versions.map(version => ({ version })) } as never
    },
    watch: () => Promise.reject(new Error('nobody watches')),
  }
}

const named = (name: string) => ({ metadata: { name, namespace: 'a', managedFields: [{ manager: 'kubectl' }] } })

t.test('lists each kind in a version that is served, ours first, then whatever has it', async t => {
  const asked: string[] = []
  const groups = { 'networking.istio.io': ['v1alpha3', 'v1beta1'], apps: ['v1'] }
  const api = serving(groups, path => {
    asked.push(path)
    if (path.includes('/v1alpha3/virtualservices')) return new ApiError(404, 'not in this version')
    return path.endsWith('/virtualservices') || path.endsWith('/deployments') ? [named('x')] : []
  })
  const { objects, unread } = await readAll(api, signal)
  t.strictSame(unread, [])
  t.match(
    objects.toSorted((a, b) => (a.kind < b.kind ? -1 : 1)),
    [
      { apiVersion: 'apps/v1', kind: 'Deployment' },
      { apiVersion: 'networking.istio.io/v1beta1', kind: 'VirtualService' },
    ],
  )
  t.ok(asked.includes('/apis/networking.istio.io/v1alpha3/envoyfilters'))
  t.notOk(
    asked.some(path => path.includes('kserve')),
    'what is not installed is not asked for',
  )
  t.ok(asked.includes('/api/v1/pods'))
})

t.test('keeps managedFields where the core reads them, and nowhere else', async t => {
  const api = serving({ apps: ['v1'] }, path => (/deployments|services$/.test(path) ? [named('x')] : []))
  const { objects } = await readAll(api, signal)
  const fields = (kind: string) => objects.find(object => object.kind === kind)?.metadata.managedFields
  t.equal(fields('Deployment'), undefined)
  t.equal(fields('Service')?.length, 1)
})

t.test('names what may not be listed or cannot be had, and goes on', async t => {
  const groups = Object.fromEntries(
    auditResources
      .map(({ apiVersion }) => apiVersion.split('/') as [string, string])
      .map(([group, version]) => [group, [version]]),
  )
  const api = serving(groups, path => {
    if (path.endsWith('/envoyfilters')) return new ApiError(403, 'forbidden')
    if (path.endsWith('/inferenceservices')) return new ApiError(500, 'conversion webhook is gone')
    return []
  })
  t.strictSame((await readAll(api, signal)).unread, [
    { resource: 'envoyfilters.networking.istio.io', reason: 'you may not list it' },
    { resource: 'inferenceservices.serving.kserve.io', reason: 'the API server answers HTTP 500' },
  ])
})

t.test('a cluster that is not there, and one that shows nothing, are no clusters', async t => {
  const refused = serving({}, () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))
  await t.rejects(readAll(refused, signal), { code: 'CLUSTER_UNREADABLE', message: /cannot be reached/ })
  const unknown = serving({}, () => new ApiError(401, 'who are you'))
  await t.rejects(readAll(unknown, signal), { message: /credentials/ })
  const all = Object.fromEntries(
    auditResources.map(({ apiVersion }) => [apiVersion.split('/')[0], [apiVersion.split('/')[1] ?? '']]),
  )
  await t.rejects(
    readAll(
      serving(all, () => new ApiError(403, 'no')),
      signal,
    ),
    { message: /you may list nothing/ },
  )
})

t.test('the ClusterRole that is shipped is what is read, and lets nobody write', async t => {
  const { rules } = parse(readFileSync('deploy/audit/clusterrole.yaml', 'utf8'))
  const granted = rules.flatMap(({ apiGroups, resources }: { apiGroups: string[]; resources: string[] }) =>
    apiGroups.flatMap(group => resources.map(resource => (group ? `${resource}.${group}` : resource))),
  )
  t.strictSame(granted.toSorted(), auditResources.map(nameOf).toSorted())
  for (const { verbs } of rules) t.strictSame(verbs, ['list'])
})
