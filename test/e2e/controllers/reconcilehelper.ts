// How the notebook-controller and the tensorboard-controller compare. Keeps the behaviour of kubeflow/notebooks,
// components/notebook-controller/reconcilehelper/util.go (CopyStatefulSetFields, CopyServiceFields, CopyVirtualService), and
// kubeflow/kubeflow, components/common/reconcilehelper/util.go, which is the same.
import { isDeepStrictEqual } from 'node:util'
import { comparingSpec, type Desired, type Replacement, withMetadata } from './keep.ts'

/** Labels and annotations that it did not set are wiped; of the spec, only selector and ports are its own. */
export const serviceReplacement: Replacement = (stored, desired) => {
  const { selector, ports } = desired.spec
  const isSame =
    !hasForeignMetadata(stored, desired) &&
    isDeepStrictEqual(stored.spec.selector, selector) &&
    isDeepStrictEqual(stored.spec.ports, ports)
  return isSame ? undefined : { ...withMetadata(stored, desired), spec: { ...stored.spec, selector, ports } }
}

/** The same, with the pod spec as a whole: stored, it has all defaults, so that it never equals what the Notebook says. */
export const statefulSetReplacement: Replacement = (stored, desired) => {
  const { replicas, template } = desired.spec
  const isSame =
    !hasForeignMetadata(stored, desired) &&
    stored.spec.replicas === replicas &&
    isDeepStrictEqual(stored.spec.template.spec, template.spec)
  if (isSame) return undefined
  const spec = { ...stored.spec, replicas, template: { ...stored.spec.template, spec: template.spec } }
  return { ...withMetadata(stored, desired), spec }
}

/** The whole spec, and nothing else. */
export const virtualServiceReplacement: Replacement = comparingSpec

/** Whether a label or annotation is there that is not wanted so. One that is missing goes unnoticed. */
export function hasForeignMetadata({ metadata: stored }: Desired, { metadata: desired }: Desired): boolean {
  return (['labels', 'annotations'] as const).some(field =>
    Object.entries(stored[field] ?? {}).some(([key, value]) => desired[field]?.[key] !== value),
  )
}
