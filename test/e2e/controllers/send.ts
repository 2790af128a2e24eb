// How an emulated controller speaks to the API server: as a Go client does, with nothing in between.
import type { Answer } from '../../control-plane/client.ts'
import type { ControlPlane } from '../../control-plane/index.ts'

export type Send = (
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
) => Promise<Answer>

/** Requests of one user, by the name that its controller has in managedFields. */
export function sendAs(controlPlane: ControlPlane, userAgent: string): Send {
  return (method, path, body) =>
    controlPlane.request(method, path, {
      user: 'controller',
      userAgent,
      ...(body !== undefined && { body }),
      ...(method === 'PATCH' && { contentType: 'application/merge-patch+json' }),
    })
}

/** The same, but the API server stores nothing of it: what `kubectl --dry-run=server` sends. */
export function dryRun(send: Send): Send {
  return (method, path, body) => send(method, method === 'GET' ? path : `${path}?dryRun=All`, body)
}

/** The API server said no, or nothing at all (status 0). A controller comes back to it in its next reconcile. */
export class Refused extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export function succeeded({ status, body }: Answer): Answer {
  if (status >= 200 && status < 300) return { status, body }
  throw new Refused(status, `${status} ${body?.message ?? body}`)
}
