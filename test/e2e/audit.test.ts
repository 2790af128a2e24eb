// `sidestep audit` on a real API server, as a ServiceAccount that can do nothing but list.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { entry, istioGateway, namespace, policy, service, virtualService } from '../audit/world.ts'
import { sidestep } from '../cli/memory.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'

const role = parse(readFileSync('deploy/audit/clusterrole.yaml', 'utf8'))

/** KServe, as far as an API server minds: served in a version that the audit does not expect. */
const inferenceServices = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'inferenceservices.serving.kserve.io' },
  spec: {
    group: 'serving.kserve.io',
    names: {
      kind: 'InferenceService',
      plural: 'inferenceservices',
      singular: 'inferenceservice',
      listKind: 'InferenceServiceList',
    },
    scope: 'Namespaced',
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
}

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'lab', namespace: 'team-a' },
  spec: {
    selector: { matchLabels: { app: 'lab' } },
    template: { metadata: { labels: { app: 'lab' } }, spec: { containers: [{ name: 'lab', image: 'lab' }] } },
  },
}

t.test('audit on a real API server', async t => {
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  const faulty = virtualService('faulty', [entry('/faulty', { fault: { abort: { httpStatus: 500 } } })])
  await controlPlane.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kubeflow' } }, namespace()])
  await controlPlane.apply([
    istioGateway,
    service(),
    deployment,
    policy(),
    virtualService('lab', [entry('/lab')]),
    faulty,
  ])
  await controlPlane.apply(inferenceServices)
  const model = {
    apiVersion: 'serving.kserve.io/v1',
    kind: 'InferenceService',
    metadata: { name: 'iris', namespace: 'team-a' },
  }
  await until('KServe to be installed', async () => {
    const { code } = await controlPlane.kubectl(['apply', '--filename=-'], { stdin: stringify(model) })
    return code === 0
  })
  await controlPlane.apply(role)
  await controlPlane.grant('auditor', 'sidestep-audit')
  const audit = (...flags: string[]) =>
    sidestep(['audit', '--kubeconfig', controlPlane.kubeconfig('auditor'), '-o', 'json', ...flags])
  // RBAC follows what is stored within moments.
  await until('the auditor may list everything', async () => {
    const { code, stderr } = await audit()
    return code !== 2 && stderr === ''
  })

  t.test('reads all kinds and tells what files would', async t => {
    const { code, stdout, stderr } = await audit()
    t.equal(stderr, '')
    t.equal(code, 1)
    const report = JSON.parse(stdout)
    t.match(report, { source: 'test', verdict: 'blocked' })
    t.notOk('unread' in report)
    const team = report.namespaces.find(({ name }: { name: string }) => name === 'team-a')
    t.match(team, {
      verdict: 'blocked',
      // The Namespace, Service, Deployment, policy, two VirtualServices and the InferenceService.
      objects: 7,
      counts: { denial: 1 },
      dataplane: { now: 'sidecar' },
      waypoint: 'team-a/waypoint',
    })
    t.match(team.findings[0], { code: 'VS-FAULT', name: 'faulty' })
    t.notMatch(JSON.stringify(team.changes), /managedFields/)
    t.ok(team.steps.length > 5)
  })

  t.test('an older version of a policy that istiod accepted is told', async t => {
    const condition = { type: 'ZtunnelAccepted', status: 'True', reason: 'UnsupportedValue', observedGeneration: '1' }
    await controlPlane.apply(namespace({ 'istio.io/dataplane-mode': 'ambient' }))
    const { code } = await controlPlane.kubectl([
      ...['patch', 'authorizationpolicy', 'owner', '--namespace=team-a', '--subresource=status', '--type=merge'],
      ...['-p', JSON.stringify({ status: { conditions: [condition] } })],
    ])
    t.equal(code, 0)
    t.match((await audit('-n', 'team-a')).stdout, 'ST-POLICY-ZTUNNEL')
  })

  t.test('has written nothing, and could not', async t => {
    const versions = async () => {
      const { stdout } = await controlPlane.kubectl([
        'get',
        'ns,svc,deploy,ap,vs,gw',
        '--all-namespaces',
        '--output=json',
      ])
      return JSON.parse(stdout).items.map(
        ({ metadata }: { metadata: { resourceVersion: string } }) => metadata.resourceVersion,
      )
    }
    const before = await versions()
    await audit()
    t.strictSame(await versions(), before)
    for (const verb of ['create', 'patch', 'update', 'delete']) {
      const { stdout } = await controlPlane.kubectl(
        ['auth', 'can-i', verb, 'authorizationpolicies', '--namespace=team-a'],
        {
          user: 'auditor',
        },
      )
      t.equal(stdout.trim(), 'no')
    }
  })

  t.test('a kind that it may not list is named, on stderr and in the report, and nothing is ready', async t => {
    const rules = role.rules.map(({ resources, ...rule }: { resources: string[] }) => ({
      ...rule,
      resources: resources.filter(name => name !== 'envoyfilters'),
    }))
    await controlPlane.apply({ ...role, rules })
    const name = 'envoyfilters.networking.istio.io'
    await until('the role to be smaller', async () => (await audit()).stderr.includes(name))
    const { stdout, stderr } = await audit('-n', 'kubeflow')
    t.equal(stderr, `warning: ${name} is not read: you may not list it; the report does not know of it\n`)
    const report = JSON.parse(stdout)
    t.strictSame(report.unread, [{ resource: name, reason: 'you may not list it' }])
    t.equal(report.verdict, 'warnings')
    t.match((await audit('-o', 'table')).stdout, `Not read: ${name}`)
  })

  t.test('who may list nothing is told so', async t => {
    const { code, stdout, stderr } = await sidestep(['audit', '--kubeconfig', controlPlane.kubeconfig('alice')])
    t.strictSame({ code, stdout }, { code: 2, stdout: '' })
    t.match(stderr, /^error: you may list nothing; docs\/audit\.md/)
  })
})
