// The same rewrite in Go, on what most webhooks are built on. On one core, so with one processor.
import { join, resolve } from 'node:path'
import { GoModule } from '../../../test/control-plane/go-module.ts'
import { ServerProcess } from '../server-process.ts'
import type { Contestant } from './index.ts'

const directory = resolve(import.meta.dirname, '../controller-runtime')
const goModule = new GoModule(directory, 'bench controller-runtime', ['main.go', 'rewrite.go'])

export const controllerRuntime: Contestant = {
  name: 'controller-runtime',
  isRewriting: true,
  isInAll: true,
  async version() {
    const [library, language] = [
      await goModule.field('sigs.k8s.io/controller-runtime', 'Version'),
      await goModule.go(['env', 'GOVERSION']),
    ]
    return `controller-runtime ${library} (${language.trim()})`
  },
  async start(stage) {
    const missing = await goModule.missing()
    if (missing) throw new Error(missing.reason)
    await goModule.fillCache('bin', bin => goModule.build(bin, 'webhook', '.'))
    const command = join(await goModule.cachePath('bin'), 'webhook')
    const args = [`-port=${stage.port}`, `-tls-cert=${stage.certFile}`, `-tls-key=${stage.keyFile}`]
    const env = { GOMAXPROCS: '1' }
    const server = await ServerProcess.start('controller-runtime', { command, args, env, path: '/mutate' }, stage)
    return { server, stop: () => server.stop() }
  },
}
