// A live cluster from untranslated objects to the fixed point, one write at a time in an arbitrary order.
import type * as core from '../../src/apis/core.ts'
import type * as istio from '../../src/apis/istio.ts'
import { asBefore, type Difference, isPermittedBehind, looser, worldBefore } from './compare.ts'
import type { Source } from './end-state.ts'
import {
  captured,
  type Ingress,
  ingressObjects,
  injected,
  type Landscape,
  namespaces,
  newIngress,
  pods,
} from './landscape.ts'
import {
  afterWrite,
  type Cluster,
  clusterOf,
  collects,
  companionsFor,
  idOf,
  isAtRest,
  isRefused,
  istioWrites,
  nextWrites,
  sourceIds,
  type Write,
  worldIn,
} from './live-cluster.ts'
import { changedBetween, decideAtIngress, decideBehindIngress, decideInAmbient, decideWithSidecars } from './model.ts'
import { type Change, type Plans, peopleWrites, type Sidecar } from './people.ts'
import type { Request } from './request.ts'
import { waypointOn } from './waypoint.ts'
import { keyOf, type World } from './world.ts'

export interface Start {
  /** Where everything leads to. */
  landscape: Landscape
  translate: Cluster['translate']
  sources: Source[]
  /** How many of the sources are there from the start; the others are created on the way. */
  present: number
  changes: Change[]
  /** The Services that are created on the way. */
  late: string[]
  /** The namespaces that somebody made ambient before sidestep came. */
  ambient: string[]
  /** The namespaces whose pods still have sidecars. */
  injected: string[]
  /** The pods that come to have sidecars, which they have not at the start. */
  sidecars: Sidecar[]
  /** The ingress at the start. */
  ingress: Ingress
  /** Whether people wait until sidestep and Istio have nothing left to write, each time. */
  patient: boolean
}

export interface Outcome {
  cluster: Cluster
  /** The sources as their users wrote them last. */
  sources: Source[]
  writes: string[]
  /** Requests that the last write opened, though sidecars would deny them. */
  opened: Difference[]
  /** Requests that sidecars would allow, and that one denies although sidestep was done with all before the next write. */
  lost: Difference[]
}

const limit = 600

/**
 * Goes on until nobody wants to write, or until a write opens what sidecars deny; `choose` picks among what is possible.
 * A request that is open because sidestep has not come to it yet is no fault of its writes and may stay open for a while;
 * once closed it must stay so. While sidestep follows a change of a policy, what both the old and the new text deny must
 * not open.
 */
export function follow(start: Start, requests: Request[], choose: Choose): Outcome {
  const { landscape, translate } = start
  const here = start.sources.slice(0, start.present)
  let cluster = clusterOf(landscape.settings, translate, [...startObjects(start), ...here])
  let plans: Plans = plansOf(start)
  let promise = promisedAtRest(landscape, here)
  let open = openIn(worldIn(cluster), promise, requests)
  const writes: string[] = []
  while (writes.length < limit) {
    const write = chooseWrite(cluster, plans, start.patient, choose)
    const [sources = []] = promise.versions
    if (!write) return { cluster, sources, writes, opened: [], lost: [] }
    const isResting = isPersons(write) && isAtRest(cluster)
    if (isResting) promise = { ...promise, fresh: [] }
    if (isResting && promise.versions.length > 1) {
      promise = promisedAtRest(landscape, sources)
      open = openIn(worldIn(cluster), promise, requests)
    }
    const lost = isResting ? lostAtSidecars(cluster, promise, requests) : []
    if (lost.length > 0) return { cluster, sources, writes, opened: [], lost }
    const after = afterWrite(cluster, write)
    promise = promisedAfter(promise, write, isResting)
    const excused = new Set(open.map(({ request }) => request))
    for (const request of openAnyhow({ cluster, write, after, isResting }, promise, requests)) excused.add(request)
    open = openAfter({ cluster, write, after, isResting }, promise, requests, open)
    const earlier = worldIn(cluster)
    writes.push(write.what)
    cluster = after
    plans = write.left ?? plans
    const { late } = promise
    const opened = open.filter(
      ({ request }) =>
        !excused.has(request) &&
        !isTo(late, request) &&
        !isOpenIngress(earlier, worldIn(after), promise, request) &&
        !(start.ambient.some(name => isIn(name, request)) && isOpenAlready(earlier, write, promise, request)) &&
        !isUnreadYet({ cluster, write, after, isResting }, promise, request),
    )
    if (opened.length > 0) return { cluster, sources: promise.versions[0] ?? [], writes, opened, lost: [] }
  }
  throw new Error(`no fixed point after ${limit} writes, the last: ${writes.slice(-12).join(', ')}`)
}

