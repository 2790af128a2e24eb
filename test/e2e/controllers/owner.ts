// The custom resources that the controllers serve are not installed here. For each there is a stand-in with a real uid,
// so that the real garbage collector takes what the controller made for it.
import type { OwnerReference } from '../../../src/apis/core.ts'
import { collectionOf, pathOf } from '../../../src/reconciler/paths.ts'
import { type Send, succeeded } from './send.ts'

/** What a controller is asked to serve. */
export interface Owner {
  /** Where the stand-in is. */
  path: string
  reference: OwnerReference
}

interface Served {
  kind: string
  namespace?: string
  name: string
}

/**
 * A stand-in for a custom resource, made when it is missing: a ConfigMap, or, where there is no namespace to put one into
 * (a Profile), a ClusterRole without rules.
 */
export async function standIn(send: Send, { kind, namespace, name }: Served): Promise<Owner> {
  const metadata = { name: `${kind.toLowerCase()}-${name}`, ...(namespace && { namespace }) }
  const object = namespace
    ? { apiVersion: 'v1', kind: 'ConfigMap', metadata }
    : { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata }
  const path = pathOf(object)
  const found = await send('GET', path)
  const { uid } = succeeded(found.status === 404 ? await send('POST', collectionOf(object), object) : found).body
    .metadata
  const { apiVersion, kind: standInKind } = object
  return { path, reference: { ...controllerReference, apiVersion, kind: standInKind, name: metadata.name, uid } }
}

/** As `controllerutil.SetControllerReference` has it. */
const controllerReference = { blockOwnerDeletion: true, controller: true }

/** Every Reconcile begins with this: nothing is done for what is gone, or about to go by foreground deletion. */
export async function isServed(send: Send, { path, reference }: Owner): Promise<boolean> {
  const found = await send('GET', path)
  if (found.status === 404) return false
  const { uid, deletionTimestamp } = succeeded(found).body.metadata
  return uid === reference.uid && !deletionTimestamp
}
