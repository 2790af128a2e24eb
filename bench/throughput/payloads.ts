// What is sent: admission reviews of a small Kubeflow cluster, as its API server writes them, and that cluster, in which the
// routes of every VirtualService are there and accepted. test/bench.test.ts holds that they are what they say.
import type { KubernetesObject } from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { type ClusterSnapshot, snapshotOf } from '../../src/translate/snapshot.ts'

export interface Payload {
  name: string
  title: string
  /** The reviews that are sent in turn, and how many of each. */
  mix: { body: Review; share: number }[]
  /** Which of them a webhook has to rewrite. */
  rewrites: boolean[]
  /** What a run of all measures with every contestant, and its latencies too; the others only with those to be compared. */
  isMain?: boolean
  /** Whether each review comes on a connection of its own, so that it pays for a handshake. */
  onNewConnections?: boolean
}

export interface Review {
  apiVersion: 'admission.k8s.io/v1'
  kind: 'AdmissionReview'
  request: {
    uid: string
    kind: { group: string; version: string; kind: string }
    resource: { group: string; version: string; resource: string }
    name: string
    namespace: string
    operation: 'CREATE' | 'UPDATE'
    userInfo: { username: string; groups: string[]; [other: string]: unknown }
    object: KubernetesObject
    oldObject: KubernetesObject | null
    dryRun: boolean
    [other: string]: unknown
  }
}

export const settings = profiles.kubeflow

/** In whose place every review that is sent has a uid of its own (load/reviews.go). */
export const placeholderUid = '00000000-0000-4000-8000-000000000000'

// Objects ----------------------------------------------------------------------------------------------------------

/** What pepr leaves on every object that it has seen. All of them have it, so that one and the same review is a no-op for all. */
const peprMark = { 'sidestep-bench.pepr.dev/ambient': 'succeeded' }

const profileNamespace = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: 'team-a',
    labels: { 'app.kubernetes.io/part-of': 'kubeflow-profile', 'istio.io/dataplane-mode': 'ambient' },
  },
}

/** A Profile's Namespace as its controller creates it: with sidecars. */
const newNamespace: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: 'team-b',
    uid: '1d2f9f5e-53a0-4c0f-9d52-0c3f8d1b7e02',
    creationTimestamp: '2026-03-01T09:00:00Z',
    annotations: { owner: 'grace@example.com', ...peprMark },
    labels: {
      'app.kubernetes.io/part-of': 'kubeflow-profile',
      'istio-injection': 'enabled',
      'kubernetes.io/metadata.name': 'team-b',
    },
    ...managedBy('manager', 'v1', {
      'f:metadata': { 'f:annotations': { '.': {}, 'f:owner': {} }, 'f:labels': { '.': {} } },
    }),
  },
}

/** Of notebook-controller, in Kubeflow's form. */
function notebook(): istio.VirtualService {
  const prefix = '/notebook/team-a/lab/'
  return virtualService('lab', '4e0c6a51-7c1e-4f5e-8d0e-6a2b9c3d4f10', [
    {
      match: [{ uri: { prefix } }],
      rewrite: { uri: '/' },
      headers: { request: { set: { 'X-RStudio-Root-Path': prefix } } },
      route: [{ destination: { host: 'lab.team-a.svc.cluster.local', port: { number: 80 } } }],
      timeout: '300s',
    },
  ])
}

/** One of many routes, about as long as those that people write. */
function routes(count: number, isLong: boolean): istio.HTTPRoute[] {
  return Array.from({ length: count }, (_, i) => {
    const app = `app-${String(i).padStart(4, '0')}`
    const prefix = `/${isLong ? 'a' : 'b'}/${app}/`
    const headers = {
      request: {
        set: { 'x-forwarded-prefix': `${prefix}of/the/application/behind/the/gateway`, 'x-team': 'team-a' },
        remove: ['x-internal-debugging', 'x-internal-tracing', 'x-internal-identity', 'x-internal-session'],
      },
      response: { set: { 'strict-transport-security': 'max-age=31536000; includeSubDomains' } },
    }
    return {
      match: [{ uri: { prefix } }],
      ...(isLong && { rewrite: { uri: '/' }, headers, timeout: '30s' }),
      route: [{ destination: { host: `lab.team-a.svc.cluster.local`, port: { number: 80 } } }],
    }
  })
}

