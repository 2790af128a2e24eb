// The Services that kube-apiserver calls: webhooks of admission, aggregated APIs, webhooks of conversion. It stands outside
// the mesh and calls them without the mesh's certificates, which mTLS of mode STRICT refuses (research/policies.md 7).
import type * as core from '../apis/core.ts'

/** A Service and its port, as the API server finds them in one of its own objects. */
export interface ServiceCall {
  namespace: string
  name: string
  port: number
}

/** The calls that an object brings about, without any for all other kinds. Calls by URL go to no Service. */
export function serviceCallsOf(object: core.KubernetesObject): ServiceCall[] {
  return referencesIn(object).flatMap(service =>
    service?.namespace && service.name
      ? [{ namespace: service.namespace, name: service.name, port: service.port ?? 443 }]
      : [],
  )
}

function referencesIn(object: core.KubernetesObject): (core.ServiceReference | undefined)[] {
  switch (object.kind) {
    case 'MutatingWebhookConfiguration':
    case 'ValidatingWebhookConfiguration': {
      const { webhooks = [] } = object as core.WebhookConfiguration
      return webhooks.map(({ clientConfig }) => clientConfig?.service)
    }
    case 'APIService':
      return [(object as core.APIService).spec?.service]
    case 'CustomResourceDefinition': {
      const { strategy, webhook } = (object as core.CustomResourceDefinition).spec?.conversion ?? {}
      return strategy === 'Webhook' ? [webhook?.clientConfig?.service] : []
    }
    default:
      return []
  }
}
