// A change of one object -> the sources whose translation it can alter, so that nothing else is translated again. What is
// missed here stays as it is until the next sweep; test/reconciler/affected.test.ts searches for such.
import type * as core from '../apis/core.ts'
import type * as istio from '../apis/istio.ts'
import { isEqual } from '../translate/canonical.ts'
import { isCompanion, nameOf, sourceKey } from '../translate/companion.ts'
import { missingRestriction } from '../translate/identities.ts'
import { isSelected } from '../translate/labels.ts'
import { gatewayOf } from '../translate/mapped-gateway.ts'
import { modeLabel } from '../translate/mode.ts'
import { restoreOriginal } from '../translate/original.ts'
import { ingressOf, type Policy } from '../translate/policy/targets.ts'
import type { Settings } from '../translate/settings.ts'
import { type ClusterSnapshot, inNamespace, kindKey } from '../translate/snapshot.ts'
import { isDelegate } from '../translate/virtual-service/delegates.ts'
import { isForMesh } from '../translate/virtual-service/mesh.ts'
import { virtualServicePlaces } from '../translate/virtual-service/places.ts'
import { labelledWaypoint } from '../translate/waypoint.ts'
import { type Inventory, keysOf, namespaceOf } from './inventory.ts'
import type { Change } from './snapshot.ts'

/** What a change reaches: the sources it is about, and those that look at it. */
export interface Affected {
  own: string[]
  others: Iterable<string>
}

/** Where those who look are searched for. */
interface Surroundings {
  inventory: Inventory
  cluster: ClusterSnapshot
  settings: Settings
}

export function affectedBy(
  { before, after }: Change,
  inventory: Inventory,
  cluster: ClusterSnapshot,
  settings: Settings,
): Affected {
  const own = [...new Set([before, after].flatMap(keysOf))]
  if (before && after && isEqual(readOf(before), readOf(after))) return { own, others: [] }
  const versions = [before, after].filter(each => each !== undefined)
  return { own, others: othersOf(versions, { inventory, cluster, settings }) }
}

/** What others read of an object. Most of what is written to Pods and Gateways is status that nobody asks for. */
function readOf(object: core.KubernetesObject): unknown {
  const { labels, annotations, creationTimestamp } = object.metadata
  const { spec, webhooks, status } = object as {
    spec?: unknown
    webhooks?: unknown
    status?: { addresses?: unknown[]; conditions?: { type: string; status: string }[] }
  }
  // Being parked is no news to its neighbours.
  if (object.kind === 'VirtualService') return { spec, creationTimestamp }
  if (object.kind !== 'Gateway') return { labels, annotations, creationTimestamp, spec, webhooks }
  const conditions = (status?.conditions ?? []).map(({ type, status }) => [type, status])
  return { labels, annotations, spec, conditions, hasAddress: (status?.addresses ?? []).length > 0 }
}

/** By kind, what reads it (research/virtualservice.md, section 2; research/policies.md 1.5). */
function othersOf(versions: core.KubernetesObject[], surroundings: Surroundings): Iterable<string> {
  const { inventory } = surroundings
  const [object] = versions
  if (!object) return []
  switch (kindKey(object)) {
    case 'VirtualService/networking.istio.io':
      return besideRoutes(versions as istio.VirtualService[], surroundings)
    case 'HTTPRoute/gateway.networking.k8s.io':
    case 'TLSRoute/gateway.networking.k8s.io':
    case 'TCPRoute/gateway.networking.k8s.io':
    case 'GRPCRoute/gateway.networking.k8s.io':
    case 'ReferenceGrant/gateway.networking.k8s.io':
      return versions.every(isCompanion) ? namesakesOf(object, surroundings) : inventory.keys().filter(isOfRouting)
    case 'ServiceEntry/networking.istio.io':
      // Policies may be attached to it.
      return [...inventory.keys().filter(isOfRouting), ...inventory.keysIn(namespaceOf(object))]
    case 'DestinationRule/networking.istio.io':
    case 'Gateway/networking.istio.io':
      return inventory.keys().filter(isOfRouting)
    case 'Gateway/gateway.networking.k8s.io':
      return besideGateway(versions, surroundings)
    case 'AuthorizationPolicy/security.istio.io':
    case 'RequestAuthentication/security.istio.io':
      return besidePolicy(versions as Policy[], surroundings)
    case 'PeerAuthentication/security.istio.io':
    case 'MutatingWebhookConfiguration/admissionregistration.k8s.io':
    case 'ValidatingWebhookConfiguration/admissionregistration.k8s.io':
    case 'APIService/apiregistration.k8s.io':
      return inventory.keys().filter(key => key.startsWith('PeerAuthentication/'))
    case 'Namespace/':
      return besideNamespace(versions, surroundings)
    case 'Pod/':
      return besidePod(versions, surroundings)
    case 'Service/':
      return besideService(versions, surroundings)
    default:
      return inventory.keys()
  }
}

