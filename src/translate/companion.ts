// Objects that sidestep keeps beside a source. They are recognised by two marks, carry nothing of the source's metadata
// but `istio.io/rev` (Argo CD would prune what carries its tracking label), and go when the source goes.
import type { KubernetesObject } from '../apis/core.ts'
import { digest } from './canonical.ts'
import { restoreOriginal } from './original.ts'

export const managedByLabel = 'app.kubernetes.io/managed-by'
export const sourceAnnotation = 'sidestep.dev/source'
export const revisionLabel = 'istio.io/rev'

/** On everything that a controller makes for a Gateway of Gateway API, down to the pods (GEP-1762). */
export const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name'

/**
 * `spec.infrastructure.annotations` of the Gateways that sidestep keeps. Where a Gateway has none, istiod copies those of
 * its metadata to the template of its pods (extractInfrastructureMetadata in deploymentcontroller.go), and the digest
 * among ours would restart every pod of the Gateway with each change of a listener.
 */
export const infrastructureAnnotations = { [managedByLabel]: 'sidestep' }

/** The kinds that sidestep keeps. Whoever marks a source of another kind, such as a VirtualService, has it judged none the less. */
const kept =
  /^(v1\/Service|security\.istio\.io\/\w+\/(AuthorizationPolicy|RequestAuthentication)|gateway\.networking\.k8s\.io\/\w+\/(Gateway|ReferenceGrant|(HTTP|TLS|TCP|GRPC)Route))$/

/**
 * Whether sidestep keeps the object. Both marks are needed: charts use the label for names of their own. istiod copies
 * both from a Gateway without infrastructureAnnotations to the Service and the pods that it makes for it, and those are
 * istiod's. deploy/chart/templates/companions.yaml says the same in CEL.
 */
export function isCompanion({ apiVersion, kind, metadata }: KubernetesObject): boolean {
  const { labels, annotations } = metadata ?? {}
  const isMarked = labels?.[managedByLabel] === 'sidestep' && annotations?.[sourceAnnotation] !== undefined
  return isMarked && labels[gatewayNameLabel] === undefined && kept.test(`${apiVersion}/${kind}`)
}

/**
 * Metadata of a companion of `source`, by default in the source's namespace (for a Namespace: in it).
 * The ownerReference needs the source's uid, which files do not have, and cannot cross namespaces: the garbage collector
 * would take the owner for gone.
 */
export function companionMetadata(
  source: KubernetesObject,
  name: string,
  itsNamespace?: string,
): KubernetesObject['metadata'] & { name: string } {
  const isNamespace = source.kind === 'Namespace'
  const own = isNamespace ? source.metadata.name : source.metadata.namespace
  const namespace = itsNamespace ?? own
  const revision = restoreOriginal(source).metadata.labels?.[revisionLabel]
  const { uid } = source.metadata
  return {
    name,
    ...(namespace ? { namespace } : {}),
    labels: { [managedByLabel]: 'sidestep', ...(revision ? { [revisionLabel]: revision } : {}) },
    annotations: { [sourceAnnotation]: sourceKey(source) },
    ...(uid && namespace === own
      ? {
          ownerReferences: [
            {
              apiVersion: source.apiVersion,
              kind: source.kind,
              name: source.metadata.name ?? '',
              uid,
              controller: false,
              blockOwnerDeletion: false,
            },
          ],
        }
      : {}),
  }
}

/** The name, or while the API server has not made it yet, what it will begin with. */
export function nameOf({ metadata }: KubernetesObject): string {
  return metadata.name ?? metadata.generateName ?? ''
}

/** `VirtualService/team-a/jupyter`, or `Namespace/team-a`. */
export function sourceKey(source: KubernetesObject): string {
  return [source.kind, source.metadata.namespace, nameOf(source)].filter(Boolean).join('/')
}

/** A DNS subdomain made of the parts; one over 253 characters is cut and keeps a digest of the whole. */
export function companionName(...parts: string[]): string {
  const name = parts.join('-')
  if (name.length <= 253) return name
  return `${name.slice(0, 244).replace(/[^a-z0-9]+$/, '')}-${digest(name).slice(0, 8)}`
}
