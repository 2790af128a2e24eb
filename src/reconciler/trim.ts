// What a live snapshot keeps of an object: what translators and the reconciler read, and nothing else. That keeps the memory
// of a large cluster small; and a change in what nobody reads is no change, whatever the kubelet writes into a Pod.
import type * as core from '../apis/core.ts'
import type * as gateway from '../apis/gateway.ts'
import { isCompanion } from '../translate/companion.ts'
import { isRecord } from '../translate/fate.ts'
import { kindKey } from '../translate/snapshot.ts'
import { hasEnded } from '../translate/workload/template.ts'
import { editorsOf } from './ownership.ts'

/** Never changes what it is given. */
export function trim(object: core.KubernetesObject): core.KubernetesObject {
  const { apiVersion, kind } = object
  const key = kindKey(object)
  const part = Object.hasOwn(parts, key) ? parts[key] : undefined
  const metadata = key === 'Pod/' ? podMetadata(object) : metadataOf(object)
  if (part) return { apiVersion, kind, metadata, ...defined(part(object)) }
  const { spec, status } = object as { spec?: unknown; status?: object }
  const kept = Object.hasOwn(statuses, key) ? status && statuses[key]?.(status) : undefined
  // It rises with every change of the spec, which is kept, and conditions say of which generation they speak.
  const { generation } = object.metadata
  return {
    apiVersion,
    kind,
    metadata: { ...metadata, ...defined({ generation }) },
    ...defined({ spec, status: kept }),
  }
}

const annotations =
  /^(sidestep\.dev\/|gateway\.istio\.io\/|(istio\.io\/dry-run|sidecar\.istio\.io\/status|ambient\.istio\.io\/redirection)$)/

function metadataOf(object: core.KubernetesObject): core.ObjectMeta {
  const { metadata } = object
  const editors = isCompanion(object) ? editorsOf(object) : []
  const { name, namespace, labels, ownerReferences, creationTimestamp, deletionTimestamp, resourceVersion, uid } =
    metadata
  return defined({
    name,
    namespace,
    labels,
    annotations: annotationsOf(metadata),
    ownerReferences,
    // By that the plan sees that somebody else edits what is ours alone.
    managedFields: editors.length > 0 ? editors : undefined,
    creationTimestamp,
    deletionTimestamp,
    resourceVersion,
    uid,
  })
}

/** Nothing of ours belongs to a Pod, and in most clusters Pods are most of what there is. */
function podMetadata({ metadata }: core.KubernetesObject): core.ObjectMeta {
  const { name, namespace, labels, deletionTimestamp, resourceVersion } = metadata
  return defined({ name, namespace, labels, annotations: annotationsOf(metadata), deletionTimestamp, resourceVersion })
}

function annotationsOf(metadata: core.ObjectMeta): Record<string, string> | undefined {
  const kept = Object.entries(metadata.annotations ?? {}).filter(([name]) => annotations.test(name))
  return kept.length > 0 ? Object.fromEntries(kept) : undefined
}

/** The kinds of which only a part of the spec is read (the types in apis/core.ts); all others keep theirs. */
const parts: Record<string, (object: core.KubernetesObject) => object> = {
  'Namespace/': () => ({}),
  'Pod/': object => {
    const { spec = {}, status } = object as core.Pod
    const { serviceAccountName, hostNetwork, containers } = spec
    return {
      spec: defined({ serviceAccountName, hostNetwork, containers: containers?.map(containerOf) }),
      status: hasEnded(object as core.Pod) ? { phase: status?.phase } : undefined,
    }
  },
  'Service/': object => {
    const { spec = {}, status } = object as core.Service & { status?: { conditions?: unknown } }
    const { type, clusterIP, externalName, selector, publishNotReadyAddresses } = spec
    const ports = spec.ports?.map(({ name, port, protocol, appProtocol, targetPort }) =>
      defined({ name, port, protocol, appProtocol, targetPort }),
    )
    return {
      spec: defined({ type, clusterIP, externalName, selector, ports, publishNotReadyAddresses }),
      status: status?.conditions && { conditions: status.conditions },
    }
  },
  // KServe's alone is read, and only from files so far.
  'ConfigMap/': object => defined({ data: (object as core.ConfigMap).data }),
  'MutatingWebhookConfiguration/admissionregistration.k8s.io': webhooksOf,
  'ValidatingWebhookConfiguration/admissionregistration.k8s.io': webhooksOf,
  'APIService/apiregistration.k8s.io': object => {
    const { service } = (object as core.APIService).spec ?? {}
    return { spec: defined({ service }) }
  },
  'CustomResourceDefinition/apiextensions.k8s.io': crdOf,
}

