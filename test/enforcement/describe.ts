// What a failure shows: the policies as YAML, the request, and both decisions with their reasons.
import { stringify } from 'yaml'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type { Difference } from './compare.ts'

/** The policies among the objects, without what does not decide. */
export function describeObjects(objects: Iterable<KubernetesObject>): string {
  return [...objects]
    .filter(({ kind }) => kind === 'AuthorizationPolicy' || kind === 'RequestAuthentication')
    .map(object => {
      const { kind, metadata } = object
      const spec = 'spec' in object ? object.spec : {}
      const dryRun = metadata.annotations?.['istio.io/dry-run']
      const key = `${metadata.namespace}/${metadata.name}`
      return stringify({ kind, key, ...(dryRun ? { dryRun } : {}), spec }, { aliasDuplicateObjects: false })
    })
    .join('---\n')
}

export function describeDifference({ request, sidecars, ambient }: Difference): string {
  return [
    stringify(request).trimEnd(),
    `with sidecars ${sidecars.allowed ? 'allowed' : 'denied'}, ${sidecars.reason}`,
    `in ambient ${ambient.allowed ? 'allowed' : 'denied'}, ${ambient.reason}`,
  ].join('\n')
}
