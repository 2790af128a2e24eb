// Everything of a cluster that an audit looks at, read once and never written. Each kind is listed in a version that the API
// server serves, and what cannot be read is named: nobody may take it for what is not there.
import { setMaxListeners } from 'node:events'
import type { KubernetesObject } from '../apis/core.ts'
import { isTranslated } from '../translate/index.ts'
import { ApiError, type ApiServer } from './api-server.ts'
import { ReadError, sentenceOf } from './read.ts'
import { resources, trim } from './snapshot.ts'
import { listOnce, nameOf, type Resource } from './watch.ts'

/** Beside what a snapshot holds: what sidecars are configured by, and what makes pods or routes. */
const more: readonly [apiVersion: string, ...plurals: string[]][] = [
  ['apps/v1', 'Deployment', 'StatefulSet', 'DaemonSet'],
  ['batch/v1', 'Job', 'CronJob'],
  ['networking.k8s.io/v1', 'NetworkPolicy', 'Ingress'],
  ['networking.istio.io/v1', 'Sidecar', 'WorkloadEntry', 'WorkloadGroup'],
  ['networking.istio.io/v1alpha3', 'EnvoyFilter'],
  ['networking.istio.io/v1beta1', 'ProxyConfig'],
  ['extensions.istio.io/v1alpha1', 'WasmPlugin', 'TrafficExtension'],
  ['telemetry.istio.io/v1', 'Telemetry'],
  ['gateway.networking.k8s.io/v1', 'GatewayClass'],
  ['serving.kserve.io/v1beta1', 'InferenceService'],
  ['serving.kserve.io/v1alpha1', 'InferenceGraph', 'ServingRuntime', 'ClusterServingRuntime'],
  ['serving.knative.dev/v1', 'Service', 'Configuration', 'Revision', 'Route'],
  ['networking.internal.knative.dev/v1alpha1', 'Ingress'],
]

export const auditResources: readonly Resource[] = [
  ...resources,
  ...more
    .flatMap(([apiVersion, ...kinds]) => kinds.map(kind => ({ apiVersion, kind, path: pathOf(apiVersion, kind) })))
    .filter(({ path }) => !resources.some(each => each.path === path)),
]

function pathOf(apiVersion: string, kind: string): string {
  const plural = kind
    .toLowerCase()
    .replace(/([^aeiou])y$/, '$1ie')
    .replace(/(s|x|ch)$/, '$1e')
  return `/apis/${apiVersion}/${plural}s`
}

export interface WholeReading {
  objects: KubernetesObject[]
  unread: { resource: string; reason: string }[]
}

/** Lists each kind once. @throws ReadError when the cluster cannot be reached, or nothing of it may be read */
export async function readAll(
  api: ApiServer,
  signal: AbortSignal,
  onRead: (kinds: number, all: number, objects: number) => void = () => {},
): Promise<WholeReading> {
  setMaxListeners(0, signal) // All kinds are listed at once, and each list listens.
  const groups = new Map<string, Promise<string[]>>()
  const versions = (group: string) => {
    const known = groups.get(group) ?? versionsOf(api, group, signal)
    groups.set(group, known)
    return known
  }
  const objects: KubernetesObject[] = []
  const unread: WholeReading['unread'] = []
  let kinds = 0
  let isAnyListed = false
  await Promise.all(
    auditResources.map(async resource => {
      try {
        for (const each of await inVersions(resource, versions)) {
          if (!(await listOnce(api, each, object => objects.push(kept(object)), signal))) continue
          isAnyListed = true
          break
        }
      } catch (cause) {
        unread.push({ resource: nameOf(resource), reason: reasonOf(cause) })
      }
      onRead(++kinds, auditResources.length, objects.length)
    }),
  )
  if (!isAnyListed) throw new ReadError('you may list nothing; docs/audit.md has the ClusterRole')
  return { objects, unread: unread.sort((a, b) => (a.resource < b.resource ? -1 : 1)) }
}

/** A kind that may not be listed, or that the API server cannot give, is one less; a cluster that is not there is none. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof ApiError) || cause.status === 401) throw new ReadError(sentenceOf(cause), { cause })
  return cause.status === 403 ? 'you may not list it' : `the API server answers HTTP ${cause.status}`
}

/** The kind in each version that is served, the one that we know best first. */
async function inVersions(resource: Resource, versions: (group: string) => Promise<string[]>): Promise<Resource[]> {
  const [group, version, more] = resource.apiVersion.split('/')
  if (!group || !version || more !== undefined) return [resource]
  const served = await versions(group)
  return [...served.filter(each => each === version), ...served.filter(each => each !== version)].map(each => {
    const apiVersion = `${group}/${each}`
    return { ...resource, apiVersion, path: resource.path.replace(`/${resource.apiVersion}/`, `/${apiVersion}/`) }
  })
}

/** The versions of a group, which whoever is known to the cluster may ask for (ClusterRole system:discovery). */
async function versionsOf(api: ApiServer, group: string, signal: AbortSignal): Promise<string[]> {
  try {
    const answer: unknown = await api.send({ method: 'GET', path: `/apis/${group}` }, signal)
    return (answer as { versions?: { version: string }[] }).versions?.map(({ version }) => version) ?? []
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return []
    throw error
  }
}

/**
 * As the author wrote it, since the report shows it. managedFields tell what of a rewritten object is whose, and are of no
 * use for any other; of a CRD next to nothing is read, and the rest is a megabyte.
 */
function kept(object: KubernetesObject): KubernetesObject {
  if (object.kind === 'CustomResourceDefinition') return trim(object)
  if (isTranslated(object)) return object
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}
