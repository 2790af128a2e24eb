// A cluster to translate: VirtualServices, and around them the gateways, Services, subsets, grants and waypoints that
// they need.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import type { Translation } from '../../src/translate/translation.ts'
import type { Ingress } from './answer.ts'
import { type DestinationRule, registryOf } from './clusters.ts'
import type { KubernetesIngress } from './http-route-evaluator.ts'
import type { IstioIngress } from './virtual-service-evaluator.ts'

export interface Configuration {
  /** Roots and delegates, for gateways and for the mesh. */
  virtualServices: istio.VirtualService[]
  /** HTTPRoutes that others have put on the new Gateway. */
  httpRoutes?: gateway.HTTPRoute[]
  /** Whether each namespace lets the routes of the other refer to its Services. */
  granted: boolean
  /** Hosts of the servers of the public gateway, `namespace/host` for those of one namespace; `*` by default. */
  serverHosts?: string[]
  /** The ports of the public gateway; `http` by default. */
  ports?: PortName[]
  /** Namespaces whose Services have a waypoint; none by default. */
  waypoints?: string[]
  /** Whether the HTTPRoute CRD is that of the experimental channel, which has `retry`. */
  experimental?: boolean
  /** HTTP ports of the public gateway that only send clients to HTTPS. */
  redirecting?: PortName[]
  /** Ports of the public gateway that the new Gateway has no listener for: nobody can ask there any more. */
  unheard?: PortName[]
  /** Hosts of the listeners of the new Gateway, where they are not those of the servers. */
  listenerHosts?: string[]
  /** What an administrator has chosen otherwise than in `settings`. */
  settings?: Partial<Settings>
}

export type PortName = keyof typeof ports

export const ports = {
  http: { port: 80, scheme: 'http', protocol: 'HTTP' },
  https: { port: 443, scheme: 'https', protocol: 'HTTPS' },
  extra: { port: 8080, scheme: 'http', protocol: 'HTTP' },
  tls: { port: 15443, scheme: 'https', protocol: 'TLS' },
  tcp: { port: 31400, scheme: 'http', protocol: 'TCP' },
} as const

export const namespaces = ['a', 'b']

/** The Istio Gateways, all in `istio-system`, and the Kubernetes Gateways in their place. */
const gatewayNames = { public: 'ingress', internal: 'backstage' } as const
export type GatewayName = keyof typeof gatewayNames

const labelsOf = (name: GatewayName) => ({ istio: `${name}-gateway` })

export const settings: Settings = {
  ...profiles.generic,
  gateways: (['public', 'internal'] as const).map(name => ({
    istioGateways: [`istio-system/${name}`],
    gateway: `istio-system/${gatewayNames[name]}`,
    pods: { namespace: 'istio-system', labels: labelsOf(name) },
    serviceAccounts: { old: [`istio-system/${name}-old`], new: [`istio-system/${name}-new`] },
  })),
  namespaces: [
    {
      matchLabels: { 'istio.io/use-waypoint': 'waypoint' },
      dataplaneMode: 'ambient',
      waypoint: { name: 'waypoint', create: true, services: 'all', ingressUseWaypoint: false, directCallers: [] },
    },
  ],
}

export function portsOf(configuration: Configuration, name: GatewayName): PortName[] {
  return name === 'public' ? (configuration.ports ?? ['http']) : ['http']
}

function serverHostsOf(configuration: Configuration, name: GatewayName): string[] {
  return name === 'public' ? (configuration.serverHosts ?? ['*']) : ['*']
}

export function isRedirecting({ redirecting }: Configuration, name: GatewayName, portName: PortName): boolean {
  return name === 'public' && redirecting !== undefined && redirecting.includes(portName)
}

function ingressOf(portName: PortName): Ingress {
  const { port, scheme } = ports[portName]
  return { port, scheme }
}

export function istioIngress(
  configuration: Configuration,
  name: GatewayName = 'public',
  portName: PortName = 'http',
): IstioIngress {
  return {
    ...ingressOf(portName),
    hosts: serverHostsOf(configuration, name),
    gateway: `istio-system/${name}`,
    pods: { namespace: 'istio-system', labels: labelsOf(name) },
    registry,
  }
}

