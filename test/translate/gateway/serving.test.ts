// Where the routes of an Istio Gateway belong, for whoever attaches routes.
import t from 'tap'
import type { KubernetesObject } from '../../../src/apis/core.ts'
import { servingListeners } from '../../../src/translate/gateway/serving.ts'
import type { GatewayMapping } from '../../../src/translate/settings.ts'
import { snapshotOf } from '../../../src/translate/snapshot.ts'

const created: GatewayMapping = {
  istioGateways: ['ingress/secure', 'ingress/plain'],
  gateway: 'ingress/public',
  pods: { namespace: 'ingress', labels: { app: 'old' } },
  serviceAccounts: { old: [], new: ['ingress/public-istio'] },
  create: true,
}
const given: GatewayMapping = { ...created, create: false }

function istioGateway(name: string, servers: object[]): KubernetesObject {
  const spec = { selector: { app: 'old' }, servers }
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace: 'ingress' },
    spec,
  } as KubernetesObject
}

function kubernetesGateway(listeners: object[]): KubernetesObject {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'public', namespace: 'ingress' },
    spec: { gatewayClassName: 'istio', listeners },
  } as KubernetesObject
}

const http = { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }
const redirect = { ...http, tls: { httpsRedirect: true } }
const https = {
  port: { number: 443, name: 'https', protocol: 'HTTPS' },
  hosts: ['*'],
  tls: { mode: 'SIMPLE', credentialName: 'web' },
}

function names(mapping: GatewayMapping, objects: KubernetesObject[], istioGateways?: string[]) {
  const parted = servingListeners(mapping, snapshotOf(objects), istioGateways)
  return parted && [parted.serving.map(({ name }) => name), parted.others.map(({ name }) => name)]
}

t.test('a listener that redirects serves nothing', async t => {
  t.strictSame(names(created, [istioGateway('secure', [redirect, https])]), [['https-443'], ['http-80']])
  t.strictSame(names(created, [istioGateway('secure', [redirect])]), [[], ['http-80']])
})

t.test('the routes of one Istio Gateway are not served on the ports of another', async t => {
  const objects = [istioGateway('secure', [https]), istioGateway('plain', [http])]
  t.strictSame(names(created, objects), [['http-80', 'https-443'], []])
  t.strictSame(names(created, objects, ['ingress/secure']), [['https-443'], ['http-80']])
  t.strictSame(names(created, objects, ['ingress/plain']), [['http-80'], ['https-443']])
})

t.test('what two Istio Gateways share serves both', async t => {
  const objects = [istioGateway('secure', [http, https]), istioGateway('plain', [http])]
  t.strictSame(names(created, objects, ['ingress/plain']), [['http-80'], ['https-443']])
  t.strictSame(names(created, objects, ['ingress/secure']), [['http-80', 'https-443'], []])
})

t.test('it cannot be told where sidestep would keep the Gateway and cannot', async t => {
  const unknown = { ...https, tls: { mode: 'AUTO_PASSTHROUGH' } }
  t.equal(names(created, [istioGateway('secure', [unknown])]), undefined)
  t.equal(names(created, []), undefined)
})

t.test("somebody else's listeners are known by port and protocol", async t => {
  const source = istioGateway('secure', [redirect, { ...https, tls: { mode: 'SIMPLE', privateKey: '/etc/key' } }])
  const clear = { name: 'clear', port: 80, protocol: 'HTTP' }
  const safe = { name: 'safe', port: 443, protocol: 'HTTPS', hostname: '*.example.com' }
  const extra = { name: 'extra', port: 8080, protocol: 'HTTP' }
  const objects = [source, kubernetesGateway([clear, safe, extra])]
  t.strictSame(names(given, objects), [['safe'], ['clear', 'extra']])
  t.strictSame(names(created, objects), [['safe'], ['clear', 'extra']], 'not ours, whatever the settings say')
  t.equal(names(given, [source, kubernetesGateway([clear, { ...safe, port: 8443 }])]), undefined, 'other ports')
  t.equal(names(given, [source]), undefined, 'it is not there')
})
