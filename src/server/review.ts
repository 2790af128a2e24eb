// Decodes the envelope of an AdmissionReview by hand: a schema validator that coerces, fills in or removes anything in
// the object under review would end up as a patch of somebody's configuration.
import type { AdmissionRequest } from '../apis/admission.ts'
import { isRecord } from '../translate/fate.ts'

const apiVersion = 'admission.k8s.io/v1'
/** Of a name in Kubernetes. */
const longest = 253
const operations = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT']

/** The request of a review, or a sentence that says what is wrong with it. */
export function readReview(body: unknown): AdmissionRequest | string {
  if (!isRecord(body)) return 'The body must be an AdmissionReview, a JSON object.'
  if (body.kind !== 'AdmissionReview') return `kind must be AdmissionReview, not ${show(body.kind)}.`
  if (body.apiVersion !== apiVersion) return `apiVersion must be ${apiVersion}, not ${show(body.apiVersion)}.`
  const { request } = body
  if (!isRecord(request)) return 'request must be an object.'
  if (typeof request.uid !== 'string' || request.uid === '') return 'request.uid must be a string that is not empty.'
  // It is part of each answer and of each line in the log. That of an API server has 36 characters.
  if (request.uid.length > longest) return `request.uid must be no longer than ${longest} characters.`
  const { kind, operation } = request
  if (!isRecord(kind) || typeof kind.kind !== 'string')
    return 'request.kind must be an object with group, version and kind.'
  if (typeof operation !== 'string' || !operations.includes(operation))
    return `request.operation must be one of ${operations.join(', ')}, not ${show(operation)}.`
  // Only what is written is read as an object; the options of a CONNECT have no metadata, for instance.
  if (operation === 'CREATE' || operation === 'UPDATE') {
    for (const field of ['object', 'oldObject'] as const) {
      if (!isObjectOrNull(request[field]))
        return `request.${field} must be an object with apiVersion, kind and metadata.`
    }
  }
  return request as unknown as AdmissionRequest
}

/**
 * The seconds that the API server waits for the answer, from the `timeout=10s` that it adds to the URL, in the form of
 * Go's time.Duration.String(); undefined when it says nothing that can be understood.
 */
export function readTimeout(query: unknown): number | undefined {
  const timeout = isRecord(query) ? query.timeout : undefined
  if (typeof timeout !== 'string') return undefined
  const match = /^(?:(?<minutes>\d+)m)?(?:(?<seconds>\d+(?:\.\d+)?)s)?$/.exec(timeout)
  if (!match?.groups) return undefined
  // Zero is no time at all, which nobody gives.
  return Number(match.groups.minutes ?? 0) * 60 + Number(match.groups.seconds ?? 0) || undefined
}

/** A name as a line in the log takes it: any pod can call here, and send what it likes. */
export function shown(name: unknown): string | undefined {
  return typeof name === 'string' ? name.slice(0, longest) : undefined
}

function isObjectOrNull(value: unknown): boolean {
  if (value === null || value === undefined) return true
  return (
    isRecord(value) &&
    typeof value.apiVersion === 'string' &&
    typeof value.kind === 'string' &&
    isRecord(value.metadata) &&
    isMapOrAbsent(value.metadata.labels) &&
    isMapOrAbsent(value.metadata.annotations)
  )
}

function isMapOrAbsent(value: unknown): boolean {
  return value === undefined || value === null || isRecord(value)
}

function show(value: unknown): string {
  return value === undefined ? 'absent' : (JSON.stringify(value) ?? '').slice(0, 60)
}
