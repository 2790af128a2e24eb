// The ClusterSnapshot of a cluster at one moment, for a command that looks once.
import { setMaxListeners } from 'node:events'
import { type ClusterSnapshot, emptySnapshot, noCapabilities, putObject } from '../translate/snapshot.ts'
import { ApiError, type ApiServer } from './api-server.ts'
import { resources, trim } from './snapshot.ts'
import { listOnce, nameOf, type Resource } from './watch.ts'

/** What decides about AuthorizationPolicies and RequestAuthentications; capabilities do not. */
const policyKinds = [
  'v1/Namespace',
  'v1/Service',
  'v1/Pod',
  'networking.istio.io/v1/ServiceEntry',
  'gateway.networking.k8s.io/v1/Gateway',
  'security.istio.io/v1/AuthorizationPolicy',
  'security.istio.io/v1/RequestAuthentication',
]
export const policyResources = resources.filter(({ apiVersion, kind }) => policyKinds.includes(`${apiVersion}/${kind}`))

/** A cluster that cannot be read; `message` says in one sentence what is missing. */
export class ReadError extends Error {
  readonly code = 'CLUSTER_UNREADABLE'
}

/** Lists these kinds once. @throws ReadError */
export async function readOnce(api: ApiServer, kinds: readonly Resource[]): Promise<ClusterSnapshot> {
  const snapshot = { ...emptySnapshot('observed'), isComplete: false, capabilities: noCapabilities }
  const { signal } = new AbortController()
  setMaxListeners(0, signal) // All kinds are listed at once, and each list listens.
  const reads = kinds.map(resource => listOnce(api, resource, object => putObject(snapshot, trim(object)), signal))
  const failures = (await Promise.allSettled(reads)).map(result =>
    result.status === 'rejected' ? result.reason : null,
  )
  const forbidden = kinds.filter((_, i) => failures[i] instanceof ApiError && failures[i].status === 403)
  if (forbidden.length > 0) {
    const names = forbidden.map(nameOf).join(', ')
    throw new ReadError(`you may not list ${names}; ask for a ClusterRole with the verb list for them`)
  }
  const cause = failures.find(failure => failure !== null)
  if (cause) throw new ReadError(sentenceOf(cause), { cause })
  return snapshot
}

/** Why a cluster cannot be read, in one sentence. */
export function sentenceOf(cause: unknown): string {
  if (cause instanceof ApiError && cause.status === 401)
    return 'the cluster does not accept the credentials of the kubeconfig; renew them'
  if (cause instanceof ApiError) return `the cluster cannot be read: ${cause.message}`
  // A host with several addresses fails with one error for each, and says nothing itself.
  const { message } = cause instanceof AggregateError ? cause.errors[0] : (cause as Error)
  return `the cluster cannot be reached: ${message}; check --kubeconfig and --context, or give files with -f`
}