function virtualService(app: string, uid: string, http: istio.HTTPRoute[]): istio.VirtualService {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: {
      name: `notebook-team-a-${app}`,
      namespace: 'team-a',
      uid,
      resourceVersion: '48211',
      generation: 3,
      creationTimestamp: '2026-03-01T09:00:00Z',
      labels: { 'notebook-name': app },
      annotations: { ...peprMark },
      ownerReferences: [
        {
          apiVersion: 'kubeflow.org/v1beta1',
          kind: 'Notebook',
          name: app,
          uid: '0f0f4a4e-9a52-4a35-8f1c-0a9f5f7a3c11',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      ...managedBy('notebook-controller', 'networking.istio.io/v1', {
        'f:metadata': {
          'f:labels': { '.': {}, 'f:notebook-name': {} },
          'f:ownerReferences': { '.': {}, 'k:{"uid":"0f0f4a4e-9a52-4a35-8f1c-0a9f5f7a3c11"}': {} },
        },
        'f:spec': { '.': {}, 'f:gateways': {}, 'f:hosts': {}, 'f:http': {} },
      }),
    },
    spec: { gateways: ['kubeflow/kubeflow-gateway'], hosts: ['*'], http },
  }
}

function managedBy(manager: string, apiVersion: string, fieldsV1: Record<string, unknown>) {
  const entry = {
    manager,
    operation: 'Update' as const,
    apiVersion,
    time: '2026-03-01T09:00:00Z',
    fieldsType: 'FieldsV1',
  }
  return { managedFields: [{ ...entry, fieldsV1 }] }
}

const virtualServices = {
  notebook: notebook(),
  '200 routes': virtualService('many', '8a9b1c51-7c1e-4f5e-8d0e-6a2b9c3d4f11', routes(200, false)),
  '1000 routes': virtualService('most', '9b8a1c51-7c1e-4f5e-8d0e-6a2b9c3d4f12', routes(1000, true)),
}

// The cluster ------------------------------------------------------------------------------------------------------

const surroundings: KubernetesObject[] = [
  ...['istio-system', 'kubeflow'].map(name => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
  profileNamespace,
  named('networking.istio.io/v1', 'Gateway', 'kubeflow', 'kubeflow-gateway', {
    selector: { istio: 'ingressgateway' },
    servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
  }),
  named('gateway.networking.k8s.io/v1', 'Gateway', 'istio-system', 'ambient-ingressgateway', {
    gatewayClassName: 'istio',
    listeners: [{ name: 'http', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'All' } } }],
  }),
  named('v1', 'Service', 'team-a', 'lab', {
    selector: { statefulset: 'lab' },
    ports: [{ name: 'http-lab', port: 80, targetPort: 8888 }],
  }),
  ...Object.values(virtualServices),
]

function named(apiVersion: string, kind: string, namespace: string, name: string, spec: object): KubernetesObject {
  return { apiVersion, kind, metadata: { name, namespace }, spec } as KubernetesObject
}

/** The cluster, with the routes that the reconciler has written and the gateway has accepted. */
export const clusterObjects: KubernetesObject[] = [
  ...surroundings,
  ...Object.values(virtualServices).flatMap(object => acceptedCompanions(object, snapshotOf(surroundings))),
]

/** As `sidestep serve --snapshot DIRECTORY --as-is` reads it: what no status shows is not there. */
export const cluster: ClusterSnapshot = snapshotOf(clusterObjects, 'observed')

function acceptedCompanions(object: KubernetesObject, snapshot: ClusterSnapshot): KubernetesObject[] {
  return translate(object, snapshot, settings).companions.map(companion => {
    const { parentRefs = [] } = (companion as gateway.HTTPRoute).spec
    const conditions = ['Accepted', 'ResolvedRefs'].map(type => ({ type, status: 'True' }))
    const controllerName = 'istio.io/gateway-controller'
    return {
      ...companion,
      status: { parents: parentRefs.map(parentRef => ({ parentRef, controllerName, conditions })) },
    }
  })
}

// Reviews ----------------------------------------------------------------------------------------------------------

/** Its controller reconciles it, and it is stored as sidestep has left it. */
function noOp(object: KubernetesObject): Review {
  const stored = translate(object, cluster, settings).object
  return update(stored, stored)
}

