// spec.http[].delegate -> the rules of another VirtualService, merged into this one.
import type * as istio from '../../apis/istio.ts'

/** One `http` entry that routes: the VirtualService's own, or a delegate's merged with the root's entry. */
export interface HTTPEntry {
  http: istio.HTTPRoute
  /** Where it stands in the YAML of the VirtualService that is translated. */
  field: string
  /** Where the short names of its destinations are looked up: a delegate's are in the delegate's namespace. */
  namespace: string
}
