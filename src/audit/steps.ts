// What happens to a namespace, in the order in which nothing opens (docs/policies.md, "The order"; design.md section 5). What
// there is to do is read from what its objects become, and what is done from what is stored.
import type * as core from '../apis/core.ts'
import type * as gateway from '../apis/gateway.ts'
import type * as istio from '../apis/istio.ts'
import { isCompanion, nameOf, revisionLabel } from '../translate/companion.ts'
import { isCaptured } from '../translate/namespace/cut-over.ts'
import { byKey } from '../translate/snapshot.ts'
import { isServing, parkedRevision, type Route } from '../translate/virtual-service/parking.ts'
import { useWaypointLabel } from '../translate/waypoint.ts'
import { isReady, waypointClass } from '../translate/waypoint-gateway.ts'
import { type Clusters, isInPlace, type Planned } from './judge.ts'
import type { Step, StepName } from './report.ts'

interface Surroundings extends Clusters {
  isAmbient: boolean
  waypoint: string | undefined
}

interface Draft {
  name: StepName
  title: string
  reason: string
  parts: { object: string; isDone: boolean }[]
}

/** The steps of one namespace; a step for which there is nothing to write is left out. */
export function stepsOf(name: string, planned: Planned[], surroundings: Surroundings): Step[] {
  const { now } = surroundings
  const sidecars = [...(now.workloads.get(name)?.values() ?? [])].filter(({ state }) => state === 'sidecar').length
  const guards = planned.filter(isGuard)
  const refusing = guards.filter(({ end }) => (end as istio.AuthorizationPolicy).spec.action === 'DENY')
  const beside = planned.filter(each => isPolicy(each) && each.role === 'companion' && !refusing.includes(each))
  const restart = sidecars > 0 ? `, and ${sidecars} pods are restarted without sidecars` : ''
  const drafts: Draft[] = [
    {
      name: 'gateway',
      title: 'The Kubernetes Gateway takes requests',
      reason: 'routes and policies attach to it, beside the old gateway, which still serves',
      parts: gatewaysOf(planned, false, now),
    },
    {
      name: 'waypoint',
      title: 'The waypoint runs',
      reason: 'policies move to it next, and nothing is sent through it before they are there',
      parts: waypointsOf(planned, surroundings),
    },
    {
      name: 'refusal',
      title: 'Guards refuse what ztunnel cannot read',
      reason: 'before pods are captured: ztunnel would make nothing of a DENY by HTTP, and it would be open',
      parts: refusing.map(each => part(each, isThere(each))),
    },
    {
      name: 'capture',
      title: `Pods are captured by ambient${restart}`,
      reason: 'waits for the guards above; a pod that still has its sidecar keeps it until it is restarted',
      parts: planned
        .filter(each => surroundings.isAmbient && each.end.kind === 'Namespace')
        .map(each => part(each, isStoredCaptured(each) && sidecars === 0)),
    },
    {
      name: 'companions',
      title: 'Guards and twins stand beside the policies',
      reason: 'waits for the waypoint; at the pods the guards admit nobody new yet',
      parts: beside.map(each => part(each, isThere(each))),
    },
    {
      name: 'policies',
      title: 'Policies are enforced where ambient reads them',
      reason: 'each waits for its guard, so that the pods are never without one; DENY goes before ALLOW',
      parts: planned
        .filter(each => isPolicy(each) && each.role === 'rewritten')
        .map(each => part(each, isInPlace(each))),
    },
    {
      name: 'admission',
      title: 'Guards let the waypoint through to the pods',
      reason: 'waits until every policy that refuses is in force at the waypoint',
      parts: guards.filter(each => !refusing.includes(each)).map(each => part(each, isInPlace(each))),
    },
    {
      name: 'enrolment',
      title: 'Traffic goes through the waypoint',
      reason: 'last of all, since from now on pods see the waypoint as their caller',
      parts: planned
        .filter(isEnrolled)
        .map(each => part(each, each.stored?.metadata.labels?.[useWaypointLabel] !== undefined)),
    },
    {
      name: 'routes',
      title: 'Routes are accepted',
      reason: 'they stand beside the VirtualServices, which serve until then',
      parts: planned.filter(isRouting).map(each => part(each, isAccepted(each, now))),
    },
    {
      name: 'parking',
      title: 'VirtualServices are parked',
      reason: 'each waits until its routes are accepted; one label, which is taken off again to go back',
      parts: planned
        .filter(
          ({ end: { kind, metadata } }) =>
            kind === 'VirtualService' && metadata.labels?.[revisionLabel] === parkedRevision,
        )
        .map(each => part(each, each.stored?.metadata.labels?.[revisionLabel] === parkedRevision)),
    },
  ]
  return drafts
    .filter(({ parts }) => parts.length > 0)
    .map(({ name, title, reason, parts }) => ({
      ...{ name, title, reason },
      objects: parts.map(({ object }) => object).sort(),
      isDone: parts.every(({ isDone }) => isDone),
    }))
}