/** What is open at the fixed point: by the newest text of each policy, and nothing is excused. */
export function openAtEnd({ cluster, sources }: Outcome, landscape: Landscape, requests: Request[]): Difference[] {
  return openIn(worldIn(cluster), promisedAtRest(landscape, sources), requests)
}

// What is promised ------------------------------------------------------------------------------------------------------

interface Promised {
  landscape: Landscape
  /** The sources as their users wrote them, the newest first; the older ones while sidestep has not caught up. */
  versions: Source[][]
  /** The worlds before ambient, once they are made. */
  befores: World[]
  /** Whether somebody changed a policy while sidestep was not done, and it has not been since. */
  isHasty: boolean
  /** Services that have come since sidestep was done: what they lead to may be open until it is again. */
  late: string[]
  /** Policies that have come since sidestep was done. */
  fresh: string[]
}

/** While sidestep is done with all of it. */
function promisedAtRest(landscape: Landscape, sources: Source[]): Promised {
  return { landscape, versions: [sources], befores: [], isHasty: false, late: [], fresh: [] }
}

function promisedAfter(promise: Promised, { by, puts = [], deletes }: Write, isResting: boolean): Promised {
  const { versions, landscape } = promise
  const [newest = []] = versions
  if (by?.kind === 'change') {
    const { policy, source } = by
    const others = newest.filter(other => idOf(other) !== policy)
    // What is new has no older text, and holds at once.
    if (source && others.length === newest.length)
      return {
        ...promise,
        versions: versions.map(sources => [...sources, source]),
        befores: [],
        fresh: [...promise.fresh, policy],
      }
    const isHasty = promise.isHasty || !isResting
    return {
      landscape,
      versions: [source ? [...others, source] : others, ...versions],
      befores: [],
      isHasty,
      late: promise.late,
      fresh: promise.fresh,
    }
  }
  if (by?.kind === 'service') return { ...promise, befores: [], late: [...promise.late, by.service] }
  const isSeenBefore = ({ kind }: core.KubernetesObject) => ['Pod', 'Service', 'Namespace'].includes(kind)
  return [...puts, ...(deletes ? [deletes] : [])].some(isSeenBefore) ? { ...promise, befores: [] } : promise
}

/** What a write cannot change is as open as it was. */
function openAfter({ cluster, write, after }: Step, promise: Promised, requests: Request[], open: Difference[]) {
  const [earlier, later] = [worldIn(cluster), worldIn(after)]
  if (write.by?.kind === 'change') return openIn(later, promise, requests)
  const isChanged = changedBetween(earlier, later)
  return [...open.filter(({ request }) => !isChanged(request)), ...openIn(later, promise, requests.filter(isChanged))]
}

function openIn(world: World, promise: Promised, requests: Request[]): Difference[] {
  const { landscape, versions, befores } = promise
  if (befores.length === 0) befores.push(...versions.map(sources => worldBefore(world, sources, landscape)))
  return looser(befores, world, possibleIn(world, requests), landscape.settings)
}

/** Without those from an ingress that does not run, or to a Service that is not there. */
export function possibleIn({ pods, services }: World, requests: Request[]): Request[] {
  return requests.filter(({ from, to }) => pods.has(from) && (!('service' in to) || services.has(to.service)))
}

/**
 * What comes to a pod with a sidecar past any waypoint is decided by the sidecar alone, and once sidestep is done as ever:
 * then every policy is on its selector and no guard stands in its way. Through a waypoint the sidecar sees the waypoint as
 * its caller, which NS-SIDECARS-RUNNING and AP-WORKLOAD-SIDECAR announce; and what sidestep refuses stays where it is.
 */
function lostAtSidecars(cluster: Cluster, promise: Promised, requests: Request[]): Difference[] {
  const world = worldIn(cluster)
  const [newest = []] = promise.versions
  const before = promise.befores[0] ?? worldBefore(world, newest, promise.landscape)
  const lost = possibleIn(world, requests)
    .filter(({ from, to }) => world.pods.get(to.pod)?.proxy === 'sidecar' && from !== newIngress)
    .filter(request => !waypointOn(world, request))
    .map(request => ({
      request,
      sidecars: decideWithSidecars(before, request),
      ambient: decideInAmbient(world, request),
    }))
    .filter(({ sidecars, ambient }) => sidecars.allowed && !ambient.allowed)
  return lost.length > 0 && sourceIds(cluster).some(id => isRefused(cluster, id)) ? [] : lost
}