// Routes -----------------------------------------------------------------------------------------------------------

function isOfRouting(key: string): boolean {
  return key.startsWith('VirtualService/') || key.startsWith('Gateway/')
}

function virtualServices({ inventory }: Surroundings): istio.VirtualService[] {
  return inventory
    .keys()
    .flatMap(key => (key.startsWith('VirtualService/') ? (inventory.source(key) as istio.VirtualService) : []))
}

/** The VirtualServices that these can meet, and those that take them in as delegates, with whom these can meet then. */
function besideRoutes(changed: istio.VirtualService[], surroundings: Surroundings): string[] {
  const delegates = changed.filter(isDelegate).map(({ metadata }) => metadata.name)
  const all = virtualServices(surroundings)
  const roots = delegates.length === 0 ? [] : all.filter(({ spec }) => takesIn(spec, delegates))
  const meeting = [...changed, ...roots]
  const isRegexOrder = surroundings.settings.ruleOrder === 'regex'
  const isInMesh = meeting.some(isForMesh)
  const hasConnections = meeting.some(isForConnections)
  // These look at whoever is on their hosts, whatever the path.
  const onHosts = all.filter(
    each =>
      isRegexOrder ||
      (isInMesh && isForMesh(each)) ||
      (hasConnections && isForConnections(each)) ||
      asksMoreThanPaths(each),
  )
  return [
    ...[...roots, ...onHosts].map(sourceKey),
    ...neighboursOf(meeting, surroundings.cluster),
    ...changed.flatMap(each => namesakesOf(each, surroundings)),
  ]
}

function takesIn({ http = [] }: istio.VirtualServiceSpec, names: (string | undefined)[]): boolean {
  return http.some(({ delegate }) => delegate && names.includes(delegate.name))
}

function isForConnections({ spec }: istio.VirtualService): boolean {
  return spec?.tls !== undefined || spec?.tcp !== undefined
}

/** Whether there are hosts for which some rule may not hold: who else is on such a host matters then. */
function asksMoreThanPaths(virtualService: istio.VirtualService): boolean {
  const known = asking.get(virtualService)
  if (known !== undefined) return known
  const { http = [] } = virtualService.spec ?? {}
  const asks = http.some(
    ({ match = [], delegate }) =>
      delegate !== undefined ||
      match.some(
        ({ authority, scheme, port, gateways, sourceLabels, sourceNamespace }) =>
          authority ?? scheme ?? port ?? gateways ?? sourceLabels ?? sourceNamespace,
      ),
  )
  asking.set(virtualService, asks)
  return asks
}

/** Asked of all for each change of one. */
const asking = new WeakMap<istio.VirtualService, boolean>()

/** The VirtualServices that route near these, at any door: Gateways of Istio may share a Kubernetes Gateway. */
function* neighboursOf(changed: istio.VirtualService[], { routing }: ClusterSnapshot): Generator<string> {
  const stems = new Set(changed.flatMap(virtualServicePlaces).map(({ stem }) => stem))
  for (const stem of stems)
    for (const door of routing.doors())
      for (const host of routing.hosts(door))
        for (const item of routing.near({ door, host, stem }, { below: true }))
          if (item.kind === 'VirtualService') yield sourceKey(item)
}

