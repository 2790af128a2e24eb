// The catalogue: every code that sidestep can say, with its severity and its sentence. docs/diagnostics has a page for each.
import { authorizationPolicyDiagnostics } from './authorization-policy/diagnostics.ts'
import { destinationRuleDiagnostics } from './destination-rule/diagnostics.ts'
import { envoyFilterDiagnostics } from './envoy-filter/diagnostics.ts'
import { gatewayDiagnostics } from './gateway/diagnostics.ts'
import { inferenceServiceDiagnostics } from './inference-service/diagnostics.ts'
import { knativeDiagnostics } from './knative/diagnostics.ts'
import { namespaceDiagnostics } from './namespace/diagnostics.ts'
import { networkPolicyDiagnostics } from './network-policy/diagnostics.ts'
import { peerAuthenticationDiagnostics } from './peer-authentication/diagnostics.ts'
import { proxyConfigDiagnostics } from './proxy-config/diagnostics.ts'
import { requestAuthenticationDiagnostics } from './request-authentication/diagnostics.ts'
import { serviceDiagnostics } from './service/diagnostics.ts'
import { serviceEntryDiagnostics } from './service-entry/diagnostics.ts'
import { sidecarDiagnostics } from './sidecar/diagnostics.ts'
import { statusDiagnostics } from './status/diagnostics.ts'
import { telemetryDiagnostics } from './telemetry/diagnostics.ts'
import { virtualServiceDiagnostics } from './virtual-service/diagnostics.ts'
import { wasmPluginDiagnostics } from './wasm-plugin/diagnostics.ts'
import { workloadDiagnostics } from './workload/diagnostics.ts'
import { workloadEntryDiagnostics } from './workload-entry/diagnostics.ts'

/** `denial` refuses the object, `warning` tells the person who writes it, `note` is for reports. */
export type Severity = 'denial' | 'warning' | 'note'

export interface CatalogueEntry {
  severity: Severity
  /**
   * The object is left as it is when the code fires. A denial always implies it: whoever lowers the severity of a
   * denial gets the object stored untouched, never half translated.
   */
  untranslated?: true
  /** The release that published the code. */
  since: string
  /** What, its consequence, and the way out, in one sentence. `{names}` are filled in where it is reported. */
  message: string
}

export const catalogue = {
  ...virtualServiceDiagnostics,
  ...authorizationPolicyDiagnostics,
  ...requestAuthenticationDiagnostics,
  ...peerAuthenticationDiagnostics,
  ...namespaceDiagnostics,
  ...serviceDiagnostics,
  ...gatewayDiagnostics,
  ...destinationRuleDiagnostics,
  ...envoyFilterDiagnostics,
  ...proxyConfigDiagnostics,
  ...serviceEntryDiagnostics,
  ...sidecarDiagnostics,
  ...telemetryDiagnostics,
  ...wasmPluginDiagnostics,
  ...workloadEntryDiagnostics,
  ...workloadDiagnostics,
  ...networkPolicyDiagnostics,
  ...inferenceServiceDiagnostics,
  ...knativeDiagnostics,
  ...statusDiagnostics,
} as const satisfies Record<string, CatalogueEntry>

export type DiagnosticCode = keyof typeof catalogue

/** The `{names}` of a message, so that the compiler asks for each of them where the code is reported. */
type Names<Message extends string> = Message extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never

/** What `report` wants after code and field: nothing, or a value for each `{name}` of the code's message. */
export type Parameters = {
  [C in DiagnosticCode]: [Names<(typeof catalogue)[C]['message']>] extends [never]
    ? []
    : [parameters: Record<Names<(typeof catalogue)[C]['message']>, string>]
}

/** The codes whose sentence needs nothing filled in: a fate can only be one of these. */
export type PlainCode = { [C in DiagnosticCode]: Parameters[C] extends [] ? C : never }[DiagnosticCode]

/** The sentence of a code with its `{names}` filled in; by default each as `<name>`, for who speaks of the code in general. */
export function sentenceOf(code: DiagnosticCode, valueFor = (name: string) => `<${name}>`): string {
  return catalogue[code].message.replace(/\{(\w+)\}/g, (_, name: string) => valueFor(name))
}
