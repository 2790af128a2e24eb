// istiod, as far as sidestep reads it: it deploys and programs Gateways, says which routes it serves and what a waypoint is
// bound to. Keeps the behaviour of istio/istio, pilot/pkg/config/kube/gateway (deploymentcontroller.go; conversion.go:
// reportGatewayStatus, createRouteStatus) and pilot/pkg/serviceregistry/ambient (statusqueue). It writes only what differs.
import { isDeepStrictEqual } from 'node:util'
import type { Condition, KubernetesObject, Namespace, Service } from '../../../src/apis/core.ts'
import type * as gateway from '../../../src/apis/gateway.ts'
import type * as istio from '../../../src/apis/istio.ts'
import { collectionOf, pathOf } from '../../../src/reconciler/paths.ts'
import { type Send, succeeded } from './send.ts'

const gatewayApi = 'gateway.networking.k8s.io/v1'
const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name'
const controllerName = 'istio.io/gateway-controller'
const waypointClass = 'istio-waypoint'

/** Everything that istiod does here, once. */
export async function reconcileIstiod(send: Send): Promise<void> {
  await deployGateways(send)
  await reconcileGateways(send)
  await reconcileHTTPRoutes(send)
  await reconcileBindings(send)
}

// Gateways ---------------------------------------------------------------------------------------------------------

/** Programs every Gateway that is not yet. Returns the names of those it wrote. */
export async function reconcileGateways(send: Send): Promise<string[]> {
  const written: string[] = []
  for (const object of (await list<gateway.Gateway>(send, gatewayApi, 'Gateway')).filter(isOfIstio)) {
    const { metadata, spec, status } = object
    const addresses = spec.addresses ?? [
      { type: 'Hostname', value: `${deploymentName(object)}.${metadata.namespace}.svc.cluster.local` },
    ]
    const conditions = ['Accepted', 'Programmed'].map(type => condition(object, { type, status: 'True', reason: type }))
    const wanted = dated(conditions, status?.conditions)
    if (isDeepStrictEqual([status?.addresses, status?.conditions], [addresses, wanted])) continue
    await writeStatus(send, object, { addresses, conditions: wanted })
    written.push(metadata.name ?? '')
  }
  return written
}

/**
 * What istiod deploys for a Gateway without addresses of its own: a ServiceAccount, a Service and, in place of a
 * Deployment, one Pod. Nobody keeps them as they are, but they are made again, and go with the Gateway.
 */
export async function deployGateways(send: Send): Promise<void> {
  for (const object of (await list<gateway.Gateway>(send, gatewayApi, 'Gateway')).filter(isOfIstio)) {
    if (object.spec.addresses) continue
    for (const part of partsOf(object)) {
      const found = await send('GET', pathOf(part))
      if (found.status === 404) succeeded(await send('POST', collectionOf(part), part))
    }
  }
}

function isOfIstio({ spec, metadata }: gateway.Gateway): boolean {
  return ['istio', waypointClass].includes(spec.gatewayClassName) && !metadata.deletionTimestamp
}

/** `GetDefaultName`: the class is added, but to the name of a waypoint. */
function deploymentName({ metadata: { name = '' }, spec: { gatewayClassName } }: gateway.Gateway): string {
  return gatewayClassName === waypointClass ? name : `${name}-${gatewayClassName}`
}

function partsOf(object: gateway.Gateway): KubernetesObject[] {
  const { metadata, spec } = object
  const { name = '', namespace = '', uid = '' } = metadata
  const itsName = deploymentName(object)
  const isWaypoint = spec.gatewayClassName === waypointClass
  // extractInfrastructureMetadata: what the Gateway does not say for its infrastructure is copied from itself.
  const labels: Record<string, string> = {
    ...(spec.infrastructure?.labels ?? metadata.labels),
    [gatewayNameLabel]: name,
    'gateway.istio.io/managed': isWaypoint ? 'istio.io-mesh-controller' : 'istio.io-gateway-controller',
  }
  const annotations = { ...(spec.infrastructure?.annotations ?? metadata.annotations) }
  const ownerReferences = [{ apiVersion: gatewayApi, kind: 'Gateway', name, uid }]
  const part = (kind: string, itsName: string, more: object) => ({
    apiVersion: 'v1',
    kind,
    metadata: { name: itsName, namespace, labels, annotations, ownerReferences },
    ...more,
  })
  const account = metadata.annotations?.['gateway.istio.io/service-account'] ?? itsName
  const ports = [{ name: 'status-port', port: 15021 }, ...spec.listeners.map(({ name, port }) => ({ name, port }))]
  const pod = part('Pod', `${itsName}-0`, {
    spec: { serviceAccountName: account, containers: [{ name: 'istio-proxy', image: 'istio/proxyv2:1.31.0' }] },
  })
  return [
    part('ServiceAccount', account, {}),
    part('Service', itsName, { spec: { selector: { [gatewayNameLabel]: name }, ports } }),
    // Proxies are never captured.
    { ...pod, metadata: { ...pod.metadata, labels: { ...labels, 'istio.io/dataplane-mode': 'none' } } },
  ]
}

