// Kubeflow's access management. Keeps the behaviour of kubeflow/dashboard, components/access-management/kfam/bindings.go
// (Create, Delete): a RoleBinding and a policy of one name, written as v1beta1, never updated, deleted after both are read.
import { collectionOf, pathOf } from '../../../src/reconciler/paths.ts'
import { ingressPrincipal, pipelinesPrincipal } from './profile-controller.ts'
import { type Send, succeeded } from './send.ts'

export interface Contributor {
  namespace: string
  user: string
}

export async function addContributor(send: Send, contributor: Contributor): Promise<void> {
  for (const object of [roleBindingOf(contributor), contributorPolicyOf(contributor)])
    succeeded(await send('POST', collectionOf(object), object))
}

export async function removeContributor(send: Send, contributor: Contributor): Promise<void> {
  const paths = [roleBindingOf(contributor), contributorPolicyOf(contributor)].map(pathOf)
  for (const path of paths) succeeded(await send('GET', path))
  for (const path of paths) succeeded(await send('DELETE', path))
}

function metadataOf({ namespace, user }: Contributor) {
  const name = `user-${user.replace(/[^a-zA-Z0-9]+/g, '-')}-clusterrole-edit`.toLowerCase()
  return { name, namespace, annotations: { user, role: 'edit' } }
}

function roleBindingOf(contributor: Contributor) {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: metadataOf(contributor),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'kubeflow-edit' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: contributor.user }],
  }
}

export function contributorPolicyOf(contributor: Contributor) {
  return {
    apiVersion: 'security.istio.io/v1beta1',
    kind: 'AuthorizationPolicy',
    metadata: metadataOf(contributor),
    spec: {
      rules: [
        {
          from: [{ source: { principals: [ingressPrincipal, pipelinesPrincipal] } }],
          when: [{ key: 'request.headers[kubeflow-userid]', values: [contributor.user] }],
        },
      ],
    },
  }
}