interface Step {
  cluster: Cluster
  write: Write
  after: Cluster
  /** Whether sidestep had nothing left to do before the write. */
  isResting: boolean
}

/**
 * What a write that is not sidestep's leaves open. Pods that are captured were open to everything before, and by their new
 * identity they may be let in where somebody made a Namespace ambient before sidestep came. A new Service, and a new
 * gateway, are there before sidestep can know. A policy does not hold everywhere in ambient as its author wrote it, and what
 * the webhook stores must be no worse than that. Somebody who deletes a policy or restarts a pod finds everything prepared,
 * unless sidestep was not done (a pod that comes to have a sidecar: nearly everything even then); and so does whoever deletes
 * companions that are not wanted any more.
 */
function openAnyhow({ cluster, write, after, isResting }: Step, promise: Promised, requests: Request[]): Request[] {
  const { by } = write
  const openTo = (world: World) => openIn(world, promise, requests).map(({ request }) => request)
  switch (by?.kind) {
    case undefined:
      return write.deletes && promise.isHasty ? openTo(worldIn(after)) : []
    case 'capture': {
      const earlier = worldIn(cluster)
      const isCaptured = ({ to }: Request) => earlier.pods.get(to.pod)?.proxy === 'ztunnel'
      return [
        ...possibleIn(earlier, requests).filter(request => decideInAmbient(earlier, request).allowed),
        ...openTo(untouched(after, promise)).filter(isCaptured),
      ]
    }
    case 'service':
      return requests.filter(({ to }) => 'service' in to && to.service === by.service)
    case 'ingress':
      return openTo(untouched(after, promise)).filter(({ from }) => !worldIn(cluster).pods.has(from))
    case 'collection':
      return promise.isHasty ? openTo(worldIn(after)) : []
    case 'restart':
      if (isResting) return []
      return [
        ...openTo(untouched(after, promise)),
        ...openOnlyTo(unprepared(cluster, promise), after, promise, requests),
      ]
    case 'change':
      if (by.source) return openTo(worldIn(afterWrite(cluster, { ...write, puts: [by.source] })))
      return isResting ? [] : openTo(worldIn(after))
  }
}

/**
 * New policies beside which not everything stands yet: before their first admission nothing can be made. A pod that comes
 * to have a sidecar, or loses it, before that finds no more of them than what is there.
 */
function unprepared(cluster: Cluster, { fresh }: Promised): string[] {
  return fresh.filter(id => {
    const policy = cluster.objects.get(id)
    return policy !== undefined && companionsFor(cluster, policy).some(wanted => !cluster.objects.has(idOf(wanted)))
  })
}

/** What is open because of these policies alone. */
function openOnlyTo(policies: string[], after: Cluster, promise: Promised, requests: Request[]): Request[] {
  if (policies.length === 0) return []
  const versions = promise.versions.map(sources => sources.filter(source => !policies.includes(idOf(source))))
  const open = openIn(worldIn(after), promise, requests)
  const others = new Set(openIn(worldIn(after), { ...promise, versions, befores: [] }, requests).map(it => it.request))
  return open.map(({ request }) => request).filter(request => !others.has(request))
}

function isTo(services: string[], { to }: Request): boolean {
  return 'service' in to && services.includes(to.service)
}

/**
 * Whether a request passes the new gateway already and nobody but the old one denies it: then it is the gateway that has
 * yet to be closed, and who admits its callers behind it, or lets them through by the settings, only keeps what was.
 */
function isOpenIngress(earlier: World, later: World, { befores, landscape }: Promised, request: Request): boolean {
  if (request.from !== newIngress || !earlier.pods.has(newIngress)) return false
  if (!decideAtIngress(earlier, request).allowed) return false
  return befores.some(
    before =>
      decideBehindIngress(before, asBefore(request)).allowed ||
      isPermittedBehind(landscape.settings, before, later, request),
  )
}

/**
 * Whether a new DENY does not hold at the pods as its author wrote it, before its guard stands, apart from rules that take
 * the caller for another than sidecars do: those were never meant for the request, and are mended when it is stored.
 */