// HTTPRoutes -------------------------------------------------------------------------------------------------------

interface Surroundings {
  namespaces: Namespace[]
  services: Service[]
  gateways: gateway.Gateway[]
  grants: gateway.ReferenceGrant[]
}

/** Says of every parent that exists whether it takes the route. What others have said is left. */
export async function reconcileHTTPRoutes(send: Send): Promise<void> {
  const routes = await list<gateway.HTTPRoute>(send, gatewayApi, 'HTTPRoute')
  const surroundings = {
    namespaces: await list<Namespace>(send, 'v1', 'Namespace'),
    services: await list<Service>(send, 'v1', 'Service'),
    gateways: await list<gateway.Gateway>(send, gatewayApi, 'Gateway'),
    grants: await list<gateway.ReferenceGrant>(send, 'gateway.networking.k8s.io/v1beta1', 'ReferenceGrant'),
  }
  for (const route of routes) {
    const stored = route.status?.parents ?? []
    const others = stored.filter(parent => parent.controllerName !== controllerName)
    const ours = (route.spec.parentRefs ?? []).flatMap(parentRef => {
      const accepted = acceptance(route, parentRef, surroundings)
      if (!accepted) return []
      const before = stored.find(
        parent => parent.controllerName === controllerName && isDeepStrictEqual(parent.parentRef, parentRef),
      )
      const conditions = [condition(route, accepted), condition(route, resolution(route, surroundings))]
      return [{ conditions: dated(conditions, before?.conditions), controllerName, parentRef }]
    })
    const parents = [...others, ...ours]
    if (!isDeepStrictEqual(stored, parents)) await writeStatus(send, route, { parents })
  }
}

/** Undefined for a parent that is not there or not Istio's, of which istiod does not speak. */
function acceptance(route: gateway.HTTPRoute, parentRef: gateway.ParentReference, surroundings: Surroundings) {
  const { kind = 'Gateway', name, namespace = route.metadata.namespace } = parentRef
  const isIt = ({ metadata }: KubernetesObject) => metadata.name === name && metadata.namespace === namespace
  const accepted = { type: 'Accepted', status: 'True', reason: 'Accepted' } as const
  if (kind === 'Service') return surroundings.services.some(isIt) ? accepted : undefined
  const parent = surroundings.gateways.find(isIt)
  if (!parent || !isOfIstio(parent)) return undefined
  const listeners = parent.spec.listeners.filter(
    ({ name, port }) => name === (parentRef.sectionName ?? name) && port === (parentRef.port ?? port),
  )
  if (listeners.length === 0) return { ...accepted, status: 'False', reason: 'NoMatchingParent' } as const
  if (listeners.some(listener => isAllowed(listener, parent, route, surroundings))) return accepted
  return { ...accepted, status: 'False', reason: 'NotAllowedByListeners' } as const
}

function isAllowed(
  { allowedRoutes }: gateway.Listener,
  parent: gateway.Gateway,
  route: gateway.HTTPRoute,
  { namespaces }: Surroundings,
): boolean {
  const { from = 'Same', selector } = allowedRoutes?.namespaces ?? {}
  if (from === 'All') return true
  if (from === 'Same') return parent.metadata.namespace === route.metadata.namespace
  if (selector?.matchExpressions) throw new Error('matchExpressions are not emulated')
  const labels = namespaces.find(({ metadata }) => metadata.name === route.metadata.namespace)?.metadata.labels
  return Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels?.[key] === value)
}

