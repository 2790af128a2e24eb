import { readFile } from 'node:fs/promises'
import { isCrd } from './binaries.ts'
import type { Client } from './client.ts'
import { until } from './until.ts'

interface Crd {
  metadata: { name: string }
  spec: { group: string; names: { plural: string }; versions: { name: string; served: boolean }[] }
}

const crdsPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

/**
 * Installs CRDs and waits until their kinds can be used. The YAML goes to the API server as it is, which reads it faster
 * than this process would, and all at once, where kubectl takes turns. Discovery is what is waited for, since it comes
 * last: the API server lists there what it already serves, and kubectl knows only what is listed.
 */
export async function installCrds(client: Client, files: readonly string[], signal: AbortSignal): Promise<void> {
  const contents = await Promise.all(files.map(file => readFile(file, 'utf8')))
  const crds = await Promise.all(
    contents
      .flatMap(content => content.split(/^---$/m))
      .filter(isCrd)
      .map(async yaml => {
        const { body } = await client.demand('POST', crdsPath, { body: yaml, contentType: 'application/yaml' })
        return body as Crd
      }),
  )
  await until(
    `${crds.length} CRDs to be served`,
    async () => {
      const discovered = await discover(client)
      return crds.flatMap(endpoints).every(endpoint => discovered.has(endpoint))
    },
    { signal },
  )
}

/** `group/version/plural` of all served versions. */
function endpoints({ spec: { group, names, versions } }: Crd): string[] {
  return versions.filter(({ served }) => served).map(({ name }) => `${group}/${name}/${names.plural}`)
}

/** `group/version/plural` of everything that kubectl would find. */
async function discover(client: Client): Promise<Set<string>> {
  const { body } = await client.demand('GET', '/apis', {
    accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
  })
  const found = new Set<string>()
  for (const group of body.items) {
    for (const version of group.versions) {
      for (const { resource } of version.resources ?? [])
        found.add(`${group.metadata.name}/${version.version}/${resource}`)
    }
  }
  return found
}
