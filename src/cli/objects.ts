// What makes plain data a Kubernetes object, and which object it is.
import type { KubernetesObject } from '../apis/core.ts'
import { isRecord } from '../translate/fate.ts'
import { namespaceOf } from '../translate/snapshot.ts'

/** What keeps a value from being a Kubernetes object, and in which of its fields. */
export interface Fault {
  field: string
  message: string
}

/** Objects of the same identity are the same object to the API server: versions of a group are only spellings of it. */
export function identityOf(object: KubernetesObject): string {
  const { apiVersion, kind, metadata } = object
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
  return [group, kind, namespaceOf(object), metadata.name].join('/')
}

/** `VirtualService team-a/jupyter`; an object whose name is generated is known by the prefix and `*`. */
export function describe({ kind, metadata }: KubernetesObject): string {
  const { namespace, name = `${metadata.generateName}*` } = metadata
  return `${kind} ${namespace ? `${namespace}/` : ''}${name}`
}

/** Whether the value is a list of objects, such as `kubectl get -o yaml` writes. */
export function isList(value: unknown): value is { items: unknown } {
  return isRecord(value) && typeof value.kind === 'string' && value.kind.endsWith('List') && 'items' in value
}

/** Everything that is wrong with what must be one object; nothing when translate() may take it. */
export function faultsOf(value: unknown): Fault[] {
  if (!isRecord(value))
    return [
      { field: '', message: `is ${nameOf(value)}, no Kubernetes object; start it with apiVersion, kind and metadata` },
    ]
  const faults = [
    ...text(value, 'apiVersion', 'add it, for example apiVersion: networking.istio.io/v1'),
    ...text(value, 'kind', 'add it, for example kind: VirtualService'),
  ]
  const { metadata } = value
  if (metadata === undefined || metadata === null)
    return [...faults, { field: 'metadata', message: 'is missing; add it with a name' }]
  if (!isRecord(metadata))
    return [...faults, { field: 'metadata', message: `is ${nameOf(metadata)}; make it a map with a name` }]
  return [
    ...faults,
    ...(isSet(metadata.generateName) && !isSet(metadata.name)
      ? text(metadata, 'generateName', 'give it a name', 'metadata.')
      : text(metadata, 'name', 'give the object a name', 'metadata.')),
    ...(isSet(metadata.namespace) ? text(metadata, 'namespace', 'name it', 'metadata.') : []),
    ...['labels', 'annotations'].flatMap(field => strings(metadata[field], `metadata.${field}`)),
  ]
}

function text(map: Record<string, unknown>, name: string, remedy: string, prefix = ''): Fault[] {
  const value = map[name]
  const field = prefix + name
  if (!isSet(value)) return [{ field, message: `is missing; ${remedy}` }]
  return typeof value === 'string' ? [] : [{ field, message: mistaken(value) }]
}

/** The API server takes nothing but strings here; `null` counts as empty, as it does there. */
function strings(map: unknown, field: string): Fault[] {
  if (map === undefined || map === null) return []
  if (!isRecord(map)) return [{ field, message: `is ${nameOf(map)}; make it a map of strings` }]
  return Object.entries(map)
    .filter(([, value]) => typeof value !== 'string' && value !== null)
    .map(([key, value]) => ({ field: `${field}[${key}]`, message: mistaken(value) }))
}

function mistaken(value: unknown): string {
  const isPlain = typeof value === 'number' || typeof value === 'boolean'
  return `is ${nameOf(value)} where Kubernetes takes a string; ${isPlain ? 'put it in quotes' : 'correct it'}`
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (value === null) return 'empty'
  if (typeof value === 'object') return 'a map'
  return typeof value === 'string' ? 'a string' : `the ${typeof value} ${value}`
}