function resolution(route: gateway.HTTPRoute, { services, grants }: Surroundings) {
  const own = route.metadata.namespace
  const backends = (route.spec.rules ?? []).flatMap(({ backendRefs = [] }) => backendRefs)
  const isMissing = ({ name, namespace = own }: gateway.HTTPBackendRef) =>
    !services.some(({ metadata }) => metadata.name === name && metadata.namespace === namespace)
  const isGranted = ({ name, namespace = own }: gateway.HTTPBackendRef) =>
    namespace === own ||
    grants.some(
      ({ metadata, spec }) =>
        metadata.namespace === namespace &&
        spec.from.some(from => from.kind === 'HTTPRoute' && from.namespace === own) &&
        spec.to.some(to => to.kind === 'Service' && (to.name ?? name) === name),
    )
  const resolved = { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs' } as const
  if (!backends.every(isGranted)) return { ...resolved, status: 'False', reason: 'RefNotPermitted' } as const
  return backends.some(isMissing) ? ({ ...resolved, status: 'False', reason: 'BackendNotFound' } as const) : resolved
}

// Waypoints --------------------------------------------------------------------------------------------------------

const waypointBound = 'istio.io/WaypointBound'

/** WaypointBound of Services, and the status of AuthorizationPolicies, which knows no L7 here (research: policies, 4). */
export async function reconcileBindings(send: Send): Promise<void> {
  const namespaces = await list<Namespace>(send, 'v1', 'Namespace')
  const gateways = (await list<gateway.Gateway>(send, gatewayApi, 'Gateway')).filter(isOfIstio)
  const hasAddress = (namespace: string | undefined, name: string) =>
    gateways.some(
      ({ metadata, status }) =>
        metadata.name === name && metadata.namespace === namespace && (status?.addresses ?? []).length > 0,
    )
  const services = await list<Service>(send, 'v1', 'Service')
  const bound = new Set<string>()
  for (const service of services.filter(({ metadata }) => !metadata.labels?.[gatewayNameLabel])) {
    const { namespace, labels } = service.metadata
    const its = namespaces.find(({ metadata }) => metadata.name === namespace)?.metadata.labels
    const said = [labels, its].find(labels => labels?.['istio.io/use-waypoint'] !== undefined)
    const name = said?.['istio.io/use-waypoint']
    const where = said?.['istio.io/use-waypoint-namespace'] ?? namespace
    const isBound = name !== undefined && hasAddress(where, name)
    if (isBound) bound.add(`${namespace}/${service.metadata.name}`)
    const wanted: NewCondition[] =
      name === undefined || name === 'none'
        ? []
        : [
            isBound
              ? {
                  type: waypointBound,
                  status: 'True',
                  reason: 'WaypointAccepted',
                  message: `Successfully attached to waypoint ${where}/${name}`,
                }
              : { type: waypointBound, status: 'False', reason: 'WaypointIsNotReady' },
          ]
    await writeConditions(send, service, wanted, [waypointBound])
  }
  for (const policy of await list<istio.AuthorizationPolicy>(send, 'security.istio.io/v1', 'AuthorizationPolicy')) {
    const { namespace } = policy.metadata
    const targets = policy.spec.targetRefs ?? []
    const verdicts = targets.map(({ kind, name = '' }) => {
      if (kind === 'GatewayClass') return namespace === 'istio-system' ? 'Accepted' : 'Invalid'
      if (kind === 'Gateway') return hasAddress(namespace, name) ? 'Accepted' : 'TargetNotFound'
      return bound.has(`${namespace}/${name}`) ? 'Accepted' : 'AncestorNotBound'
    })
    const refused = verdicts.filter(verdict => verdict !== 'Accepted')
    const isAccepted = refused.length < verdicts.length
    const wanted: NewCondition =
      targets.length === 0
        ? { type: 'ZtunnelAccepted', status: 'True', reason: 'Accepted', message: 'attached to ztunnel' }
        : {
            type: 'WaypointAccepted',
            status: isAccepted ? 'True' : 'False',
            reason: isAccepted && refused.length > 0 ? 'PartiallyInvalid' : (refused[0] ?? 'Accepted'),
          }
    await writeConditions(send, policy, [wanted], ['ZtunnelAccepted', 'WaypointAccepted'])
  }
}

// Status -----------------------------------------------------------------------------------------------------------

type NewCondition = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>
type Dated = Condition & { lastTransitionTime?: string }

function condition({ metadata: { generation } }: KubernetesObject, said: NewCondition): Condition {
  return { message: 'by the test', ...said, ...(generation !== undefined && { observedGeneration: generation }) }
}

/** With the time since when each is so. */
function dated(conditions: Condition[], before: Dated[] = []): Dated[] {
  return conditions.map(each => {
    const same = before.find(({ type, status }) => type === each.type && status === each.status)
    return { ...each, lastTransitionTime: same?.lastTransitionTime ?? new Date().toISOString().replace(/\.\d+/, '') }
  })
}

/** The conditions of `types` as wanted; others, which somebody else sets, stay. */
async function writeConditions(send: Send, object: KubernetesObject, wanted: NewCondition[], types: string[]) {
  const { conditions: stored = [] } = (object as { status?: { conditions?: Dated[] } }).status ?? {}
  const others = stored.filter(({ type }) => !types.includes(type))
  const ours = dated(
    wanted.map(each => condition(object, each)),
    stored,
  )
  const conditions = [...others, ...ours]
  if (!isDeepStrictEqual(stored, conditions)) await writeStatus(send, object, { conditions })
}

/** Refused when somebody has written in between. */
async function writeStatus(send: Send, object: KubernetesObject, status: object): Promise<void> {
  const { resourceVersion } = object.metadata
  succeeded(await send('PATCH', `${pathOf(object)}/status`, { metadata: { resourceVersion }, status }))
}

async function list<K extends KubernetesObject>(send: Send, apiVersion: string, kind: string): Promise<K[]> {
  const { items } = succeeded(await send('GET', collectionOf({ apiVersion, kind, metadata: {} }))).body
  return (items as K[]).map(item => ({ ...item, apiVersion, kind }))
}
