// Envoy's configuration around a route table, as Istio's proxy has it on a gateway. Only what bears on routing is here.
import type { Certificate } from '../control-plane/certificate.ts'

export interface Listener {
  virtualHosts: readonly object[]
  /** Fields of the RouteConfiguration beside virtual_hosts. */
  routeConfiguration?: object
  /** Fields of the HttpConnectionManager that differ from what istiod writes. */
  connectionManager?: object
  certificate?: Certificate
  /** Runtime keys beside those that Istio sets. */
  runtime?: object
}

/** The upstreams by name; each is a cluster of that name. */
export type Ports = Record<string, number>

export function bootstrap(listener: Listener, upstreams: Ports): object {
  return {
    node: { id: 'test', cluster: 'test' },
    admin: { address: address(0) },
    // istio/istio pkg/bootstrap/config.go, extractRuntimeFlags.
    layered_runtime: {
      layers: [
        {
          name: 'global config',
          static_layer: {
            'overload.global_downstream_max_connections': 2147483647,
            're2.max_program_size.error_level': 32768,
            'envoy.reloadable_features.http_reject_path_with_fragment': false,
            ...listener.runtime,
          },
        },
      ],
    },
    static_resources: {
      listeners: [
        {
          name: 'gateway',
          // The kernel picks a free port, and Envoy's admin tells which.
          address: address(0),
          filter_chains: [
            {
              filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager(listener) }],
              ...(listener.certificate && { transport_socket: transportSocket(listener.certificate) }),
            },
          ],
        },
      ],
      clusters: Object.entries(upstreams).map(([name, port]) => ({
        name,
        connect_timeout: '5s',
        load_assignment: {
          cluster_name: name,
          endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
        },
      })),
    },
  }
}

/**
 * istio/istio pilot/pkg/networking/core/listener_builder.go (buildHTTPConnectionManager) and gateway.go
 * (buildGatewayConnectionManager, buildGatewayHTTPRouteConfig). meshConfig.pathNormalization is DEFAULT, which is BASE.
 */
function manager({ virtualHosts, routeConfiguration, connectionManager }: Listener): object {
  return {
    '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'gateway',
    codec_type: 'AUTO',
    normalize_path: true,
    merge_slashes: false,
    path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
    use_remote_address: true,
    stream_idle_timeout: '0s',
    // Unlike istiod: Envoy would wait a second for the client to close, and ours waits for the end of the answer.
    delayed_close_timeout: '0s',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    http_filters: [
      filter('fault', 'fault.v3.HTTPFault'),
      filter('cors', 'cors.v3.Cors'),
      filter('router', 'router.v3.Router'),
    ],
    ...connectionManager,
    route_config: {
      name: 'http.8080',
      ignore_port_in_host_matching: true,
      validate_clusters: false,
      max_direct_response_body_size_bytes: 1048576,
      virtual_hosts: virtualHosts,
      ...routeConfiguration,
    },
  }
}

const types = 'type.googleapis.com/envoy.extensions'

function filter(name: string, type: string): object {
  return { name: `envoy.filters.http.${name}`, typed_config: { '@type': `${types}.filters.http.${type}` } }
}

function transportSocket({ key, cert }: Certificate): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.DownstreamTlsContext`,
      common_tls_context: {
        tls_certificates: [{ certificate_chain: { inline_string: cert }, private_key: { inline_string: key } }],
      },
    },
  }
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}