/** Whose companions may come to have the name of the object: they are called by their source, with something behind. */
function namesakesOf(object: core.KubernetesObject, { inventory }: Surroundings): string[] {
  const name = nameOf(object)
  return [...inventory.keysIn(namespaceOf(object))].filter(key => {
    const source = key.startsWith('VirtualService/') ? inventory.source(key) : undefined
    // Names that become too long are cut.
    return source !== undefined && name.startsWith(nameOf(source).slice(0, 200))
  })
}

// Policies and what they apply to ----------------------------------------------------------------------------------

/** The sources of a Namespace, and those of the root namespace, which hold there too. */
function sourcesIn(namespace: string, { inventory, settings }: Surroundings): string[] {
  return [...inventory.keysIn(namespace), ...inventory.keysIn(settings.rootNamespace)]
}

/**
 * Who may wait for what stands in a Namespace: its own sources; all others where a policy of the root namespace goes out to
 * them, since it is in force when it is so everywhere; and VirtualServices with subsets, which get Services of their own
 * only where no policy would miss those.
 */
function around(versions: core.KubernetesObject[], surroundings: Surroundings): string[] {
  const { inventory, settings } = surroundings
  const [namespace = ''] = versions.map(namespaceOf)
  const withSubsets =
    settings.subsets === 'services' ? virtualServices(surroundings).filter(hasSubsets).map(sourceKey) : []
  const everywhere = isGoingOut(versions, surroundings) ? inventory.keys().filter(key => !isOfRouting(key)) : []
  return [...sourcesIn(namespace, surroundings), ...withSubsets, ...everywhere]
}

/** Its own subsets, or those of delegates. */
function hasSubsets({ spec }: istio.VirtualService): boolean {
  return /"(subset|delegate)":/.test(JSON.stringify(spec))
}

/**
 * Whether some policy of the root namespace is kept in others too: not one of the ingress, nor "allow nothing", nor one
 * whose selector picks nothing there and none of what changes.
 */
function isGoingOut(versions: core.KubernetesObject[], { cluster, settings }: Surroundings): boolean {
  const { rootNamespace } = settings
  const policies: Policy[] = [
    ...inNamespace(cluster.authorizationPolicies, rootNamespace),
    ...inNamespace(cluster.requestAuthentications, rootNamespace),
  ]
  return policies.some(policy => {
    if (isCompanion(policy)) return false
    const { kind, spec } = restoreOriginal(policy)
    const { selector, action = 'ALLOW', rules = [] } = (spec ?? {}) as istio.AuthorizationPolicySpec
    const labels = selector?.matchLabels ?? {}
    if (Object.keys(labels).length === 0)
      return kind !== 'AuthorizationPolicy' || action !== 'ALLOW' || rules.length > 0
    if (ingressOf(rootNamespace, labels, settings)) return false
    return versions.some(each => isPicked(each, labels)) || isPickedElsewhere(labels, rootNamespace, cluster)
  })
}

/** Whether labels pick anything that is not in the Namespace itself. What changes there is read by all. */
function isPickedElsewhere(
  labels: Record<string, string>,
  namespace: string,
  { workloads, services }: ClusterSnapshot,
): boolean {
  for (const [name, all] of workloads)
    for (const workload of name === namespace ? [] : all.values())
      if (workload.state !== 'gateway' && isSelected(workload.labels, labels)) return true
  for (const [name, all] of services)
    for (const service of name === namespace ? [] : all.values()) if (isPicked(service, labels)) return true
  return false
}

/** A Pod by its labels, a Service by those that it looks for. */
function isPicked(object: core.KubernetesObject, labels: Record<string, string>): boolean {
  const { kind, metadata } = object
  if (kind === 'Pod') return isSelected(metadata.labels ?? {}, labels)
  return kind === 'Service' && isSelected((object as core.Service).spec?.selector ?? {}, labels)
}

/** Policies of the root namespace and of the ingress, and the pods of the old gateway, concern every Namespace. */
function isReadByAll(namespace: string, { rootNamespace, gateways }: Settings): boolean {
  return (
    namespace === rootNamespace ||
    gateways.some(({ gateway, pods }) => pods.namespace === namespace || gateway.startsWith(`${namespace}/`))
  )
}

