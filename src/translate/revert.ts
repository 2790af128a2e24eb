// Taking sidestep back: what is written, in which order, so that sidecars enforce a policy before the waypoint and its
// guards let go of it (docs/revert.md says why each step is where it is). Everything is read from what is stored, so that
// a revert that was interrupted goes on where it stopped.
import type { KubernetesObject } from '../apis/core.ts'
import type * as istio from '../apis/istio.ts'
import { forSidecarsToo } from './authorization-policy/guard.ts'
import { isEqual } from './canonical.ts'
import { isCompanion, sourceAnnotation, sourceKey } from './companion.ts'
import { originalAnnotation, restoreOriginal, withField } from './original.ts'
import { twin } from './policy/companions.ts'
import type { Policy } from './policy/targets.ts'
import { keyOf, Surroundings } from './revert-surroundings.ts'
import { namespaceOf } from './snapshot.ts'
import { ingressUseWaypointLabel, useWaypointLabel, useWaypointNamespaceLabel } from './waypoint.ts'

export interface RevertScope {
  rootNamespace: string
  /** The namespaces whose objects are reverted; all when absent. */
  namespaces?: readonly string[]
  /** Whether sidestep goes on for the others: what it keeps here for sources elsewhere stays, or it would make it again. */
  isPartial?: boolean
}

export interface RevertStep {
  what: string
  why: string
  writes: RevertWrite[]
}

/**
 * `restore`: the object as `object` has it. `apply`: a companion for the way. `release`: the labels that only sidestep has
 * applied to it go. `delete`: a companion goes.
 */
export interface RevertWrite {
  verb: 'restore' | 'apply' | 'release' | 'delete'
  /** As it is to be; for `delete`, as it is. */
  object: KubernetesObject
  /** As it is. */
  stored?: KubernetesObject
  /** What a person has to do before; undefined when the write may be done now, after those of the steps before it. */
  waitsFor: string | undefined
}

/** The object as its author wrote it. One without our record is the author's already. */
export function reverted<K extends KubernetesObject>(object: K): K {
  return object.metadata.annotations?.[originalAnnotation] === undefined ? object : restoreOriginal(object)
}

/** The writes that come next: those of the first step that has any which wait for nobody. */
export function nextWrites(steps: readonly RevertStep[]): RevertWrite[] {
  return steps.map(({ writes }) => writes.filter(({ waitsFor }) => !waitsFor)).find(ready => ready.length > 0) ?? []
}

/** The whole way from here, without what is done already. */
export function revertPlan(objects: Iterable<KubernetesObject>, scope: RevertScope): RevertStep[] {
  const plan = new RevertPlan(
    [...objects].filter(({ metadata }) => !metadata.deletionTimestamp),
    scope,
  )
  return plan.steps().filter(({ writes }) => writes.length > 0)
}

const injectionLabels = ['istio-injection', 'istio.io/rev']
const enrolmentLabels = [useWaypointLabel, useWaypointNamespaceLabel, ingressUseWaypointLabel]

interface Source<K extends KubernetesObject = KubernetesObject> {
  stored: K
  original: K
}

class RevertPlan {
  readonly #scope: RevertScope
  readonly #surroundings: Surroundings
  readonly #sources: Source[]
  readonly #companions: KubernetesObject[]
  readonly #services: KubernetesObject[]
  /** The policies that stand on an ingress Gateway because sidestep put them there. */
  readonly #onIngress: Source<Policy>[]
  /** The AuthorizationPolicies, RequestAuthentications and PeerAuthentications that stand elsewhere. */
  readonly #policies: Source<Policy>[]

