import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import type { KubernetesObject, Pod } from '../../src/apis/core.ts'
import { trim } from '../../src/reconciler/trim.ts'
import { putObject, snapshotOf, standardCapabilities } from '../../src/translate/snapshot.ts'
import { readFixtures, translateAll } from '../translate/fixtures.ts'

const metadata = { name: 'x', namespace: 'a', resourceVersion: '7' }

t.test('keeps whatever a translator reads: with it every fixture has the same result', async t => {
  const fixtures = readFixtures()
  t.ok(fixtures.length > 100)
  for (const fixture of fixtures) {
    const files = ['cluster.yaml', 'input.yaml'].map(name => join(fixture.directory, name)).filter(existsSync)
    const documents = files.flatMap(file => parseAllDocuments(readFileSync(file, 'utf8')).map(each => each.toJS()))
    const objects = documents.filter(each => each?.metadata && each.kind)
    const cluster = snapshotOf(objects.map(trim), fixture.cluster.statuses)
    t.strictSame(translateAll({ ...fixture, cluster }), translateAll(fixture), fixture.name)
  }
})

t.test('keeps of a Pod what makes it a workload', async t => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      uid: 'u',
      generation: 3,
      creationTimestamp: '2026-01-01T00:00:00Z',
      deletionTimestamp: '2026-01-02T00:00:00Z',
      labels: { app: 'x', 'istio.io/dataplane-mode': 'none' },
      annotations: { 'ambient.istio.io/redirection': 'enabled', 'kubernetes.io/psp': 'x' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'x', uid: 'v' }],
      managedFields: [{ manager: 'kubelet' }],
    },
    spec: {
      serviceAccountName: 'sa',
      hostNetwork: true,
      nodeName: 'n',
      containers: [
        {
          name: 'c',
          image: 'i',
          env: [{ name: 'A', value: 'b' }],
          ports: [{ containerPort: 80, name: 'http', protocol: 'TCP' }],
        },
        { name: 'd' },
      ],
      volumes: [{ name: 'v' }],
    },
    status: { phase: 'Running' },
  }
  t.strictSame(trim(pod), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      labels: { app: 'x', 'istio.io/dataplane-mode': 'none' },
      annotations: { 'ambient.istio.io/redirection': 'enabled' },
      deletionTimestamp: '2026-01-02T00:00:00Z',
    },
    spec: {
      serviceAccountName: 'sa',
      hostNetwork: true,
      containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 80, protocol: 'TCP' }] }, { name: 'd' }],
    },
  })
  t.strictSame(snapshotOf([trim(pod)]).workloads, snapshotOf([pod]).workloads)
  const ended = { ...pod, status: { phase: 'Succeeded', podIP: '1.2.3.4' } }
  t.strictSame((trim(ended) as Pod).status, { phase: 'Succeeded' }, 'and that it has ended')
})

t.test('a Pod that has ended is a workload no more', async t => {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'c' }] } }
  const snapshot = snapshotOf([pod])
  t.equal(snapshot.workloads.get('a')?.size, 1)
  putObject(snapshot as Parameters<typeof putObject>[0], { ...pod, status: { phase: 'Failed' } } as KubernetesObject)
  t.equal(snapshot.workloads.get('a')?.size, 0)
})

t.test('keeps conditions where they are read, and where they are not no status', async t => {
  const status = {
    conditions: [{ type: 'T', status: 'True' }],
    addresses: [{ value: '1.2.3.4' }],
    listeners: [{}],
    x: 1,
  }
  const kept = (apiVersion: string, kind: string) =>
    (trim({ apiVersion, kind, metadata, spec: { a: 1 }, status } as KubernetesObject) as { status?: unknown }).status
  t.strictSame(kept('gateway.networking.k8s.io/v1', 'Gateway'), {
    addresses: status.addresses,
    conditions: status.conditions,
  })
  t.strictSame(kept('gateway.networking.k8s.io/v1', 'HTTPRoute'), status)
  t.strictSame(kept('security.istio.io/v1', 'AuthorizationPolicy'), status)
  t.strictSame(kept('v1', 'Service'), { conditions: status.conditions })
  for (const kind of ['VirtualService', 'Gateway', 'DestinationRule', 'ServiceEntry'])
    t.equal(kept('networking.istio.io/v1', kind), undefined, kind)
})

t.test('keeps the whole spec of what is translated, with its generation', async t => {
  const spec = { hosts: ['x'], http: [{ route: [{ destination: { host: 'x' } }], extra: true }] }
  const virtualService = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { ...metadata, generation: 2, uid: 'u', finalizers: ['f'] },
    spec,
  }
  const { finalizers: _, ...kept } = virtualService.metadata
  t.strictSame(trim(virtualService), { ...virtualService, metadata: kept })
})

