// A setting of somebody's file that matches nothing is told by its path, and one that matches something is not.
import t from 'tap'
import { idleSettings } from '../../src/audit/idle-settings.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { GatewayMapping, NamespaceRule, Settings } from '../../src/translate/settings.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import { auditOf, entry, istioGateway, namespace, service, virtualService } from './world.ts'

const [mapping] = profiles.kubeflow.gateways as [GatewayMapping]
const waypoint = { name: 'w', create: true, ingressUseWaypoint: false, directCallers: [] }
const rule = (more: object): NamespaceRule => ({ dataplaneMode: 'ambient', ...more })

const gatewayPod = (labels: object, serviceAccountName = 'istio-ingressgateway-service-account') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'gateway', namespace: 'istio-system', labels },
  spec: { serviceAccountName, containers: [{ name: 'proxy' }] },
})
const lab = virtualService('lab', [entry('/lab')])
const world = [istioGateway, namespace(), service(), lab, gatewayPod(mapping.pods.labels)]
const ingress = { ...mapping, istioGateways: ['kubeflow/kubeflow-gateway'] }

function idle(given: Partial<Settings>, objects: object[] = world, statuses: 'observed' | 'assumed' = 'assumed') {
  const all = objects as Parameters<typeof idleSettings>[2] & object[]
  return idleSettings(given, snapshotOf(all, statuses), all)
}

const cases: [string, Partial<Settings>, string[]][] = [
  ['a Namespace by name', { namespaces: [rule({ names: ['team-a'] })] }, []],
  [
    'one name of several',
    { namespaces: [rule({ names: ['team-a', 'taem-b'] })] },
    ['the setting namespaces[0].names names Namespace taem-b, which is not in what was read'],
  ],
  ['labels', { namespaces: [rule({ matchLabels: { 'app.kubernetes.io/part-of': 'kubeflow-profile' } })] }, []],
  [
    'labels that nobody has, in the second rule',
    { namespaces: [rule({ names: ['team-a'] }), rule({ matchLabels: { team: 'a', tier: 'x' } })] },
    ['the setting namespaces[1].matchLabels matches no Namespace of what was read (team=a,tier=x)'],
  ],
  [
    'a rule behind one that holds for all of its Namespaces',
    { namespaces: [rule({ names: ['team-a'] }), rule({ names: ['team-a'] })] },
    ['the setting namespaces[1] does nothing, since an earlier rule holds for every Namespace that it matches'],
  ],
  [
    'a Service',
    { namespaces: [rule({ names: ['team-a'], waypoint: { ...waypoint, services: ['lab', 'lba'] } })] },
    ['the setting namespaces[0].waypoint.services names Service lba, which is not in what was read of team-a'],
  ],
  ['all Services', { namespaces: [rule({ names: ['team-a'], waypoint: { ...waypoint, services: 'all' } })] }, []],
  ['an ingress', { gateways: [ingress] }, []],
  [
    'an Istio Gateway',
    { gateways: [{ ...ingress, istioGateways: ['kubeflow/kubeflow-gatewya'] }] },
    ['the setting gateways[0].istioGateways names Gateway kubeflow/kubeflow-gatewya, which is not in what was read'],
  ],
  [
    'the pods of the old gateway',
    { gateways: [{ ...ingress, pods: { namespace: 'istio-system', labels: { istio: 'ingresgateway' } } }] },
    [
      'the setting gateways[0].pods matches no pod in istio-system (istio=ingresgateway), and no Gateway of istioGateways selects these labels',
    ],
  ],
  [
    'their service account',
    { gateways: [{ ...ingress, serviceAccounts: { old: ['istio-system/gateway'], new: [] } }] },
    [
      'the setting gateways[0].serviceAccounts.old names istio-system/gateway, and the pods run as istio-system/istio-ingressgateway-service-account',
    ],
  ],
  [
    'a prefix',
    { pathPrefixes: { '/lab': ['/lab', '/lab.v2'], '/lba': ['/lba'] } },
    ['the setting pathPrefixes[/lba] is the uri.prefix of no VirtualService that was read'],
  ],
  ['what selects nothing', { mode: 'observe', severities: { 'VS-*': 'denial' } }, []],
]

for (const [what, given, expected] of cases)
  t.test(`is told where it matches nothing: ${what}`, async t => {
    t.strictSame(idle(given), expected)
  })

t.test('only a cluster says that there is no root namespace: files are often those of an application', async t => {
  const given = { rootNamespace: 'istio-sytem' }
  t.strictSame(idle(given), [])
  t.strictSame(idle(given, world, 'observed'), [
    'the setting rootNamespace names Namespace istio-sytem, which is not there',
  ])
  t.strictSame(idle({ rootNamespace: 'istio-system' }, world, 'observed'), [])
})

t.test('the old gateway may have gone, or not be among the files', async t => {
  t.strictSame(idle({ gateways: [ingress] }, [istioGateway]), [], 'its Istio Gateway knows its labels')
  const [missing, ...others] = idle({ gateways: [ingress] }, [namespace()])
  t.match(missing, /gateways\[0\]\.istioGateways/)
  t.strictSame(others, [])
})

t.test('of many, some are told', async t => {
  const prefixes = Array.from({ length: 20 }, (_, i) => [`/${i}`, [`/${i}`]])
  const lines = idle({ pathPrefixes: Object.fromEntries(prefixes) })
  t.equal(lines.length, 7)
  t.equal(lines.at(-1), '14 more settings match nothing here either')
  const names = Array.from({ length: 20 }, (_, i) => `team-${i}`)
  t.match(idle({ namespaces: [rule({ names })] }), [/names Namespace team-0, team-1, team-2 and 17 more, which/])
})

t.test('an audit remarks what the file gives, and nothing of the profile under it', async t => {
  t.notOk('remarks' in auditOf([namespace()]))
  const given = { namespaces: [rule({ names: ['team-x'] })] }
  t.match(auditOf([namespace()], { given }).remarks, [/^the setting namespaces\[0\]\.names names Namespace team-x/])
})