function isUnreadYet({ cluster, write }: Step, { befores }: Promised, request: Request): boolean {
  const { by } = write
  if (by?.kind !== 'change' || by.source?.kind !== 'AuthorizationPolicy' || by.source.spec.action !== 'DENY')
    return false
  const { source } = by
  const withRules = (rules: istio.Rule[]) => ({ ...source, spec: { ...source.spec, rules } })
  const meant = (source.spec.rules ?? []).filter(rule =>
    befores.some(
      before => !decideWithSidecars({ ...before, policies: [withRules([rule])] }, asBefore(request)).allowed,
    ),
  )
  const world = worldIn(afterWrite(cluster, { ...write, puts: [withRules(meant)] }))
  return decideInAmbient(world, request).allowed
}

function isIn(namespace: string, { to }: Request): boolean {
  return to.pod.startsWith(`${namespace}/`)
}

/**
 * Whether what opens in a Namespace that somebody made ambient before sidestep came was open there before, because another
 * policy means nothing to ztunnel yet: only the ingress shut it, which begins to admit; or a policy did that never meant
 * to, such as one that took callers by another trust domain of the mesh for strangers, and is mended.
 */
function isOpenAlready(earlier: World, write: Write, promise: Promised, request: Request): boolean {
  const isOpenBehind = request.from === newIngress && !waypointOn(earlier, request)
  if (isOpenBehind && decideBehindIngress(earlier, request).allowed) return true
  return isMendedOnly(earlier, write, promise, request)
}

function isMendedOnly(
  earlier: World,
  { puts = [] }: Write,
  { befores: [newest] }: Promised,
  request: Request,
): boolean {
  const stored = puts.map(idOf)
  const others = earlier.policies.filter(policy => !stored.includes(idOf(policy)))
  if (!decideInAmbient({ ...earlier, policies: others }, request).allowed) return false
  const its = newest?.policies.filter(policy => stored.includes(idOf(policy))) ?? []
  return newest !== undefined && decideWithSidecars({ ...newest, policies: its }, asBefore(request)).allowed
}

/** The same cluster with the policies as their users wrote them. */
function untouched(cluster: Cluster, { versions: [newest = []] }: Promised): World {
  const isSource = ({ kind }: core.KubernetesObject) =>
    kind === 'AuthorizationPolicy' || kind === 'RequestAuthentication'
  const others = [...cluster.objects.values()].filter(object => !isSource(object))
  return worldIn(clusterOf(cluster.settings, cluster.translate, [...others, ...newest]))
}

function isPersons({ by }: Write): boolean {
  return by?.kind === 'change' || by?.kind === 'restart'
}

// Start and order -------------------------------------------------------------------------------------------------------

function plansOf({ sources, present, changes, late, landscape: { services, ingress }, sidecars }: Start): Plans {
  const lateServices = services.filter(service => late.includes(keyOf(service)))
  return { creates: sources.slice(present), changes, services: lateServices, ingress, sidecars }
}

function startObjects({
  landscape,
  ingress,
  late,
  ambient,
  injected: withSidecar,
  sidecars,
}: Start): core.KubernetesObject[] {
  const { services, waypoints } = landscape
  return [
    ...services.filter(service => !late.includes(keyOf(service))),
    ...waypoints,
    ...ingressObjects({ ...landscape, ingress }),
    ...namespaces.map(object => {
      const { name = '' } = object.metadata
      const inject = withSidecar.includes(name) ? { 'istio-injection': 'enabled' } : {}
      const mode = ambient.includes(name) ? { 'istio.io/dataplane-mode': 'ambient' } : {}
      return { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...inject, ...mode } } }
    }),
    ...pods.map(pod => {
      const { namespace = '' } = pod.metadata
      const isBare = sidecars.some(sidecar => sidecar.pod === keyOf(pod))
      if (withSidecar.includes(namespace) && !isBare) return injected(pod)
      return ambient.includes(namespace) ? captured(pod) : pod
    }),
  ]
}

type Choose = (options: number) => number

function chooseWrite(cluster: Cluster, plans: Plans, patient: boolean, choose: Choose): Write | undefined {
  const machines = [
    ...sourceIds(cluster).map(id => () => nextWrites(cluster, id)),
    () => istioWrites(cluster),
    () => collects(cluster),
  ]
  const people = peopleWrites(cluster, plans)
  if (!patient) return chooseAmong([...machines, ...people], choose)
  return chooseAmong(machines, choose) ?? chooseAmong(people, choose)
}

/** Starts at an arbitrary writer and goes round until one has something to write. */
function chooseAmong(writers: (() => Write[])[], choose: Choose): Write | undefined {
  const first = choose(writers.length)
  for (const writer of [...writers.slice(first), ...writers.slice(0, first)]) {
    const possible = writer()
    if (possible.length > 0) return possible[choose(possible.length)]
  }
  return undefined
}
