// One review and its answer, for what is not timed.
import { once } from 'node:events'
import { type RequestOptions, request } from 'node:https'
import { json } from 'node:stream/consumers'
import type { AdmissionResponse, AdmissionReview } from '../../src/apis/admission.ts'
import type { Review } from './payloads.ts'

/** The response to a review; an error unless it is HTTP 200 with the review's uid and allows it. */
export async function post(url: string, certificate: string, review: Review): Promise<AdmissionResponse> {
  const options: RequestOptions = {
    method: 'POST',
    ca: certificate,
    agent: false,
    minVersion: 'TLSv1.3',
    headers: { 'content-type': 'application/json' },
    timeout: 30_000,
  }
  const call = request(url, options)
  call.end(JSON.stringify(review))
  const [answer] = await once(call, 'response')
  if (answer.statusCode !== 200) {
    answer.resume()
    throw new Error(`HTTP ${answer.statusCode}`)
  }
  const { response } = (await json(answer)) as AdmissionReview
  if (response?.uid !== review.request.uid || !response.allowed)
    throw new Error(`not allowed: ${JSON.stringify(response)}`)
  return response
}
