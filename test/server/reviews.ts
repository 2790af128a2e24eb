// Requests and a translate function for tests of the edge: what the core decides is written into the object itself.
import type { AdmissionRequest } from '../../src/apis/admission.ts'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type { DiagnosticCode, Severity } from '../../src/translate/diagnostics.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import type { Translation } from '../../src/translate/translation.ts'

/** An object whose `spec` says what the fake translation finds in it. */
export interface Widget extends KubernetesObject {
  spec: {
    deny?: string[]
    warn?: string[]
    note?: string[]
    rewrite?: boolean
    throw?: boolean
    [other: string]: unknown
  }
}

export function widget(spec: Widget['spec'], metadata: KubernetesObject['metadata'] = {}): Widget {
  return { apiVersion: 'v1', kind: 'Widget', metadata: { name: 'w', namespace: 'team-a', ...metadata }, spec }
}

/** Each entry of `deny`, `warn` and `note` is a code; `rewrite` sets a label. A fixed point, as the core is. */
export function translateWidget(object: KubernetesObject): Translation {
  const { deny, warn = [], note = [], rewrite, throw: fails } = (object as Widget).spec
  if (fails) throw new Error('the core has a fault')
  const warnings = [...warn.map(finding('warning')), ...note.map(finding('note'))]
  if (deny) return { object, companions: [], warnings, denial: { reasons: deny.map(finding('denial')) } }
  if (!rewrite) return { object, companions: [], warnings }
  const labels = { ...object.metadata.labels, 'istio.io/dataplane-mode': 'ambient' }
  return { object: { ...object, metadata: { ...object.metadata, labels } }, companions: [], warnings }
}

export function finding(severity: Severity): (code: string) => Diagnostic {
  return code => ({ code: code as DiagnosticCode, severity, field: 'spec.x', message: 'is not possible; use y' })
}

export function create(object: unknown, more: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return {
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    kind: { group: '', version: 'v1', kind: 'Widget' },
    resource: { group: '', version: 'v1', resource: 'widgets' },
    operation: 'CREATE',
    name: 'w',
    namespace: 'team-a',
    userInfo: { username: 'ann', groups: ['system:masters'] },
    object,
    oldObject: null,
    dryRun: false,
    ...more,
  }
}

export function update(object: unknown, oldObject: unknown): AdmissionRequest {
  return create(object, { operation: 'UPDATE', oldObject })
}

export function review(request: unknown): Record<string, unknown> {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request }
}

/** Freezes a value and all below it, so that a test fails where something changes its input. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const item of Object.values(value)) deepFreeze(item)
  return Object.freeze(value)
}
