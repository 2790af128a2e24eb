// What istiod says of an object in its status (research/policies.md 4). It is read by reason: True can be a failure.
import type { KubernetesObject } from '../../apis/core.ts'
import { isRecord } from '../fate.ts'

/** A verdict of istiod; undefined where it has said nothing. */
export type Verdict = { isGood: boolean; text: string } | undefined

/**
 * Whether a condition has the one good reason. Istio joins the verdicts on several targetRefs into one that is True as
 * soon as any is bound, with the reason PartiallyInvalid; and one about an older version says nothing of this one.
 */
export function verdictOf(object: KubernetesObject, type: string, good: string): Verdict {
  const { status } = object as { status?: unknown }
  const conditions = isRecord(status) && Array.isArray(status.conditions) ? status.conditions : []
  const condition = conditions.filter(isRecord).find(each => each.type === type)
  if (!condition) return undefined
  const { reason = '', message = '', observedGeneration } = condition
  const { generation } = object.metadata
  // A number that Istio's APIs write as text.
  if (generation !== undefined && observedGeneration !== undefined && Number(observedGeneration) < generation)
    return { isGood: false, text: `${type} is about an older version` }
  return {
    isGood: condition.status === 'True' && reason === good,
    text: `${type} is ${condition.status}, ${reason}${message ? `: ${message}` : ''}`,
  }
}