  constructor(objects: KubernetesObject[], scope: RevertScope) {
    this.#scope = scope
    this.#surroundings = new Surroundings(objects)
    this.#companions = objects
      .filter(isCompanion)
      .filter(each => (!scope.isPartial && this.#isMeant(namespaceOf(each))) || this.#isMeant(namespaceOfSource(each)))
    this.#sources = objects
      .filter(object => !isCompanion(object) && object.metadata.annotations?.[originalAnnotation] !== undefined)
      .filter(object => this.#isMeant(homeOf(object)))
      .map(stored => ({ stored, original: restoreOriginal(stored) }))
    this.#services = objects.filter(
      object => object.kind === 'Service' && this.#isMeant(namespaceOf(object)) && appliedLabels(object).length > 0,
    )
    const policies = this.#sources.filter(({ stored }) => isPolicy(stored)) as Source<Policy>[]
    this.#onIngress = policies.filter(source => isMoved(source) && this.#surroundings.ingressOf(source.stored))
    this.#policies = policies.filter(source => !this.#onIngress.includes(source))
  }

  steps(): RevertStep[] {
    return [
      this.#twins(),
      this.#ingressPolicies(),
      this.#virtualServices(),
      this.#guards(),
      this.#injection(),
      this.#ingress(),
      this.#enrolment(),
      this.#restoredPolicies(),
      this.#policyCompanions(),
      this.#namespaces(),
      this.#others(),
    ]
  }

  // The ingress --------------------------------------------------------------------------------------------------------

  #twins(): RevertStep {
    const wanted = this.#onIngress.map(twinFor).filter(each => !isEqual(this.#surroundings.find(each), each.spec))
    return {
      what: 'the policies of the ingress get a twin on its Gateway',
      why: 'so that the Gateway goes on asking them when they are back on the pods of the old one',
      writes: wanted.map(object => ({ verb: 'apply', object, waitsFor: this.#placeTaken(object) })),
    }
  }

  #ingressPolicies(): RevertStep {
    return {
      what: 'the policies of the ingress go back to their selectors',
      why: 'so that the old gateway asks them from its first request on',
      writes: this.#onIngress.map(source => restore(source, this.#placeTaken(twinFor(source)))),
    }
  }

  #virtualServices(): RevertStep {
    const parked = this.#sources.filter(({ stored }) => stored.kind === 'VirtualService')
    return {
      what: 'istiod reads the VirtualServices again',
      why: 'before their routes go: the old gateway answers by them, the new one by the routes, both the same',
      writes: parked.map(source => restore(source, undefined)),
    }
  }

  #ingress(): RevertStep {
    const ofIngress = this.#companions.filter(each => this.#surroundings.gatewaysOf(each).length > 0)
    const gone = (each: KubernetesObject) =>
      this.#surroundings
        .gatewaysOf(each)
        .map(gateway => this.#surroundings.missingAt(gateway, isPolicy(each)))
        .find(missing => missing !== undefined)
    return {
      what: 'the routes, Gateways and twins of the ingress go',
      why: 'when a person has taken its Gateway away, since nobody else knows that no client uses it any more',
      writes: ofIngress.map(object => ({ verb: 'delete', object, waitsFor: gone(object) })),
    }
  }

  // The applications ---------------------------------------------------------------------------------------------------

  /** One that was made while sidecars ran is nothing to them; that is well as long as its policy is on its selector. */
  #guards(): RevertStep {
    const away = new Set(this.#policies.filter(isMoved).map(({ stored }) => sourceKey(stored)))
    const guards = this.#companions
      .filter(isPolicy)
      .filter(({ metadata }) => away.has(metadata.annotations?.[sourceAnnotation] ?? '')) as Policy[]
    const wanted = guards.map(each => {
      const { rules } = (each as istio.AuthorizationPolicy).spec ?? {}
      return rules ? withField(each, ['spec', 'rules'], rules.map(forSidecarsToo)) : each
    })
    return {
      what: 'guards hold at sidecars too',
      why: 'while their policies are at the waypoint, for pods that come back with one',
      writes: wanted
        .filter((each, i) => !isEqual(each, guards[i]))
        .map(each => ({ verb: 'apply', object: applicable(each), waitsFor: undefined })),
    }
  }

  #injection(): RevertStep {
    const writes = this.#namespaceSources().map(source => withOriginal(source, injectionLabels))
    return {
      what: 'Namespaces let sidecars be injected again',
      why: 'and stay ambient: a pod that is not restarted yet keeps ztunnel, one that is gets a sidecar, which wins',
      writes: writes.filter(isChange).map(source => restore(source, undefined)),
    }
  }

  #enrolment(): RevertStep {
    const namespaces = this.#namespaceSources().map(source => withOriginal(source, enrolmentLabels))
    return {
      what: 'waypoints serve Namespaces and Services no more',
      why: 'before the policies leave the waypoint; the guards still stand, and refuse whoever it would have',
      writes: [
        ...namespaces
          .filter(isChange)
          .map(source => restore(source, this.#missingIn(source.stored.metadata.name ?? ''))),
        ...this.#services.map(
          (object): RevertWrite => ({
            verb: 'release',
            object: withoutLabels(object),
            stored: object,
            waitsFor: this.#missingIn(namespaceOf(object)),
          }),
        ),
      ],
    }
  }

  #restoredPolicies(): RevertStep {
    const inOrder = this.#policies.toSorted((a, b) => rankOf(a.stored) - rankOf(b.stored))
    return {
      what: 'policies go back to their selectors, as they were written',
      why: 'while their guards stand: tokens first, then what refuses, then what admits',
      writes: inOrder.map(source => restore(source, this.#missingIn(namespaceOf(source.stored)))),
    }
  }

  #policyCompanions(): RevertStep {
    const policies = this.#companions.filter(
      each => isPolicy(each) && this.#surroundings.gatewaysOf(each).length === 0,
    ) as Policy[]
    const reach = (each: Policy) =>
      each.spec?.targetRefs?.some(({ kind }) => kind === 'GatewayClass') ? this.#scope.rootNamespace : namespaceOf(each)
    return {
      what: 'guards and twins go',
      why: 'when sidecars enforce every policy as it was written',
      writes: policies.map(object => ({ verb: 'delete', object, waitsFor: this.#missingIn(reach(object)) })),
    }
  }

  #namespaces(): RevertStep {
    return {
      what: 'Namespaces are as they were, and leave ambient',
      why: 'last of all: a pod that ztunnel lets go before it has a sidecar is open to everybody',
      writes: this.#namespaceSources().map(source =>
        restore(source, this.#missingIn(source.stored.metadata.name ?? '')),
      ),
    }
  }

  #others(): RevertStep {
    const others = this.#companions
      .filter(each => !isPolicy(each) && this.#surroundings.gatewaysOf(each).length === 0)
      .toSorted((a, b) => Number(a.kind === 'Service') - Number(b.kind === 'Service'))
    return {
      what: 'waypoints, routes to Services, and what routes lead to go',
      why: 'when nothing goes through a waypoint any more',
      writes: others.map(object => ({
        verb: 'delete',
        object,
        waitsFor: this.#missingIn(namespaceOf(object)) ?? this.#missingAmongUsers(object),
      })),
    }
  }

  // What is missing ----------------------------------------------------------------------------------------------------

  /** What has to happen before sidecars alone enforce the policies of a Namespace; those of the root one hold in all. */
  #missingIn(namespace: string): string | undefined {
    if (namespace !== this.#scope.rootNamespace) return this.#missingForItself(namespace)
    const others = this.#surroundings.namespaces.filter(name => name !== namespace)
    return (
      [namespace, ...others].map(name => this.#missingForItself(name)).find(missing => missing !== undefined) ??
      this.#enrolledOutside()
    )
  }

  #missingForItself(namespace: string): string | undefined {
    const renamed = this.#policies.filter(({ stored }) => namespaceOf(stored) === namespace)
    return this.#surroundings.restartIn(namespace) ?? this.#surroundings.missingFor(renamed)
  }

  /** A Namespace that is left as it is: where a waypoint serves it, policies of the mesh are asked there. */
  #enrolledOutside(): string | undefined {
    const left = this.#surroundings.all.find(
      object => ['Namespace', 'Service'].includes(object.kind) && !this.#isMeant(homeOf(object)) && isServed(object),
    )
    return left && unnamed(homeOf(left))
  }

