import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { affectedBy } from '../../src/reconciler/affected.ts'
import { Inventory } from '../../src/reconciler/inventory.ts'
import { serviceNamesIn } from '../../src/reconciler/mentions.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'

const gateways = ['kubeflow/kubeflow-gateway']

for (const { what, spec, names } of [
  {
    what: 'the hosts of destinations, whatever the protocol',
    spec: {
      gateways,
      hosts: ['*'],
      http: [
        {
          route: [{ destination: { host: 'web.team-a.svc.cluster.local' } }, { destination: { host: 'API' } }],
          mirrors: [{ destination: { host: 'shadow' } }],
        },
      ],
      tls: [{ match: [{ sniHosts: ['db.example.com'] }], route: [{ destination: { host: 'db' } }] }],
    },
    names: ['web', 'api', 'shadow', 'db'],
  },
  { what: 'in the mesh its own hosts', spec: { hosts: ['web', '*.team-a.svc.cluster.local'] }, names: ['web', '*'] },
  { what: 'in the mesh beside a gateway', spec: { gateways: ['mesh', ...gateways], hosts: ['web'] }, names: ['web'] },
  {
    what: 'any, where Services are made for subsets',
    spec: { gateways, http: [{ route: [{ destination: { host: 'web', subset: 'v1' } }] }] },
    names: ['web', '*'],
  },
  {
    what: 'any, where a delegate has the routes',
    spec: { gateways, http: [{ delegate: { name: 'x' } }] },
    names: ['*'],
  },
  { what: 'nothing of what is no VirtualService', spec: { gateways, http: 'x' }, names: [] },
  { what: 'nothing of what is not there', spec: undefined, names: [] },
])
  t.test(`a VirtualService can look at: ${what}`, async t =>
    t.strictSame([...serviceNamesIn(spec)].sort(), names.toSorted()),
  )

t.test('a Service lets those look that name it, and its own Namespace', async t => {
  const virtualService = (namespace: string, host: string): KubernetesObject =>
    ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { namespace, name: `to-${host}` },
      spec: {
        gateways,
        hosts: ['*'],
        http: [{ route: [{ destination: { host: `${host}.team-a.svc.cluster.local` } }] }],
      },
    }) as KubernetesObject
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'team-a', name: 'web' } }
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace: 'team-a', name: 'p' },
  }
  const [near, far] = [virtualService('team-b', 'web'), virtualService('team-b', 'other')]
  const inventory = new Inventory()
  const note = (before: KubernetesObject | undefined, after: KubernetesObject | undefined) => {
    const change = {
      path: pathOf((after ?? before) as KubernetesObject),
      ...(before && { before }),
      ...(after && { after }),
    }
    inventory.note(change)
    return [...affectedBy(change, inventory, snapshotOf([]), profiles.kubeflow).others].sort()
  }
  for (const each of [near, far, policy]) note(undefined, each)
  const looking = ['AuthorizationPolicy/team-a/p', 'Service/team-a/web', 'VirtualService/team-b/to-web']
  t.strictSame(note(undefined, service), looking)
  const elsewhere = { ...near, spec: (far as unknown as { spec: unknown }).spec } as KubernetesObject
  note(near, elsewhere)
  t.strictSame(note(service, undefined), looking.slice(0, 1), 'no longer, once it names another')
  note(elsewhere, undefined)
  note(far, undefined)
  t.strictSame(inventory.keysMentioning('other'), [])
})
