// admission.k8s.io/v1, the review that the API server sends to a webhook and expects back. Types only.

export interface AdmissionReview {
  apiVersion: 'admission.k8s.io/v1'
  kind: 'AdmissionReview'
  request?: AdmissionRequest
  response?: AdmissionResponse
}

export interface AdmissionRequest {
  uid: string
  kind: { group: string; version: string; kind: string }
  resource: { group: string; version: string; resource: string }
  subResource?: string
  name?: string
  namespace?: string
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'
  userInfo?: { username?: string; groups?: string[] }
  object?: unknown
  oldObject?: unknown
  dryRun?: boolean
}

export interface AdmissionResponse {
  uid: string
  allowed: boolean
  status?: { code: number; reason: string; message: string }
  patchType?: 'JSONPatch'
  /** An RFC 6902 patch, base64. */
  patch?: string
  warnings?: string[]
  auditAnnotations?: Record<string, string>
}