function besidePolicy(versions: Policy[], surroundings: Surroundings): string[] {
  const { inventory, cluster, settings } = surroundings
  const [namespace = ''] = versions.map(namespaceOf)
  // Until it keeps the new gateway out as well, nobody admits that.
  const restricts = (policy: Policy) => {
    const only = new Map([[namespace, new Map([[nameOf(policy), policy as istio.AuthorizationPolicy]])]])
    const alone = { ...cluster, authorizationPolicies: only }
    return (
      policy.kind === 'AuthorizationPolicy' &&
      settings.gateways.some(mapping => missingRestriction(mapping, alone, settings) !== undefined)
    )
  }
  if (isReadByAll(namespace, settings) || versions.some(restricts)) return inventory.keys()
  return around(versions, surroundings)
}

function besidePod(versions: core.KubernetesObject[], surroundings: Surroundings): string[] {
  const { inventory, settings } = surroundings
  const [namespace = ''] = versions.map(namespaceOf)
  const isOfGateway = versions.some(({ metadata }) => metadata.labels?.['gateway.networking.k8s.io/gateway-name'])
  if (isReadByAll(namespace, settings) || (isOfGateway && isUsedElsewhere(namespace, surroundings)))
    return inventory.keys()
  return around(versions, surroundings)
}

function besideGateway(versions: core.KubernetesObject[], surroundings: Surroundings): string[] {
  const { inventory, settings } = surroundings
  const [namespace = ''] = versions.map(namespaceOf)
  const [name = ''] = versions.map(nameOf)
  const key = `${namespace}/${name}`
  const isMapped = settings.gateways.some(mapping => gatewayOf(mapping).key === key)
  return isMapped || isUsedElsewhere(namespace, surroundings) ? inventory.keys() : around(versions, surroundings)
}

function besideService(versions: core.KubernetesObject[], surroundings: Surroundings): string[] {
  const { inventory, settings } = surroundings
  const [namespace = ''] = versions.map(namespaceOf)
  if (isReadByAll(namespace, settings)) return inventory.keys()
  const owners = versions.flatMap(each => waypointNamespaces(each, namespace))
  return [
    ...around(versions, surroundings),
    ...owners.flatMap(owner => [...inventory.keysIn(owner)]),
    ...versions.flatMap(({ metadata }) => inventory.keysMentioning(metadata.name ?? '')),
  ]
}

function besideNamespace(versions: core.KubernetesObject[], surroundings: Surroundings): string[] {
  const { inventory, cluster, settings } = surroundings
  const [namespace = ''] = versions.map(namespaceOf)
  const [mode, ...others] = versions.map(({ metadata }) => metadata.labels?.[modeLabel])
  const isModeChanged = others.length > 0 ? others[0] !== mode : mode !== undefined
  if (isModeChanged || isReadByAll(namespace, settings)) return inventory.keys()
  const users = [...versions, ...inNamespace(cluster.services, namespace)]
  const owners = new Set(users.flatMap(each => waypointNamespaces(each, namespace)))
  const routing = inNamespace(cluster.virtualServices, namespace)
  return [
    ...around(versions, surroundings),
    ...[...owners].flatMap(owner => [...inventory.keysIn(owner)]),
    // Listeners and waypoints choose Namespaces by their labels.
    ...(routing.length > 0 ? besideRoutes(routing, surroundings) : []),
    ...virtualServices(surroundings).filter(isForMesh).map(sourceKey),
  ]
}

// Waypoints --------------------------------------------------------------------------------------------------------

/** The Namespace of the waypoint that an object's labels name. */
function waypointNamespaces({ metadata }: core.KubernetesObject, namespace: string): string[] {
  const waypoint = labelledWaypoint(metadata.labels, namespace)
  return waypoint ? [waypoint.namespace] : []
}

/** Whether another Namespace has its waypoint here, by the settings or by labels. */
function isUsedElsewhere(namespace: string, { cluster, settings }: Surroundings): boolean {
  if (settings.namespaces.some(({ waypoint }) => waypoint?.namespace === namespace)) return true
  const isUser = (object: core.KubernetesObject, own: string) =>
    own !== namespace && waypointNamespaces(object, own).includes(namespace)
  for (const [name, object] of cluster.namespaces) if (isUser(object, name)) return true
  for (const [name, services] of cluster.services)
    for (const service of services.values()) if (isUser(service, name)) return true
  return false
}
