// A cluster of Kubeflow as it was before sidestep came: profiles, what shares them, and notebooks.
import type * as core from '../../../src/apis/core.ts'
import type * as gateway from '../../../src/apis/gateway.ts'
import type * as istio from '../../../src/apis/istio.ts'
import { collectionOf, pathOf } from '../../../src/reconciler/paths.ts'
import { isCompanion, revisionLabel, sourceAnnotation, sourceKey } from '../../../src/translate/companion.ts'
import { parkedRevision } from '../../../src/translate/virtual-service/parking.ts'
import type { ControlPlane } from '../../control-plane/index.ts'
import { contributorPolicyOf } from '../controllers/kfam.ts'
import { namespaceOf, ownerPolicyOf } from '../controllers/profile-controller.ts'
import { ingress, istioGateway, namespacesOf } from '../kubeflow.ts'

export interface Size {
  virtualServices: number
  policies: number
  namespaces: number
}

export interface Population {
  /** Profiles and what all of them share. To be there before what is in them. */
  namespaces: core.KubernetesObject[]
  services: core.KubernetesObject[]
  policies: core.KubernetesObject[]
  virtualServices: istio.VirtualService[]
}

/** VirtualServices and policies are dealt out to the namespaces in turn. */
export function population({ virtualServices, policies, namespaces }: Size): Population {
  const names = Array.from({ length: namespaces }, (_, i) => `team-${i}`)
  const dealt = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      namespace: names[i % namespaces] ?? '',
      turn: Math.floor(i / namespaces),
    }))
  return {
    namespaces: [...shared, ...names.map(name => namespaceOf({ name, owner: `${name}@example.com` }))],
    services: names.flatMap((name, i) => ['first', 'second'].slice(i % 2).map(service => serviceOf(name, service))),
    policies: dealt(policies).map(({ namespace, turn }) =>
      turn === 0
        ? ownerPolicyOf({ name: namespace, owner: `${namespace}@example.com` })
        : contributorPolicyOf({ namespace, user: `user-${turn}@example.com` }),
    ),
    virtualServices: dealt(virtualServices).map(({ namespace, turn }) => notebookOf(namespace, `lab-${turn}`)),
  }
}

const shared = namespacesOf('istio-system', 'kubeflow')

/** What is not to be counted: the new ingress, and the allow-nothing of Kubeflow, which holds everywhere. */
export const surroundings: core.KubernetesObject[] = [
  ingress,
  istioGateway,
  {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'global-deny-all', namespace: 'istio-system' },
    spec: {},
  } as core.KubernetesObject,
]

/** What the notebook-controller makes; its Services are shared here, for one to each would be as many objects more. */
function notebookOf(namespace: string, name: string): istio.VirtualService {
  const prefix = `/notebook/${namespace}/${name}/`
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: `notebook-${namespace}-${name}`, namespace },
    spec: {
      gateways: ['kubeflow/kubeflow-gateway'],
      hosts: ['*'],
      http: [
        {
          headers: { request: { set: {} } },
          match: [{ uri: { prefix } }],
          rewrite: { uri: prefix },
          route: [{ destination: { host: `second.${namespace}.svc.cluster.local`, port: { number: 80 } } }],
        },
      ],
    },
  }
}

function serviceOf(namespace: string, name: string): core.KubernetesObject {
  const spec = { selector: { statefulset: name }, ports: [{ name: 'http', port: 80, targetPort: 8888 }] }
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec } as core.KubernetesObject
}

/** Creates objects, so many at a time, in their order. */
export async function createAll(controlPlane: ControlPlane, objects: core.KubernetesObject[]): Promise<void> {
  const left = objects.values()
  const lane = async () => {
    for (const object of left) await controlPlane.demand('POST', collectionOf(object), { body: object })
  }
  await Promise.all(Array.from({ length: 8 }, lane))
}

