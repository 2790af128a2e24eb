// The types of what is read beside the kinds that are translated: metadata, and the other objects of a snapshot. The API
// server vouches for them; files do not. Fields that are not named here are not read.
import { inspect, listOf, mapOf, type Shape, type Table } from './fate.ts'
import { createReport } from './report.ts'

/** The shape of what is read of an object: these fields, and the others are none of our business. */
export const read = (fields: Record<string, Shape>): Table => ({
  fields: Object.fromEntries(Object.entries(fields).map(([name, shape]) => [name, ['translated', shape]])),
})
const strings = listOf('string')
const labels = mapOf('string')

export const metadataShape = read({
  name: 'string',
  generateName: 'string',
  namespace: 'string',
  labels,
  annotations: labels,
  ownerReferences: listOf(
    read({ apiVersion: 'string', kind: 'string', name: 'string', uid: 'string', controller: 'boolean' }),
  ),
  creationTimestamp: 'string',
  uid: 'string',
})

const portNumber: Shape = 'integer'
const conditions = listOf(read({ type: 'string', status: 'string' }))
const parentRef = read({ name: 'string', namespace: 'string', sectionName: 'string', port: 'integer' })

const podSpec = read({
  serviceAccountName: 'string',
  hostNetwork: 'boolean',
  containers: listOf(read({ name: 'string', ports: listOf(read({ name: 'string', containerPort: portNumber })) })),
})
const podTemplate = read({ metadata: read({ labels, annotations: labels }), spec: podSpec })
const workload = read({
  spec: read({ template: podTemplate, jobTemplate: read({ spec: read({ template: podTemplate }) }) }),
})

const clientConfig = read({ service: read({ namespace: 'string', name: 'string', port: portNumber }) })
const webhooks = read({ webhooks: listOf(read({ clientConfig })) })
const mutualTLS = read({ mode: 'string' })

const httpCondition = read({ type: 'string', name: 'string', value: 'string' })
const labelSelector = read({
  matchLabels: labels,
  matchExpressions: listOf(read({ key: 'string', operator: 'string', values: strings })),
})
const peers = listOf(
  read({
    podSelector: labelSelector,
    namespaceSelector: labelSelector,
    ipBlock: read({ cidr: 'string', except: strings }),
  }),
)
const policyPorts = listOf(read({ protocol: 'string', port: 'any', endPort: 'integer' }))
export const networkPolicySpec = read({
  podSelector: labelSelector,
  policyTypes: strings,
  ingress: listOf(read({ from: peers, ports: policyPorts })),
  egress: listOf(read({ to: peers, ports: policyPorts })),
})
export const configMapShape = read({ data: labels })
const routeStatus = read({ status: read({ parents: listOf(read({ parentRef, conditions })) }) })

/** What is read of an object, by kind and group; kinds that are not named are not read, or carry their own fates. */
const shapes: Record<string, Shape> = {
  'Service/': read({
    spec: read({
      type: 'string',
      clusterIP: 'string',
      selector: labels,
      publishNotReadyAddresses: 'boolean',
      ports: listOf(
        read({ name: 'string', port: portNumber, protocol: 'string', appProtocol: 'string', targetPort: 'any' }),
      ),
    }),
  }),
  'Pod/': read({ spec: podSpec }),
  'Deployment/apps': workload,
  'StatefulSet/apps': workload,
  'DaemonSet/apps': workload,
  'ReplicaSet/apps': workload,
  'Job/batch': workload,
  'CronJob/batch': workload,
  'Gateway/networking.istio.io': read({
    spec: read({
      servers: listOf(
        read({
          hosts: strings,
          port: read({ number: portNumber, name: 'string', protocol: 'string' }),
          tls: read({ httpsRedirect: 'boolean', mode: 'string' }),
        }),
      ),
    }),
  }),
  'Gateway/gateway.networking.k8s.io': read({
    spec: read({
      gatewayClassName: 'string',
      addresses: listOf('any'),
      infrastructure: read({ labels }),
      listeners: listOf(
        read({
          name: 'string',
          hostname: 'string',
          port: portNumber,
          protocol: 'string',
          tls: read({ mode: 'string' }),
          allowedRoutes: read({ namespaces: read({ from: 'string', selector: labelSelector }) }),
        }),
      ),
    }),
    status: read({ addresses: listOf('any'), conditions }),
  }),
  'HTTPRoute/gateway.networking.k8s.io': read({
    spec: read({
      parentRefs: listOf(parentRef),
      hostnames: strings,
      rules: listOf(
        read({
          matches: listOf(
            read({
              path: read({ type: 'string', value: 'string' }),
              headers: listOf(httpCondition),
              queryParams: listOf(httpCondition),
              method: 'string',
            }),
          ),
        }),
      ),
    }),
    status: read({ parents: listOf(read({ parentRef, conditions })) }),
  }),
  'TLSRoute/gateway.networking.k8s.io': routeStatus,
  'TCPRoute/gateway.networking.k8s.io': routeStatus,
  'GRPCRoute/gateway.networking.k8s.io': routeStatus,
  'DestinationRule/networking.istio.io': read({
    spec: read({ host: 'string', subsets: listOf(read({ name: 'string', labels })) }),
  }),
  'ServiceEntry/networking.istio.io': read({
    spec: read({ hosts: strings, ports: listOf(read({ number: portNumber, name: 'string', protocol: 'string' })) }),
  }),
  'ReferenceGrant/gateway.networking.k8s.io': read({
    spec: read({
      from: listOf(read({ kind: 'string', namespace: 'string' })),
      to: listOf(read({ kind: 'string', name: 'string' })),
    }),
  }),
  'PeerAuthentication/security.istio.io': read({
    spec: read({ selector: read({ matchLabels: labels }), mtls: mutualTLS, portLevelMtls: mapOf(mutualTLS) }),
  }),
  'NetworkPolicy/networking.k8s.io': read({ spec: networkPolicySpec }),
  'ConfigMap/': configMapShape,
  'MutatingWebhookConfiguration/admissionregistration.k8s.io': webhooks,
  'ValidatingWebhookConfiguration/admissionregistration.k8s.io': webhooks,
  'APIService/apiregistration.k8s.io': read({ spec: clientConfig }),
  'CustomResourceDefinition/apiextensions.k8s.io': read({
    spec: read({ conversion: read({ strategy: 'string', webhook: read({ clientConfig }) }) }),
  }),
}

const silent = createReport({ severities: {} })

/** Whether what a snapshot reads of an object has the types that its API gives it. */
export function isReadable(object: unknown, key: string): boolean {
  const shape = Object.hasOwn(shapes, key) ? shapes[key] : undefined
  const codes = { type: 'SVC-FIELD-TYPE' } as const
  const metadata = read({ metadata: metadataShape })
  return inspect(object, metadata, '', codes, silent) && (!shape || inspect(object, shape, '', codes, silent))
}
