// The ClusterSnapshot of a live cluster: one watch per kind, all writing into the same snapshot.
import { setMaxListeners } from 'node:events'
import type { BaseLogger } from 'pino'
import type { KubernetesObject } from '../apis/core.ts'
import { type ClusterSnapshot, emptySnapshot, noCapabilities, putObject, removeObject } from '../translate/snapshot.ts'
import type { ApiServer } from './api-server.ts'
import { type Delays, follow, type Resource } from './watch.ts'

export interface LiveSnapshot {
  /** Always the same object, which the watches change in place. */
  readonly cluster: ClusterSnapshot
  /** Whether everything was read, as soon as that is so, or when the time for it is over or the snapshot stopped. */
  readonly synced: Promise<boolean>
  /** The kinds that have not been read yet. Once read, a kind counts as read, even while its watch is broken. */
  missing(): string[]
  stop(): Promise<void>
}

/** Everything that a snapshot holds, with workloads from Pods and capabilities from the CRD. */
export const resources: readonly Resource[] = [
  { apiVersion: 'v1', kind: 'Namespace', path: '/api/v1/namespaces' },
  { apiVersion: 'v1', kind: 'Service', path: '/api/v1/services' },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    path: '/api/v1/pods',
    // Pods that have ended serve nobody, and in a cluster that runs pipelines they are most of all Pods.
    query: { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' },
  },
  custom('networking.istio.io/v1', 'Gateway', 'gateways'),
  custom('networking.istio.io/v1', 'VirtualService', 'virtualservices'),
  custom('networking.istio.io/v1', 'DestinationRule', 'destinationrules'),
  custom('networking.istio.io/v1', 'ServiceEntry', 'serviceentries'),
  custom('security.istio.io/v1', 'AuthorizationPolicy', 'authorizationpolicies'),
  custom('security.istio.io/v1', 'RequestAuthentication', 'requestauthentications'),
  custom('security.istio.io/v1', 'PeerAuthentication', 'peerauthentications'),
  custom('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', 'mutatingwebhookconfigurations'),
  custom('admissionregistration.k8s.io/v1', 'ValidatingWebhookConfiguration', 'validatingwebhookconfigurations'),
  custom('apiregistration.k8s.io/v1', 'APIService', 'apiservices'),
  custom('gateway.networking.k8s.io/v1', 'Gateway', 'gateways'),
  custom('gateway.networking.k8s.io/v1', 'HTTPRoute', 'httproutes'),
  custom('gateway.networking.k8s.io/v1', 'TLSRoute', 'tlsroutes'),
  custom('gateway.networking.k8s.io/v1', 'TCPRoute', 'tcproutes'),
  custom('gateway.networking.k8s.io/v1', 'GRPCRoute', 'grpcroutes'),
  custom('gateway.networking.k8s.io/v1beta1', 'ReferenceGrant', 'referencegrants'),
  ...['httproutes', 'tlsroutes', 'tcproutes', 'grpcroutes'].map(plural => ({
    ...custom('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'customresourcedefinitions'),
    // A selector by name takes one name, and other CRDs are none of our business.
    query: { fieldSelector: `metadata.name=${plural}.gateway.networking.k8s.io` },
  })),
]

function custom(apiVersion: string, kind: string, plural: string): Resource {
  return { apiVersion, kind, path: `/apis/${apiVersion}/${plural}` }
}

/** Starts to follow the cluster. Nothing here rejects: what cannot be read is tried again, and shows in `missing`. */
export function startLiveSnapshot(
  api: ApiServer,
  {
    logger,
    syncMilliseconds = 30_000,
    delays,
  }: { logger: Pick<BaseLogger, 'debug' | 'info' | 'warn'>; syncMilliseconds?: number; delays?: Delays },
): LiveSnapshot {
  const snapshot = { ...emptySnapshot('observed'), capabilities: noCapabilities }
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal) // Each watch listens, which is no leak.
  const unread = new Set(resources)
  const missing = () => [...unread].map(({ kind, apiVersion }) => `${kind} (${apiVersion})`)
  const { promise: synced, resolve: sync } = withResolvers<boolean>()

  const deadline = setTimeout(() => {
    logger.warn({ missing: missing() }, 'the cluster is not read yet')
    sync(false)
  }, syncMilliseconds)
  synced.then(() => clearTimeout(deadline))

  const followed = resources.map(resource =>
    follow(
      api,
      resource,
      {
        put: object => putObject(snapshot, trim(object)),
        remove: object => removeObject(snapshot, object),
        listed: () => {
          unread.delete(resource)
          if (unread.size === 0) sync(true)
        },
      },
      { signal: stopping.signal, logger, ...(delays && { delays }) },
    ),
  )
  return {
    cluster: snapshot,
    synced,
    missing,
    async stop() {
      stopping.abort()
      sync(false)
      await Promise.all(followed)
    },
  }
}

const keptAnnotations =
  /^(sidestep\.dev\/|gateway\.istio\.io\/|(istio\.io\/dry-run|sidecar\.istio\.io\/status|ambient\.istio\.io\/redirection)$)/

/** Without what no translator reads and what is often most of an object: managedFields, kubectl's copy of everything. */
export function trim(object: KubernetesObject): KubernetesObject {
  const { managedFields, annotations, ...metadata } = object.metadata
  const kept = Object.entries(annotations ?? {}).filter(([name]) => keptAnnotations.test(name))
  return { ...object, metadata: { ...metadata, ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }) } }
}

// Promise.withResolvers is not in Node 20.
function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}