/** As if each review were of another object: nothing that was found out about the one before holds for it. */
function eachOfItsOwn(review: Review): Review {
  const { object, oldObject } = review.request
  const own = <T extends KubernetesObject | null>(object: T): T =>
    object && { ...object, metadata: { ...object.metadata, uid: placeholderUid } }
  return { ...review, request: { ...review.request, object: own(object), oldObject: own(oldObject) } }
}

/** The first write after the gateway has accepted the routes. */
function rewriting(object: KubernetesObject): Review {
  return update(object, object)
}

function update(object: KubernetesObject, oldObject: KubernetesObject): Review {
  const { generation = 1 } = object.metadata
  return review('UPDATE', 'networking.istio.io', 'virtualservices', {
    object: { ...object, metadata: { ...object.metadata, generation: generation + 1 } },
    oldObject,
  })
}

function review(
  operation: 'CREATE' | 'UPDATE',
  group: string,
  resource: string,
  objects: { object: KubernetesObject; oldObject: KubernetesObject | null },
): Review {
  const { kind, metadata } = objects.object
  const account = 'notebook-controller-service-account'
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: placeholderUid,
      kind: { group, version: 'v1', kind },
      resource: { group, version: 'v1', resource },
      requestKind: { group, version: 'v1', kind },
      requestResource: { group, version: 'v1', resource },
      name: metadata.name ?? '',
      namespace: metadata.namespace ?? metadata.name ?? '',
      operation,
      userInfo: {
        username: `system:serviceaccount:kubeflow:${account}`,
        uid: 'c1f5c4f2-3a0b-4b59-9b42-0d6f6a7d1e21',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:kubeflow', 'system:authenticated'],
        extra: {
          'authentication.kubernetes.io/credential-id': ['JTI=7d3f3f8e-5d55-4a53-9c1a-5f0c5a1d9b7e'],
          'authentication.kubernetes.io/node-name': ['worker-1'],
          'authentication.kubernetes.io/pod-name': ['notebook-controller-deployment-6d9c9f7b8d-x2k4p'],
        },
      },
      ...objects,
      dryRun: false,
      options: { kind: `${operation === 'CREATE' ? 'Create' : 'Update'}Options`, apiVersion: 'meta.k8s.io/v1' },
    },
  }
}

const only = (body: Review) => [{ body, share: 1 }]
const { notebook: small, '200 routes': large, '1000 routes': largest } = virtualServices

export const payloads: Payload[] = [
  {
    name: 'virtual-service-no-op',
    title: 'VirtualService 4 KB, no-op, again',
    mix: only(noOp(small)),
    rewrites: [false],
    isMain: true,
  },
  {
    name: 'virtual-service-rewriting',
    title: 'VirtualService 4 KB, rewriting, again',
    mix: only(rewriting(small)),
    rewrites: [true],
    isMain: true,
  },
  {
    name: 'virtual-service-no-op-new',
    title: 'VirtualService 4 KB, no-op, each another',
    mix: only(eachOfItsOwn(noOp(small))),
    rewrites: [false],
    isMain: true,
  },
  {
    name: 'virtual-service-rewriting-new',
    title: 'VirtualService 4 KB, rewriting, each another',
    mix: only(eachOfItsOwn(rewriting(small))),
    rewrites: [true],
    isMain: true,
  },
  {
    name: 'virtual-service-mix',
    title: 'VirtualService 4 KB, 90 % no-op',
    mix: [
      { body: noOp(small), share: 9 },
      { body: rewriting(small), share: 1 },
    ],
    rewrites: [false, true],
    isMain: true,
  },
  {
    name: 'namespace',
    title: 'Namespace 1 KB, rewriting',
    mix: only(review('CREATE', '', 'namespaces', { object: newNamespace, oldObject: null })),
    rewrites: [true],
  },
  {
    name: 'virtual-service-200-routes',
    title: 'VirtualService 60 KB, no-op',
    mix: only(noOp(large)),
    rewrites: [false],
  },
  {
    name: 'virtual-service-1000-routes',
    title: 'VirtualService 1 MB, rewriting',
    mix: only(rewriting(largest)),
    rewrites: [true],
  },
  {
    name: 'new-connections',
    title: 'VirtualService 4 KB, no-op, each on a new connection',
    mix: only(noOp(small)),
    rewrites: [false],
    onNewConnections: true,
  },
]