function part({ end }: Planned, isDone: boolean): Draft['parts'][number] {
  return { object: labelOf(end), isDone }
}

/** `Kind/namespace/name`. */
export function labelOf(object: core.KubernetesObject): string {
  return [object.kind, object.metadata.namespace, nameOf(object)].filter(Boolean).join('/')
}

// Gateways ---------------------------------------------------------------------------------------------------------

function gatewaysOf(planned: Planned[], areWaypoints: boolean, now: Clusters['now']): Draft['parts'] {
  return planned
    .filter(({ end }) => isKubernetesGateway(end) && (end.spec.gatewayClassName === waypointClass) === areWaypoints)
    .map(each => part(each, isInPlace(each) && isRunning(labelOf(each.end), now)))
}

/** What sidestep keeps, and the one that somebody else does. */
function waypointsOf(planned: Planned[], { waypoint, now }: Surroundings): Draft['parts'] {
  const own = gatewaysOf(planned, true, now)
  const object = `Gateway/${waypoint}`
  if (waypoint === undefined || own.some(each => each.object === object)) return own
  return [...own, { object, isDone: isRunning(object, now) }]
}

function isRunning(label: string, { gateways }: Clusters['now']): boolean {
  const object = byKey(gateways, label.slice('Gateway/'.length))
  return object !== undefined && isReady(object)
}

function isKubernetesGateway(object: core.KubernetesObject): object is gateway.Gateway {
  return object.kind === 'Gateway' && object.apiVersion.startsWith('gateway.networking.k8s.io/')
}

// Policies ---------------------------------------------------------------------------------------------------------

function isPolicy({ end }: Planned): boolean {
  return end.apiVersion.startsWith('security.istio.io/')
}

/** What holds at the pods beside a policy: it has no targets. */
function isGuard({ role, end }: Planned): boolean {
  const { spec } = end as Partial<istio.AuthorizationPolicy>
  return role === 'companion' && end.kind === 'AuthorizationPolicy' && (spec?.targetRefs ?? []).length === 0
}

/** In whatever form: a guard stands shut before it opens. */
function isThere({ stored }: Planned): boolean {
  return stored !== undefined && isCompanion(stored)
}

// Namespaces and Services ------------------------------------------------------------------------------------------

function isStoredCaptured({ stored }: Planned): boolean {
  return stored !== undefined && isCaptured(stored as core.Namespace)
}

function isEnrolled({ role, end: { kind, metadata } }: Planned): boolean {
  return (
    role === 'rewritten' && ['Namespace', 'Service'].includes(kind) && metadata.labels?.[useWaypointLabel] !== undefined
  )
}

// Routes -----------------------------------------------------------------------------------------------------------

/** Routes, and what they lead to: Services of subsets, and permission to go to another namespace. */
function isRouting({ role, end: { kind } }: Planned): boolean {
  return role === 'companion' && /Route$|^Service$|^ReferenceGrant$/.test(kind)
}

function isAccepted(planned: Planned, now: Clusters['now']): boolean {
  return /Route$/.test(planned.end.kind) ? isServing(planned.end as Route, now) : isInPlace(planned)
}
