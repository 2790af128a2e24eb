// istiod's injection webhook: every pod of a Namespace with the label gets a sidecar, of which only the mark is written that
// everybody reads. Keeps the selectors of istio/istio, manifests/charts/istio-control/istio-discovery/templates/
// mutatingwebhook.yaml, as far as they are for `istio-injection`.
import type { ControlPlane } from '../../control-plane/index.ts'
import { until } from '../../control-plane/until.ts'
import { startWebhook, type TestWebhook } from '../../control-plane/webhook.ts'

export async function startInjector(controlPlane: ControlPlane): Promise<TestWebhook> {
  const webhook = await startWebhook(({ metadata }) => [
    metadata.annotations
      ? { op: 'add', path: '/metadata/annotations/sidecar.istio.io~1status', value: '{}' }
      : { op: 'add', path: '/metadata/annotations', value: { 'sidecar.istio.io/status': '{}' } },
  ])
  await controlPlane.apply({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'istio-sidecar-injector' },
    webhooks: [
      {
        name: 'namespace.sidecar-injector.istio.io',
        clientConfig: {
          url: `${webhook.url}/mutate`,
          caBundle: Buffer.from(webhook.caBundle ?? '').toString('base64'),
        },
        namespaceSelector: { matchLabels: { 'istio-injection': 'enabled' } },
        objectSelector: {
          matchExpressions: [
            { key: 'sidecar.istio.io/inject', operator: 'NotIn', values: ['false'] },
            // istiod marks the pods of its own Gateways with the label above, which the emulated one does not.
            { key: 'gateway.networking.k8s.io/gateway-name', operator: 'DoesNotExist' },
          ],
        },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] }],
        failurePolicy: 'Fail',
        sideEffects: 'None',
        timeoutSeconds: 10,
        admissionReviewVersions: ['v1'],
      },
    ],
  })
  await controlPlane.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'injected', labels: { 'istio-injection': 'enabled' } },
  })
  const pod = { metadata: { name: 'probe' }, spec: { containers: [{ name: 'a', image: 'a' }] } }
  await until('the injector to be in effect', async () => {
    const { body } = await controlPlane.request('POST', '/api/v1/namespaces/injected/pods?dryRun=All', { body: pod })
    return body.metadata?.annotations?.['sidecar.istio.io/status'] !== undefined
  })
  await controlPlane.demand('DELETE', '/api/v1/namespaces/injected')
  return webhook
}