/** With what sidestep keeps beside the VirtualServices, among it Services for subsets. */
export function kubernetesIngress(
  configuration: Configuration,
  name: GatewayName = 'public',
  portName: PortName = 'http',
  kept: core.KubernetesObject[] = [],
): KubernetesIngress {
  const { port } = ports[portName]
  return {
    ...ingressOf(portName),
    gateway: `istio-system/${gatewayNames[name]}`,
    listeners: listenersOf(configuration, name).filter(listener => listener.port === port),
    registry: registryWith(kept),
    referenceGrants: [...grants(configuration), ...ofKind<gateway.ReferenceGrant>('ReferenceGrant', kept)],
    namespaceLabels: Object.fromEntries(
      namespacesOf(configuration).map(({ metadata }) => [metadata.name, metadata.labels ?? {}]),
    ),
  }
}

export function registryWith(kept: core.KubernetesObject[]) {
  const added = ofKind<core.Service>('Service', kept)
  return added.length > 0 ? registryOf([...services, ...added], destinationRules) : registry
}

export function ofKind<T extends core.KubernetesObject>(kind: T['kind'], objects: core.KubernetesObject[]): T[] {
  return objects.filter((object): object is T => object.kind === kind)
}

/** Translates every VirtualService, each with all of them in the snapshot. Keyed by `namespace/name`. */
export function translateAll(configuration: Configuration): Map<string, Translation> {
  const snapshot = snapshotOf(objectsOf(configuration))
  const chosen = { ...settings, ...configuration.settings }
  return new Map(
    configuration.virtualServices.map(virtualService => [
      keyOf(virtualService),
      translate(virtualService, snapshot, chosen),
    ]),
  )
}

export function keyOf({ metadata }: core.KubernetesObject): string {
  return `${metadata.namespace}/${metadata.name}`
}

function objectsOf(configuration: Configuration): core.KubernetesObject[] {
  return [
    ...namespacesOf(configuration),
    ...(['public', 'internal'] as const).flatMap(name => gateways(configuration, name)),
    ...(configuration.waypoints ?? []).map(waypoint),
    ...services,
    ...destinationRules,
    ...grants(configuration),
    ...(configuration.experimental ? [experimentalHTTPRoute] : []),
    ...(configuration.httpRoutes ?? []),
    ...configuration.virtualServices,
  ]
}

function namespacesOf({ waypoints = [] }: Configuration): core.Namespace[] {
  return [...namespaces, 'istio-system'].map(name => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      labels: {
        'kubernetes.io/metadata.name': name,
        ...(waypoints.includes(name)
          ? { 'istio.io/dataplane-mode': 'ambient', 'istio.io/use-waypoint': 'waypoint' }
          : {}),
      },
    },
  }))
}

function gateways(configuration: Configuration, name: GatewayName): [istio.Gateway, gateway.Gateway] {
  const servers = portsOf(configuration, name).map((portName): istio.Server => {
    const { port, protocol } = ports[portName]
    const tls = {
      HTTPS: { tls: { mode: 'SIMPLE', credentialName: 'certificate' } },
      TLS: { tls: { mode: 'PASSTHROUGH' } },
      HTTP: isRedirecting(configuration, name, portName) ? { tls: { httpsRedirect: true } } : {},
      TCP: {},
    }[protocol]
    return {
      hosts: serverHostsOf(configuration, name),
      port: { number: port, name: portName, protocol },
      ...tls,
    }
  })
  return [
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'Gateway',
      metadata: { namespace: 'istio-system', name },
      spec: { selector: labelsOf(name), servers },
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: { namespace: 'istio-system', name: gatewayNames[name] },
      spec: { gatewayClassName: 'istio', listeners: listenersOf(configuration, name) },
    },
  ]
}

