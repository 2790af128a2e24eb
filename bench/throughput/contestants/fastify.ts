// What sidestep is built on, bare: no logs, no metrics, no hooks, and reviews are only parsed and allowed.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ServerProcess } from '../server-process.ts'
import type { Contestant } from './index.ts'

export const fastify: Contestant = {
  name: 'fastify',
  isRewriting: false,
  isInAll: true,
  async version() {
    const file = fileURLToPath(new URL('package.json', import.meta.resolve('fastify')))
    return `Fastify ${JSON.parse(await readFile(file, 'utf8')).version}`
  },
  async start(stage) {
    const args = [join(import.meta.dirname, 'fastify.mjs'), String(stage.port), stage.certFile, stage.keyFile]
    const server = await ServerProcess.start('fastify', { command: process.execPath, args, path: '/mutate' }, stage)
    return { server, stop: () => server.stop() }
  },
}
