// A cluster to translate: VirtualServices, and around them the gateways, Services and grants that they need.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import type { Translation } from '../../src/translate/translation.ts'
import type { KubernetesIngress } from './http-route-evaluator.ts'
import type { IstioIngress } from './virtual-service-evaluator.ts'

export interface Configuration {
  virtualServices: istio.VirtualService[]
  /** Whether each namespace lets the HTTPRoutes of the other refer to its Services. */
  granted: boolean
  /** Hosts of the server, and the hostname of the listener in its place. */
  serverHost: '*' | '*.example.com'
}

export const namespaces = ['a', 'b']
const pods = { namespace: 'istio-system', labels: { istio: 'ingressgateway' } }
const server = { port: 80, scheme: 'http' } as const

export const settings: Settings = {
  ...profiles.generic,
  gateways: [
    {
      istioGateways: ['istio-system/public'],
      gateway: 'istio-system/ingress',
      pods,
      serviceAccounts: { old: ['istio-system/old'], new: ['istio-system/new'] },
    },
  ],
}

export function istioIngress({ serverHost }: Configuration): IstioIngress {
  return { ...server, hosts: [serverHost], gateway: 'istio-system/public', pods, services }
}

export function kubernetesIngress(configuration: Configuration): KubernetesIngress {
  const referenceGrants = grants(configuration)
  const hosts = [configuration.serverHost]
  return { ...server, hosts, gateway: 'istio-system/ingress', listener: 'http', services, referenceGrants }
}

/** Translates every VirtualService, each with all of them in the snapshot. Keyed by `namespace/name`. */
export function translateAll(configuration: Configuration): Map<string, Translation> {
  const snapshot = snapshotOf(objectsOf(configuration))
  return new Map(
    configuration.virtualServices.map(virtualService => [
      keyOf(virtualService),
      translate(virtualService, snapshot, settings),
    ]),
  )
}

export function keyOf({ metadata }: core.KubernetesObject): string {
  return `${metadata.namespace}/${metadata.name}`
}

function objectsOf(configuration: Configuration): core.KubernetesObject[] {
  return [
    ...[...namespaces, 'istio-system'].map(name => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    ...gateways(configuration),
    ...services,
    ...grants(configuration),
    ...configuration.virtualServices,
  ]
}

function gateways({ serverHost }: Configuration): [istio.Gateway, gateway.Gateway] {
  return [
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'Gateway',
      metadata: { namespace: 'istio-system', name: 'public' },
      spec: {
        selector: pods.labels,
        servers: [{ hosts: [serverHost], port: { number: 80, name: 'http', protocol: 'HTTP' } }],
      },
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: { namespace: 'istio-system', name: 'ingress' },
      spec: {
        gatewayClassName: 'istio',
        listeners: [
          {
            name: 'http',
            port: 80,
            protocol: 'HTTP',
            ...(serverHost === '*' ? {} : { hostname: serverHost }),
            allowedRoutes: { namespaces: { from: 'All' } },
          },
        ],
      },
    },
  ]
}

/** In each namespace a Service with one port, another with one port, and one with two. */
const services: core.Service[] = namespaces.flatMap(namespace =>
  Object.entries({ one: [8080], other: [9090], several: [80, 81] }).map(([name, ports]) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name },
    spec: { selector: { app: name }, ports: ports.map(port => ({ name: `http-${port}`, port })) },
  })),
)

function grants({ granted }: Configuration): gateway.ReferenceGrant[] {
  if (!granted) return []
  return namespaces.map(namespace => ({
    apiVersion: 'gateway.networking.k8s.io/v1beta1',
    kind: 'ReferenceGrant',
    metadata: { namespace, name: 'routes' },
    spec: {
      from: namespaces.map(from => ({ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: from })),
      to: [{ group: '', kind: 'Service' }],
    },
  }))
}