t.test('keeps of a companion who else has fields of its spec', async t => {
  const entry = (manager: string, fieldsV1: object, more: object = {}) => ({
    manager,
    operation: 'Update' as const,
    time: '2026-01-01T00:00:00Z',
    fieldsV1: fieldsV1 as Record<string, unknown>,
    ...more,
  })
  const managedFields = [
    entry('sidestep', { 'f:spec': { 'f:hosts': {} } }, { operation: 'Apply' }),
    // What it owns is ours as well.
    entry('shares', { 'f:spec': { 'f:hosts': {} } }),
    entry('kubectl-edit', { 'f:spec': { 'f:rules': {} } }),
    entry('kubectl-label', { 'f:metadata': { 'f:labels': { 'f:x': {} } } }),
    entry('kubectl-annotate', { 'f:metadata': { 'f:annotations': { 'f:x': {} } } }),
    entry('gc', { 'f:metadata': { 'f:ownerReferences': {} } }),
    entry('istiod', { 'f:status': {} }, { subresource: 'status' }),
    entry('scaler', { 'f:spec': {} }, { subresource: 'scale' }),
    entry('finalizer', { 'f:metadata': { 'f:finalizers': {} } }),
    entry('old-istiod', { 'f:status': {} }),
    entry('argocd', { 'f:spec': { 'f:action': {} } }, { operation: 'Apply' }),
  ]
  const companion = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: {
      ...metadata,
      labels: { 'app.kubernetes.io/managed-by': 'sidestep' },
      annotations: { 'sidestep.dev/source': 'AuthorizationPolicy/a/x', other: 'x' },
      managedFields,
    },
    spec: {},
  }
  t.strictSame(trim(companion).metadata.managedFields, [
    { manager: 'kubectl-edit', operation: 'Update' },
    { manager: 'argocd', operation: 'Apply' },
  ])
  const untouched = { ...companion, metadata: { ...companion.metadata, managedFields: managedFields.slice(0, 1) } }
  t.notOk('managedFields' in trim(untouched).metadata)
  const foreign = { ...companion, metadata: { ...companion.metadata, annotations: {} } }
  t.notOk('managedFields' in trim(foreign).metadata)
  t.equal(companion.metadata.managedFields.length, 11, 'and changes nothing of what it is given')
})

t.test('keeps of webhooks and aggregated APIs the Services that are called', async t => {
  const service = { namespace: 'a', name: 'x', port: 8443 }
  for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'])
    t.strictSame(
      trim({
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind,
        metadata: { name: 'x', resourceVersion: '7', generation: 4 },
        webhooks: [
          { name: 'a', clientConfig: { caBundle: 'huge', service }, rules: [{}] },
          { name: 'b', clientConfig: { url: 'https://x' } },
        ],
      } as KubernetesObject),
      {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind,
        metadata: { name: 'x', resourceVersion: '7' },
        webhooks: [{ clientConfig: { service } }],
      },
    )
  const api = { apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: 'x' } }
  const spec = { service, caBundle: 'huge' }
  t.strictSame(trim({ ...api, spec } as KubernetesObject), { ...api, spec: { service } })
})

t.test(
  'keeps of a CRD what it defines and whom the API server calls for it, and of HTTPRoute which fields there are',
  async t => {
    const schema = (maxItems: number) => ({
      openAPIV3Schema: {
        description: 'long',
        properties: {
          spec: {
            properties: {
              rules: {
                items: {
                  properties: {
                    matches: { maxItems, description: 'long', 'x-kubernetes-validations': [{}] },
                    name: { pattern: 'x', description: 'long' },
                    timeouts: {},
                    filters: {
                      items: {
                        properties: {
                          cors: {},
                          requestRedirect: { properties: { statusCode: { enum: [301, 302, 303, 307, 308] } } },
                          requestMirror: { properties: { fraction: { description: 'long' } } },
                        },
                      },
                    },
                  },
                },
              },
            },
          },
        },
      },
    })
    const crd = (name: string) => {
      const [plural = '', ...group] = name.split('.')
      return {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name, generation: 2, annotations: { 'gateway.networking.k8s.io/channel': 'standard' } },
        spec: {
          group: group.join('.'),
          names: { plural, kind: 'K', singular: 'k', listKind: 'KList' },
          scope: 'Namespaced',
          conversion: {
            strategy: 'Webhook',
            webhook: { clientConfig: { caBundle: 'huge', service: { namespace: 'a', name: 'x' } } },
          },
          versions: [
            { name: 'v1', served: true, storage: true, schema: schema(64), additionalPrinterColumns: [{}] },
            { name: 'v1beta1', served: false, storage: false, schema: schema(8) },
          ],
        },
        status: { conditions: [{ type: 'Established', status: 'True' }] },
      } as KubernetesObject
    }
    t.strictSame(trim(crd('notebooks.kubeflow.org')), {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'notebooks.kubeflow.org' },
      spec: {
        group: 'kubeflow.org',
        names: { kind: 'K', plural: 'notebooks' },
        conversion: { strategy: 'Webhook', webhook: { clientConfig: { service: { namespace: 'a', name: 'x' } } } },
        versions: [
          { name: 'v1', served: true },
          { name: 'v1beta1', served: false },
        ],
      },
    })
    const route = crd('httproutes.gateway.networking.k8s.io')
    t.strictSame(snapshotOf([trim(route)]).capabilities, snapshotOf([route]).capabilities)
    t.strictSame(snapshotOf([trim(route)]).capabilities.httpRoute, standardCapabilities.httpRoute)
    t.notMatch(JSON.stringify(trim(route)), /long|validations|pattern/)
    const called = [...snapshotOf([trim(crd('notebooks.kubeflow.org'))]).apiServerCalls.values()]
    t.strictSame(called, [[{ namespace: 'a', name: 'x', port: 443 }]])
  },
)