/** The kinds whose status is read, and what of it: not how many routes a listener has, which every route changes. */
const statuses: Record<string, (status: object) => object> = {
  'Gateway/gateway.networking.k8s.io': status => {
    const { addresses, conditions } = status as NonNullable<gateway.Gateway['status']>
    return defined({ addresses, conditions })
  },
  'HTTPRoute/gateway.networking.k8s.io': status => status,
  'TLSRoute/gateway.networking.k8s.io': status => status,
  'TCPRoute/gateway.networking.k8s.io': status => status,
  'GRPCRoute/gateway.networking.k8s.io': status => status,
  'AuthorizationPolicy/security.istio.io': status => status,
  'RequestAuthentication/security.istio.io': status => status,
  'PeerAuthentication/security.istio.io': status => status,
}

function containerOf({ name, ports }: core.Container): core.Container {
  const kept = ports?.map(({ name, containerPort, protocol }) => defined({ name, containerPort, protocol }))
  return defined({ name, ports: kept })
}

/** The Services that are called, without the certificates that a cert-manager renews there. */
function webhooksOf(object: core.KubernetesObject): object {
  const { webhooks } = object as core.WebhookConfiguration
  return { webhooks: webhooks?.flatMap(({ clientConfig }) => calledBy(clientConfig?.service)) }
}

function calledBy(service: core.ServiceReference | undefined): { clientConfig: { service: core.ServiceReference } }[] {
  return service ? [{ clientConfig: { service } }] : []
}

interface Crd extends core.KubernetesObject {
  spec?: {
    group?: string
    names?: { kind?: string; plural?: string }
    versions?: { name: string; served?: boolean; schema?: unknown }[]
    conversion?: { strategy?: string; webhook?: { clientConfig?: { service?: core.ServiceReference } } }
  }
}

/** Without schemas, which are nearly all of it: capabilities are read out of that of HTTPRoute, and there out of its outline. */
function crdOf(object: core.KubernetesObject): object {
  const { group, names, versions, conversion } = (object as Crd).spec ?? {}
  const { strategy, webhook } = conversion ?? {}
  const [called] = calledBy(webhook?.clientConfig?.service)
  const isOutlined = object.metadata.name === 'httproutes.gateway.networking.k8s.io'
  return {
    spec: defined({
      group,
      names: names && defined({ kind: names.kind, plural: names.plural }),
      conversion: called && defined({ strategy, webhook: called }),
      versions: versions?.map(({ name, served, schema }) =>
        defined({ name, served, schema: isOutlined && name === 'v1' ? outlineOf(schema) : undefined }),
      ),
    }),
  }
}

const outlined = ['openAPIV3Schema', 'properties', 'items', 'enum', 'maxItems']

/** Which fields there are, and what limits them, without a word about what they are for. */
function outlineOf(schema: unknown): unknown {
  if (!isRecord(schema)) return schema
  const kept = Object.entries(schema).filter(([name]) => outlined.includes(name))
  return Object.fromEntries(
    kept.map(([name, value]) => [
      name,
      name === 'properties' && isRecord(value)
        ? Object.fromEntries(Object.entries(value).map(([property, its]) => [property, outlineOf(its)]))
        : outlineOf(value),
    ]),
  )
}

/** Without the fields that are undefined. */
function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}