  /** What those wait for that this waypoint still serves. */
  #missingAmongUsers(companion: KubernetesObject): string | undefined {
    if (companion.kind !== 'Gateway') return undefined
    const homes = this.#surroundings.usersOf(companion).filter(isServed).map(homeOf)
    return homes
      .map(home => (this.#isMeant(home) ? this.#missingIn(home) : unnamed(home)))
      .find(missing => missing !== undefined)
  }

  /** Somebody else's object stands where the twin has to. */
  #placeTaken(wanted: KubernetesObject): string | undefined {
    const there = this.#surroundings.object(wanted)
    if (!there || isCompanion(there)) return undefined
    return `${there.kind} ${keyOf(there)}, which stands in the place of a twin: rename it`
  }

  #namespaceSources(): Source[] {
    return this.#sources.filter(({ stored }) => stored.kind === 'Namespace')
  }

  #isMeant(namespace: string): boolean {
    return this.#scope.namespaces?.includes(namespace) ?? true
  }
}

// Sources ----------------------------------------------------------------------------------------------------------

function sourceOf(stored: KubernetesObject): Source {
  return { stored, original: reverted(stored) }
}

function restore({ stored, original }: Source, waitsFor: string | undefined): RevertWrite {
  return { verb: 'restore', object: original, stored, waitsFor }
}

