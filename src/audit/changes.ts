// A change as a person reads it: YAML before and after, without what the API server and controllers write.
import { stringify } from 'yaml'
import type { KubernetesObject } from '../apis/core.ts'
import { nameOf } from '../translate/companion.ts'
import type { Planned } from './judge.ts'
import type { Change } from './report.ts'

/** The texts are made when they are asked for: of a large cluster they are more than everything else together. */
export function changeOf({ role, end, stored }: Planned): Change {
  const { apiVersion, kind, metadata } = end
  const change: Change = {
    ...{ role, apiVersion, kind, namespace: metadata.namespace ?? '', name: nameOf(end) },
    get after() {
      return yamlOf(end)
    },
  }
  return stored ? Object.defineProperty(change, 'before', { enumerable: true, get: () => yamlOf(stored) }) : change
}

// Equal parts are written out, nothing is folded, lists are as kubectl indents them, and `on` is quoted for YAML 1.1.
const options = { aliasDuplicateObjects: false, lineWidth: 0, indentSeq: false, compat: 'yaml-1.1' } as const

function yamlOf(object: KubernetesObject): string {
  const { apiVersion, kind, metadata, status: _, ...rest } = object as KubernetesObject & { status?: unknown }
  const { managedFields: __, ...kept } = metadata
  return stringify({ apiVersion, kind, metadata: kept, ...rest }, options)
}
