// Whether a contestant does what is measured. Asked before anything is timed: who does less work is no contestant.
import jsonPatch from 'fast-json-patch'
import type { AdmissionRequest } from '../../src/apis/admission.ts'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { respond } from '../../src/server/admission.ts'
import { canonicalJson } from '../../src/translate/canonical.ts'
import type { Contestant } from './contestants/index.ts'
import { cluster, type Payload, type Review, settings } from './payloads.ts'
import { post } from './post.ts'

/** Why a contestant is disqualified for a payload; undefined when it is not. */
export async function disagreement(
  { isRewriting }: Contestant,
  { mix }: Payload,
  url: string,
  certificate: string,
): Promise<string | undefined> {
  for (const { body } of mix) {
    const { object } = body.request
    const wanted = isRewriting ? rewritten(body) : object
    const difference = differenceTo(wanted, object, (await post(url, certificate, body)).patch)
    if (difference) return `${object.kind} becomes another object: ${difference}`
  }
  return undefined
}

/** What becomes of the object with sidestep itself, which takes part like everybody else. */
export function rewritten({ request }: Review): KubernetesObject {
  return patched(request.object, respond(request as AdmissionRequest, cluster, settings, 'mutate').patch)
}

/** What a patch in base64 makes of an object that it should not, and leaves that it should do. */
export function differenceTo(
  wanted: KubernetesObject,
  object: KubernetesObject,
  patch: string | undefined,
): string | undefined {
  const made = patched(object, patch)
  if (canonicalJson(made) === canonicalJson(wanted)) return undefined
  return JSON.stringify(jsonPatch.compare(wanted, made)).slice(0, 500)
}

function patched(object: KubernetesObject, patch: string | undefined): KubernetesObject {
  if (patch === undefined) return object
  const operations = JSON.parse(Buffer.from(patch, 'base64').toString())
  return jsonPatch.applyPatch(structuredClone(object), operations, true).newDocument
}
