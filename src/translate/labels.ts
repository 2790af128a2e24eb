// Label selectors, as Kubernetes and Istio read them.
import type { LabelSelector } from '../apis/core.ts'

/** Whether labels satisfy a selector. An empty selector is satisfied by everything. */
export function isSelected(labels: Record<string, string>, selector: Record<string, string>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
}

/** `app=web,tier=front` */
export function labelsText(labels: Record<string, unknown> = {}): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/** Whether labels satisfy a selector with requirements. An absent one selects nothing (`LabelSelectorAsSelector`). */
export function isMatched(labels: Record<string, string>, selector: LabelSelector | undefined): boolean {
  if (!selector) return false
  const { matchLabels = {}, matchExpressions = [] } = selector
  return isSelected(labels, matchLabels) && matchExpressions.every(requirement => holds(requirement, labels))
}

function holds(
  { key, operator, values = [] }: { key: string; operator: string; values?: string[] },
  labels: Record<string, string>,
): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  if (operator === 'Exists') return value !== undefined
  if (operator === 'DoesNotExist') return value === undefined
  const isNamed = value !== undefined && values.includes(value)
  return operator === 'In' ? isNamed : operator === 'NotIn' && !isNamed
}