/** One listener for each host of each server, open to the namespaces that the host is for. */
function listenersOf(configuration: Configuration, name: GatewayName): gateway.Listener[] {
  const { unheard = [], listenerHosts = serverHostsOf(configuration, name) } = name === 'public' ? configuration : {}
  return portsOf(configuration, name).flatMap(portName => {
    if (unheard.includes(portName)) return []
    const { port, protocol } = ports[portName]
    return listenerHosts.map((scoped, i): gateway.Listener => {
      const [host = '', namespace = '*'] = scoped.split('/').reverse()
      const tls = { HTTPS: { tls: certificates }, TLS: { tls: { mode: 'Passthrough' as const } }, HTTP: {}, TCP: {} }[
        protocol
      ]
      return {
        name: i === 0 ? portName : `${portName}-${i}`,
        port,
        protocol,
        ...(host === '*' || protocol === 'TCP' ? {} : { hostname: host }),
        ...tls,
        allowedRoutes: {
          namespaces:
            namespace === '*'
              ? { from: 'All' }
              : namespace === '.'
                ? { from: 'Same' }
                : { from: 'Selector', selector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } },
        },
      }
    })
  })
}

const certificates: gateway.ListenerTLSConfig = { mode: 'Terminate', certificateRefs: [{ name: 'certificate' }] }

function waypoint(namespace: string): gateway.Gateway {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { namespace, name: 'waypoint' },
    spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  }
}

/** In each namespace a Service with one port, another with one port, and one with two. */
export const services: core.Service[] = namespaces.flatMap(namespace =>
  Object.entries({ one: [8080], other: [9090], several: [80, 81] }).map(([name, ports]) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name },
    spec: { selector: { app: name }, ports: ports.map(port => ({ name: `http-${port}`, port })) },
  })),
)

/** Of each Service `one` and `several` the subsets v1 and v2; one rule spells its host short, the other in full. */
const destinationRules: DestinationRule[] = namespaces.flatMap(namespace =>
  ['one', `several.${namespace}.svc.cluster.local`].map(host => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { namespace, name: host },
    spec: { host, subsets: ['v1', 'v2'].map(version => ({ name: version, labels: { version } })) },
  })),
)

export const registry = registryOf(services, destinationRules)

function grants({ granted }: Configuration): gateway.ReferenceGrant[] {
  if (!granted) return []
  const kinds = ['HTTPRoute', 'TLSRoute', 'TCPRoute']
  return namespaces.map(namespace => ({
    apiVersion: 'gateway.networking.k8s.io/v1beta1',
    kind: 'ReferenceGrant',
    metadata: { namespace, name: 'routes' },
    spec: {
      from: kinds.flatMap(kind =>
        namespaces.map(from => ({ group: 'gateway.networking.k8s.io', kind, namespace: from })),
      ),
      to: [{ group: '', kind: 'Service' }],
    },
  }))
}

/** The properties that tell what the CRD can store, as far down as a translator may ask. */
const experimentalHTTPRoute = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: 'httproutes.gateway.networking.k8s.io',
    annotations: {
      'gateway.networking.k8s.io/bundle-version': 'v1.6.1',
      'gateway.networking.k8s.io/channel': 'experimental',
    },
  },
  spec: {
    versions: [
      {
        name: 'v1',
        schema: {
          openAPIV3Schema: object({
            spec: object({
              parentRefs: list(object({ port: {}, sectionName: {} })),
              hostnames: list({}),
              rules: list(
                object({
                  name: {},
                  matches: list(object({ path: {}, headers: {}, queryParams: {}, method: {} })),
                  filters: list(
                    object({
                      cors: object({
                        allowCredentials: {},
                        allowHeaders: {},
                        allowMethods: {},
                        allowOrigins: {},
                        exposeHeaders: {},
                        maxAge: {},
                      }),
                      requestMirror: object({ backendRef: {}, percent: {}, fraction: {} }),
                      requestRedirect: {},
                      requestHeaderModifier: {},
                      responseHeaderModifier: {},
                      urlRewrite: {},
                    }),
                  ),
                  backendRefs: list(object({ filters: {} })),
                  timeouts: object({ request: {}, backendRequest: {} }),
                  retry: object({ attempts: { minimum: 1 }, backoff: {}, codes: {} }),
                }),
              ),
            }),
          }),
        },
      },
    ],
  },
}

function object(properties: Record<string, unknown>) {
  return { type: 'object', properties }
}

function list(items: unknown) {
  return { type: 'array', items }
}
