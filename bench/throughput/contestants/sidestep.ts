// sidestep as its image runs it, on a snapshot that counts as observed: logs go to a file, metrics are kept.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { freePort } from '../../../test/control-plane/ports.ts'
import { clusterObjects } from '../payloads.ts'
import { ServerProcess } from '../server-process.ts'
import type { Contestant } from './index.ts'

const root = resolve(import.meta.dirname, '../../..')

export const sidestep: Contestant = {
  name: 'sidestep',
  isRewriting: true,
  isInAll: true,
  version: async () => `sidestep ${JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version}`,
  async start(stage) {
    const snapshot = join(stage.directory, 'snapshot')
    await mkdir(snapshot)
    const list = { apiVersion: 'v1', kind: 'List', items: clusterObjects }
    await writeFile(join(snapshot, 'cluster.json'), JSON.stringify(list))
    const flags = {
      snapshot,
      port: stage.port,
      'ops-port': await freePort(),
      'tls-cert': stage.certFile,
      'tls-key': stage.keyFile,
    }
    const args = [
      join(root, 'dist/cli/main.js'),
      'serve',
      '--as-is',
      ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
    ]
    const server = await ServerProcess.start('sidestep', { command: process.execPath, args, path: '/mutate' }, stage)
    return { server, stop: () => server.stop() }
  },
}
