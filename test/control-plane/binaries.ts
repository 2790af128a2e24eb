// The real parts that end-to-end tests run: kube-apiserver, kube-controller-manager, kubectl, etcd, and the CRDs.
// They are looked for in $KUBEBUILDER_ASSETS (where setup-envtest puts them), then in a cache outside the tree, and are
// built into that cache from the Go module beside this file, which pins every version.
import { constants } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { GoModule, isThere, type Missing, report } from './go-module.ts'

export interface Binaries {
  origin: 'KUBEBUILDER_ASSETS' | 'cache'
  directory: string
  apiServer: string
  etcd: string
  kubectl: string
  /** setup-envtest has none, and most tests need none. */
  controllerManager?: string
}

export type Channel = 'standard' | 'experimental'

export interface CrdFiles {
  istio: string[]
  gatewayApi: Record<Channel, string[]>
}

export const buildCommand = 'node --import=tsx test/control-plane/build.ts'

const goModule = new GoModule(import.meta.dirname, 'control plane')

const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
} as const

/** The binaries from $KUBEBUILDER_ASSETS or the cache. Never builds, so it is quick enough for a test. */
export async function findBinaries(): Promise<Binaries | Missing> {
  const assets = process.env.KUBEBUILDER_ASSETS
  if (assets) {
    const binaries = await binariesIn(resolve(assets), 'KUBEBUILDER_ASSETS')
    return binaries ?? { reason: `KUBEBUILDER_ASSETS is ${assets}, which lacks kube-apiserver, etcd or kubectl` }
  }
  const binaries = await binariesIn(await goModule.cachePath('bin'), 'cache')
  return binaries ?? { reason: `no control plane has been built yet; run: ${buildCommand}` }
}

/** The binaries from where findBinaries looks, or else built with Go, which takes minutes on a cold machine. */
export async function ensureBinaries(): Promise<Binaries | Missing> {
  const found = await findBinaries()
  if (!('reason' in found) || process.env.KUBEBUILDER_ASSETS) return found
  const missing = await goModule.missing()
  if (missing) return missing
  await goModule.fillCache('bin', buildBinaries)
  return findBinaries()
}

/** The CRDs of Istio and Gateway API, from the cache, or else from their Go modules. */
export async function crdFiles(): Promise<CrdFiles | Missing> {
  const directory = await goModule.cachePath('crds')
  if (!(await isThere(directory))) {
    const missing = await goModule.missing()
    if (missing) return missing
    await goModule.fillCache('crds', copyCrds)
  }
  const filesIn = async (name: string) =>
    (await readdir(join(directory, name))).sort().map(file => join(directory, name, file))
  return {
    istio: await filesIn('istio'),
    gatewayApi: { standard: await filesIn('standard'), experimental: await filesIn('experimental') },
  }
}

async function binariesIn(directory: string, origin: Binaries['origin']): Promise<Binaries | undefined> {
  const path = async (name: keyof typeof packages) =>
    (await isThere(join(directory, name), constants.X_OK)) ? join(directory, name) : undefined
  const [apiServer, etcd, kubectl] = [await path('kube-apiserver'), await path('etcd'), await path('kubectl')]
  if (!apiServer || !etcd || !kubectl) return undefined
  const controllerManager = await path('kube-controller-manager')
  return { origin, directory, apiServer, etcd, kubectl, ...(controllerManager && { controllerManager }) }
}

async function buildBinaries(directory: string): Promise<void> {
  const version = await goModule.field('k8s.io/kubernetes', 'Version')
  const [major, minor] = version.replace(/^v/, '').split('.')
  // What Kubernetes' own build stamps. kubectl reports it, and component-base compares feature gates against it.
  const stamps = [
    `k8s.io/component-base/version.gitVersion=${version}`,
    `k8s.io/component-base/version.gitMajor=${major}`,
    `k8s.io/component-base/version.gitMinor=${minor}`,
    `k8s.io/client-go/pkg/version.gitVersion=${version}`,
  ]
  report(`building Kubernetes ${version} and etcd, once; from cold this takes about 8 minutes on 2 cores`)
  for (const [name, path] of Object.entries(packages)) await goModule.build(directory, name, path, stamps)
}

/**
 * Only CRDs are kept of what Gateway API ships. Its ValidatingAdmissionPolicy guards the CRDs against a change of channel
 * in place, which neither the tests nor sidestep do, and as admission of its own it would only cloud what is tested.
 */
async function copyCrds(directory: string): Promise<void> {
  await goModule.go(['mod', 'download', 'istio.io/api', 'sigs.k8s.io/gateway-api'])
  const istio = join(await goModule.field('istio.io/api', 'Dir'), 'kubernetes')
  const gatewayApi = join(await goModule.field('sigs.k8s.io/gateway-api', 'Dir'), 'config/crd')
  const sources = {
    istio: [join(istio, 'customresourcedefinitions.gen.yaml')],
    standard: await yamlFilesIn(join(gatewayApi, 'standard')),
    experimental: await yamlFilesIn(join(gatewayApi, 'experimental')),
  }
  for (const [name, files] of Object.entries(sources)) {
    await mkdir(join(directory, name))
    for (const file of files) {
      const content = await readFile(file, 'utf8')
      // Written anew rather than copied, since files of the module cache are read-only.
      if (isCrd(content)) await writeFile(join(directory, name, basename(file)), content)
    }
  }
}

async function yamlFilesIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter(file => file.endsWith('.yaml')).map(file => join(directory, file))
}

export function isCrd(yaml: string): boolean {
  return /^kind: CustomResourceDefinition$/m.test(yaml)
}
