// Every finding about KServe. A code is API: once published never renamed, once retired never reused.
import type { CatalogueEntry } from '../diagnostics.ts'

export const inferenceServiceDiagnostics = {
  'KS-FIELD-TYPE': {
    severity: 'denial',
    since: '0.1.0',
    message: 'must be of type {wanted}, and the API server would refuse it; correct the value',
  },
  'KS-MODE-SERVERLESS': {
    severity: 'warning',
    since: '0.1.0',
    message: 'deploys it by Knative, which does not support ambient; set {annotation}: RawDeployment',
  },
  'KS-MODE-INGRESS': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'KServe makes an Ingress of it, which only the old gateway serves; set enableGatewayApi in ConfigMap {config}',
  },
  'KS-CONFIG-SERVERLESS': {
    severity: 'warning',
    since: '0.1.0',
    message: 'deploys models by Knative, which does not support ambient; set defaultDeploymentMode: RawDeployment',
  },
  'KS-CONFIG-INGRESS': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'KServe makes Ingresses, which only the old gateway serves; set enableGatewayApi: true and kserveIngressGateway',
  },
  'KS-CONFIG-GATEWAY': {
    severity: 'warning',
    since: '0.1.0',
    message:
      'KServe attaches its HTTPRoutes to Gateway {gateway}, which no mapping of the settings names; name {mapped}',
  },
} as const satisfies Record<string, CatalogueEntry>
