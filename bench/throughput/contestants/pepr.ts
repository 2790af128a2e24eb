// The same rewrite as a module of pepr (https://github.com/defenseunicorns/pepr), on its runtime, with the environment and
// the logs that its chart gives it. Its image has a controller that unpacks the module below /app and forks it; here the
// fork is started by itself. It needs an API server, for a store of its own.
import { access, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { ensureBinaries } from '../../../test/control-plane/binaries.ts'
import { report } from '../../../test/control-plane/go-module.ts'
import { type ControlPlane, startControlPlane } from '../../../test/control-plane/index.ts'
import { run } from '../../../test/control-plane/run.ts'
import { until } from '../../../test/control-plane/until.ts'
import { ServerProcess } from '../server-process.ts'
import type { Contestant, Stage } from './index.ts'

const directory = resolve(import.meta.dirname, '../pepr')
// A path that nobody can guess is how pepr recognises the API server.
const apiPath = 'bench'

export const pepr: Contestant = {
  name: 'pepr',
  isRewriting: true,
  isInAll: false,
  async version() {
    const file = join(directory, 'node_modules/pepr/package.json')
    return `pepr ${JSON.parse(await readFile(file, 'utf8')).version}`
  },
  async start(stage) {
    const module = await build()
    const binaries = await ensureBinaries()
    if ('reason' in binaries) throw new Error(binaries.reason)
    const controlPlane = await startControlPlane({ channel: 'none' })
    try {
      await controlPlane.apply([namespace, storeDefinition])
      const server = await startModule(module, controlPlane, stage)
      // All that it asks of the API server is asked. Nobody is to be slowed down by that, so it sleeps from here on.
      signal(controlPlane, 'SIGSTOP')
      return {
        server,
        async stop() {
          await server.stop()
          signal(controlPlane, 'SIGCONT')
          await controlPlane.stop()
        },
      }
    } catch (error) {
      await controlPlane.stop()
      throw error
    }
  },
}

async function startModule(module: string, controlPlane: ControlPlane, stage: Stage): Promise<ServerProcess> {
  const env = {
    PORT: String(stage.port),
    KUBECONFIG: controlPlane.kubeconfig(),
    PEPR_API_PATH: apiPath,
    PEPR_WATCH_MODE: 'false',
    PEPR_PRETTY_LOG: 'false',
    LOG_LEVEL: 'info',
    SSL_CERT_PATH: stage.certFile,
    SSL_KEY_PATH: stage.keyFile,
  }
  const command = { command: process.execPath, args: [module], env, path: `/mutate/${apiPath}` }
  const server = await ServerProcess.start('pepr', command, stage)
  const store = '/apis/pepr.dev/v1/namespaces/pepr-system/peprstores/pepr-sidestep-bench-schedule'
  try {
    // The last of its stores, which it makes some seconds after it has begun to serve.
    await until('the stores of pepr', async () => (await controlPlane.request('GET', store)).status === 200)
    return server
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** To all its processes but the first, which is the watchdog that ends them should this one crash. */
function signal(controlPlane: ControlPlane, name: NodeJS.Signals): void {
  for (const pid of controlPlane.pids.slice(1)) process.kill(pid, name)
}

/** The module in one file, with the options of `pepr build` (src/cli/build/buildModule.ts in its repository). */
async function build(): Promise<string> {
  await install()
  const require = createRequire(join(directory, 'package.json'))
  const { dependencies } = require('pepr/package.json')
  const outfile = join(directory, 'dist/pepr.js')
  await require('esbuild').build({
    bundle: true,
    entryPoints: [join(directory, 'pepr.ts')],
    external: [...Object.keys(dependencies), 'pepr', '@kubernetes/client-node'],
    format: 'cjs',
    keepNames: true,
    legalComments: 'external',
    minify: true,
    outfile,
    platform: 'node',
    sourcemap: true,
    treeShaking: true,
  })
  return outfile
}

/** On first need, or all who install sidestep's own dependencies would have those of pepr too. */
async function install(): Promise<void> {
  try {
    await access(join(directory, 'node_modules/pepr'))
  } catch {
    report('installing pepr ...')
    const { code, stderr } = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: directory })
    if (code !== 0) throw new Error(`npm ci failed: ${stderr.slice(-2000)}`)
  }
}

const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'pepr-system' } }

/** What its controller applies before it starts the module (src/lib/assets/store.ts in its repository). */
const storeDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'peprstores.pepr.dev' },
  spec: {
    group: 'pepr.dev',
    scope: 'Namespaced',
    names: { plural: 'peprstores', singular: 'peprstore', kind: 'PeprStore' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { data: { type: 'object', additionalProperties: { type: 'string' } } },
          },
        },
      },
    ],
  },
}