/** The source with only these labels as they were; the record of the others stays. */
function withOriginal({ stored, original }: Source, labels: string[]): Source {
  const partly = labels.reduce(
    (object, label) => withField(object, ['metadata', 'labels', label], original.metadata.labels?.[label]),
    stored,
  )
  return { stored, original: partly }
}

function isChange({ stored, original }: Source): boolean {
  return !isEqual(stored, original)
}

/** Whether sidestep has put a policy on targets that its author did not write. */
function isMoved({ stored, original }: Source<Policy>): boolean {
  const refs = stored.spec?.targetRefs ?? []
  return refs.length > 0 && !isEqual(refs, original.spec?.targetRefs)
}

function twinFor({ stored }: Source<Policy>): Policy {
  return twin(stored, 'gateway', stored.spec.targetRefs ?? [])
}

/** Without what only the API server writes, which server-side apply does not take. */
function applicable({ metadata, ...rest }: Policy): Policy {
  const { name, namespace, labels, annotations, ownerReferences } = metadata
  const kept = { name, namespace, labels, annotations, ownerReferences }
  const set = Object.entries(kept).filter(([, value]) => value !== undefined)
  return { ...rest, metadata: Object.fromEntries(set) } as Policy
}

function isPolicy({ kind, apiVersion }: KubernetesObject): boolean {
  const kinds = ['AuthorizationPolicy', 'RequestAuthentication', 'PeerAuthentication']
  return apiVersion.startsWith('security.istio.io/') && kinds.includes(kind)
}

function rankOf(policy: KubernetesObject): number {
  if (policy.kind === 'RequestAuthentication') return 0
  const { action } = (policy as istio.AuthorizationPolicy).spec ?? {}
  return action === 'DENY' || action === 'CUSTOM' ? 1 : 2
}

/** The Namespace that an object is in, or is. */
function homeOf(object: KubernetesObject): string {
  return object.kind === 'Namespace' ? (object.metadata.name ?? '') : namespaceOf(object)
}

function unnamed(namespace: string): string {
  return `Namespace ${namespace}, which is not named with --namespace: revert it as well`
}

export function namespaceOfSource(companion: KubernetesObject): string {
  return companion.metadata.annotations?.[sourceAnnotation]?.split('/')[1] ?? ''
}

// Services ---------------------------------------------------------------------------------------------------------

/** The waypoint labels that sidestep has applied: a Service carries no record, but its managedFields say so. */
function appliedLabels({ metadata }: KubernetesObject): string[] {
  const applied = (metadata.managedFields ?? []).filter(
    ({ manager, operation }) => manager === 'sidestep' && operation === 'Apply',
  )
  return enrolmentLabels.filter(label =>
    applied.some(({ fieldsV1 = {} }) => {
      const fields = fieldsV1 as { 'f:metadata'?: { 'f:labels'?: Record<string, unknown> } }
      return fields['f:metadata']?.['f:labels']?.[`f:${label}`] !== undefined
    }),
  )
}

function withoutLabels(service: KubernetesObject): KubernetesObject {
  return appliedLabels(service).reduce(
    (object, label) => withField(object, ['metadata', 'labels', label], undefined),
    service,
  )
}

/** Whether a waypoint serves it by a label of sidestep's. */
function isServed(object: KubernetesObject): boolean {
  return appliedLabels(object).length > 0 || isChange(withOriginal(sourceOf(object), enrolmentLabels))
}
