// One admission: what /mutate and /validate answer about one object. Pure; server.ts decodes, logs and counts.
import jsonPatch, { type Operation } from 'fast-json-patch'
import type { AdmissionRequest, AdmissionResponse } from '../apis/admission.ts'
import type { KubernetesObject } from '../apis/core.ts'
import { isEqual, isTooDeep } from '../translate/canonical.ts'
import { translate as translateObject } from '../translate/index.ts'
import { type Mode, modeFor } from '../translate/mode.ts'
import { originalAnnotation } from '../translate/original.ts'
import type { Diagnostic } from '../translate/report.ts'
import type { Settings } from '../translate/settings.ts'
import type { ClusterSnapshot } from '../translate/snapshot.ts'
import type { Translate, Translation } from '../translate/translation.ts'
import { toLine, toStatus, toWarnings } from './messages.ts'

export type Webhook = 'mutate' | 'validate'

/**
 * What became of the object. `skipped`: not looked at. `admitted`: nothing to do. `would-patch` and `would-deny` are what `enforce` would have done; `tolerated` has reasons
 * for a denial that an update does not add.
 */
export type Outcome = 'skipped' | 'admitted' | 'patched' | 'would-patch' | 'denied' | 'would-deny' | 'tolerated'

/** A response with what the log line and the metrics say about it. */
export interface Decision {
  response: AdmissionResponse
  mode: Mode
  outcome: Outcome
  /** The codes of all findings, sorted, each once. */
  codes: string[]
  /** The codes of the reasons for a denial, which are some of `codes`. */
  deniedFor: string[]
  /** How many operations the patch has. */
  patchOperations: number
}

/** The answer of one webhook to one request; `decide` without what is only for logs and metrics. */
export function respond(
  request: AdmissionRequest,
  cluster: ClusterSnapshot,
  settings: Settings,
  webhook: Webhook,
  translate: Translate<KubernetesObject> = translateObject,
): AdmissionResponse {
  return decide(request, cluster, settings, webhook, translate).response
}

/**
 * Decides one request. /mutate rewrites and never refuses; /validate refuses and never patches. Both warn, since either
 * may be away, and the API server prints equal warnings once.
 */
export function decide(
  request: AdmissionRequest,
  cluster: ClusterSnapshot,
  settings: Settings,
  webhook: Webhook,
  translate: Translate<KubernetesObject> = translateObject,
): Decision {
  const { operation } = request
  const object = request.object as KubernetesObject | null | undefined
  if (!object || (operation !== 'CREATE' && operation !== 'UPDATE')) return decision(request, settings.mode, 'skipped')
  const mode = modeFor(object, cluster, settings)
  if (mode === 'off') return decision(request, mode, 'skipped')

  const translation = translate(object, cluster, settings)
  if (webhook === 'mutate') return mutate(request, mode, object, translation)
  const toReasons = (old: KubernetesObject) => translate(old, cluster, settings).denial?.reasons ?? []
  return validate(request, mode, object, translation, toReasons)
}

function mutate(
  request: AdmissionRequest,
  mode: Mode,
  object: KubernetesObject,
  { object: translated, warnings, denial }: Translation,
): Decision {
  // Validation judges the final object, so what is refused there is neither touched nor talked about here, unless it is
  // stored in a form that it must not lose.
  const isKept = translated.metadata.annotations?.[originalAnnotation] !== undefined
  if (denial && !isKept) return decision(request, mode, 'admitted', { findings: denial.reasons })
  const patch = translated === object ? [] : jsonPatch.compare(object, translated)
  if (patch.length === 0) return decision(request, mode, 'admitted', { findings: warnings, lines: linesOf(warnings) })
  if (mode === 'observe') {
    const line = `sidestep would rewrite ${[...new Set(patch.map(toField))].join(', ')}, but only observes here`
    return decision(request, mode, 'would-patch', { findings: warnings, lines: [line, ...linesOf(warnings)] })
  }
  return decision(request, mode, 'patched', { findings: warnings, lines: linesOf(warnings), patch })
}

function validate(
  request: AdmissionRequest,
  mode: Mode,
  object: KubernetesObject,
  { warnings, denial }: Translation,
  toReasons: (old: KubernetesObject) => Diagnostic[],
): Decision {
  if (!denial) return decision(request, mode, 'admitted', { findings: warnings, lines: linesOf(warnings) })
  const findings = [...denial.reasons, ...warnings]
  const old = request.operation === 'UPDATE' ? (request.oldObject as KubernetesObject | null | undefined) : undefined
  // Garbage collection and finalizers change metadata only, and must always get through.
  if (old && leavesContent(object, old)) return decision(request, mode, 'tolerated', { findings })

  const known = new Set((old ? toReasons(old) : []).map(toText))
  const added = denial.reasons.filter(reason => !known.has(toText(reason)))
  const kept = denial.reasons.filter(reason => known.has(toText(reason)))
  const keptLines = kept.map(reason => toLine({ ...reason, message: `is let through as before: ${reason.message}` }))
  if (added.length === 0)
    return decision(request, mode, 'tolerated', { findings, lines: [...keptLines, ...linesOf(warnings)] })
  if (mode === 'observe') {
    const lines = added.map(reason => toLine({ ...reason, message: `would be denied: ${reason.message}` }))
    return decision(request, mode, 'would-deny', { findings, lines: [...lines, ...keptLines, ...linesOf(warnings)] })
  }
  const lines = [...keptLines, ...linesOf(warnings)]
  return decision(request, mode, 'denied', { findings, lines, reasons: added })
}

interface Details {
  findings?: readonly Diagnostic[]
  lines?: string[]
  patch?: Operation[]
  reasons?: readonly Diagnostic[]
}

function decision({ uid }: AdmissionRequest, mode: Mode, outcome: Outcome, details: Details = {}): Decision {
  const { findings = [], lines = [], patch = [], reasons = [] } = details
  const codes = codesOf(findings)
  const warnings = toWarnings(lines)
  const response: AdmissionResponse = {
    uid,
    allowed: reasons.length === 0,
    ...(reasons.length > 0 && { status: toStatus(reasons) }),
    ...(patch.length > 0 && { patchType: 'JSONPatch', patch: toBase64(patch) }),
    ...(warnings.length > 0 && { warnings }),
    auditAnnotations: { mode, outcome, codes: codes.join(',') },
  }
  return { response, mode, outcome, codes, deniedFor: codesOf(reasons), patchOperations: patch.length }
}

function codesOf(diagnostics: readonly Diagnostic[]): string[] {
  return [...new Set(diagnostics.map(({ code }) => code))].sort()
}

function linesOf(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.filter(({ severity }) => severity === 'warning').map(toLine)
}

/** Whether an update leaves everything that is judged as it is: the spec and the labels. */
function leavesContent(object: KubernetesObject, old: KubernetesObject): boolean {
  const specOf = (whole: KubernetesObject) => (whole as { spec?: unknown }).spec
  // What cannot be compared is judged; the core refuses it, old or new.
  if (isTooDeep(object) || isTooDeep(old)) return false
  return isEqual(specOf(object), specOf(old)) && isEqual(object.metadata.labels ?? {}, old.metadata.labels ?? {})
}

/** What two equal findings have in common. */
function toText({ code, field, message }: Diagnostic): string {
  return [code, field, message].join('\n')
}

/** `/metadata/labels/istio.io~1rev` -> `metadata.labels`: two levels are enough to tell a person what changes. */
function toField({ path }: Operation): string {
  return path.split('/').slice(1, 3).join('.')
}

function toBase64(patch: Operation[]): string {
  return Buffer.from(JSON.stringify(patch)).toString('base64')
}
