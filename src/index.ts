// The library entry: the translation core and its types, nothing else.
export type * as admission from './apis/admission.ts'
export type * as core from './apis/core.ts'
export type * as gateway from './apis/gateway.ts'
export type * as istio from './apis/istio.ts'
export { catalogue, type DiagnosticCode, type Severity } from './translate/diagnostics.ts'
export {
  type Enforcement,
  type ExplainedStep,
  explainPolicy,
  type PolicyExplanation,
} from './translate/explain-policy/index.ts'
export { isExamined, isTranslated, translate } from './translate/index.ts'
export { profiles } from './translate/profiles.ts'
export type { Diagnostic } from './translate/report.ts'
export type * from './translate/settings.ts'
export { type ClusterSnapshot, snapshotOf, type Workload } from './translate/snapshot.ts'
export type { Translate, Translation } from './translate/translation.ts'
