// istiod for thousands of objects: what istiod.ts says of Gateways, HTTPRoutes and Services, but of each one when a watch
// brings it. It knows only what Kubeflow has: Gateways and routes that are in order.
import { pino } from 'pino'
import type { Condition, KubernetesObject, Service } from '../../../src/apis/core.ts'
import type * as gateway from '../../../src/apis/gateway.ts'
import { connect } from '../../../src/reconciler/api-server.ts'
import { collectionOf, pathOf } from '../../../src/reconciler/paths.ts'
import { type LiveSnapshot, startLiveSnapshot } from '../../../src/reconciler/snapshot.ts'
import type { ControlPlane } from '../../control-plane/index.ts'
import { type Send, sendAs } from './send.ts'

const waypointClass = 'istio-waypoint'
const controllerName = 'istio.io/gateway-controller'

export interface WatchingIstiod {
  stop(): Promise<void>
}

export async function startWatchingIstiod(controlPlane: ControlPlane): Promise<WatchingIstiod> {
  const live = startLiveSnapshot(connect(controlPlane.kubeconfig()), { logger: pino({ level: 'silent' }) })
  if (!(await live.synced)) throw new Error(`not read: ${live.missing().join(', ')}`)
  const send = sendAs(controlPlane, 'istiod')
  // Equal paths collapse while they wait, and what is written about one brings it again.
  const waiting = new Set<string>()
  const sleepers: (() => void)[] = []
  let isStopped = false
  const add = (path: string) => {
    waiting.add(path)
    sleepers.shift()?.()
  }
  const unsubscribe = live.subscribe(({ path, after }) => {
    if (!after) return
    if (after.kind === 'Namespace') {
      const { services } = live.cluster
      for (const service of services.get(after.metadata.name ?? '')?.values() ?? []) add(pathOf(service))
    } else if (after.kind === 'Service' || isOfIstio(after) || after.kind === 'HTTPRoute') add(path)
  })
  for (const [path, object] of live.objects)
    if (object.kind === 'Service' || isOfIstio(object) || object.kind === 'HTTPRoute') add(path)
  const lane = async () => {
    while (!isStopped) {
      const [path] = waiting
      if (path === undefined) await new Promise<void>(resolve => sleepers.push(resolve))
      else {
        waiting.delete(path)
        const object = live.objects.get(path)
        // A connection that was kept open may be closed just when it is used again.
        if (object) await reconcile(object, live, send).catch(() => add(path))
      }
    }
  }
  const lanes = [lane(), lane(), lane(), lane()]
  return {
    async stop() {
      isStopped = true
      unsubscribe()
      for (const wake of sleepers.splice(0)) wake()
      await Promise.all(lanes)
      await live.stop()
    },
  }
}

async function reconcile(object: KubernetesObject, live: LiveSnapshot, send: Send): Promise<void> {
  if (object.kind === 'Service') await bind(object as Service, live, send)
  else if (object.kind === 'HTTPRoute') await accept(object as gateway.HTTPRoute, live, send)
  else await program(object as gateway.Gateway, send)
}

function isOfIstio(object: KubernetesObject): object is gateway.Gateway {
  if (object.kind !== 'Gateway' || !object.apiVersion.startsWith('gateway.networking.k8s.io/')) return false
  return ['istio', waypointClass].includes((object as gateway.Gateway).spec.gatewayClassName)
}

/** A waypoint's Service and Pod come first, as those of a real one do. */
async function program(object: gateway.Gateway, send: Send): Promise<void> {
  const { metadata, spec, status } = object
  const isKnown = (status?.conditions ?? []).some(
    ({ type, observedGeneration }) => type === 'Programmed' && observedGeneration === metadata.generation,
  )
  if (isKnown) return
  const { name = '', namespace = '' } = metadata
  const isWaypoint = spec.gatewayClassName === waypointClass
  const deployed = isWaypoint ? name : `${name}-istio`
  const labels = { 'gateway.networking.k8s.io/gateway-name': name, 'istio.io/dataplane-mode': 'none' }
  const part = (kind: string, itsName: string, spec: object) => ({
    apiVersion: 'v1',
    kind,
    metadata: { name: itsName, namespace, labels },
    spec,
  })
  const ports = spec.listeners.map(({ name, port }) => ({ name, port }))
  const containers = [{ name: 'istio-proxy', image: 'istio/proxyv2:1.31.0' }]
  for (const each of [
    part('Service', deployed, { selector: labels, ports }),
    part('Pod', `${deployed}-0`, { serviceAccountName: deployed, containers }),
  ])
    await send('POST', collectionOf(each), each)
  const addresses = [{ type: 'Hostname', value: `${deployed}.${namespace}.svc.cluster.local` }]
  const conditions = ['Accepted', 'Programmed'].map(type => condition(object, { type, reason: type }))
  await send('PATCH', `${pathOf(object)}/status`, { status: { addresses, conditions } })
}

async function accept(route: gateway.HTTPRoute, { objects }: LiveSnapshot, send: Send): Promise<void> {
  const { spec, status, metadata } = route
  const isKnown = (status?.parents ?? []).some(({ conditions = [] }) =>
    conditions.some(({ observedGeneration }) => observedGeneration === metadata.generation),
  )
  if (isKnown) return
  const parents = (spec.parentRefs ?? []).flatMap(parentRef => {
    const { name, namespace = metadata.namespace ?? '' } = parentRef
    const apiVersion = 'gateway.networking.k8s.io/v1'
    if (!objects.has(pathOf({ apiVersion, kind: 'Gateway', metadata: { name, namespace } }))) return []
    const conditions = [
      condition(route, { type: 'Accepted', reason: 'Accepted' }),
      condition(route, { type: 'ResolvedRefs', reason: 'ResolvedRefs' }),
    ]
    return [{ parentRef, controllerName, conditions }]
  })
  if (parents.length > 0) await send('PATCH', `${pathOf(route)}/status`, { status: { parents } })
}

/** Says once of a Service that a waypoint is asked for it. */
async function bind(service: Service, { cluster }: LiveSnapshot, send: Send): Promise<void> {
  const { namespace = '', labels = {} } = service.metadata
  const name = cluster.namespaces.get(namespace)?.metadata.labels?.['istio.io/use-waypoint']
  const type = 'istio.io/WaypointBound'
  const { conditions: stored = [] } = (service as { status?: { conditions?: Condition[] } }).status ?? {}
  const isKnown = stored.some(each => each.type === type)
  if (name === undefined || isKnown || labels['gateway.networking.k8s.io/gateway-name']) return
  const message = `Successfully attached to waypoint ${namespace}/${name}`
  const conditions = [{ ...condition(service, { type, reason: 'WaypointAccepted' }), message }]
  await send('PATCH', `${pathOf(service)}/status`, { status: { conditions } })
}

function condition({ metadata: { generation } }: KubernetesObject, said: Pick<Condition, 'type' | 'reason'>) {
  return {
    ...said,
    status: 'True' as const,
    message: 'by the test',
    lastTransitionTime: new Date().toISOString().replace(/\.\d+/, ''),
    ...(generation !== undefined && { observedGeneration: generation }),
  }
}
