import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { AdmissionRequest, AdmissionReview } from '../../src/apis/admission.ts'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { localCertificate } from './certificate.ts'
import type { Webhooks } from './webhooks.ts'

export interface TestWebhook extends Webhooks {
  /** What the API server has sent to /mutate, the oldest first. */
  readonly requests: AdmissionRequest[]
  close(): Promise<void>
}

/** An operation of RFC 6902. */
export type PatchOperation = { op: 'add' | 'replace'; path: string; value: unknown } | { op: 'remove'; path: string }

/**
 * The smallest webhook there can be, to learn what the API server does around one: it allows everything, and patches
 * as it is told.
 */
export async function startWebhook(mutate: (object: KubernetesObject) => PatchOperation[]): Promise<TestWebhook> {
  const requests: AdmissionRequest[] = []
  const { key, cert } = await localCertificate()
  const server = createServer({ key, cert }, async (incoming, outgoing) => {
    const { request } = (await json(incoming)) as AdmissionReview
    if (!request) return void outgoing.writeHead(400).end()
    let patch: PatchOperation[] = []
    if (incoming.url?.startsWith('/mutate')) {
      requests.push(request)
      patch = mutate(request.object as KubernetesObject)
    }
    const review: AdmissionReview = {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: {
        uid: request.uid,
        allowed: true,
        ...(patch.length > 0 && {
          patchType: 'JSONPatch',
          patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
        }),
      },
    }
    outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(review))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caBundle: cert,
    requests,
    async close() {
      server.close()
      server.closeAllConnections() // The API server keeps its connections for minutes.
      await once(server, 'close')
    },
  }
}
