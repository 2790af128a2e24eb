// Where a policy stands for waypoints: its targetRefs, in sets that the CRD can hold, with the rules as they read there.
import type * as core from '../../apis/core.ts'
import type * as istio from '../../apis/istio.ts'
import { canonicalJson, isEqual } from '../canonical.ts'
import { waypointClass } from '../waypoint.ts'
import { gatewayClassRef, gatewayRef, type Place, serviceRef } from './targets.ts'

/** One policy's worth of targets. */
export interface Attachment {
  namespace: string
  /** The end of the name that a companion with these targets has. */
  suffix: string
  targetRefs: istio.PolicyTargetReference[]
  rules: istio.Rule[]
}

/** How rules read at a Service: the same everywhere, but for those by port. */
export interface Reading {
  rules: istio.Rule[]
  /** An ALLOW without rules admits nobody, while any other policy without rules says nothing. */
  isAllow: boolean
  isByPort(rule: istio.Rule): boolean
  atService(rules: istio.Rule[], service: core.Service): istio.Rule[]
}

/** So many targetRefs the CRD takes. */
const limit = 16

/**
 * The attachments for these places: for each the waypoint itself or the first 16 Services, then one for every Service that
 * is over the limit or reads rules by port otherwise than the rest. One Service each keeps names and contents stable: what
 * one Service does never moves another from policy to policy.
 */
export function attachmentsIn(places: Place[], reading: Reading): Attachment[] {
  return places.flatMap(({ namespace, whole, services }) => {
    const refs = whole ? [gatewayRef(whole.name)] : services.slice(0, limit).map(serviceRef)
    return attach({ namespace, suffix: 'waypoint', refs, services, isWhole: whole !== undefined }, reading)
  })
}

/** The attachments of a policy for the whole mesh: waypoints read it through their GatewayClass. */
export function attachmentsInMesh(rootNamespace: string, places: Place[], reading: Reading): Attachment[] {
  const services = places.flatMap(place => place.services)
  const refs = [gatewayClassRef(waypointClass)]
  return attach({ namespace: rootNamespace, suffix: waypointClass, refs, services, isWhole: true }, reading)
}

/**
 * The attachments that stand beside a policy, which is the first of them itself once it has moved. That one names as many
 * Services as it can; whom a new one pushes out of it has to stand by itself before.
 */
export function besideOf([base, ...others]: Attachment[], isMoved: boolean): Attachment[] {
  return isMoved || !base ? others : [...others, base]
}

interface Group {
  namespace: string
  suffix: string
  refs: istio.PolicyTargetReference[]
  services: core.Service[]
  /** Whether `refs` stand for every Service, so that none is over the limit. */
  isWhole: boolean
}

function attach({ namespace, suffix, refs, services, isWhole }: Group, reading: Reading): Attachment[] {
  if (refs.length === 0) return []
  const { rules, isAllow, isByPort, atService } = reading
  const readings = rules.some(isByPort) ? services.map(service => atService(rules, service)) : []
  // Without a Service nobody knows what a port means there: an ALLOW admits nobody by it.
  const unread = isAllow ? rules.filter(rule => !isByPort(rule)) : rules
  const [first = unread] = readings
  // A Service that comes later would take over from a whole waypoint what an ALLOW admits at the ports of the others.
  const isUniform = readings.every(each => isEqual(each, first)) && !(isWhole && isAllow && readings.length > 0)
  const common = isUniform ? first : rules.filter(rule => !isByPort(rule))
  const base = isAllow || common.length > 0 ? [{ namespace, suffix, targetRefs: refs, rules: common }] : []
  const own = services.flatMap((service, i) => {
    const isOver = !isWhole && i >= limit
    const its = isOver ? (readings[i] ?? rules) : isUniform ? [] : atService(rules.filter(isByPort), service)
    if (its.length === 0 && !(isOver && isAllow)) return []
    const { name = '', namespace: home = namespace } = service.metadata
    return [{ namespace: home, suffix: `service-${name}`, targetRefs: [serviceRef(service)], rules: its }]
  })
  return [...base, ...own]
}

/**
 * The rules as they read at targets that a policy already has, while it waits for those it is meant to have. At one that
 * is not among these an ALLOW would admit callers whom its author lets in elsewhere, so it admits nobody. Where Services
 * read the rules differently, an ALLOW admits only what it admits at each, and any other action takes in all.
 */
export function rulesAt(
  refs: istio.PolicyTargetReference[],
  { places, attachments }: { places: Place[]; attachments: Attachment[] },
  reading: Reading,
): istio.Rule[] {
  const { rules, isAllow, isByPort, atService } = reading
  const meant = attachments.flatMap(({ targetRefs }) => targetRefs)
  if (isAllow && !refs.every(ref => meant.some(each => isEqual(each, ref)))) return []
  const all = places.flatMap(({ services }) => services)
  const names = refs.filter(({ kind }) => kind === 'Service').map(({ name }) => name)
  const services = names.length > 0 ? all.filter(({ metadata }) => names.includes(metadata.name)) : all
  if (!rules.some(isByPort) || services.length === 0) return isAllow ? rules.filter(rule => !isByPort(rule)) : rules
  const readings = services.map(service => atService(rules, service))
  const [first = [], ...others] = readings
  if (isAllow) return first.filter(rule => others.every(other => other.some(each => isEqual(each, rule))))
  const distinct = new Map(readings.flat().map(rule => [canonicalJson(rule), rule]))
  return [...distinct.values()]
}
