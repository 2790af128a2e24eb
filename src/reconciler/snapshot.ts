// The ClusterSnapshot of a live cluster: one watch per kind, all writing into the same snapshot.
import { setMaxListeners } from 'node:events'
import { isDeepStrictEqual } from 'node:util'
import type { BaseLogger } from 'pino'
import type { KubernetesObject } from '../apis/core.ts'
import { type ClusterSnapshot, emptySnapshot, noCapabilities, putObject, removeObject } from '../translate/snapshot.ts'
import type { ApiServer } from './api-server.ts'
import { pathOf } from './paths.ts'
import { trim } from './trim.ts'
import { Versions } from './versions.ts'
import { Bell, type Delays, follow, nameOf, type Resource } from './watch.ts'

export { trim } from './trim.ts'

export interface LiveSnapshot {
  /** Always the same object, which the watches change in place. */
  readonly cluster: ClusterSnapshot
  /** Whether everything was read, as soon as that is so, or when the time for it is over or the snapshot stopped. */
  readonly synced: Promise<boolean>
  /** Every object that was read, as it is kept, by its path at the API server. */
  readonly objects: ReadonlyMap<string, KubernetesObject>
  /** Calls the listener after each change that the kept form of an object shows, until the returned function is called. */
  subscribe(listener: (change: Change) => void): () => void
  /**
   * The kinds that have not been read yet, and those that RBAC forbids to list or to watch. Once read, a kind counts as
   * read, even while its watch is broken: that mends itself, where a missing permission does not.
   */
  missing(): string[]
  /** Whether the watches have brought all that happened to an object up to this version. */
  knows(path: string, resourceVersion: string): boolean
  stop(): Promise<void>
}

/** What happened to one object: `before` is missing when it is new, `after` when it is gone. */
export interface Change {
  path: string
  before?: KubernetesObject
  after?: KubernetesObject
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
  {
    // All of them: each tells when its kind is there to be read, and whether the API server calls a webhook for it.
    ...custom('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'customresourcedefinitions'),
    // One may be a megabyte, of which next to nothing is kept.
    pageSize: 20,
  },
]

function custom(apiVersion: string, kind: string, plural: string): Resource {
  return { apiVersion, kind, path: `/apis/${apiVersion}/${plural}` }
}

export interface SnapshotOptions {
  logger: Pick<BaseLogger, 'debug' | 'info' | 'warn'>
  /** How long reading the cluster may take before that is said. */
  syncMilliseconds?: number
  delays?: Delays
  /** Hears of each list or watch of a kind that failed and is begun again. */
  onFailure?: (kind: string) => void
}

/** Starts to follow the cluster. Nothing here rejects: what cannot be read is tried again, and shows in `missing`. */
export function startLiveSnapshot(
  api: ApiServer,
  { logger, syncMilliseconds = 30_000, delays, onFailure }: SnapshotOptions,
): LiveSnapshot {
  const snapshot = { ...emptySnapshot('observed'), isComplete: false, capabilities: noCapabilities }
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal) // Each watch listens, which is no leak.
  const unread = new Set(resources)
  const forbidden = new Set<Resource>()
  const missing = () =>
    resources
      .filter(resource => unread.has(resource) || forbidden.has(resource))
      .map(({ kind, apiVersion }) => `${kind} (${apiVersion})`)
  const objects = new Map<string, KubernetesObject>()
  const listeners = new Set<(change: Change) => void>()
  const versions = new Versions(resources.map(({ path }) => path))
  const bells = new Map(resources.map(resource => [nameOf(resource), new Bell()]))
  const { promise: synced, resolve: sync } = withResolvers<boolean>()

  const tell = (change: Change) => {
    for (const listener of listeners) {
      try {
        listener(change)
      } catch (err) {
        logger.warn({ path: change.path, err }, 'a listener of the snapshot failed')
      }
    }
  }

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
        put: object => {
          const after = trim(object)
          const path = pathOf(after)
          const before = objects.get(path)
          putObject(snapshot, after)
          objects.set(path, after)
          if (after.kind === 'CustomResourceDefinition') bells.get(after.metadata.name ?? '')?.ring()
          if (!before) tell({ path, after })
          else if (!isSame(before, after)) tell({ path, before, after })
        },
        remove: object => {
          const path = pathOf(object)
          const before = objects.get(path)
          removeObject(snapshot, object)
          objects.delete(path)
          if (before) tell({ path, before })
        },
        listed: () => {
          unread.delete(resource)
          if (unread.size > 0) return
          snapshot.isComplete = true
          sync(true)
        },
        failed: () => onFailure?.(resource.kind),
        reached: version => versions.reached(resource.path, version),
        forbidden: verb => {
          if (verb) forbidden.add(resource)
          else forbidden.delete(resource)
        },
      },
      { signal: stopping.signal, logger, bell: bells.get(nameOf(resource)), ...(delays && { delays }) },
    ),
  )
  return {
    cluster: snapshot,
    synced,
    missing,
    objects,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    knows: (path, resourceVersion) => versions.has(path, resourceVersion),
    async stop() {
      stopping.abort()
      sync(false)
      await Promise.all(followed)
    },
  }
}

/** Whether two versions of an object say the same. */
function isSame(before: KubernetesObject, after: KubernetesObject): boolean {
  const { resourceVersion } = after.metadata
  return isDeepStrictEqual({ ...before, metadata: { ...before.metadata, resourceVersion } }, after)
}

// Promise.withResolvers is not in Node 20.
function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}
