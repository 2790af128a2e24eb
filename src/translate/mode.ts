// Whether an object is rewritten at all: the settings say, and a Namespace's own label overrides them.
import type { KubernetesObject } from '../apis/core.ts'
import type { Settings } from './settings.ts'
import { type ClusterSnapshot, namespaceOf } from './snapshot.ts'

export const modeLabel = 'sidestep.dev/mode'

/** `off`: not looked at. `observe`: warned about, neither rewritten nor refused. `enforce`: rewritten and refused. */
export type Mode = 'off' | 'observe' | 'enforce'

/** The mode for an object: its Namespace's label, or its own when it is the Namespace, before the settings. */
export function modeFor(object: KubernetesObject, cluster: ClusterSnapshot, settings: Pick<Settings, 'mode'>): Mode {
  const namespace = object.kind === 'Namespace' ? object : cluster.namespaces.get(namespaceOf(object))
  const label = namespace?.metadata.labels?.[modeLabel]
  return label === 'off' || label === 'observe' || label === 'enforce' ? label : settings.mode
}
