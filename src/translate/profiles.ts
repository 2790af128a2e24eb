// Built-in settings. A settings file names a profile and overrides what differs.
import type { Settings } from './settings.ts'

/** Any Istio cluster: nothing is mapped, so nothing is rewritten until the settings name gateways and namespaces. */
const generic: Settings = {
  mode: 'enforce',
  rootNamespace: 'istio-system',
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  clusterDomain: 'cluster.local',
  revision: 'default',
  virtualServices: 'park',
  subsets: 'deny',
  referenceGrants: 'given',
  ruleOrder: 'specificity',
  grpcRoutes: false,
  gateways: [],
  namespaces: [],
  pathPrefixes: {},
  severities: {},
}

/** Kubeflow as KEP-2676 lays it out (design.md section 4). */
const kubeflow: Settings = {
  ...generic,
  gateways: [
    {
      istioGateways: ['kubeflow/kubeflow-gateway', 'istio-system/istio-ingressgateway'],
      gateway: 'istio-system/ambient-ingressgateway',
      pods: { namespace: 'istio-system', labels: { app: 'istio-ingressgateway', istio: 'ingressgateway' } },
      serviceAccounts: {
        old: ['istio-system/istio-ingressgateway-service-account'],
        new: ['istio-system/ambient-ingressgateway-istio'],
      },
      create: false,
      // NetworkPolicies of dex and oauth2-proxy look for it. `istio: ingressgateway` would make kubeflow-gateway pick these
      // pods too.
      labels: { app: 'istio-ingressgateway' },
    },
  ],
  namespaces: [
    {
      names: ['kubeflow'],
      dataplaneMode: 'ambient',
      waypoint: {
        name: 'kubeflow-waypoint',
        create: true,
        services: ['ml-pipeline', 'ml-pipeline-ui'],
        ingressUseWaypoint: false,
        directCallers: [],
      },
    },
    {
      matchLabels: { 'app.kubernetes.io/part-of': 'kubeflow-profile' },
      dataplaneMode: 'ambient',
      waypoint: { name: 'waypoint', create: true, services: 'all', ingressUseWaypoint: true, directCallers: [] },
    },
  ],
  // metadata-grpc is called as /ml_metadata.MetadataStoreService/…, which `prefix: /ml_metadata` matches only as text.
  pathPrefixes: { '/ml_metadata': ['/ml_metadata', '/ml_metadata.MetadataStoreService'] },
}

/**
 * deployKF (generator/templates/manifests/deploykf-core/deploykf-istio-gateway of github.com/deployKF/deployKF): a gateway of
 * its own, HTTPS on a port of its own, and a second Istio Gateway on the plain port, whose VirtualService redirects. What
 * it deploys beside the gateway is Kubeflow. It brings no Kubernetes Gateway, so sidestep keeps one.
 */
const deploykf: Settings = {
  ...kubeflow,
  gateways: [
    {
      istioGateways: [
        'deploykf-istio-gateway/deploykf-gateway',
        'deploykf-istio-gateway/deploykf-gateway-https-redirect',
      ],
      gateway: 'deploykf-istio-gateway/ambient-gateway',
      pods: { namespace: 'deploykf-istio-gateway', labels: { app: 'deploykf-gateway', istio: 'deploykf-gateway' } },
      serviceAccounts: {
        old: ['deploykf-istio-gateway/deploykf-gateway'],
        new: ['deploykf-istio-gateway/ambient-gateway-istio'],
      },
      create: true,
      labels: { app: 'istio-ingressgateway' },
    },
  ],
}

export const profiles = { kubeflow, generic, deploykf } satisfies Record<string, Settings>