/** Of each companion that is stored, the key of its source. */
export async function companionPaths(controlPlane: ControlPlane): Promise<Map<string, string>> {
  const lists = [
    list(controlPlane, 'security.istio.io/v1', 'AuthorizationPolicy'),
    list(controlPlane, 'gateway.networking.k8s.io/v1', 'Gateway'),
    list(controlPlane, 'gateway.networking.k8s.io/v1', 'HTTPRoute'),
  ]
  const companions = (await Promise.all(lists)).flat().filter(isCompanion)
  return new Map(companions.map(each => [pathOf(each), each.metadata.annotations?.[sourceAnnotation] ?? '']))
}

/** What is not as it is to be once everything is in ambient, in words; nothing, when all is done. */
export async function leftToDo(controlPlane: ControlPlane, expected: Population): Promise<string[]> {
  const namespaces = byPath(await list<core.Namespace>(controlPlane, 'v1', 'Namespace'))
  const policies = byPath(
    await list<istio.AuthorizationPolicy>(controlPlane, 'security.istio.io/v1', 'AuthorizationPolicy'),
  )
  const virtualServices = byPath(
    await list<istio.VirtualService>(controlPlane, 'networking.istio.io/v1', 'VirtualService'),
  )
  const gateways = byPath(await list<gateway.Gateway>(controlPlane, 'gateway.networking.k8s.io/v1', 'Gateway'))
  const routes = bySource(await list<gateway.HTTPRoute>(controlPlane, 'gateway.networking.k8s.io/v1', 'HTTPRoute'))
  const guards = bySource([...policies.values()])

  const wrongNamespaces = expected.namespaces
    .filter(({ metadata }) => metadata.name?.startsWith('team-'))
    .filter(each => {
      const { labels = {} } = namespaces.get(pathOf(each))?.metadata ?? {}
      const name = each.metadata.name ?? ''
      const waypoint = gateways.get(
        pathOf({
          apiVersion: 'gateway.networking.k8s.io/v1',
          kind: 'Gateway',
          metadata: { namespace: name, name: 'waypoint' },
        }),
      )
      const isEnrolled =
        labels['istio.io/dataplane-mode'] === 'ambient' &&
        labels['istio.io/use-waypoint'] === 'waypoint' &&
        labels['istio.io/ingress-use-waypoint'] === 'true' &&
        labels['istio-injection'] === undefined
      return !isEnrolled || !waypoint || !isCompanion(waypoint)
    })
  const wrongPolicies = expected.policies.filter(each => {
    const stored = policies.get(pathOf({ ...each, apiVersion: 'security.istio.io/v1' }))
    const beside = guards.get(sourceKey(each)) ?? []
    const isRewritten = stored?.spec.selector === undefined && (stored?.spec.targetRefs ?? []).length > 0
    return !isRewritten || !beside.some(({ spec }) => spec.targetRefs === undefined)
  })
  const wrongVirtualServices = expected.virtualServices.filter(each => {
    const stored = virtualServices.get(pathOf(each))
    const [route, ...more] = routes.get(sourceKey(each)) ?? []
    const isParked = stored?.metadata.labels?.[revisionLabel] === parkedRevision
    return !isParked || !route?.status || more.length > 0
  })
  return [
    ...wrongNamespaces.map(each => `${sourceKey(each)} is not enrolled`),
    ...wrongPolicies.map(each => `${sourceKey(each)} is not rewritten with its guard`),
    ...wrongVirtualServices.map(each => `${sourceKey(each)} is not parked with its route`),
  ]
}

function byPath<K extends core.KubernetesObject>(objects: K[]): Map<string, K> {
  return new Map(objects.map(object => [pathOf(object), object]))
}

async function list<K extends core.KubernetesObject>(controlPlane: ControlPlane, apiVersion: string, kind: string) {
  const { body } = await controlPlane.demand('GET', collectionOf({ apiVersion, kind, metadata: {} }))
  return (body.items as K[]).map(item => ({ ...item, apiVersion, kind }))
}

/** Companions by the key of their source. */
function bySource<K extends core.KubernetesObject>(objects: K[]): Map<string, K[]> {
  const companions = new Map<string, K[]>()
  for (const object of objects.filter(isCompanion)) {
    const key = object.metadata.annotations?.[sourceAnnotation] ?? ''
    companions.set(key, [...(companions.get(key) ?? []), object])
  }
  return companions
}
