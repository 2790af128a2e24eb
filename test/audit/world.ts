// Objects for audits, small enough to be read, and an audit of them.
import type { KubernetesObject } from '../../src/apis/core.ts'
import { type AuditOptions, audit } from '../../src/audit/index.ts'
import type { AuditReport, NamespaceReport } from '../../src/audit/report.ts'
import { profiles } from '../../src/translate/profiles.ts'

export function auditOf(objects: readonly object[], options: Partial<AuditOptions> = {}): AuditReport {
  return audit(
    objects.map(object => ({ object: object as KubernetesObject })),
    { settings: profiles.kubeflow, profile: 'kubeflow', version: '0.1.0', source: 'test', ...options },
  )
}

/** The report of one namespace, which has to be there. */
export function namespaceOf({ namespaces }: AuditReport, name = 'team-a'): NamespaceReport {
  const found = namespaces.find(each => each.name === name)
  if (!found) throw new Error(`no namespace ${name} in the report`)
  return found
}

const inTeam = (name: string, more: object = {}) => ({ name, namespace: 'team-a', ...more })
export const profileLabel = { 'app.kubernetes.io/part-of': 'kubeflow-profile' }

export const namespace = (labels: object = { 'istio-injection': 'enabled' }, name = 'team-a') => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { ...profileLabel, ...labels } },
})

export const service = (labels: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: inTeam('lab', { labels }),
  spec: { selector: { app: 'lab' }, ports: [{ port: 80 }] },
})

export const pod = (name: string, state: 'sidecar' | 'ambient' | 'plain') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: inTeam(name, {
    labels: { app: 'lab' },
    annotations: {
      ...(state === 'sidecar' ? { 'sidecar.istio.io/status': '{}' } : {}),
      ...(state === 'ambient' ? { 'ambient.istio.io/redirection': 'enabled' } : {}),
    },
  }),
  spec: { containers: [{ name: 'lab' }] },
})

/** A policy that needs a waypoint. */
export const policy = (name = 'owner') => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: inTeam(name),
  spec: { rules: [{ when: [{ key: 'request.headers[user]', values: ['ada'] }] }] },
})

export const virtualService = (name: string, http: object[], more: object = {}) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: inTeam(name, more),
  spec: { hosts: ['*'], gateways: ['kubeflow/kubeflow-gateway'], http },
})

export const entry = (prefix: string, more: object = {}) => ({
  match: [{ uri: { prefix } }],
  route: [{ destination: { host: 'lab', port: { number: 80 } } }],
  ...more,
})

export const denied = virtualService('faulty', [entry('/faulty', { fault: { abort: { httpStatus: 500 } } })])

export { istioGateway } from '../e2e/kubeflow.ts'

export const programmed = {
  addresses: [{ type: 'IPAddress', value: '10.0.0.9' }],
  conditions: [{ type: 'Programmed', status: 'True' }],
}
