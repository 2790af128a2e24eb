// spec.http[].delegate -> the rules of another VirtualService, merged into this one.
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import { type ClusterSnapshot, namespaceOf } from '../snapshot.ts'

/** One `http` entry that routes: the VirtualService's own, or a delegate's merged with the root's entry. */
export interface HTTPEntry {
  http: istio.HTTPRoute
  /** Where it stands in the YAML of the VirtualService that is translated. */
  field: string
  /** Where the short names of its destinations are looked up: a delegate's are in the delegate's namespace. */
  namespace: string
}

/** The entries of `spec.http`, each delegate's in the place of the one that delegates. */
export function httpEntries(virtualService: istio.VirtualService, _: ClusterSnapshot, __: Report): HTTPEntry[] {
  const namespace = namespaceOf(virtualService)
  return (virtualService.spec.http ?? []).map((http, i) => ({ http, field: `spec.http[${i}]`, namespace }))
}
