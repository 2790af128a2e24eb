// What a reader of one namespace alone would miss, each in a sentence.
import type { KubernetesObject } from '../apis/core.ts'
import type * as gateway from '../apis/gateway.ts'
import { gatewayOf } from '../translate/mapped-gateway.ts'
import { byKey } from '../translate/snapshot.ts'
import type { Clusters, Judged } from './judge.ts'
import { isMeshWide } from './mesh-wide.ts'
import { namespaceIn } from './namespaces.ts'
import type { NamespaceReport } from './report.ts'

/** @param namespaces those that were asked for; undefined for all */
export function remarksOn(
  judged: Judged[],
  reports: NamespaceReport[],
  { now, settings }: Clusters,
  namespaces: readonly string[] | undefined,
): string[] {
  const denied = judged.filter(({ isDenied, input: { object } }) => isDenied && isMeshWide(object, settings))
  const codes = [...new Set(denied.flatMap(({ findings }) => findings.map(({ code }) => code)))].sort()
  const parents = new Set(judged.flatMap(({ planned }) => planned.flatMap(({ end }) => gatewaysAbove(end))))
  const isLeft = !namespaces && reports.every(({ dataplane }) => dataplane.then !== 'ambient')
  const missing = settings.gateways
    .filter(({ create }) => !create)
    .map(mapping => gatewayOf(mapping).key)
    .filter(key => !byKey(now.gateways, key) && parents.has(key))
  return [
    ...[...new Set(missing)].map(
      key =>
        `Gateway ${key}, which is to take the routes, is not in what was read; make it, or set create: true for it`,
    ),
    ...(denied.length > 0 && reports.length > 1
      ? [
          `what is denied in ${settings.rootNamespace} (${codes.join(', ')}) holds for every namespace, also for one that is ready`,
        ]
      : []),
    ...(isLeft && reports.length > 0
      ? [
          'by these settings no namespace becomes ambient, so nothing was asked of any; see namespaces in docs/settings.md',
        ]
      : []),
  ]
}

/** The Gateways on which a route hangs, `namespace/name`. */
function gatewaysAbove(object: KubernetesObject): string[] {
  const { parentRefs = [] } = (object as Partial<gateway.HTTPRoute>).spec ?? {}
  return parentRefs
    .filter(({ kind = 'Gateway' }) => kind === 'Gateway')
    .map(({ namespace = namespaceIn(object), name }) => `${namespace}/${name}`)
}
