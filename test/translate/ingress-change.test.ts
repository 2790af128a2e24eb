// A policy of the ingress that comes to admit where it refused: it waits like a new one for what refuses there.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'

const gateway = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'ambient-ingressgateway', namespace: 'istio-system' },
  spec: { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
  status: { addresses: [{ value: '10.0.0.1' }], conditions: [{ type: 'Programmed', status: 'True' }] },
} as KubernetesObject
const selector = { matchLabels: { app: 'istio-ingressgateway' } }
const targetRefs = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'ambient-ingressgateway' }]
const ask = policy('ask', { selector, action: 'CUSTOM', provider: { name: 'oauth2-proxy' }, rules: [{}] })
const allowed = policy('callers', { selector, action: 'ALLOW', rules: [{}] })

for (const [was, isWaiting] of [
  ['DENY', true],
  ['ALLOW', false],
] as const)
  t.test(`a policy that stands on the new gateway as ${was} and comes to be ALLOW`, async t => {
    const stored = policy('callers', { action: was, rules: [{}], targetRefs })
    const cluster = snapshotOf([gateway, ask, stored], 'observed')
    const { object, companions, warnings } = translate(allowed, cluster, profiles.kubeflow)
    const codes = warnings.map(({ code }) => code)
    t.equal(codes.includes('AP-GATEWAY-PENDING'), isWaiting, codes.join())
    const { spec } = object as istio.AuthorizationPolicy
    t.strictSame(spec.targetRefs, isWaiting ? undefined : targetRefs)
    const twins = companions.map(each => (each as istio.AuthorizationPolicy).spec.rules)
    t.strictSame(twins, isWaiting ? [[]] : [], 'what stands there meanwhile admits nobody')
  })

function policy(name: string, spec: object): KubernetesObject {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'istio-system' },
    spec,
  } as KubernetesObject
}
