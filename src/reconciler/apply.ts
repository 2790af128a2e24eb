// One operation -> one write to the API server. Only what is ours is ever forced, replaced or deleted.
import type { KubernetesObject } from '../apis/core.ts'
import { ApiError, type ApiServer } from './api-server.ts'
import { editorsOf, fieldManager, marked } from './ownership.ts'
import { pathOf } from './paths.ts'
import { hasSpecOf, type Operation } from './plan.ts'

/**
 * Carries out an operation. Returns the object as it is stored afterwards, or undefined when it is gone.
 * @throws ApiError when the API server refuses it
 */
export async function carryOut(
  operation: Operation,
  at: (path: string) => KubernetesObject | undefined,
  api: ApiServer,
  signal: AbortSignal,
): Promise<KubernetesObject | undefined> {
  const { object } = operation
  const path = pathOf(object)
  switch (operation.kind) {
    case 'readmit':
      return api.send(
        { method: 'PATCH', path, query: { fieldManager }, body: {}, contentType: 'application/merge-patch+json' },
        signal,
      )
    case 'label': {
      // Not forced: a label that somebody else has set is theirs. With its uid, since to apply what is gone is to make it.
      const { apiVersion, kind, metadata } = object
      const { name, namespace, uid } = metadata
      const body = { apiVersion, kind, metadata: { name, namespace, uid, labels: operation.labels } }
      return api.send({ method: 'PATCH', path, query: { fieldManager }, body, contentType: apply }, signal)
    }
    case 'apply':
      return applied(marked(object), at(path), api, signal)
    case 'delete':
      return removed(object, api, signal)
  }
}

const apply = 'application/apply-patch+yaml'

/**
 * Applies a companion. What is there is ours and meant by its uid, so that it can be forced; what is not there is not
 * forced, for somebody else may be making it right now.
 */
async function applied(
  wanted: KubernetesObject,
  stored: KubernetesObject | undefined,
  api: ApiServer,
  signal: AbortSignal,
) {
  const path = pathOf(wanted)
  const { uid } = stored?.metadata ?? {}
  const body = uid ? { ...wanted, metadata: { ...wanted.metadata, uid } } : wanted
  const query = { fieldManager, force: String(uid !== undefined) }
  const answer = await api.send({ method: 'PATCH', path, query, body, contentType: apply }, signal)
  if (editorsOf(answer).length === 0 && hasSpecOf(wanted, answer)) return answer
  // What others have added to the spec goes only when the whole is written.
  const { managedFields: _, ...metadata } = answer.metadata
  const labels = { ...metadata.labels, ...wanted.metadata.labels }
  const annotations = { ...metadata.annotations, ...wanted.metadata.annotations }
  const whole = { ...wanted, metadata: { ...metadata, ...wanted.metadata, labels, annotations } }
  return api.send({ method: 'PUT', path, query: { fieldManager }, body: whole }, signal)
}

/** Deletes this very version of a companion: one that was changed meanwhile is looked at again. */
async function removed(object: KubernetesObject, api: ApiServer, signal: AbortSignal): Promise<undefined> {
  const { uid, resourceVersion } = object.metadata
  const body = { preconditions: { uid, resourceVersion }, propagationPolicy: 'Background' }
  try {
    await api.send({ method: 'DELETE', path: pathOf(object), body }, signal)
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error
  }
}
