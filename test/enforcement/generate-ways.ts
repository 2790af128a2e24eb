// Arbitrary ways to the end state: where a live cluster starts, what people do meanwhile, and who is first.
import fc from 'fast-check'
import type * as istio from '../../src/apis/istio.ts'
import { applicationPolicy, type Case, cases, type Draft, onlyLeftOut, policyOf } from './generate.ts'
import { type Ingress, pods } from './landscape.ts'
import { idOf } from './live-cluster.ts'
import type { Change, Sidecar } from './people.ts'
import { keyOf } from './world.ts'

export interface Way {
  given: Case
  present: number
  ambient: string[]
  injected: string[]
  ingress: Ingress
  late: string[]
  changes: Change[]
  sidecars: Sidecar[]
  patient: boolean
  /** What happens when several things can. */
  choices: number[]
}

interface DraftedChange {
  policy: number
  form: Change['form']
  draft: Draft | undefined
}

const namespaces = ['team-a', 'team-b', 'kubeflow']

const draftedChange: fc.Arbitrary<DraftedChange> = fc.record({
  policy: fc.nat({ max: 20 }),
  form: fc.constantFrom('replace', 'apply'),
  draft: fc.oneof({ arbitrary: fc.constant(undefined), weight: 1 }, { arbitrary: applicationPolicy, weight: 2 }),
})

/** The same pod twice loses it in between. */
const sidecar: fc.Arbitrary<Sidecar> = fc.record({
  pod: fc.constantFrom(...pods.filter(({ metadata }) => namespaces.includes(metadata.namespace ?? '')).map(keyOf)),
  by: fc.constantFrom('template', 'template', 'label', 'unjudged label'),
})

/** Mostly nothing of a kind happens, so that what happens can be told. */
function seldom<T>(items: fc.Arbitrary<T[]>): fc.Arbitrary<T[]> {
  return fc.oneof({ arbitrary: fc.constant<T[]>([]), weight: 2 }, { arbitrary: items, weight: 1 })
}

export const ways: fc.Arbitrary<Way> = fc
  .record({
    given: cases,
    present: fc.nat({ max: 8 }),
    ambient: fc.subarray(namespaces),
    injected: seldom(fc.subarray(namespaces, { minLength: 1 })),
    ingress: fc.nat({ max: 2 }),
    late: seldom(fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 2 })),
    changes: seldom(fc.array(draftedChange, { minLength: 1, maxLength: 2 })),
    sidecars: seldom(fc.array(sidecar, { minLength: 1, maxLength: 2 })),
    patient: fc.boolean(),
    choices: fc.array(fc.nat({ max: 1_000_000 }), { maxLength: 120, size: 'max' }),
  })
  .map(({ given, ingress, late, changes, ...rest }) => ({
    ...rest,
    given,
    ingress: startsOf[given.landscape.ingress][ingress] ?? 'old',
    late: late.flatMap(index => given.landscape.services.slice(index, index + 1).map(keyOf)),
    changes: changes.map(change => changeOf(given, change)),
  }))
  .map(way => ({ ...way, ...onlyLeftOut({ injected: [], late: [], changes: [], ambient: [], sidecars: [] }) }))
  .filter(way => process.env.SIDESTEP_FOCUS !== 'refusals' || createsRefusals(way))

/** SIDESTEP_FOCUS=refusals: on the way, what refuses by HTTP attributes is created where something admits by them. */
function createsRefusals({ present, given: { policies } }: Way): boolean {
  const isByHTTP = ({ spec: { rules = [] } }: istio.AuthorizationPolicy) =>
    rules.some(({ to = [] }) => to.some(({ operation: { paths, methods, hosts } = {} }) => paths || methods || hosts))
  const isRefusing = ({ spec: { action } }: istio.AuthorizationPolicy) => action === 'DENY' || action === 'CUSTOM'
  const isAdmitting = ({ spec: { action = 'ALLOW' } }: istio.AuthorizationPolicy) => action === 'ALLOW'
  const reaches = (one: istio.AuthorizationPolicy, other: istio.AuthorizationPolicy) =>
    [other.metadata.namespace, 'istio-system'].includes(one.metadata.namespace)
  const byHTTP = policies.filter(isByHTTP)
  const admitting = byHTTP.filter(isAdmitting)
  return present <= 1 && byHTTP.filter(isRefusing).some(one => admitting.some(other => reaches(one, other)))
}

const startsOf: Record<Ingress, Ingress[]> = { old: ['old'], both: ['old', 'both'], new: ['old', 'both', 'new'] }

/** A policy keeps its name and namespace whatever else changes. */
function changeOf({ policies }: Case, { policy: index, form, draft }: DraftedChange): Change {
  const policy = policies[index % policies.length]
  if (!policy) throw new Error('a set without policies')
  const { namespace = '', name = '' } = policy.metadata
  const selector = policy.spec.selector?.matchLabels
  const place = { namespace, ...(selector ? { selector } : {}) }
  const id = { policy: idOf(policy), form }
  if (!draft) return id
  return {
    ...id,
    source: policyOf({ ...draft, place: draft.place.namespace === namespace ? draft.place : place }, name),
  }
}
